import type { BlockSums } from "../../core/block-sums.ts";
import type { Ctx } from "../../core/context.ts";
import type { GfsError } from "../../core/errors.ts";
import type {
  ContentChecksum,
  ContentHeaders,
  FileKind,
  VersionDetails,
  VersionLabels,
} from "../../namespace/types.ts";
import type { ByteRange } from "../../stores/store.ts";

/** Reading, writing, listing and deleting objects. */

export interface ObjectMeta {
  readonly key: string;
  readonly sizeBytes: number;
  readonly etag: string;
  readonly modifiedMs: number;
  readonly contentType?: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly sha256?: string;
  /** Empty for a directory. */
  readonly versionId: string;
  readonly details?: VersionDetails;
  /** Of what is no object, and shows only in listings that ask for it. */
  readonly kind?: Exclude<FileKind, "file" | "directory">;
}

/** As HTTP has them; the service answers `PreconditionFailed` or, for reads, says `notModified`. */
export interface Conditions {
  /** Etags without quotes; `*` is any. */
  readonly ifMatch?: readonly string[];
  readonly ifNoneMatch?: readonly string[];
  readonly ifModifiedSinceMs?: number;
  readonly ifUnmodifiedSinceMs?: number;
}

/** Of a read: which version is meant. Absent: the current one. */
export interface ReadOptions {
  readonly conditions?: Conditions;
  /** An id, or `null` for the version that was written while the bucket kept none. */
  readonly versionId?: string;
}

export interface ObjectRead {
  readonly meta: ObjectMeta;
  /** The caller's copy is current; no bytes are read. */
  readonly notModified: boolean;
  /** The sums of its blocks, which are those of a copy, too. */
  readonly blocks?: BlockSums;
  /**
   * Reads one range of this very version; several may be read one after the other. Undefined: the whole object. A range that
   * cannot be satisfied throws `RangeNotSatisfiable` at once, before any byte. `Conflict` means that the file changed since
   * it was looked up: call `readObject` again.
   */
  open(range?: ByteRange): Promise<OpenedRange>;
}

export interface OpenedRange {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  /** Consume it, or stop iterating, or `cancel`. */
  readonly stream: AsyncIterable<Uint8Array>;
  cancel(): void;
  /** The same bytes as `stream`, when they are in memory already. Whoever takes them need not touch the stream. */
  readonly bytes?: Uint8Array;
  /** `cache` or the site's name. */
  readonly source: string;
}

export interface PutRequest {
  readonly key: string;
  readonly body: AsyncIterable<Uint8Array>;
  /** From `Content-Length`; the body must have exactly this length. */
  readonly sizeBytes?: number;
  readonly contentType?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly conditions?: Conditions;
  /** What the caller says of the body; a difference is `ChecksumMismatch` and leaves the old version. */
  readonly expected?: { readonly md5Hex?: string; readonly sha256Hex?: string; readonly crc32cHex?: string };
  /** Computes the MD5 for the etag, as S3 clients expect. */
  readonly md5Etag?: boolean;
  readonly contentHeaders?: ContentHeaders;
  readonly owner?: string;
  readonly labels?: VersionLabels;
  /**
   * The checksum to keep with the version. It is asked for once the body has come to its end, so that it may be one that a trailer brought; whoever
   * gives it has checked it. Throwing refuses the object, and the old version stays.
   */
  readonly checksum?: () => ContentChecksum | undefined;
}

export interface PutResult {
  readonly meta: ObjectMeta;
  readonly created: boolean;
  /** Sites whose replication could not be queued now; it will be, once the queue has room. Not empty means 202. */
  readonly pendingSites: readonly string[];
}

export interface ListRequest {
  readonly prefix?: string;
  readonly delimiter?: "/";
  readonly after?: string;
  /** From the previous page. */
  readonly continuation?: string;
  /** 1 to 1,000. */
  readonly limit: number;
  /** Symbolic links and special files, too: what a file system shows and is no object. */
  readonly others?: boolean;
  /** Content types, SHA-256 sums and metadata may be left out: the caller shows none of them, and a thousand of each cost something. */
  readonly brief?: boolean;
}

export interface ListResult {
  readonly objects: readonly ObjectMeta[];
  readonly prefixes: readonly string[];
  readonly continuation?: string;
  /** Sites that could not be listed, so that keys only they know may be missing. Not empty means 207. */
  readonly failedSites: readonly { readonly site: string; readonly error: string }[];
}

export interface DeleteOptions {
  readonly conditions?: Conditions;
  /** Removes this very version for good; absent: the key, which in a bucket that keeps versions leaves a delete marker. */
  readonly versionId?: string;
  /** For versions under governance retention; the gateway has checked that the caller may. */
  readonly bypassGovernance?: boolean;
  /** Owns the delete marker. */
  readonly owner?: string;
}

export interface DeleteResult {
  /** There was something to delete. Of a site that could not be asked nobody knows: its job does what is to be done. */
  readonly deleted: boolean;
  /** Sites where the object is still to be deleted; jobs do it. */
  readonly pendingSites: readonly string[];
  /** A delete marker was made, or removed by its id. */
  readonly deleteMarker?: boolean;
  /** As S3 shows it: of the marker that was made, or of the version that was removed. */
  readonly versionId?: string;
}

export interface DeleteRequest extends DeleteOptions {
  readonly key: string;
}

export type DeleteOutcome = { readonly result: DeleteResult } | { readonly error: GfsError };

export interface ObjectService {
  /**
   * An object whose bytes are in memory and whose record can be looked up at once, without a promise; undefined: ask `readObject`,
   * which also says what is wrong with a key.
   */
  peekObject(key: string): { readonly meta: ObjectMeta; readonly bytes: Uint8Array } | undefined;
  /** A key whose newest version is a delete marker is `NotFound`, with `deleteMarker` and `versionId` in the context. */
  readObject(ctx: Ctx, key: string, options?: ReadOptions): Promise<ObjectRead>;
  headObject(
    ctx: Ctx,
    key: string,
    options?: ReadOptions,
  ): Promise<{ readonly meta: ObjectMeta; readonly notModified: boolean }>;
  putObject(ctx: Ctx, request: PutRequest): Promise<PutResult>;
  /** Deleting what is not there succeeds. A version under retention or legal hold is `PermissionDenied`. */
  deleteObject(ctx: Ctx, key: string, options?: DeleteOptions): Promise<DeleteResult>;
  /** Many keys at once, each with an outcome of its own, in their order. No more than 1,000. */
  deleteObjects(ctx: Ctx, requests: readonly DeleteRequest[]): Promise<readonly DeleteOutcome[]>;
  listObjects(ctx: Ctx, request: ListRequest): Promise<ListResult>;
  /** A file, or with a trailing `/` on both a whole directory. An existing target is `AlreadyExists` unless `overwrite`. */
  rename(
    ctx: Ctx,
    request: { readonly from: string; readonly to: string; readonly overwrite?: boolean },
  ): Promise<void>;
}
