import type { Ctx } from "../core/context.ts";
import { GfsError } from "../core/errors.ts";
import type { FilePath } from "../core/ids.ts";
import { type FileRecord, findDirectory, findFile, keyOf, parseKey } from "../namespace/index.ts";
import { readCatalog } from "./catalog-view.ts";
import { adoptFromSites } from "./foreign.ts";
import type { Parts } from "./parts.ts";

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
export async function findRecord(parts: Parts, ctx: Ctx, where: Located): Promise<FileRecord | undefined> {
  const { path, directory } = where;
  const known = await readCatalog(parts.kv, (tx) => (directory ? findDirectory(tx, path) : findFile(tx, path)));
  if (known !== undefined) return directory && known.implicit === true ? undefined : known;
  return directory ? undefined : await adoptFromSites(parts, ctx, path);
}

export async function getRecord(parts: Parts, ctx: Ctx, where: Located): Promise<FileRecord> {
  const record = await findRecord(parts, ctx, where);
  if (record === undefined) {
    throw new GfsError("NotFound", `There is no object ${where.key}.`, {
      op: "coordinator.lookup",
      context: { key: where.key },
    });
  }
  return record;
}
