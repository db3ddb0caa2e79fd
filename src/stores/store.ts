/**
 * The Store port: objects under keys at one site. Drivers implement it, layers wrap it.
 *
 * Contract for every method:
 * - Keys are UTF-8 strings of 1 to 1,024 bytes without NUL. Any such key works, also `a` beside `a/b`, `..` or a trailing slash; a
 *   driver encodes what its medium cannot name.
 * - Errors are `GfsError`s, translated at the driver's edge. `NotFound` is an answer, not a failure.
 * - `ctx.signal` stops the work; nothing half-made stays visible.
 * - A resolved write is durable at the site, unless less is asked for, and visible to the next read and list through the same store.
 * - A driver that cannot do something throws `Unsupported` before it changes anything, and says so in `capabilities`.
 */
import type { Ctx } from "../core/context.ts";

/** Opaque; equal when the content is equal for sure, without quotes. */
export type ETag = string;

export interface ObjectInfo {
  readonly key: string;
  readonly sizeBytes: number;
  readonly etag: ETag;
  readonly modifiedMs: number;
  readonly contentType?: string;
  /** Lower-case names without any `x-amz-meta-` prefix. A listing may leave it empty. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Hex SHA-256 of the whole content, where the site kept one. */
  readonly sha256?: string;
  /**
   * Of a write: the site's answer named a checksum of what it stored, and it is that of what was sent. Absent where the
   * answer says nothing; then the object has to be asked for.
   */
  readonly verified?: boolean;
}

/** `start` inclusive, `end` exclusive; `end` absent: to the end. `suffix`: the last so many bytes. */
export type ByteRange = { readonly start: number; readonly end?: number } | { readonly suffix: number };

export interface ObjectBody {
  readonly info: ObjectInfo;
  /** What the stream holds of the object: `start` inclusive, `end` exclusive. */
  readonly start: number;
  readonly end: number;
  /** Consume it to the end, or stop iterating, or call `cancel`; each frees the connection or file. */
  readonly stream: AsyncIterable<Uint8Array>;
  cancel(): void;
}

export interface GetOptions {
  /** A range that begins at or after the end is `RangeNotSatisfiable`. */
  readonly range?: ByteRange;
  /** `PreconditionFailed` when the object is another one by now. */
  readonly ifMatch?: ETag;
  /** The caller holds the bytes against a checksum of its own: doing it twice helps nobody. */
  readonly checkedByCaller?: boolean;
}

/** On writes: the object must (not) be there. `ifMatch` on an absent object is `PreconditionFailed`. */
export interface WriteConditions {
  readonly ifMatch?: ETag;
  readonly ifNoneMatch?: "*";
}

export interface CommitOptions extends WriteConditions {
  /** The object appears under this key and not under the one that it was begun for; within `capabilities.movableBytes`. */
  readonly as?: string;
}

export interface WriteAttributes {
  readonly contentType?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * A write in two steps, so that several sites can have all the bytes before any shows them. `seal` makes the bytes durable
 * and checks them; only `commit` makes the object appear, replacing an older one at once. Nothing is visible before it,
 * and `abort` (idempotent, also after a failure) leaves no trace. What a crash leaves behind, `sweep` removes.
 */
export interface StagedWrite {
  /** Resolves when the site can take more: the caller awaits it, one write at a time. The chunk may be reused afterwards. */
  write(chunk: Uint8Array): Promise<void>;
  /** `sha256` and `metadata` known only at the end; kept where the site can still take them. */
  seal(final?: { readonly sha256?: string; readonly metadata?: Readonly<Record<string, string>> }): Promise<void>;
  /** Where a condition does not hold nothing has happened, and it can be committed otherwise. */
  commit(ctx: Ctx, options?: CommitOptions): Promise<ObjectInfo>;
  abort(): Promise<void>;
}

export interface StageOptions extends WriteAttributes {
  /** When known, drivers choose part sizes by it and `seal` rejects with `IncompleteBody` for any other length. */
  readonly sizeBytes?: number;
}

export interface PartInfo {
  /** 1 to 10,000. */
  readonly partNumber: number;
  readonly sizeBytes: number;
  readonly etag: ETag;
}

export interface MultipartOptions extends WriteAttributes {
  /**
   * Every part but the last has this size, at least `capabilities.multipart.minPartBytes`. Absent: each part has a size of its own, and their
   * numbers may have gaps; all but the last have at least `minPartBytes`.
   */
  readonly partSizeBytes?: number;
  readonly sha256?: string;
}

export interface CompleteOptions extends CommitOptions {
  /** Known only at the end; kept beside what the upload was begun with where the site can still take it. */
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface CopyOptions extends WriteAttributes, WriteConditions {
  readonly sourceIfMatch?: ETag;
  /** Both keys may lead to the very same bytes on the medium: the caller is about to delete one of them. */
  readonly mayShare?: boolean;
  readonly durability?: Durability;
}

/** visible: everybody sees it, and a loss of power may undo it, as a whole, until `flush` was asked for its key. */
export type Durability = "durable" | "visible";

export interface DeleteOptions {
  readonly ifMatch?: ETag;
  readonly durability?: Durability;
}

export interface MultipartUpload {
  readonly key: string;
  readonly uploadId: string;
}

/** Whether an upload with this id may still be wanted, however old it is. */
export type UploadCheck = (uploadId: string) => Promise<boolean>;

/** A body that can be sent again, so that a retry is honest; one that cannot throws `IncompleteBody` when it is opened once more. */
export interface PartBody {
  readonly sizeBytes: number;
  open(): AsyncIterable<Uint8Array>;
}

export interface ListQuery {
  readonly prefix?: string;
  /** Only "/" . Keys that hold it after the prefix are rolled up into `prefixes`. */
  readonly delimiter?: "/";
  /** Only keys after this one (in byte order) come back. */
  readonly after?: string;
  /** From the previous page of the same query; cheaper than `after`. */
  readonly continuation?: string;
  /** 1 to 1,000. Objects and prefixes count together. */
  readonly limit: number;
  /** What the caller knows all of. A driver that asks for each object of its own saves that, and names the key in `known`. */
  readonly isKnown?: (key: string) => boolean;
}

export interface ListPage {
  /** Both in the order of their UTF-8 bytes. */
  readonly objects: readonly ObjectInfo[];
  readonly prefixes: readonly string[];
  /** Keys that are there and not among the objects, as `isKnown` said yes to them; in order, and counted like objects. */
  readonly known?: readonly string[];
  /** Absent on the last page. */
  readonly continuation?: string;
}

export interface DeleteOutcome {
  readonly key: string;
  readonly error?: Error;
}

export interface StoreCapabilities {
  /** `If-Match` and `If-None-Match: *` are enforced on writes, not only accepted. */
  readonly conditionalWrites: boolean;
  readonly conditionalReads: boolean;
  readonly ranges: boolean;
  readonly userMetadata: boolean;
  /** Absent where uploads in parts are not possible. */
  readonly multipart?: { readonly minPartBytes: number; readonly maxPartBytes: number; readonly maxParts: number };
  readonly serverSideCopy: boolean;
  /** Conditions of a copy's target cost nothing: without this it is made in parts. */
  readonly conditionalCopies: boolean;
  /**
   * Where `conditionalWrites` does not hold of everything (conditions are ignored when an upload in parts is completed): up to so many bytes it holds of copies, as they
   * are written in one piece.
   */
  readonly conditionalCopyBytes?: number;
  /** Writes of up to so many bytes can be committed under another key than they were begun for. */
  readonly movableBytes: number;
  /** The same of uploads in parts. */
  readonly movesUploads: boolean;
  /** A copy within the site takes the bytes as they lie there, so that rot comes along: whoever asks for one looks at it. */
  readonly copiesUnchecked?: boolean;
  readonly presign: boolean;
  readonly maxObjectBytes: number;
  /** Whether `after` costs a seek or a scan of what comes before it. */
  readonly listAfter: "seek" | "scan";
}

export interface PresignQuery {
  readonly method: "GET" | "PUT" | "HEAD";
  /** 1 to 604,800. */
  readonly expiresSeconds: number;
}

/** What lies under a store and can be taken away and replaced by another one while the address stays: a disk. */
export interface Medium {
  /** Cheap; another answer than before: it may be another medium. Rejects when there is none. */
  stamp(): Promise<string>;
  /** Makes what a medium needs that has never held objects. */
  prepare(): Promise<void>;
}

export interface Store {
  /** The driver's name: file, memory, s3, azure. */
  readonly driver: string;
  readonly capabilities: StoreCapabilities;
  head(ctx: Ctx, key: string): Promise<ObjectInfo>;
  get(ctx: Ctx, key: string, options?: GetOptions): Promise<ObjectBody>;
  /** Opens a write in two steps. The way every object gets here, save by `multipart`. */
  stage(ctx: Ctx, key: string, options?: StageOptions): Promise<StagedWrite>;
  createMultipart(ctx: Ctx, key: string, options: MultipartOptions): Promise<MultipartUpload>;
  /** Sending a part again replaces it. Parts go up in any order, and in parallel. */
  uploadPart(ctx: Ctx, upload: MultipartUpload, partNumber: number, body: PartBody): Promise<PartInfo>;
  /** The parts that have arrived, by number. `NotFound` when the upload was completed or aborted. */
  listParts(ctx: Ctx, upload: MultipartUpload): Promise<PartInfo[]>;
  completeMultipart(
    ctx: Ctx,
    upload: MultipartUpload,
    parts: readonly PartInfo[],
    options?: CompleteOptions,
  ): Promise<ObjectInfo>;
  /** Idempotent. */
  abortMultipart(ctx: Ctx, upload: MultipartUpload): Promise<void>;
  /** Within the site, without moving bytes through this process. Keeps content type and metadata unless new ones are given. */
  copy(ctx: Ctx, from: string, to: string, options?: CopyOptions): Promise<ObjectInfo>;
  /** An absent object is success. With `ifMatch`, another object under the key is `PreconditionFailed` and stays. */
  delete(ctx: Ctx, key: string, options?: DeleteOptions): Promise<void>;
  /** One outcome a key, in order; at most 1,000 keys. */
  deleteMany(ctx: Ctx, keys: readonly string[]): Promise<DeleteOutcome[]>;
  /**
   * What is seen under the key, or that nothing is, outlives a loss of power once this resolves: for who asked for less, and for who finds what a process
   * that is gone may not have flushed. Those who ask at once share their wait.
   */
  flush(ctx: Ctx, key: string): Promise<void>;
  list(ctx: Ctx, query: ListQuery): Promise<ListPage>;
  /** An address that works without credentials for a while. */
  presign(ctx: Ctx, key: string, query: PresignQuery): Promise<string>;
  /** Reaches the medium with the credentials at hand and changes nothing; rejects with what is wrong. The health check. */
  check(ctx: Ctx): Promise<void>;
  /** How much the medium takes and has left, for everybody who writes to it. Absent where it does not tell. */
  space?(ctx: Ctx): Promise<MediumSpace>;
  /** Removes what staged writes and multipart uploads older than `olderThanMs` left behind, save uploads that are in use; resolves with how many. */
  sweep(ctx: Ctx, olderThanMs: number, isInUse?: UploadCheck): Promise<number>;
  close(): Promise<void>;
  readonly medium?: Medium;
}

export interface MediumSpace {
  readonly totalBytes: number;
  readonly freeBytes: number;
}

/** A layer wraps a store and is a store. `stores/layers/stack.ts` holds their order. */
export type StoreLayer = (inner: Store) => Store;
