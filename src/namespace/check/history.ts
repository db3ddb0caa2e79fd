import type { FilePath, Inode } from "../../core/ids.ts";
import type { KvEntry, Program, Reader } from "../../kv/index.ts";
import { keepsVersions, rulesOf } from "../bucket-rows.ts";
import { newestOf } from "../history-of-path.ts";
import {
  decodeHistory,
  decodeSequence,
  historyKey,
  indexKey,
  type Named,
  placeOfIndexKey,
  shownVersionId,
} from "../history-rows.ts";
import { readContent, readInode } from "../inodes.ts";
import { hasHistoryIn } from "../past-directories.ts";
import { decodePast, NAMELESS, placeOfPastKey } from "../past-rows.ts";
import { findFile, pathOf } from "../tree.ts";
import { isSameRow } from "../version-names.ts";

import type { InodeSet } from "./inode-set.ts";
import type { Fault } from "./scan.ts";

/** Holds histories, their index and past directories against the other rows. */

/** Undefined when the directory hangs nowhere. */
function* pathOfNamed(tx: Reader, { directory, name }: Named): Program<FilePath | undefined> {
  const above = yield* pathOf(tx, directory);
  if (above === undefined) return undefined;
  return (above === "" ? name : `${above}/${name}`) as FilePath;
}

export function* checkHistory(tx: Reader, entry: KvEntry, fault: Fault): Program<void> {
  const row = decodeHistory(entry.key, entry.value);
  const { versionId } = row;
  const path = yield* pathOfNamed(tx, row);
  if (path === undefined)
    return fault(`Version ${versionId} of ${row.name} hangs in inode ${row.directory}, which hangs nowhere.`);
  const index = yield* tx.get(indexKey(row, shownVersionId(row)));
  if (index === undefined || decodeSequence(index) !== row.sequence)
    fault(`Version ${versionId} of ${path} is not in the index of its history.`);
  const version = row.inode === undefined ? undefined : yield* readContent(tx, row.inode);
  if (row.inode !== undefined && version?.id !== versionId)
    fault(`Version ${versionId} of ${path} leads to inode ${row.inode}, which does not hold it.`);
  const versioned = version?.details?.versioned === true;
  // Below another directory of its name a version goes by its id, whatever its row says.
  if (version !== undefined && versioned !== row.versioned && !(versioned && (yield* isCovered(tx, row.directory))))
    fault(`Version ${versionId} of ${path} and its row of history disagree whether it has an id.`);
  if (!keepsVersions(yield* rulesOf(tx, path))) return fault(`${path} has older versions in a bucket that keeps none.`);
  if (row.inode === undefined || (yield* findFile(tx, path)) !== undefined) return;
  if (isSameRow(yield* newestOf(tx, path), row))
    fault(`${path} has no entry, and its newest version ${versionId} is no delete marker.`);
}

function* isCovered(tx: Reader, directory: Inode): Program<boolean> {
  for (let inode = directory; ;) {
    const parent = (yield* readInode(tx, inode))?.parent;
    if (parent === undefined) return false;
    if (parent.name === NAMELESS) return true;
    inode = parent.inode;
  }
}

export function* checkIndex(tx: Reader, entry: KvEntry, fault: Fault): Program<void> {
  const { shownId, ...named } = placeOfIndexKey(entry.key);
  const key = historyKey(named, decodeSequence(entry.value));
  if ((yield* tx.get(key)) !== undefined) return;
  const path = (yield* pathOfNamed(tx, named)) ?? named.name;
  fault(`The index has version ${shownId} of ${path}, and the history has not.`);
}

export function* checkPast(
  tx: Reader,
  entry: KvEntry,
  { emptied, fault }: { readonly emptied: InodeSet; readonly fault: Fault },
): Program<void> {
  const { directory, name } = placeOfPastKey(entry.key);
  const inode = decodePast(entry.value);
  const past = yield* readInode(tx, inode);
  if (past?.kind !== "directory")
    return fault(`The past directory ${name} in ${directory} leads to inode ${inode}, which is none.`);
  const says = past.parent?.name === NAMELESS ? NAMELESS : `${past.parent?.name}/`;
  if (past.parent?.inode !== directory || says !== name)
    fault(`The past directory ${inode} hangs at ${name} in ${directory} and says otherwise.`);
  if (!emptied.has(inode) && !(yield* hasHistoryIn(tx, inode)))
    fault(`There is no history in the past directory ${inode}.`);
}
