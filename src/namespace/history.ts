import type { FilePath, Inode } from "../core/ids.ts";
import { type Moment, momentOf } from "../core/moment.ts";
import type { Program, Reader, Transaction } from "../kv/index.ts";
import type { VersionRules } from "./bucket-codec.ts";
import { keepsVersions } from "./bucket-rows.ts";
import { recordChange } from "./changes.ts";
import { findHistory, newestOf, pushHistory } from "./history-of-path.ts";
import { dropHistory, type HistoryRow, NULL, shownIdOf } from "./history-rows.ts";
import { assertDestroyable, type Destroyer } from "./locks.ts";
import { placesOf, releaseAll } from "./owners.ts";
import { splitPath } from "./path.ts";
import { dropInode, getInode, writeAttributes, writeContent } from "./inodes.ts";
import { prunePast } from "./past-directories.ts";
import { encodeOwner, ownerKey } from "./rows.ts";
import { addFirstName, type Place } from "./names.ts";
import { dropShared } from "./shared-versions.ts";
import { ensureDirectory, findFile, type Maker } from "./tree.ts";
import type { FileRecord, FileVersion, ObjectPlace } from "./types.ts";
import { addUsage, countResize } from "./usage.ts";
import { minus, type Usage } from "./usage-rows.ts";
import { dropVersionParts } from "./version-parts.ts";

/** How versions come into a path's history and out of it again. */

export interface Retire {
  readonly place: Place;
  /** The file as it was. */
  readonly file: FileRecord;
  readonly version: FileVersion;
  /** An inode of its own for the version; absent: the file's, which no name leads to any more. */
  readonly holder?: Inode;
  readonly now: Moment;
}

/** The version stays, with its copies, in a holder that only its history row leads to. */
export function* retire(tx: Transaction, { place, file, version, holder, now }: Retire): Program<FileRecord> {
  // Extended attributes stay with the inode that they hang at, and so does who may write to it.
  const { parent: _, extended, writeEpoch, ...kept } = file;
  const own =
    holder === undefined
      ? { ...(extended === undefined ? {} : { extended }), ...(writeEpoch === undefined ? {} : { writeEpoch }) }
      : {};
  const held: FileRecord = {
    ...kept,
    ...own,
    inode: holder ?? file.inode,
    linkCount: 0,
    changed: now,
    version,
  };
  writeAttributes(tx, held);
  if (holder !== undefined || version !== file.version) writeContent(tx, held.inode, version);
  if (holder !== undefined) takeOver(tx, holder, version);
  yield* pushHistory(tx, {
    directory: place.parent,
    name: place.name,
    versionId: version.id,
    versioned: version.details?.versioned === true,
    createdMs: version.createdMs,
    inode: held.inode,
  });
  yield* addUsage(tx, place.parent, usageOfOlder(version));
  return held;
}

function usageOfOlder({ sizeBytes }: FileVersion): Usage {
  return { sizeBytes: 0, inodes: 0, olderBytes: sizeBytes };
}

/** The objects stay where they are; only whose they are changes. */
function takeOver(tx: Transaction, inode: Inode, version: FileVersion): void {
  for (const { site, key } of version.copies.flatMap(placesOf))
    tx.put(ownerKey(site, key), encodeOwner({ inode, versionId: version.id }));
}

export interface Destroyed {
  readonly file?: FileRecord;
  readonly orphans: readonly ObjectPlace[];
}

/** Takes a row out of the history for good, with the version that it leads to. */
export function* destroyRow(tx: Transaction, row: HistoryRow, destroyer: Destroyer): Program<Destroyed> {
  if (row.inode === undefined) {
    yield* takeOff(tx, row);
    return { orphans: [] };
  }
  const file = yield* getHeld(tx, row, row.inode);
  assertDestroyable(file.version, destroyer);
  if (file.version !== undefined) yield* addUsage(tx, row.directory, minus(usageOfOlder(file.version)));
  yield* takeOff(tx, row);
  yield* dropInode(tx, file);
  if (file.version !== undefined) {
    dropVersionParts(tx, file.version);
    yield* dropShared(tx, file.version);
  }
  return { file, orphans: yield* releaseAll(tx, file, { nowMs: destroyer.nowMs }) };
}

/** Takes a row away, and what was there only for it. */
function* takeOff(tx: Transaction, row: HistoryRow): Program<void> {
  dropHistory(tx, row);
  yield* prunePast(tx, row.directory);
}

/** The version that a row leads to, as it shows. */
export function* getHeld(tx: Reader, { wasNull }: HistoryRow, holder: Inode): Program<FileRecord> {
  const file = yield* getInode(tx, holder);
  if (wasNull !== true || file.version === undefined) return file;
  const { version } = file;
  return { ...file, version: { ...version, details: { ...version.details, versioned: true } } };
}

/** A path has one version that S3 calls `null`: a new one takes the place of the old. */
export function* destroyNull(tx: Transaction, destroyer: Destroyer): Program<readonly ObjectPlace[]> {
  const row = yield* findHistory(tx, destroyer.path, NULL);
  return row === undefined ? [] : (yield* destroyRow(tx, row, destroyer)).orphans;
}

/** The same, where the rules are such that what comes now is called `null`, too. */
export function* clearNull(
  tx: Transaction,
  rules: VersionRules,
  destroyer: Destroyer,
): Program<readonly ObjectPlace[]> {
  return rules.versioning === "suspended" ? yield* destroyNull(tx, destroyer) : [];
}

export interface FoundAt {
  readonly path: FilePath;
  readonly rules: VersionRules;
  readonly current: FileVersion | undefined;
}

/** An object that another tool wrote is S3's `null` version, unless the path has one: then it gets an id, so that both stay. */
export function* rulesForFound(tx: Reader, { path, rules, current }: FoundAt): Program<VersionRules> {
  if (!keepsVersions(rules)) return rules;
  const taken =
    (current !== undefined && shownIdOf(current) === NULL) || (yield* findHistory(tx, path, NULL)) !== undefined;
  return { ...rules, versioning: taken ? "enabled" : "suspended" };
}

export interface Promote extends Maker {
  readonly path: FilePath;
  /** The file whose version went; absent: the path has no entry. */
  readonly into?: FileRecord;
}

/** The newest of the history becomes the current version again; undefined, and nothing is done, when that is a delete marker or nothing. */
export function* promote(tx: Transaction, request: Promote): Program<FileRecord | undefined> {
  const { path, into, nowMs } = request;
  const row = yield* newestOf(tx, path);
  if (row?.inode === undefined) return undefined;
  const holder = yield* getHeld(tx, row, row.inode);
  const version = holder.version as FileVersion;
  dropHistory(tx, row);
  yield* addUsage(tx, row.directory, minus(usageOfOlder(version)));
  const now = momentOf(nowMs);
  const { sizeBytes } = version;
  let file: FileRecord;
  if (into === undefined) {
    const { parent, name } = splitPath(path);
    const place = { parent: yield* ensureDirectory(tx, parent, request), name };
    file = yield* addFirstName(tx, place, { ...holder, changed: now }, now);
    if (row.wasNull === true) writeContent(tx, file.inode, version);
  } else {
    yield* countResize(tx, into, sizeBytes);
    file = { ...into, version, sizeBytes, modified: momentOf(version.createdMs), changed: now };
    writeAttributes(tx, file);
    writeContent(tx, file.inode, version);
    yield* dropInode(tx, holder);
    takeOver(tx, file.inode, version);
  }
  yield* prunePast(tx, row.directory);
  recordChange(tx, {
    kind: into === undefined ? "created" : "updated",
    path,
    inode: file.inode,
    versionId: version.id,
    atMs: nowMs,
    cause: "uncovered",
  });
  return file;
}

export type FoundVersion =
  | { readonly kind: "current"; readonly file: FileRecord }
  | { readonly kind: "older"; readonly file: FileRecord; readonly row: HistoryRow }
  | { readonly kind: "marker"; readonly row: HistoryRow };

/** The version of a path that S3 knows by this id. */
export function* findVersion(tx: Reader, path: FilePath, shownId: string): Program<FoundVersion | undefined> {
  const file = yield* findFile(tx, path);
  if (file?.version !== undefined && shownIdOf(file.version) === shownId) return { kind: "current", file };
  const row = yield* findHistory(tx, path, shownId);
  if (row === undefined) return undefined;
  if (row.inode === undefined) return { kind: "marker", row };
  return { kind: "older", file: yield* getHeld(tx, row, row.inode), row };
}

/** The delete marker that hides a path which has no entry. */
export function* findMarker(tx: Reader, path: FilePath): Program<HistoryRow | undefined> {
  const row = yield* newestOf(tx, path);
  return row?.inode === undefined ? row : undefined;
}
