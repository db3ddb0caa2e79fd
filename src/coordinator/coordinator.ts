import type { Ctx } from "../core/context.ts";
import { GfsError } from "../core/errors.ts";
import type { SiteName } from "../core/ids.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import type { FoundOther } from "../mover/index.ts";
import { initialize } from "../namespace/index.ts";
import { createAccessKeyService } from "./admin/access-keys.ts";
import { createBucketService } from "./admin/buckets.ts";
import { createChangeService } from "./admin/changes.ts";
import { suspectCopy } from "./copies/copy-check.ts";
import { deleteObject } from "./objects/delete.ts";
import { deleteObjects } from "./objects/delete-many.ts";
import { describeObject } from "./reading/describe-object.ts";
import { explain } from "./admin/explain.ts";
import { createFileService } from "./files/files.ts";
import { createBackups } from "./leader/backups.ts";
import { clearQuota, setQuota, usageAt } from "./admin/quotas.ts";
import { createHousekeeping } from "./leader/housekeeping.ts";
import { importPrefix } from "./foreign/import.ts";
import { createLeadership } from "./leader/leadership.ts";
import { createLifecycle } from "./leader/lifecycle.ts";
import { listObjects } from "./listing/list.ts";
import { getRecord, locate } from "./foreign/lookup.ts";
import { fileMeter, objectMeter } from "./observed/meters.ts";
import { measuredFiles, measuredRead } from "./observed/measured.ts";
import type { Kit } from "./kit.ts";
import { createPeek } from "./reading/peek.ts";
import { headObject, readObject } from "./reading/read.ts";
import { settleOther } from "./foreign/reconcile.ts";
import { renameObject } from "./objects/rename.ts";
import type { CoordinatorService, DeleteOutcome } from "./service/service.ts";
import { createSessionService } from "./admin/sessions.ts";
import { addSite, adoptSite, listSites, removeSite, restoreSites } from "./admin/site-admin.ts";
import { askAgain } from "./copies/doubt-site.ts";
import { health, info } from "./admin/status.ts";
import { createUploads } from "./uploads/uploads.ts";
import { usage } from "./listing/usage.ts";
import { createVersionService } from "./listing/versions.ts";
import { putObject } from "./objects/write.ts";

/** Everything but the seat of the leader, which the coordinator takes itself. */
export interface CoordinatorDeps extends Omit<Kit, "leadership"> {
  readonly metrics: Metrics;
  /** Names this process in the leader's row. */
  readonly identity: string;
  readonly leaseMs: number;
}

export interface Coordinator extends CoordinatorService {
  /** A job has met another object at a site than was written there. */
  settle(ctx: Ctx, found: FoundOther): Promise<void>;
  /** Prepares the catalog, opens what was added at run time, takes up background work. */
  start(signal: AbortSignal): Promise<void>;
  /** Finishes what is under way as far as it goes tidily, then stops. The catalog and the sites stay open. */
  stop(): Promise<void>;
}

export function createCoordinator(deps: CoordinatorDeps): Coordinator {
  const { metrics, identity, leaseMs, ...rest } = deps;
  const { kv, clock, log, mover } = rest;
  const leadership = createLeadership({
    kv,
    clock,
    log,
    identity,
    leaseMs,
    onGained: async () => {
      await mover.start();
      housekeeping.start();
      lifecycle.start();
      backups.start();
    },
    onLost: async () => {
      await backups.stop();
      await lifecycle.stop();
      await housekeeping.stop();
      await mover.stop();
    },
  });
  const kit: Kit = { ...rest, leadership };
  const uploads = createUploads(kit);
  const lifecycle = createLifecycle(kit, uploads.service);
  const backups = createBackups(kit);
  const housekeeping = createHousekeeping(kit, uploads);
  const meter = objectMeter(metrics, clock);
  const sitesCurrent = metrics.gauge({ name: "globalfs_sites_current", help: "Registered sites." });
  const peek = createPeek(kit);
  const startedAtMs = clock.monotonicMs();
  let ready = false;

  const countSites = (): void => sitesCurrent.set(kit.sites.list().length);

  return {
    ...createVersionService(kit),
    ...uploads.service,
    ...createBucketService(kit, uploads.service),
    ...createAccessKeyService(kit),
    ...createChangeService(kit),
    files: measuredFiles(createFileService(kit), fileMeter(metrics, clock)),
    ...createSessionService(kit),
    sessions: kit.sessions,
    get leads() {
      return leadership.isLeader;
    },
    get ready() {
      return ready;
    },
    async start(signal) {
      await kv.transact((tx) => initialize(tx, clock.nowMs()));
      await kit.sessions.start();
      await kit.writer.start();
      await restoreSites(kit, signal);
      countSites();
      kit.health.start();
      await leadership.start();
      ready = true;
    },
    async stop() {
      ready = false;
      await backups.stop();
      await lifecycle.stop();
      await housekeeping.stop();
      await mover.drain();
      await leadership.stop();
      await kit.health.stop();
      await kit.writer.stop();
      await kit.sessions.stop();
    },

    peekObject(key) {
      const found = peek(key);
      if (found !== undefined) meter.begin("get")();
      return found;
    },
    readObject: async (ctx, key, options) =>
      await measuredRead(meter, async () => await readObject(kit, ctx, key, options)),
    describeObject: async (ctx, path, versionId) => await describeObject(kit, ctx, path, versionId),
    headObject: async (ctx, key, options) =>
      await meter.measure("head", async () => await headObject(kit, ctx, key, options)),
    putObject: async (ctx, request) => await meter.measure("put", async () => await putObject(kit, ctx, request)),
    deleteObject: async (ctx, key, options) =>
      await meter.measure("delete", async () => await deleteObject(kit, ctx, key, options)),
    async deleteObjects(ctx, requests) {
      const ends = requests.map(() => meter.begin("delete"));
      let outcomes: readonly DeleteOutcome[] = [];
      try {
        outcomes = await deleteObjects(kit, ctx, requests);
        return outcomes;
      } finally {
        for (const [index, end] of ends.entries()) {
          const outcome = outcomes[index] ?? NOT_DELETED;
          end("error" in outcome ? outcome.error : undefined);
        }
      }
    },
    async listObjects(ctx, request) {
      // A page comes and goes to the disks many times, and would wait for what jobs do each time.
      const end = mover.giveWay();
      try {
        return await meter.measure("list", async () => await listObjects(kit, ctx, request));
      } finally {
        end();
      }
    },
    async rename(ctx, request) {
      await meter.measure("rename", async () => await renameObject(kit, ctx, request));
      if (request.from.endsWith("/")) housekeeping.wake();
    },
    usage: async (ctx, prefix) => await usage(kit, ctx, prefix),
    directoryUsage: async (_ctx, path) => await usageAt(kit, path),
    setQuota: async (_ctx, path, limits) => await setQuota(kit, path, limits),
    clearQuota: async (_ctx, path) => await clearQuota(kit, path),
    explain: async (ctx, key) => await explain(kit, ctx, key),

    listSites: async () => await listSites(kit),
    async addSite(ctx, request) {
      const added = await addSite(kit, ctx, request);
      countSites();
      return added;
    },
    async removeSite(_ctx, name, options) {
      await removeSite(kit, name, options);
      countSites();
    },
    adoptSite: async (_ctx, name) => await adoptSite(kit, name),
    importSite: (ctx, request) => importPrefix(kit, ctx, request),

    replicate: async (ctx, request) => await replicate(kit, ctx, request),
    async listJobs(_ctx, { counts, ...query }) {
      const page = await mover.list(query);
      const paused = await mover.findPause();
      return {
        ...page,
        ...(counts === true ? { counts: await mover.count() } : {}),
        ...(paused === undefined ? {} : { paused }),
      };
    },
    getJob: async (_ctx, id) => await mover.get(id),
    pauseJob: async (_ctx, id, order) => await mover.pause(id, order),
    resumeJob: async (_ctx, id) => await mover.resume(id),
    cancelJob: async (_ctx, id) => await mover.cancel(id),
    pauseAllJobs: async (_ctx, paused, order) => await mover.pauseAll(paused, order),

    settle: async (ctx, found) => await settleOther(kit, ctx, found),
    checkCopy: async (check) => await suspectCopy(kit, check),
    doubtSite(name) {
      const site = kit.sites.find(name);
      if (site !== undefined) askAgain(kit, site);
    },
    watchHealth: (listener) => kit.health.watch(listener),
    async learnHealth(site, found) {
      if (found !== undefined) kit.health.learn(site, found);
      else if (kit.sites.find(site) !== undefined) await kit.sites.remove(site);
    },

    info: async () => await info(kit, startedAtMs),
    health: async () => await health(kit),
  };
}

async function replicate(
  kit: Kit,
  ctx: Ctx,
  request: { readonly key: string; readonly from: string; readonly to: string },
): ReturnType<CoordinatorService["replicate"]> {
  const where = locate(request.key);
  for (const name of [request.from, request.to]) {
    if (kit.sites.find(name as SiteName) === undefined) {
      throw new GfsError("NotFound", `There is no site ${name}; \`globalfs site list\` names them.`);
    }
  }
  if (request.from === request.to)
    throw new GfsError("InvalidArgument", "Name two different sites to replicate between.");
  if (where.directory) throw new GfsError("InvalidArgument", "Name one object; a directory is replicated by a rule.");
  const record = await getRecord(kit, ctx, where);
  const version = record.version;
  const source = version?.copies.find((copy) => copy.site === request.from);
  if (version === undefined || source === undefined || (source.state !== "present" && source.state !== "foreign")) {
    throw new GfsError(
      "NotFound",
      `Site ${request.from} holds no copy of ${where.path}; \`globalfs explain ${where.path}\` shows who does.`,
    );
  }
  return await kit.mover.enqueue({
    kind: "replicate",
    path: where.path,
    inode: record.inode,
    versionId: version.id,
    site: request.to as SiteName,
    from: request.from as SiteName,
    key: version.copies.find((copy) => copy.site === request.to)?.key ?? where.path,
    sizeBytes: version.sizeBytes,
    priority: 0,
  });
}

const NOT_DELETED: DeleteOutcome = { error: new GfsError("Internal", "The delete ended early; send it again.") };
