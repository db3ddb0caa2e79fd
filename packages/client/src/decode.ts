/** From the JSON of the API (snake_case, ISO times) to the types of this package. */
import { type Answer, GlobalFsError, header } from "./errors.ts";
import type { Lease, LeasePage, SessionStatus } from "./session-types.ts";
import type {
  BackupInfo,
  AccessKey,
  AuditLine,
  AuditPage,
  CopyResult,
  DeletedKey,
  Explanation,
  FailedSite,
  FileInfo,
  Info,
  Job,
  JobPage,
  ListPage,
  ObjectInfo,
  Pause,
  SiteStatus,
} from "./types.ts";

export type Json = Record<string, unknown>;

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new GlobalFsError("Internal", "The coordinator's answer is not JSON; is this the address of GlobalFS?", {
      cause: error,
    });
  }
}

export function asRecord(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

export function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function camel(name: string): string {
  return name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** Field names only: values, among them maps whose keys are names of sites, stay as they are. */
export function camelFields(value: unknown): Json {
  return Object.fromEntries(Object.entries(asRecord(value)).map(([name, inner]) => [camel(name), inner]));
}

function timeOf(value: unknown): Date | undefined {
  if (typeof value !== "string" && typeof value !== "number") return undefined;
  const time = new Date(value);
  return Number.isNaN(time.getTime()) ? undefined : time;
}

function withTime<K extends string>(name: K, value: unknown): { [P in K]?: Date } {
  const time = timeOf(value);
  return (time === undefined ? {} : { [name]: time }) as { [P in K]?: Date };
}

export function objectOf(value: unknown): ObjectInfo {
  const { size, last_modified: lastModified, metadata, checksum, ...rest } = asRecord(value);
  return {
    ...(camelFields(rest) as object as { key: string; etag: string }),
    size: Number(size ?? 0),
    lastModified: timeOf(lastModified) ?? new Date(0),
    metadata: (metadata ?? {}) as Record<string, string>,
    ...sha256Of(checksum),
  };
}

function sha256Of(checksum: unknown): { sha256?: string } {
  return typeof checksum === "string" && checksum.startsWith("sha256:") ? { sha256: checksum.slice(7) } : {};
}

const META = "x-globalfs-meta-";

/** Headers arrive as Latin-1, one character a byte; what was stored is UTF-8. */
function utf8Of(value: string): string {
  const text = Buffer.from(value, "latin1").toString("utf8");
  return text.includes("\ufffd") ? value : text;
}

export function objectOfHeaders(key: string, answer: Answer, size: number): ObjectInfo {
  const contentType = header(answer, "content-type");
  const checksum = header(answer, "x-globalfs-checksum");
  const versionId = header(answer, "x-globalfs-version");
  // `__proto__` is a name like all others.
  const metadata = Object.create(null) as Record<string, string>;
  for (const name of Object.keys(answer.headers)) {
    if (name.startsWith(META)) metadata[name.slice(META.length)] = utf8Of(header(answer, name) ?? "");
  }
  return {
    key,
    size,
    etag: (header(answer, "etag") ?? "").replace(/^W\//, "").replaceAll('"', ""),
    lastModified: timeOf(header(answer, "last-modified")) ?? new Date(0),
    ...(contentType === undefined ? {} : { contentType }),
    metadata,
    ...sha256Of(checksum),
    ...(versionId === undefined ? {} : { versionId }),
  };
}

export function pageOf(value: unknown): ListPage {
  const page = asRecord(value);
  const { continuation } = page;
  return {
    objects: asList(page["objects"]).map(objectOf),
    prefixes: asList(page["prefixes"]) as string[],
    ...(typeof continuation === "string" && continuation !== "" ? { continuation } : {}),
    failedSites: asList(page["failed_sites"]) as FailedSite[],
  };
}

export function fileOf(value: unknown): FileInfo {
  const {
    mode,
    accessed_at: accessed,
    modified_at: modified,
    changed_at: changed,
    created_at: created,
    ...rest
  } = asRecord(value);
  return {
    ...(camelFields(rest) as object as FileInfo),
    mode: Number.parseInt(String(mode), 8),
    accessedAt: timeOf(accessed) ?? new Date(0),
    modifiedAt: timeOf(modified) ?? new Date(0),
    changedAt: timeOf(changed) ?? new Date(0),
    createdAt: timeOf(created) ?? new Date(0),
  };
}

export function copyResultOf(value: unknown): CopyResult {
  const { pending_sites: pending, ...object } = asRecord(value);
  return { ...objectOf(object), pendingSites: (pending ?? []) as string[] };
}

export function deletedOf(value: unknown): DeletedKey {
  const { pending_sites: pending, ...rest } = asRecord(value);
  return { ...(rest as object as DeletedKey), pendingSites: (pending ?? []) as string[] };
}

export function siteOf(value: unknown): SiteStatus {
  const { last_checked_at: lastCheckedAt, imported_at: importedAt, ...rest } = asRecord(value);
  return {
    ...(camelFields(rest) as object as SiteStatus),
    ...withTime("lastCheckedAt", lastCheckedAt),
    ...withTime("importedAt", importedAt),
  };
}

export function accessKeyOf(value: unknown): AccessKey {
  const { created_at: createdAt, expires_at: expiresAt, ...rest } = asRecord(value);
  return {
    ...(camelFields(rest) as object as AccessKey),
    ...withTime("createdAt", createdAt),
    ...withTime("expiresAt", expiresAt),
  };
}

export function jobOf(value: unknown): Job {
  const { created_at: createdAt, changed_at: changedAt, not_before: notBefore, ...rest } = asRecord(value);
  return {
    ...(camelFields(rest) as object as Job),
    ...withTime("createdAt", createdAt),
    ...withTime("changedAt", changedAt),
    ...withTime("notBefore", notBefore),
  };
}

function jobsOf(value: unknown): Job[] {
  return asList(value).map(jobOf);
}

export function auditPageOf(value: unknown): AuditPage {
  const { lines, before } = asRecord(value);
  return {
    lines: asList(lines).map((line) => {
      const { at, ...fields } = asRecord(line);
      return { ...(camelFields(fields) as object as AuditLine), ...withTime("at", at) };
    }),
    ...(typeof before === "number" ? { before } : {}),
  };
}

export function jobPageOf(value: unknown): JobPage {
  const { jobs, continuation, counts, paused } = asRecord(value);
  return {
    jobs: jobsOf(jobs),
    ...(typeof continuation === "string" && continuation !== "" ? { continuation } : {}),
    ...(counts === undefined ? {} : { counts: asRecord(counts) as NonNullable<JobPage["counts"]> }),
    ...(paused === undefined ? {} : { paused: pauseOf(paused) }),
  };
}

function pauseOf(value: unknown): Pause {
  const { since, ...rest } = asRecord(value);
  return { ...(rest as Pause), ...withTime("since", since) };
}

export function infoOf(value: unknown): Info {
  const { health, jobs_paused: paused, backup, ...rest } = asRecord(value);
  const { last_checked_at: lastCheckedAt, ...counts } = asRecord(health);
  const healthOf = camelFields(counts) as object as { healthy: number; unhealthy: number };
  return {
    ...(camelFields(rest) as object as Info),
    health: { ...healthOf, ...withTime("lastCheckedAt", lastCheckedAt) },
    ...(paused === undefined ? {} : { jobsPaused: pauseOf(paused) }),
    ...(backup === undefined ? {} : { backup: backupOf(backup) }),
  };
}

function backupOf(value: unknown): BackupInfo {
  const { last, failure } = asRecord(value);
  const timed = (of: unknown): object => {
    const { at, ...rest } = asRecord(of);
    return { ...rest, ...withTime("at", at) };
  };
  return {
    ...(last === undefined ? {} : { last: timed(last) as NonNullable<BackupInfo["last"]> }),
    ...(failure === undefined ? {} : { failure: timed(failure) as NonNullable<BackupInfo["failure"]> }),
  };
}

export function explanationOf(value: unknown): Explanation {
  const { object, copies, jobs, deleted, ...rest } = asRecord(value);
  const { at, ...tombstone } = asRecord(deleted);
  return {
    ...(camelFields(rest) as object as Explanation),
    ...(object === undefined ? {} : { object: objectOf(object) }),
    copies: asList(copies).map((copy) => {
      const { changed_at: changedAt, ...fields } = asRecord(copy);
      return {
        ...(camelFields(fields) as object as Explanation["copies"][number]),
        ...withTime("changedAt", changedAt),
      };
    }),
    jobs: jobsOf(jobs),
    ...(deleted === undefined ? {} : { deleted: { ...(camelFields(tombstone) as object), ...withTime("at", at) } }),
  };
}

export function sessionOf(value: unknown): SessionStatus {
  const { since, waited_for_since: waited, ...rest } = asRecord(value);
  return {
    ...(camelFields(rest) as object as SessionStatus),
    since: timeOf(since) ?? new Date(0),
    ...withTime("waitedForSince", waited),
  };
}

export function leasePageOf(value: unknown): LeasePage {
  const { leases, more } = asRecord(value);
  const lease = (each: unknown): Lease => {
    const { since, ...rest } = asRecord(each);
    return { ...(camelFields(rest) as object as Lease), ...withTime("since", since) };
  };
  return { leases: (leases as unknown[]).map(lease), more: more === true };
}
