import type { Ctx } from "../core/context.ts";
import { GfsError } from "../core/errors.ts";
import { changeLabels, type FileVersion, readVersionParts } from "../namespace/index.ts";
import { readCatalog } from "./catalog-view.ts";
import { listVersions } from "./list-versions.ts";
import { findRecord, getRecord, getVersion, locate, noSuchVersion } from "./lookup.ts";
import { describeFile } from "./object-meta.ts";
import type { Parts } from "./parts.ts";
import type { LabelChange, ObjectMeta, ReadOptions, VersionService } from "./service.ts";

/** Versions of a key, and what may change on one without making another. */
export function createVersionService(parts: Parts): VersionService {
  return {
    listVersions: async (ctx, request) => await listVersions(parts, ctx, request),
    changeLabels: async (ctx, key, change) => await labelVersion(parts, ctx, key, change),
    versionParts: async (ctx, key, options) => await partsOf(parts, ctx, key, options),
  };
}

async function labelVersion(parts: Parts, ctx: Ctx, key: string, change: LabelChange): Promise<ObjectMeta> {
  const where = locate(key);
  if (where.directory)
    throw new GfsError("InvalidArgument", `${where.key} is a directory, which has no labels; name an object.`);
  parts.assertCatalogSpace();
  const { path } = where;
  const { versionId } = change;
  // An object that only sites have becomes a file first; labels are kept in the catalog.
  if (versionId === undefined || versionId === "null") await findRecord(parts, ctx, where);
  const nowMs = parts.clock.nowMs();
  const file = await parts.locks.run(
    path,
    async () => await parts.kv.transact((tx) => changeLabels(tx, { ...change, path, nowMs })),
  );
  if (file !== undefined) return describeFile(where.key, file);
  if (versionId !== undefined) throw noSuchVersion(where, versionId);
  // Says whether a delete marker hides it.
  return describeFile(where.key, await getRecord(parts, ctx, where));
}

async function partsOf(
  parts: Parts,
  ctx: Ctx,
  key: string,
  { versionId }: ReadOptions = {},
): ReturnType<VersionService["versionParts"]> {
  const where = locate(key);
  const file =
    versionId === undefined ? await getRecord(parts, ctx, where) : await getVersion(parts, ctx, where, versionId);
  if (file.version === undefined) return [];
  return await readCatalog(parts.kv, (tx) => readVersionParts(tx, file.version as FileVersion));
}
