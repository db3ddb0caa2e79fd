import { forEachBounded } from "../core/async/for-each.ts";
import type { Ctx } from "../core/context.ts";
import { GfsError, isGfsError, toGfsError } from "../core/errors.ts";
import { type FilePath, ROOT_INODE } from "../core/ids.ts";
import type { Program } from "../kv/index.ts";
import {
  type Copy,
  findFile,
  findOwner,
  findTombstone,
  isBuried,
  removeDirectory,
  removeFile,
} from "../namespace/index.ts";
import type { Site } from "../stores/index.ts";
import { checkWriteConditions } from "./conditions.ts";
import { adoptFromSites } from "./foreign.ts";
import { locate } from "./lookup.ts";
import type { Parts } from "./parts.ts";
import type { Conditions, DeleteOptions, DeleteResult } from "./service.ts";
import { enqueueRemoval } from "./removal.ts";

const PARALLEL_SITES = 8;

/**
 * The tombstone is committed first, with a remove job for every place that may hold the object, so that from here on the delete
 * stays done whatever happens. Then the primaries are cleared while the caller waits.
 */
export async function deleteObject(
  parts: Parts,
  ctx: Ctx,
  key: string,
  { conditions }: DeleteOptions = {},
): Promise<DeleteResult> {
  const where = locate(key);
  parts.assertCatalogSpace();
  if (where.directory) {
    await parts.kv.transact((tx) =>
      removeDirectory(tx, { path: where.path, semantics: "key", nowMs: parts.clock.nowMs() }),
    );
    return { pendingSites: [] };
  }
  const { path } = where;
  if (conditions !== undefined) await adoptFromSites(parts, ctx, path);
  return await parts.locks.run(path, async () => {
    const places = await commitDelete(parts, path, conditions);
    parts.mover.wake();
    return await clearNow(parts, ctx, path, places);
  });
}

interface Place {
  readonly site: Site;
  readonly copy: Copy;
}

async function commitDelete(parts: Parts, path: FilePath, conditions: Conditions | undefined): Promise<Place[]> {
  const nowMs = parts.clock.nowMs();
  const tombstoneVersionId = parts.nextVersionId();
  const sites = parts.router.routeDelete(path);
  const targets = [
    ...sites.sites,
    ...sites.skipped.map(({ site }) => parts.sites.find(site)).filter((site) => site !== undefined),
  ];
  return await parts.kv.transact(function* (tx): Program<Place[]> {
    const current = yield* findFile(tx, path);
    checkWriteConditions(
      conditions,
      current?.version === undefined
        ? undefined
        : { etag: current.version.etag, modifiedMs: current.version.createdMs },
    );
    const removed = yield* removeFile(tx, { path, expect: { kind: "any" }, nowMs, tombstoneVersionId });
    const orphans = [...(removed?.orphans ?? [])];
    const lastName = removed === undefined || orphans.length > 0 || removed.file.version?.copies.length === 0;
    const places: Place[] = [];
    for (const site of targets) {
      const own = orphans.filter((copy) => copy.site === site.name);
      for (const copy of own) places.push({ site, copy });
      // Another tool may have put an object under this key; the delete is meant for it, too.
      const hidden = site.foreign === "merge" && lastName && own.every((copy) => copy.key !== path);
      if (hidden && (yield* findOwner(tx, site.name, path)) === undefined) {
        places.push({ site, copy: { site: site.name, key: path, state: "foreign", changedMs: nowMs } });
      }
    }
    const inode = removed?.file.inode ?? ROOT_INODE;
    const versionId = removed?.file.version?.id ?? tombstoneVersionId;
    for (const { copy } of places) yield* enqueueRemoval(tx, parts, { path, inode, versionId, copy, nowMs });
    for (const copy of orphans) {
      if (places.some((place) => place.copy === copy)) continue;
      yield* enqueueRemoval(tx, parts, { path, inode, versionId, copy, nowMs });
    }
    return places;
  });
}

/** The jobs would do it all; doing it here means that a primary does not have the object any more when the caller hears so. */
async function clearNow(parts: Parts, ctx: Ctx, path: FilePath, places: readonly Place[]): Promise<DeleteResult> {
  const primaries = places.filter(({ site }) => site.role === "primary");
  const pendingSites = [
    ...new Set(places.filter(({ site }) => site.role !== "primary").map(({ site }) => site.name as string)),
  ];
  let failure: { readonly site: Site; readonly error: GfsError } | undefined;
  await forEachBounded(primaries, PARALLEL_SITES, async ({ site, copy }) => {
    try {
      await site.store.delete(ctx, copy.key, copy.etag === undefined ? {} : { ifMatch: copy.etag });
    } catch (error) {
      if (isGfsError(error, "NotFound")) return;
      const left = isGfsError(error, "PreconditionFailed") ? await clearBuried(parts, ctx, site, copy.key) : error;
      if (left !== undefined) failure ??= { site, error: toGfsError(left, "coordinator.delete") };
    }
  });
  if (failure !== undefined) {
    const { site, error } = failure;
    throw new GfsError(
      error.code,
      `${path} is deleted in the namespace, but primary site ${site.name} still holds its bytes: ${error.message} A job removes them when the site answers.`,
      { op: "coordinator.delete", context: { path, site: site.name }, cause: error },
    );
  }
  return { pendingSites };
}

/** The catalog expected another object. One of our own that the delete covers, of a write that was never answered, goes all the same. */
async function clearBuried(parts: Parts, ctx: Ctx, site: Site, key: string): Promise<unknown> {
  try {
    const info = await site.store.head(ctx, key);
    if (info.metadata["globalfs-version"] === undefined) return undefined;
    const covered = await parts.kv.view(function* (tx): Program<boolean> {
      if ((yield* findOwner(tx, site.name, key)) !== undefined) return false;
      return isBuried(yield* findTombstone(tx, key as FilePath), info);
    });
    if (covered) await site.store.delete(ctx, key, { ifMatch: info.etag });
    return undefined;
  } catch (error) {
    return isGfsError(error, "NotFound", "PreconditionFailed") ? undefined : error;
  }
}
