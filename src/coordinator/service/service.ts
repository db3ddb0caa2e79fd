/**
 * The coordinator service: everything GlobalFS can do, as every gateway, the mount and the CLI see it.
 * Errors are `GfsError`s. Keys are checked here, so that a gateway only translates.
 */
import type { Ctx } from "../../core/context.ts";
import type { JobId } from "../../core/ids.ts";
import type { JobCounts, JobProgress, JobState, Pause, PauseOrder } from "../../mover/types.ts";
import type { FileKind, QuotaLimits } from "../../namespace/index.ts";
import type { AccessCatalog } from "../../security/index.ts";
import type { Sessions } from "../../sessions/index.ts";
import type { BreakerState, ForeignPolicy, SiteRole } from "../../stores/site.ts";
import type { AccessKeyService } from "./access-keys.ts";
import type { BucketService } from "./buckets.ts";
import type { ChangeService } from "./changes.ts";
import type { FileService } from "./files.ts";
import type { ObjectMeta, ObjectService } from "./objects.ts";
import type { ReaderService } from "./readers.ts";
import type { SessionService } from "./sessions.ts";
import type { UploadService } from "./uploads.ts";
import type { VersionService } from "./versions.ts";

export type * from "./access-keys.ts";
export type * from "./buckets.ts";
export type * from "./changes.ts";
export type * from "./files.ts";
export type * from "./objects.ts";
export type * from "./readers.ts";
export type * from "./sessions.ts";
export type * from "./uploads.ts";
export type * from "./versions.ts";

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
  /** What becomes of objects there that GlobalFS did not write. */
  readonly foreign: ForeignPolicy;
  /** Of a site of `foreign: import`: how far that is. */
  readonly imported?: { readonly adopted: number; readonly refused: number; readonly doneMs?: number };
}

/** What `POST /api/v1/sites` and `site add` say. */
export interface AddSite {
  readonly name: string;
  readonly role: SiteRole;
  /** `s3://bucket?region=&endpoint=`, `gs://bucket`, `azure://account/container`, `file:///directory`, `memory://`. */
  readonly uri: string;
  /** Also when the place is a site of another catalog already. */
  readonly adopt?: boolean;
  /** Absent: `merge`. */
  readonly foreign?: ForeignPolicy;
}

export interface RemoveSite {
  readonly force?: boolean;
}

export interface Info {
  readonly version: string;
  readonly clusterName: string;
  /** `open`: whoever reaches the API needs no key. */
  readonly access: "keys" | "open";
  readonly uptimeSeconds: number;
  readonly isLeader: boolean;
  readonly sites: number;
  readonly sitesByRole: Readonly<Partial<Record<SiteRole, number>>>;
  readonly replicationQueueDepth: number;
  /** Absent while jobs run. */
  readonly jobsPaused?: Pause;
  /** Kept of objects that lost against another of their path, at all sites together. */
  readonly setAsideBytes: number;
  readonly health: { readonly healthy: number; readonly unhealthy: number; readonly lastCheckedAtMs?: number };
  readonly engine: string;
  readonly entries: number;
  /** Absent where the catalog is not backed up to the sites. */
  readonly backup?: BackupInfo;
}

export interface BackupInfo {
  /** The newest that a site took. */
  readonly last?: {
    readonly atMs: number;
    readonly key: string;
    readonly sizeBytes: number;
    readonly sites: readonly string[];
  };
  /** What went wrong at the last attempt. */
  readonly failure?: { readonly atMs: number; readonly error: string };
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
  readonly kind?: FileKind;
  readonly meta?: ObjectMeta;
  readonly copies: readonly {
    readonly site: string;
    readonly key: string;
    readonly state: string;
    readonly reason?: string;
    /** Waits to be published under this key. */
    readonly publishTo?: string;
    readonly changedMs: number;
    readonly healthy: boolean;
  }[];
  readonly read: ExplainedRoute;
  readonly write: {
    readonly rule?: string;
    readonly required: readonly string[];
    readonly following: readonly string[];
    /** When what replaces an object comes under its path. */
    readonly publish: "before-ack" | "soon" | "never";
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
  readonly newestFirst?: boolean;
  /** Every job is counted, which takes a while where there are many. */
  readonly counts?: boolean;
  /** 1 to 1,000. */
  readonly limit: number;
}

export interface JobPage {
  readonly jobs: readonly JobProgress[];
  readonly continuation?: string;
  /** All jobs by their state, on whatever page. */
  readonly counts?: JobCounts;
  /** Absent while jobs run. */
  readonly paused?: Pause;
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

/** All that lies below a directory, itself not included, and how much may. */
export interface DirectoryUsage extends QuotaLimits {
  readonly path: string;
  /** Of files, as they are now. */
  readonly bytes: number;
  readonly inodes: number;
  /** Of older versions; the quota has them, too. */
  readonly olderBytes: number;
}

export interface CoordinatorService
  extends
    ObjectService,
    VersionService,
    UploadService,
    BucketService,
    AccessKeyService,
    ChangeService,
    ReaderService,
    SessionService,
    Pick<AccessCatalog, "describeObject"> {
  readonly files: FileService;
  /** Of clients that cache what they read. */
  readonly sessions: Sessions;

  usage(ctx: Ctx, prefix: string): Promise<Usage>;
  /** Without a walk; the empty path is the whole tree. `NotFound` where there is no such directory. */
  directoryUsage(ctx: Ctx, path: string): Promise<DirectoryUsage>;
  setQuota(ctx: Ctx, path: string, limits: QuotaLimits): Promise<DirectoryUsage>;
  clearQuota(ctx: Ctx, path: string): Promise<void>;
  explain(ctx: Ctx, key: string): Promise<Explanation>;

  listSites(ctx: Ctx): Promise<SiteStatus[]>;
  addSite(ctx: Ctx, request: AddSite): Promise<SiteStatus>;
  /** `Conflict` where no primary would be left, or objects have their only copy there, unless it is forced. */
  removeSite(ctx: Ctx, name: string, options?: RemoveSite): Promise<void>;
  /** What answers at the site's address is the site from now on: another disk, a new bucket, or a place that another catalog uses, too. */
  adoptSite(ctx: Ctx, name: string): Promise<SiteStatus>;
  /** Streams progress until done; stop iterating to stop. */
  importSite(ctx: Ctx, request: ImportRequest): AsyncIterable<ImportProgress>;

  replicate(
    ctx: Ctx,
    request: { readonly key: string; readonly from: string; readonly to: string },
  ): Promise<JobProgress>;
  listJobs(ctx: Ctx, query: JobQuery): Promise<JobPage>;
  getJob(ctx: Ctx, id: JobId): Promise<JobProgress>;
  pauseJob(ctx: Ctx, id: JobId, order?: PauseOrder): Promise<JobProgress>;
  resumeJob(ctx: Ctx, id: JobId): Promise<JobProgress>;
  cancelJob(ctx: Ctx, id: JobId): Promise<JobProgress>;
  /** Stops all moving, or lets it go on. */
  pauseAllJobs(ctx: Ctx, paused: boolean, order?: PauseOrder): Promise<void>;

  info(ctx: Ctx): Promise<Info>;
  health(ctx: Ctx): Promise<HealthReport>;
  readonly ready: boolean;
}
