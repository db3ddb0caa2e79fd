export type SiteRole = "primary" | "burst" | "backup";

export interface ObjectInfo {
  readonly key: string;
  readonly size: number;
  /** Without quotes. */
  readonly etag: string;
  readonly lastModified: Date;
  readonly contentType?: string;
  /** Lower-case names. Listings may leave it empty. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Hex. */
  readonly sha256?: string;
  readonly versionId?: string;
  /** Of what is no object, in listings of `others`. */
  readonly kind?: Exclude<FileInfo["kind"], "file" | "directory">;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** Until the answer's headers are there, and between two pieces of a body. */
  readonly timeoutMs?: number;
}

/** Etags without quotes; `*` is any. */
export interface Conditions {
  readonly ifMatch?: string;
  readonly ifNoneMatch?: string;
  readonly ifModifiedSince?: Date;
  readonly ifUnmodifiedSince?: Date;
}

/** Without those that may be answered with "your copy is current". */
export type Unconditional<T> = T & { readonly ifNoneMatch?: never; readonly ifModifiedSince?: never };

export interface GetOptions extends CallOptions, Conditions {
  /** `start` inclusive, `end` exclusive; a `suffix` is the last so many bytes. */
  readonly range?: { readonly start: number; readonly end?: number } | { readonly suffix: number };
  /** Compare whole objects with the checksum that the server states; default true. */
  readonly verify?: boolean;
}

export interface PutOptions extends CallOptions, Conditions {
  readonly contentType?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Length of a streamed body; without it the body is sent in chunks. */
  readonly size?: number;
  /** Hex; the server refuses the body when it differs. */
  readonly sha256?: string;
}

export interface PutResult {
  readonly etag: string | undefined;
  readonly versionId: string | undefined;
  /** Sites that will get the object once their queue has room. */
  readonly pendingSites: readonly string[];
}

export interface DeleteOptions extends CallOptions {
  readonly ifMatch?: string;
}

export interface DeleteResult {
  /** False when there was nothing to delete. */
  readonly deleted: boolean;
  /** Sites where jobs still have to delete their copies. */
  readonly pendingSites: readonly string[];
}

/** The object that was made. */
export interface CopyResult extends ObjectInfo {
  readonly pendingSites: readonly string[];
}

export interface DeletedKey extends DeleteResult {
  readonly key: string;
  /** Why it could not be deleted. */
  readonly error?: string;
  readonly code?: string;
}

export interface ListOptions extends CallOptions {
  readonly prefix?: string;
  readonly delimiter?: "/";
  /** Only keys after this one. */
  readonly after?: string;
  readonly continuation?: string;
  /** Of one page: 1 to 1,000. */
  readonly limit?: number;
  /** Symbolic links and special files, too. */
  readonly others?: boolean;
}

export interface ListPage {
  readonly objects: readonly ObjectInfo[];
  readonly prefixes: readonly string[];
  readonly continuation?: string;
  /** Sites that could not be listed: keys that only they know may be missing. */
  readonly failedSites: readonly FailedSite[];
}

export interface FailedSite {
  readonly site: string;
  readonly error: string;
}

/** What stat(2) tells of a path. */
export interface FileInfo {
  readonly path: string;
  readonly inode: number;
  readonly kind: "file" | "directory" | "symlink" | "fifo" | "socket" | "characterDevice" | "blockDevice";
  /** Permissions, without the kind. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  readonly size: number;
  readonly accessedAt: Date;
  readonly modifiedAt: Date;
  readonly changedAt: Date;
  readonly createdAt: Date;
  /** Of a symbolic link. */
  readonly target?: string;
  readonly device?: number;
}

/** Absent: root's. */
export interface GiveOptions extends CallOptions {
  readonly uid?: number;
  readonly gid?: number;
}

/** Of a tree: what it takes, and what may still come. */
export interface TreeSpace extends DirectoryUsage {
  /** By its quota, and by the sites that have to take what is written there. Absent: nobody knows a limit. */
  readonly leftBytes?: number;
  readonly leftInodes?: number;
  readonly sites: readonly SiteSpace[];
}

export interface SiteSpace {
  readonly site: string;
  readonly role: SiteRole;
  /** What is written there comes to it before the answer. */
  readonly required: boolean;
  /** Absent where the site does not tell. */
  readonly totalBytes?: number;
  readonly freeBytes?: number;
  /** Why it is not known. */
  readonly error?: string;
}

export interface EntriesOptions extends CallOptions {
  /** Of a page. */
  readonly limit?: number;
  /** Called once for every site that could not be listed. Without it, the iteration ends with a `Partial` error then. */
  readonly onPartial?: (failed: FailedSite) => void;
}

export interface MakeDirectoryOptions extends GiveOptions {
  readonly mode?: number;
  /** Those above it, too; one that is there is no failure. */
  readonly parents?: boolean;
}

export interface SetAttributes extends GiveOptions {
  readonly mode?: number;
  /** A text is ISO 8601, to the nanosecond, or `now`. */
  readonly accessedAt?: Date | string;
  readonly modifiedAt?: Date | string;
}

export interface SetExtendedAttribute extends CallOptions {
  readonly name: string;
  readonly value: Uint8Array | string;
  /** It must not be there yet, or must be. */
  readonly only?: "create" | "replace";
}

export interface SiteStatus {
  readonly name: string;
  readonly role: SiteRole;
  readonly healthy: boolean;
  readonly error?: string;
  /** Absent when no circuit breaker is configured. */
  readonly circuitState?: string;
  readonly driver?: string;
  /** Such as `s3://bucket`. */
  readonly location?: string;
  readonly latencyMs?: number;
  readonly lastCheckedAt?: Date;
  readonly foreign?: ForeignPolicy;
  /** Of a site of `foreign: import`: how many were taken in so far, how many could not be, and when that was done. */
  readonly importedObjects?: number;
  readonly importRefused?: number;
  readonly importedAt?: Date;
}

/** What becomes of objects at a site that GlobalFS did not write: shown as they come, taken in once, or nothing. */
export type ForeignPolicy = "merge" | "import" | "ignore";

/** By `uri`, such as `s3://bucket?region=eu-west-1`, or by the fields of an S3 bucket. */
export type AddSite = {
  readonly name: string;
  readonly role: SiteRole;
  /** Also when the place is a site of another catalog already. */
  readonly adopt?: boolean;
  /** Absent: `merge`. */
  readonly foreign?: ForeignPolicy;
} & ({ readonly uri: string } | { readonly s3Bucket: string; readonly s3Region: string; readonly s3Endpoint?: string });

/** reader: reads below the path. writer: also writes and deletes. admin: everything below it. user: what it owns, as an account of S3. */
export type AccessRole = "reader" | "writer" | "admin" | "user";

export interface AccessGrant {
  /** Whole components, without a leading slash; empty is everything. */
  readonly path: string;
  readonly role: AccessRole;
}

/** What an S3 client signs its requests with. */
export interface AccessKey {
  readonly id: string;
  readonly user: string;
  readonly grants: readonly AccessGrant[];
  readonly createdAt?: Date;
  readonly expiresAt?: Date;
  /** The id of the key that made it. */
  readonly createdBy?: string;
}

export interface Permissions {
  readonly id: string;
  readonly user: string;
  readonly path: string;
  readonly expired: boolean;
  readonly permissions: readonly {
    readonly action: string;
    readonly allowed: boolean;
    /** grant, ownership, policy, unreadable-policy, policy-rescue, access-list or nothing. */
    readonly by: string;
    /** A sentence. */
    readonly because: string;
  }[];
}

export interface NewAccessKey extends AccessKey {
  /** Told only once. */
  readonly secret: string;
  /** The same key as one text, as `apiKey` takes it. */
  readonly token: string;
  /** Requests with this key must carry it. */
  readonly sessionToken?: string;
}

export interface CreateAccessKey {
  readonly user: string;
  readonly grants: readonly AccessGrant[];
  readonly expiresInSeconds?: number;
  /** Of a key that is brought along, with its secret. */
  readonly id?: string;
  readonly secret?: string;
}

export type JobState = "waiting" | "running" | "paused" | "done" | "failed" | "canceled";

export interface Job {
  readonly id: string;
  readonly kind: string;
  readonly state: JobState;
  readonly key: string;
  readonly site: string;
  readonly from?: string;
  readonly size: number;
  readonly bytesDone: number;
  readonly attempts: number;
  readonly reason?: string;
  readonly createdAt?: Date;
  readonly changedAt?: Date;
  /** After a failure: not tried again before. */
  readonly notBefore?: Date;
  readonly bytesPerSecond?: number;
  readonly etaSeconds?: number;
  /** Why it stands still; absent while it runs, is about to, or has ended. */
  readonly waitsFor?: string;
}

/** Since when something stands still, by whom and why, as far as that was said. */
export interface Pause {
  readonly since?: Date;
  readonly by?: string;
  readonly reason?: string;
}

export interface JobQuery {
  readonly state?: JobState;
  readonly limit?: number;
  readonly continuation?: string;
  /** Absent: the oldest first. */
  readonly order?: "oldest" | "newest";
  /** Counts every job by its state. */
  readonly counts?: boolean;
}

export interface JobPage {
  readonly jobs: readonly Job[];
  readonly continuation?: string;
  readonly counts?: Readonly<Record<JobState, number>>;
  /** Absent while jobs run. */
  readonly paused?: Pause;
}

export interface Info {
  readonly version: string;
  readonly clusterName?: string;
  /** `open`: whoever reaches the API needs no key. */
  readonly access?: "keys" | "open";
  readonly uptimeSeconds: number;
  readonly isLeader: boolean;
  readonly sites: number;
  readonly sitesByRole: Readonly<Partial<Record<SiteRole, number>>>;
  readonly replicationQueueDepth: number;
  /** Absent while jobs run. */
  readonly jobsPaused?: Pause;
  /** Kept at the sites of objects that lost against another of their path. */
  readonly setAsideBytes?: number;
  readonly health: { readonly healthy: number; readonly unhealthy: number; readonly lastCheckedAt?: Date };
  readonly catalog?: { readonly engine: string; readonly entries: number };
  /** Of the catalog; absent where it is not backed up to the sites. */
  readonly backup?: BackupInfo;
}

export interface BackupInfo {
  /** The newest that a site took. */
  readonly last?: { readonly at: Date; readonly key: string; readonly size: number; readonly sites: readonly string[] };
  /** What went wrong at the last attempt. */
  readonly failure?: { readonly at: Date; readonly error: string };
}

/** Who changed, was refused or used what. */
export interface AuditLine {
  /** Its number in the trail. */
  readonly seq: number;
  readonly at: Date;
  readonly kind: "change" | "refusal" | "use" | "trail";
  readonly door?: string;
  readonly user?: string;
  readonly key?: string;
  readonly from?: string;
  readonly op?: string;
  readonly path?: string;
  readonly paths?: readonly string[];
  readonly status?: number;
  readonly code?: string;
  readonly requestId?: string;
  /** What belongs to some kinds only. */
  readonly [field: string]: unknown;
}

export interface AuditQuery {
  readonly limit?: number;
  /** Lines after this number only. */
  readonly after?: number;
  /** Lines before this number only. */
  readonly before?: number;
  readonly user?: string;
  /** This path, and all below it. */
  readonly path?: string;
}

export interface AuditPage {
  /** The newest that fit, oldest first. */
  readonly lines: readonly AuditLine[];
  /** Older lines than these have not been looked at: `before` of the next call. */
  readonly before?: number;
}

export interface Health {
  readonly healthy: boolean;
  /** Primary sites that are not well. */
  readonly problems: readonly FailedSite[];
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
  readonly bytes: number;
  readonly inodes: number;
  /** Of older versions. */
  readonly olderBytes: number;
}

/** What is absent has no limit. */
export interface QuotaLimits {
  /** Of files and older versions. */
  readonly maxBytes?: number;
  readonly maxInodes?: number;
}

export interface ImportProgress {
  readonly scanned: number;
  readonly adopted: number;
  readonly skipped: number;
  readonly refused: number;
  readonly refusedExample?: string;
  /** Pass as `after` to go on. */
  readonly position: string;
  readonly done: boolean;
}

export interface ExplainedRoute {
  readonly rule?: string;
  readonly order: readonly string[];
  readonly skipped: readonly { readonly site: string; readonly reason: string }[];
}

export interface Explanation {
  readonly key: string;
  readonly exists: boolean;
  readonly kind?: string;
  readonly object?: ObjectInfo;
  readonly copies: readonly {
    readonly site: string;
    readonly key: string;
    readonly state: string;
    readonly reason?: string;
    /** The key that it waits to be published under. */
    readonly publishTo?: string;
    readonly changedAt?: Date;
    readonly healthy: boolean;
  }[];
  readonly read: ExplainedRoute;
  readonly write: {
    readonly rule?: string;
    readonly required: readonly string[];
    readonly following: readonly string[];
    /** When what replaces an object comes under its path at the sites. */
    readonly publish: "before-ack" | "soon" | "never";
  };
  readonly delete: ExplainedRoute;
  readonly jobs: readonly Job[];
  readonly cachedBytes: number;
  readonly deleted?: { readonly at?: Date; readonly versionId?: string };
  readonly notes: readonly string[];
}

export type ChangeKind = "created" | "updated" | "removed" | "renamed";

/** What happened to a name. */
export interface Change {
  readonly kind: ChangeKind;
  /** Where to go on after it. */
  readonly position: number;
  readonly path: string;
  /** Of a rename: the path before. */
  readonly from?: string;
  /** More than the kind says, such as `copied` or `expired`. */
  readonly cause?: string;
  readonly inode: number;
  /** Of files with content. */
  readonly versionId?: string;
  readonly at: Date;
}

/** `begin`: what comes from now on is told. `gap`: something before it could not be told; look at everything anew. */
export interface WatchMark {
  readonly kind: "begin" | "gap";
  readonly position: number;
}

export type WatchEvent = Change | WatchMark;
