import { type FilePath, type Inode, ROOT_INODE } from "../core/ids.ts";
import { momentOf } from "../core/moment.ts";
import { findFirst, type Program, type Reader, type Transaction, type Value } from "../kv/index.ts";
import { decodeContent } from "./content-codec.ts";
import { leaveToPrune } from "./emptied-rows.ts";
import { getAttributes, getEntered, readAttributes } from "./inodes.ts";
import { type Levels, LEVELS_AT_ONCE, MissingLevels } from "./missing-levels.ts";
import { placeInKnown } from "./known-directories.ts";
import { dropName, hangUncounted, type Place, readEntry } from "./names.ts";
import { leaveDirectory, makeAgain } from "./past-directories.ts";
import { NAMELESS } from "./past-rows.ts";
import { componentsOf, splitPath } from "./path.ts";
import { contentKey, type Entry, entryKey } from "./rows.ts";
import type { FileAttributes, FileRecord, FileVersion, KnownDirectory } from "./types.ts";
import { countMade, hasNoUsage } from "./usage.ts";

/** From paths to inodes and back, and the directories that are made for a path. */

const DIRECTORY_MODE = 0o755;

/** The inode of a directory; the empty path is the root. */
export function* findDirectoryInode(tx: Reader, path: string): Program<Inode | undefined> {
  let inode: Inode | undefined = ROOT_INODE;
  for (const component of componentsOf(path)) {
    inode = (yield* readEntry(tx, inode, `${component}/`))?.inode;
    if (inode === undefined) return undefined;
  }
  return inode;
}

/** Where an entry of this path hangs; undefined when its directory is not there. */
export function* findPlace(
  tx: Reader,
  path: FilePath,
  directory: boolean,
  known?: KnownDirectory,
): Program<Place | undefined> {
  const place = directory ? undefined : yield* placeInKnown(tx, path, known);
  if (place !== undefined) return place;
  const { parent, name } = splitPath(path);
  const inode = yield* findDirectoryInode(tx, parent);
  return inode === undefined ? undefined : { parent: inode, name: directory ? `${name}/` : name };
}

function* findAt(
  tx: Reader,
  path: FilePath,
  directory: boolean,
  known?: KnownDirectory,
): Program<FileRecord | undefined> {
  const entry = yield* findEntry(tx, path, directory, known);
  return entry === undefined ? undefined : yield* getEntered(tx, entry);
}

function* findEntry(
  tx: Reader,
  path: FilePath,
  directory: boolean,
  known?: KnownDirectory,
): Program<Entry | undefined> {
  const place = yield* findPlace(tx, path, directory, known);
  return place === undefined ? undefined : yield* readEntry(tx, place.parent, place.name);
}

/** The content of a file as it lies in the catalog: while the row has the same bytes, so has everything about it. */
export interface ContentRow {
  readonly inode: Inode;
  readonly row: Value;
}

/** Undefined also where nobody has written to the file yet. */
export function* findContentRow(tx: Reader, path: FilePath): Program<ContentRow | undefined> {
  const inode = (yield* findEntry(tx, path, false))?.inode;
  const row = inode === undefined ? undefined : yield* tx.get(contentKey(inode));
  return inode === undefined || row === undefined ? undefined : { inode, row };
}

export function readContentRow({ row }: ContentRow): FileVersion {
  return decodeContent(row);
}

/** A file or a symlink. A directory of the same name is another thing. */
export function findFile(tx: Reader, path: FilePath, known?: KnownDirectory): Program<FileRecord | undefined> {
  return findAt(tx, path, false, known);
}

/** What has the path, if its directory is where it was: for who looks again before anything rests on it. */
export function* guessFile(tx: Reader, path: FilePath, known?: KnownDirectory): Program<Inode | undefined> {
  const { parent, name } = splitPath(path);
  const directory = known?.inode ?? (yield* findDirectoryInode(tx, parent));
  return directory === undefined ? undefined : (yield* readEntry(tx, directory, name))?.inode;
}

export function findDirectory(tx: Reader, path: FilePath): Program<FileRecord | undefined> {
  return findAt(tx, path, true);
}

/** The path of a directory, from the parents that each keeps; undefined when it hangs nowhere. The root is "". */
export function* pathOf(tx: Reader, inode: Inode): Program<string | undefined> {
  const names: string[] = [];
  for (let current = inode; current !== ROOT_INODE;) {
    const file: FileAttributes | undefined = yield* readAttributes(tx, current);
    if (file?.parent === undefined) return undefined;
    if (file.parent.name !== NAMELESS) names.unshift(file.parent.name);
    current = file.parent.inode;
  }
  return names.join("/");
}

export interface Maker {
  readonly nowMs: number;
  readonly nextInode: () => Inode;
}

/**
 * Makes what is missing of a directory's path. What is made so is implicit: it goes with its last entry. Throws `MissingLevels` where that is more than goes into
 * one transaction.
 */
export function* ensureDirectory(tx: Transaction, path: string, maker: Maker): Program<Inode> {
  let above: Inode = ROOT_INODE;
  let made: Inode[] = [];
  const components = componentsOf(path);
  for (const [known, component] of components.entries()) {
    const place: Place = { parent: made.at(-1) ?? above, name: `${component}/` };
    const found = yield* readEntry(tx, place.parent, place.name);
    const attributes = { implicit: true, mode: DIRECTORY_MODE, uid: 0, gid: 0 };
    if (found !== undefined) {
      above = found.inode;
      continue;
    }
    if (made.length === 0 && components.length - known > LEVELS_AT_ONCE) {
      const { nowMs } = maker;
      const make: Levels["make"] = (step, prefix, nextInode) => ensureDirectory(step, prefix, { nowMs, nextInode });
      throw new MissingLevels({ path, known, nowMs, make });
    }
    const { inode } = yield* addDirectory(tx, place, maker, attributes);
    made.push(inode);
    if (yield* hasNoUsage(tx, inode)) continue;
    // One that was there before has histories in it, and what is made next may be in those.
    yield* countMade(tx, above, made);
    above = inode;
    made = [];
  }
  yield* countMade(tx, above, made);
  return made.at(-1) ?? above;
}

export interface DirectoryAttributes {
  readonly implicit: boolean;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** The caller counts it. */
export function* addDirectory(
  tx: Transaction,
  place: Place,
  { nowMs, nextInode }: Maker,
  attributes: DirectoryAttributes,
): Program<FileAttributes> {
  const now = momentOf(nowMs);
  const directory: FileAttributes = {
    inode: yield* makeAgain(tx, place, nextInode),
    kind: "directory",
    mode: attributes.mode,
    uid: attributes.uid,
    gid: attributes.gid,
    linkCount: 2,
    sizeBytes: 0,
    accessed: now,
    modified: now,
    changed: now,
    created: now,
    ...(attributes.implicit ? { implicit: true } : {}),
  };
  return yield* hangUncounted(tx, { place, now }, directory);
}

export function* isEmpty(tx: Reader, directory: Inode): Program<boolean> {
  return (yield* findFirst(tx, entryKey(directory, ""))) === undefined;
}

/** After an entry went: implicit directories that are empty now go, too, up to the first that stays. Of many the upper ones are left to a walk. */
export function* pruneUpwards(tx: Transaction, from: Inode, nowMs: number): Program<void> {
  let inode = from;
  for (let levels = 0; inode !== ROOT_INODE && (yield* isEmpty(tx, inode)); levels++) {
    const directory = yield* getAttributes(tx, { inode, kind: "directory" });
    if (directory.implicit !== true || directory.parent === undefined) return;
    if (levels === LEVELS_AT_ONCE) return leaveToPrune(tx, { dueMs: nowMs, directory: inode });
    const place = { parent: directory.parent.inode, name: `${directory.parent.name}/` };
    yield* dropName(tx, place, directory, momentOf(nowMs));
    yield* leaveDirectory(tx, place, directory);
    inode = place.parent;
  }
}
