/**
 * The coordinator service: everything GlobalFS can do, as every gateway, the mount and the CLI see it.
 * Errors are `GfsError`s. Keys are checked here, so that a gateway only translates.
 */
import type { Ctx } from "../core/context.ts";
import type { JobId } from "../core/ids.ts";
import type { JobProgress, JobState } from "../mover/types.ts";

import type { BreakerState, SiteRole } from "../stores/site.ts";
import type { ByteRange } from "../stores/store.ts";

export interface ObjectMeta {
  readonly key: string;
  readonly sizeBytes: number;
  readonly etag: string;
  readonly modifiedMs: number;
  readonly contentType?: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly sha256?: string;
  readonly versionId: string;
}

/** As HTTP has them; the service answers `PreconditionFailed` or, for reads, says `notModified`. */
export interface Conditions {
  /** Etags without quotes; `*` is any. */
  readonly ifMatch?: readonly string[];
  readonly ifNoneMatch?: readonly string[];
  readonly ifModifiedSinceMs?: number;
  readonly ifUnmodifiedSinceMs?: number;
}

export interface ObjectRead {
  readonly meta: ObjectMeta;
  /** The caller's copy is current; no bytes are read. */
  readonly notModified: boolean;
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
}

export interface ListResult {
  readonly objects: readonly ObjectMeta[];
  readonly prefixes: readonly string[];
  readonly continuation?: string;
  /** Sites that could not be listed, so that keys only they know may be missing. Not empty means 207. */
  readonly failedSites: readonly { readonly site: string; readonly error: string }[];
}

export interface DeleteResult {
  /** Sites where the object is still to be deleted; jobs do it. */
  readonly pendingSites: readonly string[];
}

export interface SiteStatus {
  readonly name: string;
  readonly role: SiteRole;
  readonly driver: string;
  readonly label: string;
  readonly healthy: boolean;
  readonly error?: string;
  /** Absent when no breaker is configured. */
  readonly circuitState?: BreakerState;
  readonly latencyMs?: number;
  readonly checkedAtMs?: number;
}

/** What `POST /api/v1/sites` and `site add` say. */
export interface AddSite {
  readonly name: string;
  readonly role: SiteRole;
  /** `s3://bucket?region=&endpoint=`, `gs://bucket`, `azure://account/container`, `file:///directory`, `memory://`. */
  readonly uri: string;
}

export interface Info {
  readonly version: string;
  readonly clusterName: string;
  readonly uptimeSeconds: number;
  readonly isLeader: boolean;
  readonly sites: number;
  readonly sitesByRole: Readonly<Partial<Record<SiteRole, number>>>;
  readonly replicationQueueDepth: number;
  readonly health: { readonly healthy: number; readonly unhealthy: number; readonly lastCheckedAtMs?: number };
  readonly engine: string;
  readonly entries: number;
}

export interface HealthReport {
  readonly healthy: boolean;
  /** Primaries that are not well. */
  readonly problems: readonly { readonly site: string; readonly error: string }[];
}

/** `explain`: which rule placed it, where each copy is, why it waits. */
export interface Explanation {
  readonly key: string;
  readonly exists: boolean;
  readonly kind?: "file" | "directory" | "symlink";
  readonly meta?: ObjectMeta;
  readonly copies: readonly {
    readonly site: string;
    readonly key: string;
    readonly state: string;
    readonly reason?: string;
    readonly changedMs: number;
    readonly healthy: boolean;
  }[];
  readonly read: ExplainedRoute;
  readonly write: {
    readonly rule?: string;
    readonly required: readonly string[];
    readonly following: readonly string[];
  };
  readonly delete: ExplainedRoute;
  readonly jobs: readonly JobProgress[];
  readonly cachedBytes: number;
  readonly deleted?: { readonly atMs: number; readonly versionId: string };
  /** Sentences a person can act on. */
  readonly notes: readonly string[];
}

export interface ExplainedRoute {
  readonly rule?: string;
  readonly order: readonly string[];
  readonly skipped: readonly { readonly site: string; readonly reason: string }[];
}

export interface JobQuery {
  readonly state?: JobState;
  readonly after?: string;
  /** 1 to 1,000. */
  readonly limit: number;
}

export interface JobPage {
  readonly jobs: readonly JobProgress[];
  readonly continuation?: string;
}

export interface ImportRequest {
  readonly site: string;
  readonly prefix?: string;
  /** Where an earlier import of the same site and prefix stopped. */
  readonly after?: string;
}

/** One line of progress; the last has `done`. */
export interface ImportProgress {
  readonly scanned: number;
  readonly adopted: number;
  /** Already known, or deleted here. */
  readonly skipped: number;
  /** Keys that no path can name, with one example. */
  readonly refused: number;
  readonly refusedExample?: string;
  /** Pass as `after` to go on. */
  readonly position: string;
  readonly done: boolean;
}

export interface Usage {
  readonly prefix: string;
  readonly objects: number;
  readonly bytes: number;
  readonly bySite: Readonly<Record<string, { readonly objects: number; readonly bytes: number }>>;
}

export interface CoordinatorService {
  /**
   * An object whose bytes are in memory and whose record can be looked up at once, without a promise; undefined: ask `readObject`,
   * which also says what is wrong with a key.
   */
  peekObject(key: string): { readonly meta: ObjectMeta; readonly bytes: Uint8Array } | undefined;
  readObject(ctx: Ctx, key: string, conditions?: Conditions): Promise<ObjectRead>;
  headObject(
    ctx: Ctx,
    key: string,
    conditions?: Conditions,
  ): Promise<{ readonly meta: ObjectMeta; readonly notModified: boolean }>;
  putObject(ctx: Ctx, request: PutRequest): Promise<PutResult>;
  /** Deleting what is not there succeeds. */
  deleteObject(ctx: Ctx, key: string, conditions?: Conditions): Promise<DeleteResult>;
  listObjects(ctx: Ctx, request: ListRequest): Promise<ListResult>;
  /** A file, or with a trailing `/` on both a whole directory. An existing target is `AlreadyExists` unless `overwrite`. */
  rename(
    ctx: Ctx,
    request: { readonly from: string; readonly to: string; readonly overwrite?: boolean },
  ): Promise<void>;
  usage(ctx: Ctx, prefix: string): Promise<Usage>;
  explain(ctx: Ctx, key: string): Promise<Explanation>;

  listSites(ctx: Ctx): Promise<SiteStatus[]>;
  addSite(ctx: Ctx, request: AddSite): Promise<SiteStatus>;
  removeSite(ctx: Ctx, name: string): Promise<void>;
  /** Streams progress until done; stop iterating to stop. */
  importSite(ctx: Ctx, request: ImportRequest): AsyncIterable<ImportProgress>;

  replicate(
    ctx: Ctx,
    request: { readonly key: string; readonly from: string; readonly to: string },
  ): Promise<JobProgress>;
  listJobs(ctx: Ctx, query: JobQuery): Promise<JobPage>;
  getJob(ctx: Ctx, id: JobId): Promise<JobProgress>;
  pauseJob(ctx: Ctx, id: JobId): Promise<JobProgress>;
  resumeJob(ctx: Ctx, id: JobId): Promise<JobProgress>;
  cancelJob(ctx: Ctx, id: JobId): Promise<JobProgress>;
  /** Stops all moving, or lets it go on. */
  pauseAllJobs(ctx: Ctx, paused: boolean): Promise<void>;

  info(ctx: Ctx): Promise<Info>;
  health(ctx: Ctx): Promise<HealthReport>;
  readonly ready: boolean;
}
