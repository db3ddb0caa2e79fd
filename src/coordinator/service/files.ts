import type { Ctx } from "../../core/context.ts";
import type { Inode, VersionId } from "../../core/ids.ts";
import type { Moment } from "../../core/moment.ts";
import type { posix } from "../../namespace/index.ts";
import type { FileAttributes } from "../../namespace/types.ts";
import type { SiteRole } from "../../stores/site.ts";
import type { ByteRange } from "../../stores/store.ts";
import type { OpenedRange } from "./objects.ts";

/**
 * The tree as a file system has it: by inode, and by a directory's inode and a name in it. Errors are those of POSIX, by their errno. What is asked and
 * answered is plain data, so that the same interface can lie on the other end of a wire.
 */

/** In front of whom no kernel stands: what he may do by owner, groups and mode is looked at. Absent: everything is granted, as to root. */
export interface Asking {
  readonly who?: posix.Credentials;
}

/** Without a promise where the catalog is in this process and knows; then a failure is thrown at once, too. */
export type Answer<T> = T | Promise<T>;

type Given = "now" | "nextInode" | "tombstoneVersionId";
/** Of a program's request what the caller says. */
export type Order<Request> = Omit<Request, Given> & Asking;

/** What is in a file at one moment: the version that is read, and that a writer says he began with. */
export interface FileContent {
  /** `none`: nobody has written to it. */
  readonly versionId: VersionId | "none";
  readonly sizeBytes: number;
}

export interface ReadContent extends Asking {
  readonly inode: Inode;
  readonly versionId: FileContent["versionId"];
  /** Absent: all of it. */
  readonly range?: ByteRange;
}

export interface CommitContent extends Asking {
  readonly inode: Inode;
  readonly body: AsyncIterable<Uint8Array>;
  /** The body must have exactly this length. */
  readonly sizeBytes?: number;
  /** Another version than this one is there by now: `Conflict`. `any` replaces whatever is there. */
  readonly expect: FileContent["versionId"] | "any";
  /** Of the right to write to it; `StaleEpoch` once that has ended. Absent: the writer asks for none. */
  readonly epoch?: number;
  /** When it was written to; absent: now. */
  readonly modified?: Moment;
}

export interface CommittedContent {
  readonly attributes: FileAttributes;
  readonly versionId: VersionId;
  /** As of a PUT. */
  readonly pendingSites: readonly string[];
}

/** What a tree takes, and what it may still take. */
export interface TreeSpace {
  readonly used: { readonly bytes: number; readonly inodes: number; readonly olderBytes: number };
  /** Of the nearest directory above that has a quota: it is its usage, then. */
  readonly maxBytes?: number;
  readonly maxInodes?: number;
  /** Of bytes, by the quota and by the sites that have to take what is written there. Absent: nobody knows a limit. */
  readonly leftBytes?: number;
  readonly leftInodes?: number;
  readonly sites: readonly SiteSpace[];
}

export interface SiteSpace {
  readonly site: string;
  readonly role: SiteRole;
  /** What is written there has to come to it before the answer. */
  readonly required: boolean;
  /** Absent where the site does not tell. */
  readonly totalBytes?: number;
  readonly freeBytes?: number;
  /** One sentence: why it is not known. */
  readonly error?: string;
}

export interface Names<Listed = posix.DirectoryEntry> extends posix.DirectoryPage<Listed> {
  /** Sites that could not be listed: what only they have is missing. Absent: none. */
  readonly failedSites?: readonly { readonly site: string; readonly error: string }[];
}

export interface FileService {
  /** From a path to what it names. An object that only a site has under the path as it is written is taken in. */
  walk(ctx: Ctx, request: posix.Walk): Promise<posix.Walked>;
  /** Undefined when nothing has that name, at any site either. */
  lookup(ctx: Ctx, request: posix.Child & Asking): Answer<FileAttributes | undefined>;
  getattr(ctx: Ctx, inode: Inode): Answer<FileAttributes>;
  /** access(2): `wanted` is the sum of READ, WRITE and EXECUTE. */
  access(ctx: Ctx, request: { readonly inode: Inode; readonly wanted: number } & Required<Asking>): Answer<void>;
  readlink(ctx: Ctx, inode: Inode): Answer<string>;
  /** What statfs(2) tells, of a directory or of the one that the inode hangs in. */
  statfs(ctx: Ctx, inode: Inode): Promise<TreeSpace>;
  /** What only sites have in the directory is taken in. Without a promise where no site can have anything. */
  readdir(ctx: Ctx, request: posix.ReadDirectory & Asking): Answer<Names>;
  readdirplus(ctx: Ctx, request: posix.ReadDirectory & Asking): Answer<Names<posix.DirectoryEntryPlus>>;

  setattr(ctx: Ctx, request: Order<posix.SetAttr>): Promise<FileAttributes>;
  /** With `who` the new inode is his, and `uid` and `gid` count for nothing. So it is with all that make something. */
  mknod(ctx: Ctx, request: Order<posix.MakeNode>): Promise<FileAttributes>;
  mkdir(ctx: Ctx, request: Order<posix.Make & { readonly mode: number }>): Promise<FileAttributes>;
  symlink(ctx: Ctx, request: Order<posix.Make & { readonly target: string }>): Promise<FileAttributes>;
  link(ctx: Ctx, request: Order<posix.Link>): Promise<FileAttributes>;
  /** The objects go by jobs. `heldBy` names the sessions that have it open: for them it stays, without a name. */
  unlink(ctx: Ctx, request: Order<posix.Unlink>): Promise<FileAttributes>;
  rmdir(ctx: Ctx, request: Order<posix.Remove>): Promise<FileAttributes>;
  /** One transaction, however much lies below; objects follow by jobs. */
  rename(ctx: Ctx, request: Order<posix.Rename>): Promise<FileAttributes>;
  /** RENAME_EXCHANGE. */
  exchange(
    ctx: Ctx,
    request: Order<posix.Exchange>,
  ): Promise<{ readonly one: FileAttributes; readonly other: FileAttributes }>;

  getxattr(ctx: Ctx, request: { readonly inode: Inode; readonly name: string } & Asking): Answer<Uint8Array>;
  listxattr(ctx: Ctx, request: { readonly inode: Inode } & Asking): Answer<readonly string[]>;
  setxattr(ctx: Ctx, request: Order<posix.SetXattr>): Promise<void>;
  removexattr(ctx: Ctx, request: Order<posix.RemoveXattr>): Promise<void>;

  /** What open(2) needs to know. With `who`, he may read it. */
  content(ctx: Ctx, request: { readonly inode: Inode } & Asking): Answer<FileContent>;
  /**
   * Bytes of this very version, never of another, whatever the file is called or has in it by now. When it was replaced they are read on as long as anybody has
   * them: a bucket that keeps versions, the cache, a site where its job has not come by. After that it is `PreconditionFailed` (ESTALE): open the file again.
   */
  read(ctx: Ctx, request: ReadContent): Promise<OpenedRange>;
  /**
   * Makes the body the content of the file, with all its names, wherever it hangs when the last byte has come, as one that has no name any more if it is open; what
   * is kept beside the bytes stays. Until then nothing has happened, and when this rejects nothing has.
   */
  commit(ctx: Ctx, request: CommitContent): Promise<CommittedContent>;

  /** The session has closed what it was named for as `heldBy`. Nothing, when that was no orphan. */
  release(ctx: Ctx, request: Pick<posix.Release, "session" | "inode">): Promise<void>;
  /** The session is gone, however it went. */
  endSession(ctx: Ctx, request: Pick<posix.Release, "session">): Promise<void>;
}

export type { FileAttributes };
