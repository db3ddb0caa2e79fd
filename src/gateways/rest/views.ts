import type { z } from "zod";
import type {
  AccessKey,
  ChangeLine,
  DirectoryUsage,
  Explanation,
  ImportProgress,
  Info,
  JobPage,
  KnownAccessKey,
  ListResult,
  ObjectMeta,
  SiteStatus,
  Usage,
} from "../../coordinator/index.ts";
import type { CoordinatorService } from "../../coordinator/index.ts";
import { tokenOf } from "../../security/index.ts";
import type * as schemas from "./schemas.ts";

/** The service's answers in the words of the API: snake case, ISO times. */

type Job = Awaited<ReturnType<CoordinatorService["getJob"]>>;
export const iso = (timeMs: number): string => new Date(timeMs).toISOString();

export function defined<T extends object>(fields: T): { [Name in keyof T]: Exclude<T[Name], undefined> } {
  for (const name of Object.keys(fields) as (keyof T)[]) if (fields[name] === undefined) delete fields[name];
  return fields as { [Name in keyof T]: Exclude<T[Name], undefined> };
}

export function objectView(meta: ObjectMeta): z.infer<typeof schemas.objectSchema> {
  return defined({
    key: meta.key,
    size: meta.sizeBytes,
    etag: meta.etag,
    last_modified: iso(meta.modifiedMs),
    content_type: meta.contentType,
    checksum: meta.sha256 === undefined ? undefined : `sha256:${meta.sha256}`,
    version_id: meta.versionId === "" ? undefined : meta.versionId,
    kind: meta.kind,
  });
}

export function listView(result: ListResult): z.infer<typeof schemas.listEnvelopeSchema> {
  return defined({
    objects: result.objects.map(objectView),
    prefixes: [...result.prefixes],
    continuation: result.continuation,
    failed_sites: result.failedSites.map((failed) => ({ ...failed })),
  });
}

export function siteView(site: SiteStatus): z.infer<typeof schemas.siteSchema> {
  return defined({
    name: site.name,
    role: site.role,
    driver: site.driver,
    location: site.label,
    healthy: site.healthy,
    error: site.error,
    circuit_state: site.circuitState,
    latency_ms: site.latencyMs === undefined ? undefined : Math.round(site.latencyMs * 100) / 100,
    last_checked_at: site.checkedAtMs === undefined ? undefined : iso(site.checkedAtMs),
    foreign: site.foreign,
    imported_objects: site.imported?.adopted,
    import_refused: site.imported?.refused,
    imported_at: site.imported?.doneMs === undefined ? undefined : iso(site.imported.doneMs),
  });
}

export function accessKeyView(key: AccessKey): z.infer<typeof schemas.accessKeySchema> {
  return defined({
    id: key.id,
    user: key.user,
    grants: key.grants.map(({ path, role }) => ({ path, role })),
    created_at: iso(key.createdMs),
    expires_at: key.expiresMs === undefined ? undefined : iso(key.expiresMs),
    created_by: key.createdBy,
  });
}

export function newAccessKeyView(key: KnownAccessKey): z.infer<typeof schemas.newAccessKeySchema> {
  return defined({ ...accessKeyView(key), secret: key.secret, token: tokenOf(key), session_token: key.sessionToken });
}

export function jobView(job: Job): z.infer<typeof schemas.jobSchema> {
  return defined({
    id: job.id,
    kind: job.kind,
    state: job.state,
    key: job.path,
    site: job.site,
    from: job.from,
    size: job.sizeBytes,
    bytes_done: job.bytesDone,
    bytes_per_second: job.bytesPerSecond,
    eta_seconds: job.etaSeconds,
    attempts: job.attempts,
    reason: job.reason,
    created_at: iso(job.createdMs),
    changed_at: iso(job.changedMs),
    not_before: job.notBeforeMs > 0 ? iso(job.notBeforeMs) : undefined,
    waits_for: job.waitsFor,
  });
}

type Pause = NonNullable<Info["jobsPaused"]>;

function pauseView({ sinceMs, by, reason }: Pause): NonNullable<z.infer<typeof schemas.infoSchema>["jobs_paused"]> {
  return defined({ since: iso(sinceMs), by, reason });
}

export function jobPageView(page: JobPage): z.infer<typeof schemas.jobsSchema> {
  return defined({
    jobs: page.jobs.map(jobView),
    continuation: page.continuation,
    counts: page.counts,
    paused: page.paused === undefined ? undefined : pauseView(page.paused),
  });
}

export function changeView(change: ChangeLine): z.infer<typeof schemas.changeSchema> {
  const { position, kind, path, from, cause, inode, versionId, atMs } = change;
  return defined({ position, kind, path, from, cause, inode, version_id: versionId, at: iso(atMs) });
}

export function usageView(usage: Usage): z.infer<typeof schemas.usageSchema> {
  return { prefix: usage.prefix, objects: usage.objects, bytes: usage.bytes, by_site: { ...usage.bySite } };
}

export function directoryUsageView(usage: DirectoryUsage): z.infer<typeof schemas.directoryUsageSchema> {
  const { path, bytes, inodes, olderBytes, maxBytes, maxInodes } = usage;
  return defined({ path, bytes, inodes, older_bytes: olderBytes, max_bytes: maxBytes, max_inodes: maxInodes });
}

export function importView(progress: ImportProgress): z.infer<typeof schemas.importProgressSchema> {
  const { refusedExample, ...rest } = progress;
  return defined({ ...rest, refused_example: refusedExample });
}

export function infoView(info: Info): z.infer<typeof schemas.infoSchema> {
  return defined({
    version: info.version,
    cluster_name: info.clusterName,
    access: info.access,
    uptime_seconds: Math.round(info.uptimeSeconds * 10) / 10,
    sites: info.sites,
    is_leader: info.isLeader,
    replication_queue_depth: info.replicationQueueDepth,
    jobs_paused: info.jobsPaused === undefined ? undefined : pauseView(info.jobsPaused),
    set_aside_bytes: info.setAsideBytes,
    sites_by_role: { ...info.sitesByRole },
    health: defined({
      healthy: info.health.healthy,
      unhealthy: info.health.unhealthy,
      last_checked_at: info.health.lastCheckedAtMs === undefined ? undefined : iso(info.health.lastCheckedAtMs),
    }),
    catalog: { engine: info.engine, entries: info.entries },
    backup: info.backup === undefined ? undefined : backupView(info.backup),
  });
}

function backupView({ last, failure }: NonNullable<Info["backup"]>): z.infer<typeof schemas.infoSchema>["backup"] {
  return defined({
    last:
      last === undefined
        ? undefined
        : { at: iso(last.atMs), key: last.key, size: last.sizeBytes, sites: [...last.sites] },
    failure: failure === undefined ? undefined : { at: iso(failure.atMs), error: failure.error },
  });
}

export function explainView(explained: Explanation): z.infer<typeof schemas.explainSchema> {
  const route = (found: Explanation["read"]) =>
    defined({ rule: found.rule, order: [...found.order], skipped: found.skipped.map((each) => ({ ...each })) });
  return defined({
    key: explained.key,
    exists: explained.exists,
    kind: explained.kind,
    object: explained.meta === undefined ? undefined : objectView(explained.meta),
    copies: explained.copies.map((copy) =>
      defined({
        site: copy.site,
        key: copy.key,
        state: copy.state,
        reason: copy.reason,
        publish_to: copy.publishTo,
        changed_at: iso(copy.changedMs),
        healthy: copy.healthy,
      }),
    ),
    read: route(explained.read),
    write: defined({
      rule: explained.write.rule,
      required: [...explained.write.required],
      following: [...explained.write.following],
      publish: explained.write.publish,
    }),
    delete: route(explained.delete),
    jobs: explained.jobs.map(jobView),
    cached_bytes: explained.cachedBytes,
    deleted:
      explained.deleted === undefined
        ? undefined
        : { at: iso(explained.deleted.atMs), version_id: explained.deleted.versionId },
    notes: [...explained.notes],
  });
}
