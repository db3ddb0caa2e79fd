import type { FilePath, VersionId } from "../core/ids.ts";
import { afterPrefix, type Program, type Reader, type Transaction } from "../kv/index.ts";
import { isNameable } from "./path.ts";
import { decodeTombstone, encodeTombstone, pathOfTombstoneKey, tombstoneKey, tombstoneSpace } from "./rows.ts";
import type { ForeignObject, Tombstone } from "./types.ts";

/** Remembered deletes, by object key. They outlive a file that is written under the name anew: its path may be renamed away later. */

const MAX_ETAGS = 32;

export function* findTombstone(tx: Reader, path: FilePath): Program<Tombstone | undefined> {
  const row = yield* tx.get(tombstoneKey(path));
  return row === undefined ? undefined : decodeTombstone(path, row);
}

/** Adds to what is remembered under the key already. Keys that no path can name, our own among them, need none. */
export function* entombKey(tx: Transaction, tombstone: Tombstone): Program<void> {
  if (!isNameable(tombstone.path)) return;
  const before = yield* findTombstone(tx, tombstone.path);
  const etags = [...new Set([...tombstone.etags, ...(before?.etags ?? [])])].slice(0, MAX_ETAGS);
  const deletedMs = Math.max(tombstone.deletedMs, before?.deletedMs ?? tombstone.deletedMs);
  const versionId =
    before !== undefined && before.versionId > tombstone.versionId ? before.versionId : tombstone.versionId;
  tx.put(tombstoneKey(tombstone.path), encodeTombstone({ path: tombstone.path, deletedMs, versionId, etags }));
}

/**
 * Tombstones beat objects that are not newer, and late copies of the very content that was deleted. Of our own objects the version says
 * which is newer: a site's clock may be behind, and its times coarse.
 */
export function isBuried(tombstone: Tombstone | undefined, object: ForeignObject): boolean {
  if (tombstone === undefined) return false;
  const written = object.metadata["globalfs-version"];
  if (written !== undefined) return written <= tombstone.versionId;
  return object.modifiedMs <= tombstone.deletedMs || tombstone.etags.includes(object.etag);
}

export interface TombstonePage {
  readonly tombstones: readonly Tombstone[];
  /** Pass as `after`; absent on the last page. */
  readonly next?: FilePath;
}

export function* pageTombstones(
  tx: Reader,
  { limit, after }: { readonly limit: number; readonly after?: FilePath },
): Program<TombstonePage> {
  const start = after === undefined ? tombstoneSpace : Buffer.concat([tombstoneKey(after), Buffer.alloc(1)]);
  const rows = yield* tx.range({ start, end: afterPrefix(tombstoneSpace), limit });
  const tombstones = rows.map(({ key, value }) => decodeTombstone(pathOfTombstoneKey(key), value));
  const last = tombstones.at(-1);
  return { tombstones, ...(rows.length === limit && last !== undefined ? { next: last.path } : {}) };
}

/** Only the one that was looked at: a delete that came since keeps its own. */
export function* dropTombstone(
  tx: Transaction,
  { path, versionId }: { readonly path: FilePath; readonly versionId: VersionId },
): Program<boolean> {
  const found = yield* findTombstone(tx, path);
  if (found?.versionId !== versionId) return false;
  tx.delete(tombstoneKey(path));
  return true;
}
