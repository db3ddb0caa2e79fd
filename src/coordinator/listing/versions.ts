import type { Ctx } from "../../core/context.ts";
import { GfsError } from "../../core/errors.ts";
import { changeLabels, type FileVersion, readVersionParts } from "../../namespace/index.ts";
import { readCatalog } from "../catalog-view.ts";
import { listVersions } from "./list-versions.ts";
import { findRecord, getRecord, getVersion, locate, noSuchVersion } from "../foreign/lookup.ts";
import { describeFile } from "../objects/object-meta.ts";
import type { Kit } from "../kit.ts";
import type { LabelChange, ObjectMeta, ReadOptions, VersionService } from "../service/service.ts";

/** Versions of a key, and what may change on one without making another. */
export function createVersionService(kit: Kit): VersionService {
  return {
    listVersions: async (ctx, request) => await listVersions(kit, ctx, request),
    changeLabels: async (ctx, key, change) => await labelVersion(kit, ctx, key, change),
    versionParts: async (ctx, key, options) => await partsOf(kit, ctx, key, options),
  };
}

async function labelVersion(kit: Kit, ctx: Ctx, key: string, change: LabelChange): Promise<ObjectMeta> {
  const where = locate(key);
  if (where.directory)
    throw new GfsError("InvalidArgument", `${where.key} is a directory, which has no labels; name an object.`);
  kit.assertCatalogSpace();
  const { path } = where;
  const { versionId } = change;
  // An object that only sites have becomes a file first; labels are kept in the catalog.
  if (versionId === undefined || versionId === "null") await findRecord(kit, ctx, where);
  const nowMs = kit.clock.nowMs();
  const file = await kit.locks.run(
    path,
    async () => await kit.kv.transact((tx) => changeLabels(tx, { ...change, path, nowMs })),
  );
  if (file !== undefined) return describeFile(where.key, file);
  if (versionId !== undefined) throw noSuchVersion(where, versionId);
  // Says whether a delete marker hides it.
  return describeFile(where.key, await getRecord(kit, ctx, where));
}

async function partsOf(
  kit: Kit,
  ctx: Ctx,
  key: string,
  { versionId }: ReadOptions = {},
): ReturnType<VersionService["versionParts"]> {
  const where = locate(key);
  const file =
    versionId === undefined ? await getRecord(kit, ctx, where) : await getVersion(kit, ctx, where, versionId);
  if (file.version === undefined) return [];
  return await readCatalog(kit.kv, (tx) => readVersionParts(tx, file.version as FileVersion));
}
