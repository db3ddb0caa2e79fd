import type { Ctx } from "../../core/context.ts";
import { GfsError } from "../../core/errors.ts";
import type { FilePath } from "../../core/ids.ts";
import type { Program } from "../../kv/index.ts";
import {
  type FileRecord,
  findDirectory,
  findFile,
  findMarker,
  findShared,
  findVersion,
  keyOf,
  parseKey,
  shownVersionId,
} from "../../namespace/index.ts";
import { readCatalog } from "../catalog-view.ts";
import { adoptFromSites } from "./foreign.ts";
import type { Kit } from "../kit.ts";
import { findSetAside } from "./set-aside.ts";

export interface Located {
  readonly path: FilePath;
  readonly directory: boolean;
  /** As the caller wrote it, checked. */
  readonly key: string;
}

export function locate(key: string): Located {
  const { path, directory } = parseKey(key);
  return { path, directory, key: keyOf(path, directory) };
}

/** What the catalog has under the key; then what the sites have, adopted. */
export async function findRecord(kit: Kit, ctx: Ctx, where: Located): Promise<FileRecord | undefined> {
  const { path, directory } = where;
  const known = await readCatalog(kit.kv, (tx) => (directory ? findDirectory(tx, path) : findFile(tx, path)));
  if (known !== undefined) return isObject(known) ? known : undefined;
  return directory ? undefined : await adoptFromSites(kit, ctx, path, { listingIsEnough: true });
}

/** Neither is a directory that is there only because objects are below it, nor a symbolic link, pipe, socket or device. */
function isObject({ kind, implicit }: FileRecord): boolean {
  return kind === "file" || (kind === "directory" && implicit !== true);
}

export async function getRecord(kit: Kit, ctx: Ctx, where: Located): Promise<FileRecord> {
  const record = await findRecord(kit, ctx, where);
  if (record !== undefined) return record;
  const marker = where.directory ? undefined : await readCatalog(kit.kv, (tx) => findMarker(tx, where.path));
  const hidden = marker === undefined ? {} : { deleteMarker: true, versionId: shownVersionId(marker) };
  throw new GfsError("NotFound", `There is no object ${where.key}.`, {
    op: "coordinator.lookup",
    context: { key: where.key, ...hidden },
  });
}

/** The version that S3 knows by this id; `null` may be one that only the sites have. */
export async function getVersion(kit: Kit, ctx: Ctx, where: Located, versionId: string): Promise<FileRecord> {
  const { path, directory } = where;
  if (directory && versionId === "null") return await getRecord(kit, ctx, where);
  if (directory) throw noSuchVersion(where, versionId);
  let found = await readCatalog(kit.kv, (tx) => findVersion(tx, path, versionId));
  if (found === undefined && versionId === "null" && (await findRecord(kit, ctx, where)) !== undefined)
    found = await readCatalog(kit.kv, (tx) => findVersion(tx, path, versionId));
  if (found === undefined) {
    const kept = await readCatalog(kit.kv, function* (tx): Program<FileRecord | undefined> {
      return (yield* findShared(tx, path, versionId)) ?? (yield* findSetAside(tx, path, versionId));
    });
    if (kept !== undefined) return kept;
    throw noSuchVersion(where, versionId);
  }
  if (found.kind !== "marker") return found.file;
  throw new GfsError("MethodNotAllowed", `Version ${versionId} of ${where.key} is a delete marker.`, {
    op: "coordinator.lookup",
    context: { key: where.key, deleteMarker: true, versionId },
  });
}

export function noSuchVersion(where: Located, versionId: string): GfsError {
  return new GfsError("NotFound", `${where.key} has no version ${versionId}.`, {
    op: "coordinator.lookup",
    context: { key: where.key, versionId, s3: "NoSuchVersion" },
  });
}
