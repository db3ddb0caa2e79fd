import type { FilePath } from "../core/ids.ts";
import { encodeKey, prefixRange, type Program, type Reader, tail, type Transaction } from "../kv/index.ts";
import type { VersionRules } from "./bucket-codec.ts";
import { keepsVersions, rulesOf } from "./bucket-rows.ts";
import { historyLayers } from "./history-of-path.ts";
import { readInode } from "./inodes.ts";
import type { Place } from "./names.ts";
import { findOwner, placesOf } from "./owners.ts";
import { splitPath } from "./path.ts";
import type { FileRecord, FileVersion, ObjectPlace } from "./types.ts";

/**
 * A version that a name of several has lost is that of the other names, with its objects; a row says that it was this name's, too. Who has it by now is told
 * by who owns its objects.
 */

const SPACE = "vs";
/** Names that one version was lost by, in one transaction. */
const MOST_NAMES = 50;

type Where = Pick<ObjectPlace, "site" | "key">;

function sharedKey(versionId: string, { parent, name }: Place): Uint8Array {
  return encodeKey(SPACE, versionId, parent, tail(name));
}

/** When a name leads to something else, and others still lead to the file. */
export function rememberShared(tx: Transaction, place: Place, { version }: FileRecord, rules: VersionRules): void {
  if (!keepsVersions(rules) || version?.details?.versioned !== true) return;
  const places: Where[] = version.copies.flatMap(placesOf).map(({ site, key }) => ({ site, key }));
  tx.put(sharedKey(version.id, place), Buffer.from(JSON.stringify(places)));
}

interface Shared {
  readonly place: Place;
  readonly file: FileRecord;
}

function* findPlaceOf(tx: Reader, path: FilePath, shownId: string): Program<Shared | undefined> {
  if (!keepsVersions(yield* rulesOf(tx, path))) return undefined;
  const { parent, name } = splitPath(path);
  for (const { inode } of yield* historyLayers(tx, parent)) {
    const place = { parent: inode, name };
    const row = yield* tx.get(sharedKey(shownId, place));
    if (row === undefined) continue;
    for (const { site, key } of JSON.parse(Buffer.from(row).toString()) as Where[]) {
      const owner = yield* findOwner(tx, site, key);
      if (owner?.versionId !== shownId) continue;
      const file = yield* readInode(tx, owner.inode);
      if (file?.version?.id === shownId) return { place, file };
    }
  }
  return undefined;
}

/** A version that the path had when its file had other names, as those have it. */
export function* findShared(tx: Reader, path: FilePath, shownId: string): Program<FileRecord | undefined> {
  return (yield* findPlaceOf(tx, path, shownId))?.file;
}

/** The path does not know it any more; the other names do. Resolves with whether it did. */
export function* forgetShared(tx: Transaction, path: FilePath, shownId: string): Program<boolean> {
  const shared = yield* findPlaceOf(tx, path, shownId);
  if (shared === undefined) return false;
  tx.delete(sharedKey(shownId, shared.place));
  return true;
}

/** The version is about to go. */
export function* dropShared(tx: Transaction, { id, details }: FileVersion): Program<void> {
  if (details?.versioned !== true) return;
  for (const { key } of yield* tx.range({ ...prefixRange(encodeKey(SPACE, id)), limit: MOST_NAMES })) tx.delete(key);
}
