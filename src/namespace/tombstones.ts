import type { FilePath, VersionId } from "../core/ids.ts";
import { type Program, type Reader, type Transaction } from "../kv/index.ts";
import { isNameable } from "./path.ts";
import {
  decodeTombstone,
  encodeTombstone,
  placeOfTombstoneAgeKey,
  tombstoneAgeKey,
  tombstoneAgeSpace,
  tombstoneKey,
} from "./rows.ts";
import type { ForeignObject, Tombstone } from "./types.ts";

/** Remembered deletes, by object key. They outlive a file that is written under the name anew: its path may be renamed away later. */

const MAX_ETAGS = 32;

export function* findTombstone(tx: Reader, path: FilePath): Program<Tombstone | undefined> {
  const row = yield* tx.get(tombstoneKey(path));
  return row === undefined ? undefined : decodeTombstone(path, row);
}

export type Entombed = Omit<Tombstone, "versions"> & Partial<Pick<Tombstone, "versions">>;

/** Adds to what is remembered under the key already. Keys that no path can name, our own among them, need none. */
export function* entombKey(tx: Transaction, tombstone: Entombed): Program<void> {
  if (!isNameable(tombstone.path)) return;
  const before = yield* findTombstone(tx, tombstone.path);
  const etags = [...new Set([...tombstone.etags, ...(before?.etags ?? [])])].slice(0, MAX_ETAGS);
  const versions = [...new Set([...(tombstone.versions ?? []), ...(before?.versions ?? [])])].slice(0, MAX_ETAGS);
  const deletedMs = Math.max(tombstone.deletedMs, before?.deletedMs ?? tombstone.deletedMs);
  const versionId =
    before !== undefined && before.versionId > tombstone.versionId ? before.versionId : tombstone.versionId;
  if (before !== undefined && before.deletedMs !== deletedMs)
    tx.delete(tombstoneAgeKey(before.deletedMs, tombstone.path));
  tx.put(tombstoneAgeKey(deletedMs, tombstone.path), Buffer.alloc(0));
  tx.put(
    tombstoneKey(tombstone.path),
    encodeTombstone({ path: tombstone.path, deletedMs, versionId, etags, versions }),
  );
}

/**
 * Tombstones beat objects that are not newer, and late copies of the very content that was deleted. Of our own objects the version says
 * which is newer: a site's clock may be behind, and its times coarse.
 */
export function isBuried(tombstone: Tombstone | undefined, object: ForeignObject): boolean {
  if (tombstone === undefined) return false;
  const written = object.metadata["globalfs-version"];
  if (written !== undefined) return written <= tombstone.versionId || tombstone.versions.includes(written);
  return object.modifiedMs <= tombstone.deletedMs || tombstone.etags.includes(object.etag);
}

/** A tombstone whose time to be looked at has come. */
export interface OldTombstone {
  readonly path: FilePath;
  /** Of the row that says so. */
  readonly sinceMs: number;
  readonly versionId?: VersionId;
  /** Absent when it has gone, or is another's by now. */
  readonly deletedMs?: number;
}

/** Those that were to be looked at by `untilMs`, the oldest first. */
export function* oldTombstones(
  tx: Reader,
  { untilMs, limit }: { readonly untilMs: number; readonly limit: number },
): Program<OldTombstone[]> {
  const old: OldTombstone[] = [];
  if (untilMs < 0) return old;
  for (const { key } of yield* tx.range({ start: tombstoneAgeSpace, end: tombstoneAgeKey(untilMs + 1, ""), limit })) {
    const { sinceMs, path } = placeOfTombstoneAgeKey(key);
    const found = yield* findTombstone(tx, path);
    // A delete that came since has a row of its own.
    const isNewer = found === undefined || found.deletedMs > untilMs;
    old.push({ path, sinceMs, ...(isNewer ? {} : { versionId: found.versionId, deletedMs: found.deletedMs }) });
  }
  return old;
}

/** Only the one that was looked at: a delete that came since keeps its own. False when it has changed. */
export function* dropTombstone(tx: Transaction, { path, sinceMs, versionId }: OldTombstone): Program<boolean> {
  tx.delete(tombstoneAgeKey(sinceMs, path));
  const found = versionId === undefined ? undefined : yield* findTombstone(tx, path);
  if (found === undefined || found.versionId !== versionId) return false;
  tx.delete(tombstoneKey(path));
  tx.delete(tombstoneAgeKey(found.deletedMs, path));
  return true;
}

/** There is a reason to keep it for now. */
export function postponeTombstone(tx: Transaction, { path, sinceMs }: OldTombstone, untilMs: number): void {
  tx.delete(tombstoneAgeKey(sinceMs, path));
  tx.put(tombstoneAgeKey(untilMs, path), Buffer.alloc(0));
}
