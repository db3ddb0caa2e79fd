import type { Errno, FuseError } from "../protocol/errors.ts";
import type { Features, Negotiated } from "../protocol/negotiation.ts";
import type {
  CreatedFile,
  Entry,
  ExtendedStatus,
  FileStatus,
  FileSystemStatus,
  HeldLock,
  IoctlResult,
  NegativeEntry,
  OpenFile,
} from "../protocol/replies.ts";
import type { PlainRequest } from "../protocol/request.ts";
import type {
  AccessRequest,
  GetattrRequest,
  GetxattrRequest,
  ListxattrRequest,
  LockRequest,
  RemovexattrRequest,
  SetattrRequest,
  SetxattrRequest,
  StatxRequest,
} from "../protocol/requests-attributes.ts";
import type {
  BmapRequest,
  CopyFileRangeRequest,
  FallocateRequest,
  FlushRequest,
  FsyncRequest,
  IoctlRequest,
  LseekRequest,
  OpenRequest,
  PollRequest,
  ReadRequest,
  ReaddirRequest,
  ReleaseRequest,
  WriteRequest,
} from "../protocol/requests-files.ts";
import type {
  CreateRequest,
  LinkRequest,
  MkdirRequest,
  MknodRequest,
  NameRequest,
  RenameRequest,
  SymlinkRequest,
} from "../protocol/requests-names.ts";
import type { Notifier } from "./notifier.ts";

/**
 * Answered by a file system in the worker that leaves a request to the file system in the main thread, which then gets it whole. Only for
 * sessions that have both.
 */
export const DEFER: unique symbol = Symbol("defer");

/**
 * A result, an error number, or a promise of one of them. What an operation throws, or its promise rejects with, becomes the error number
 * that it carries in `errno` or `code`, as the errors of `node:fs` do; anything else is EIO, and is reported as a problem.
 */
export type Answer<T> = T | Errno | typeof DEFER | Promise<T | Errno>;

/** What a file system can use while it is mounted. */
export interface Connection {
  readonly negotiated: Negotiated;
  readonly notifier: Notifier;
  /** The descriptor of the session, for the ioctls that it understands. It is not to be read, written or closed. */
  readonly device: number;
  /** Tells `onProblem` of the mount. */
  report(problem: FuseError): void;
}

/**
 * A file system as the kernel sees it: inodes, and names that lead to them. Inode 1 is the root. An operation that is missing is answered
 * with ENOSYS, which the kernel mostly understands as "do it without me, and do not ask again": without `open` and `opendir`, for example,
 * files and directories are open without a trip to us. Only `lookup` and `getattr` have to be there.
 */
export interface FileSystem {
  /** What it wants of the kernel; options of the mount win over this. */
  readonly features?: Features;

  /** Before the first operation. */
  init?(connection: Connection): void;
  /** After the last operation. */
  destroy?(): void | Promise<void>;

  lookup(request: NameRequest): Answer<Entry | NegativeEntry>;
  /** The kernel has forgotten so many of the lookups that it was answered. Nobody waits for this. */
  forget?(inode: number, lookups: number): void;
  getattr(request: GetattrRequest): Answer<FileStatus>;
  /** Only asked for what `getattr` does not say, such as the time of birth. */
  statx?(request: StatxRequest): Answer<ExtendedStatus>;
  setattr?(request: SetattrRequest): Answer<FileStatus>;
  access?(request: AccessRequest): Answer<void>;
  readlink?(request: PlainRequest): Answer<string | Uint8Array>;

  symlink?(request: SymlinkRequest): Answer<Entry>;
  mknod?(request: MknodRequest): Answer<Entry>;
  mkdir?(request: MkdirRequest): Answer<Entry>;
  unlink?(request: NameRequest): Answer<void>;
  rmdir?(request: NameRequest): Answer<void>;
  rename?(request: RenameRequest): Answer<void>;
  link?(request: LinkRequest): Answer<Entry>;

  open?(request: OpenRequest): Answer<OpenFile>;
  /** Makes a file and opens it. An existing one is opened, unless the kernel knew that there is none. */
  create?(request: CreateRequest): Answer<CreatedFile>;
  /** Makes a file without a name and opens it. */
  tmpfile?(request: CreateRequest): Answer<CreatedFile>;
  /** Answers with how many bytes it put into `request.into`, or with the bytes. Fewer than asked for means that the file ends there. */
  read?(request: ReadRequest): Answer<number | Uint8Array>;
  /** Answers with how many bytes were written. */
  write?(request: WriteRequest): Answer<number>;
  flush?(request: FlushRequest): Answer<void>;
  /** Nobody waits for this, and an error reaches nobody. */
  release?(request: ReleaseRequest): Answer<void>;
  fsync?(request: FsyncRequest): Answer<void>;
  fallocate?(request: FallocateRequest): Answer<void>;
  /** Answers with the offset of the next data or hole, or ENXIO. */
  lseek?(request: LseekRequest): Answer<number>;
  /** Answers with how many bytes were copied. */
  copyFileRange?(request: CopyFileRangeRequest): Answer<number>;
  bmap?(request: BmapRequest): Answer<number>;
  ioctl?(request: IoctlRequest): Answer<IoctlResult>;
  /** Answers with the events of poll(2) that have happened. */
  poll?(request: PollRequest): Answer<number>;

  opendir?(request: OpenRequest): Answer<OpenFile>;
  /** Fills `request.listing`. No entry means the end. Asked with `listing.plus` for entries with attributes. */
  readdir?(request: ReaddirRequest): Answer<void>;
  releasedir?(request: ReleaseRequest): Answer<void>;
  fsyncdir?(request: FsyncRequest): Answer<void>;

  statfs?(request: PlainRequest): Answer<FileSystemStatus>;
  syncfs?(request: PlainRequest): Answer<void>;

  setxattr?(request: SetxattrRequest): Answer<void>;
  getxattr?(request: GetxattrRequest): Answer<Uint8Array>;
  listxattr?(request: ListxattrRequest): Answer<readonly string[]>;
  removexattr?(request: RemovexattrRequest): Answer<void>;

  /** Answers with a lock that is in the way, or with one of type `LockType.UNLOCK`. */
  getlk?(request: LockRequest): Answer<HeldLock>;
  /** Locks or unlocks. With `request.wait` it waits for the lock, and answers EINTR once `request.signal` is aborted. */
  setlk?(request: LockRequest): Answer<void>;
}

/** What a module exports that is loaded in the worker. */
export interface FileSystemModule {
  /** `options` went through a structured clone. */
  createFileSystem(options: unknown): FileSystem | Promise<FileSystem>;
}
