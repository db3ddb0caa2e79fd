import { forEachBounded } from "../../core/async/for-each.ts";
import type { Ctx } from "../../core/context.ts";
import { GfsError, isGfsError, toGfsError } from "../../core/errors.ts";
import { type FilePath, type Inode, type JobId, ROOT_INODE, type VersionId } from "../../core/ids.ts";
import type { Program, Reader, Transaction } from "../../kv/index.ts";
import { carryUnqueued } from "../../mover/index.ts";
import {
  deleteKey,
  type Expectation,
  type FileVersion,
  findFile,
  findOwner,
  findTombstone,
  findVersion,
  type HistoryRow,
  type KnownDirectory,
  isBuried,
  keepsVersions,
  type ObjectPlace,
  removeDirectory,
  type RemoveVersion,
  removeVersion,
  rulesOf,
  shownVersionId,
} from "../../namespace/index.ts";
import type { Site } from "../../stores/index.ts";
import { readCatalog } from "../catalog-view.ts";
import { checkWriteConditions } from "./conditions.ts";
import { adoptFromSites } from "../foreign/foreign.ts";
import { locate } from "../foreign/lookup.ts";
import type { Kit, ProgramKit } from "../kit.ts";
import { publishWhereItHangs } from "../copies/publishing.ts";
import { enqueueRemoval } from "../copies/removal.ts";
import type { DeleteOptions, DeleteResult } from "../service/service.ts";
import { countsForeign } from "../foreign/first-import.ts";
import { settleMoved } from "../foreign/moved.ts";
import { askSites, type UnknownKey } from "../foreign/unknown-key.ts";

const PARALLEL_SITES = 8;

/**
 * The tombstone is committed first, with a remove job for every place that may hold the object, so that from here on the delete
 * stays done whatever happens. Then the primaries are cleared while the caller waits.
 */
export async function deleteObject(
  kit: Kit,
  ctx: Ctx,
  key: string,
  options: DeleteOptions = {},
): Promise<DeleteResult> {
  const where = locate(key);
  if (where.directory) {
    const deleted = await kit.inodes.transact((tx) =>
      removeDirectory(tx, { path: where.path, semantics: "key", nowMs: kit.clock.nowMs() }),
    );
    return { deleted, pendingSites: [] };
  }
  const { path } = where;
  const { conditions, versionId } = options;
  if (conditions !== undefined) await adoptFromSites(kit, ctx, path);
  const wanted: DeleteOrder = { ...options, path };
  if (versionId === undefined) return await deleteCurrent(kit, ctx, wanted);
  const { keeps, isUnknown } = await readCatalog(kit.kv, (tx) => lookAt(tx, path));
  if (!keeps && versionId === "null") return await deleteCurrent(kit, ctx, wanted);
  // What only sites have becomes a version before it is hidden.
  if (keeps && isUnknown) await adoptFromSites(kit, ctx, path);
  return await deleteVersion(kit, ctx, { ...wanted, versionId });
}

function* keepsIn(tx: Reader, path: FilePath): Program<boolean> {
  return keepsVersions(yield* rulesOf(tx, path));
}

function* lookAt(tx: Reader, path: FilePath): Program<{ readonly keeps: boolean; readonly isUnknown: boolean }> {
  return { keeps: yield* keepsIn(tx, path), isUnknown: (yield* findFile(tx, path)) === undefined };
}

export interface DeleteOrder extends Omit<DeleteOptions, "versionId"> {
  readonly path: FilePath;
  /** Only this very version; `Conflict` when another is current by now. */
  readonly expect?: Expectation;
  /** A rule of the bucket does it, and nobody asked. */
  readonly expired?: boolean;
  /** What the sites say, where the catalog knows no such key. */
  readonly unknown?: UnknownKey;
}

/** Takes the key away; in a bucket that keeps versions a delete marker hides it. */
export async function deleteCurrent(kit: Kit, ctx: Ctx, order: DeleteOrder): Promise<DeleteResult> {
  const { path } = order;
  const result = await kit.locks.run(path, async () => {
    await settleMoved(kit, ctx, path);
    const deleted = (await commitDelete(kit, order)) ?? (await deleteUnknown(kit, ctx, order));
    return deleted && resultOf(await clearNow(kit, ctx, { path, places: deleted.places }), deleted);
  });
  if (result !== undefined) return result;
  await adoptFromSites(kit, ctx, path);
  return await deleteCurrent(kit, ctx, { ...order, unknown: NOWHERE });
}

/** Only the sites can tell whether there is something to delete. Undefined: what they have becomes a version before it is hidden. */
async function deleteUnknown(kit: Kit, ctx: Ctx, order: DeleteOrder): Promise<Deleted | undefined> {
  const { path } = order;
  if (await readCatalog(kit.kv, (tx) => keepsIn(tx, path))) return undefined;
  return await commitDelete(kit, { ...order, unknown: await askSites(kit, ctx, path) });
}

const NOWHERE: UnknownKey = { mayHold: new Set(), visible: false };

export function resultOf(pendingSites: readonly string[], { existed, marker }: Deleted): DeleteResult {
  const result = { deleted: existed, pendingSites };
  return marker === undefined ? result : { ...result, deleteMarker: true, versionId: shownVersionId(marker) };
}

export interface VersionOrder extends DeleteOrder {
  readonly versionId: string;
  readonly only?: RemoveVersion["only"];
}

/** Removes one version for good; the next becomes current. One that is not there is no failure. */
export async function deleteVersion(kit: Kit, ctx: Ctx, order: VersionOrder): Promise<DeleteResult> {
  const { path, versionId } = order;
  return await kit.locks.run(path, async () => {
    await settleMoved(kit, ctx, path);
    const { places, marker, existed } = await commitRemoval(kit, order);
    const pendingSites = await clearNow(kit, ctx, { path, places });
    return { deleted: existed, pendingSites, versionId, ...(marker ? { deleteMarker: true } : {}) };
  });
}

export interface Place {
  readonly site: Site;
  readonly place: ObjectPlace;
  /** Removes the object there. */
  readonly jobId: JobId;
}

export interface Deleted {
  /** There was something to delete. */
  readonly existed: boolean;
  readonly places: readonly Place[];
  readonly marker?: HistoryRow;
}

async function commitDelete(kit: Kit, order: DeleteOrder): Promise<Deleted | undefined> {
  const known = kit.directories.of(order.path);
  const moment = { nowMs: kit.clock.nowMs(), tombstoneVersionId: kit.nextVersionId(), known };
  return await kit.inodes.transact((tx, nextInode) => recordDelete(tx, kit, order, { ...moment, nextInode }));
}

export interface Moment {
  readonly nowMs: number;
  readonly tombstoneVersionId: VersionId;
  readonly nextInode: () => Inode;
  readonly known?: KnownDirectory | undefined;
}

/** Several may share a transaction. Undefined, and nothing is done: the catalog knows no such key, and the sites have not been asked. */
export function* recordDelete(
  tx: Transaction,
  kit: ProgramKit,
  order: DeleteOrder,
  { nowMs, tombstoneVersionId, nextInode, known }: Moment,
): Program<Deleted | undefined> {
  const { path, conditions, owner } = order;
  const sites = kit.router.routeDelete(path);
  const targets = [
    ...sites.sites,
    ...sites.skipped.map(({ site }) => kit.sites.find(site)).filter((site) => site !== undefined),
  ];
  const current = yield* findFile(tx, path, known);
  checkWriteConditions(conditions, currentOf(current?.version));
  const unknown = current === undefined ? order.unknown : undefined;
  if (current === undefined && unknown === undefined && order.expect === undefined) return undefined;
  // Nobody has it; only a delete marker would remember that somebody asked.
  if (unknown?.mayHold.size === 0 && !(yield* keepsIn(tx, path))) return { existed: false, places: [] };
  const { file, orphans, marker } = yield* deleteKey(tx, {
    path,
    expect: order.expect ?? { kind: "any" },
    nowMs,
    tombstoneVersionId,
    nextInode,
    known,
    ...(owner === undefined ? {} : { owner }),
    ...(order.expired === undefined ? {} : { expired: order.expired }),
  });
  const lastName =
    marker === undefined && (file === undefined || orphans.length > 0 || file.version?.copies.length === 0);
  const wanted: Omit<Place, "jobId">[] = [];
  for (const site of targets) {
    const own = orphans.filter((place) => place.site === site.name);
    for (const place of own) wanted.push({ site, place });
    // Another tool may have put an object under this key; the delete is meant for it, too.
    const hidden = (yield* countsForeign(tx, site)) && lastName && own.every(({ key }) => key !== path);
    if (
      hidden &&
      (unknown === undefined || unknown.mayHold.has(site.name)) &&
      (yield* findOwner(tx, site.name, path)) === undefined
    ) {
      wanted.push({ site, place: { site: site.name, key: path } });
    }
  }
  const inode = file?.inode ?? ROOT_INODE;
  const versionId = file?.version?.id ?? tombstoneVersionId;
  const places: Place[] = [];
  for (const { site, place } of wanted) {
    const taken = site.role === "primary";
    const jobId = yield* enqueueRemoval(tx, kit, { path, inode, versionId, place, nowMs, taken });
    places.push({ site, place, jobId });
  }
  for (const place of orphans) {
    if (places.some((each) => each.place === place)) continue;
    yield* enqueueRemoval(tx, kit, { path, inode, versionId, place, nowMs });
  }
  // It may have other names, where its objects belong from now on.
  if (file !== undefined && file.linkCount > 1) yield* publishWhereItHangs(tx, kit, { inode, nowMs });
  const existed = current !== undefined || order.unknown?.visible === true;
  return { existed, places, ...(marker === undefined ? {} : { marker }) };
}

async function commitRemoval(
  kit: Kit,
  order: VersionOrder,
): Promise<{ readonly places: readonly Place[]; readonly marker: boolean; readonly existed: boolean }> {
  const { path, versionId, conditions, bypassGovernance, only } = order;
  const nowMs = kit.clock.nowMs();
  const tombstoneVersionId = kit.nextVersionId();
  return await kit.inodes.transact(function* (tx, nextInode): Program<{
    places: Place[];
    marker: boolean;
    existed: boolean;
  }> {
    if (conditions !== undefined) {
      const found = yield* findVersion(tx, path, versionId);
      checkWriteConditions(
        conditions,
        found === undefined || found.kind === "marker" ? undefined : currentOf(found.file.version),
      );
    }
    const removed = yield* removeVersion(tx, {
      path,
      versionId,
      expect: order.expect ?? { kind: "any" },
      nowMs,
      tombstoneVersionId,
      nextInode,
      ...(bypassGovernance === undefined ? {} : { bypassGovernance }),
      ...(only === undefined ? {} : { only }),
    });
    const { promoted } = removed ?? {};
    if (promoted !== undefined) {
      const { holder, file } = promoted;
      yield* carryUnqueued(tx, { version: file.version as FileVersion, from: holder, to: file.inode });
    }
    const places: Place[] = [];
    const inode = removed?.file?.inode ?? ROOT_INODE;
    const id = removed?.file?.version?.id ?? tombstoneVersionId;
    for (const place of removed?.orphans ?? []) {
      const site = kit.sites.find(place.site);
      const taken = site?.role === "primary";
      const jobId = yield* enqueueRemoval(tx, kit, { path, inode, versionId: id, place, nowMs, taken });
      if (site !== undefined) places.push({ site, place, jobId });
    }
    return { places, marker: removed?.marker === true, existed: removed !== undefined };
  });
}

function currentOf(version: FileVersion | undefined): { etag: string; modifiedMs: number } | undefined {
  return version === undefined ? undefined : { etag: version.etag, modifiedMs: version.createdMs };
}

interface Clearing {
  readonly path: FilePath;
  readonly places: readonly Place[];
}

/**
 * Resolves with the sites that are left to their jobs. These would do it all; doing it here means that a primary does not have the object any more
 * when the caller hears so, and its job goes: the work is done once.
 */
export async function clearNow(kit: Kit, ctx: Ctx, { path, places }: Clearing): Promise<readonly string[]> {
  const primaries = places.filter(({ site }) => site.role === "primary");
  const pendingSites = [
    ...new Set(places.filter(({ site }) => site.role !== "primary").map(({ site }) => site.name as string)),
  ];
  let failure: { readonly site: Site; readonly error: GfsError } | undefined;
  const works = primaries.map((place) => ({ place, job: kit.mover.take(place.jobId) }));
  await forEachBounded(works, PARALLEL_SITES, async ({ place: { site, place }, job }) => {
    try {
      if (await clearPlace(kit, ctx, site, place)) job.done();
      // It is for the job to look at what else may lie there.
      else job.leave();
    } catch (error) {
      job.leave();
      failure ??= { site, error: toGfsError(error, "coordinator.delete") };
    }
  });
  if (pendingSites.length > 0) kit.mover.wake();
  if (failure !== undefined) {
    const { site, error } = failure;
    throw new GfsError(
      error.code,
      `${path} is deleted in the namespace, but primary site ${site.name} still holds its bytes: ${error.message} A job removes them when the site answers.`,
      { op: "coordinator.delete", context: { path, site: site.name }, cause: error },
    );
  }
  return pendingSites;
}

/** Removes what the delete is meant for; resolves with whether nothing is left to do. */
async function clearPlace(kit: Kit, ctx: Ctx, site: Site, { key, etag }: ObjectPlace): Promise<boolean> {
  try {
    if (etag !== undefined) {
      await site.store.delete(ctx, key, { ifMatch: etag });
      return true;
    }
  } catch (error) {
    if (!isGfsError(error, "PreconditionFailed", "NotFound")) throw error;
  }
  try {
    const info = await site.store.head(ctx, key);
    const versionId = info.metadata["globalfs-version"];
    const ours = versionId !== undefined;
    // Where the catalog expected another object, only one of our own that the delete covers goes: of a write that was never answered, say.
    if (etag !== undefined && !ours) return false;
    const covered = await kit.kv.view(function* (tx): Program<boolean> {
      if ((yield* findOwner(tx, site.name, key)) !== undefined) return false;
      if (versionId !== undefined && (yield* kit.writer.isInFlight(tx, { key, versionId }))) return false;
      return !ours || isBuried(yield* findTombstone(tx, key as FilePath), info);
    });
    if (!covered) return false;
    // Power loss must not give it back to a file.
    await kit.kv.flush();
    await site.store.delete(ctx, key, { ifMatch: info.etag });
  } catch (error) {
    if (!isGfsError(error, "NotFound", "PreconditionFailed")) throw error;
  }
  return false;
}
