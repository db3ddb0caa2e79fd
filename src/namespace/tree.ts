import { GfsError } from "../core/errors.ts";
import { type FilePath, type Inode, ROOT_INODE } from "../core/ids.ts";
import { prefixRange, type Program, type Reader, type Transaction, type Value } from "../kv/index.ts";
import { componentsOf, splitPath } from "./path.ts";
import { decodeRecord, encodeRecord } from "./record-codec.ts";
import { decodeEntry, encodeEntry, entryKey, inodeKey } from "./rows.ts";
import type { FileRecord } from "./types.ts";

/** Inodes and directory entries: the steps that every program on the tree is made of. */

const DIRECTORY_MODE = 0o755;

export function* readInode(tx: Reader, inode: Inode): Program<FileRecord | undefined> {
  const row = yield* tx.get(inodeKey(inode));
  return row === undefined ? undefined : decodeRecord(inode, row);
}

/** An entry without its inode is a damaged catalog; it is said, not skipped. */
export function* getInode(tx: Reader, inode: Inode): Program<FileRecord> {
  return (yield* readInode(tx, inode)) ?? missing(inode);
}

export function missing(inode: Inode): never {
  throw new GfsError(
    "DataCorrupt",
    `Inode ${inode} is named by an entry and missing; \`globalfs meta check\` tells more.`,
  );
}

export function writeInode(tx: Transaction, file: FileRecord): void {
  tx.put(inodeKey(file.inode), encodeRecord(file));
}

export function* readEntry(tx: Reader, parent: Inode, name: string): Program<Inode | undefined> {
  const row = yield* tx.get(entryKey(parent, name));
  return row === undefined ? undefined : decodeEntry(row);
}

export function writeEntry(tx: Transaction, parent: Inode, name: string, inode: Inode): void {
  tx.put(entryKey(parent, name), encodeEntry(inode));
}

export function removeEntry(tx: Transaction, parent: Inode, name: string): void {
  tx.delete(entryKey(parent, name));
}

/** The inode of a directory; the empty path is the root. */
export function* findDirectoryInode(tx: Reader, path: string): Program<Inode | undefined> {
  let inode: Inode | undefined = ROOT_INODE;
  for (const component of componentsOf(path)) {
    inode = yield* readEntry(tx, inode, `${component}/`);
    if (inode === undefined) return undefined;
  }
  return inode;
}

export interface Place {
  readonly parent: Inode;
  /** With a trailing slash for a directory. */
  readonly name: string;
}

/** Where an entry of this path hangs; undefined when its directory is not there. */
export function* findPlace(tx: Reader, path: FilePath, directory: boolean): Program<Place | undefined> {
  const { parent, name } = splitPath(path);
  const inode = yield* findDirectoryInode(tx, parent);
  return inode === undefined ? undefined : { parent: inode, name: directory ? `${name}/` : name };
}

function* findAt(tx: Reader, path: FilePath, directory: boolean): Program<FileRecord | undefined> {
  const inode = yield* findEntry(tx, path, directory);
  return inode === undefined ? undefined : yield* getInode(tx, inode);
}

function* findEntry(tx: Reader, path: FilePath, directory: boolean): Program<Inode | undefined> {
  const place = yield* findPlace(tx, path, directory);
  return place === undefined ? undefined : yield* readEntry(tx, place.parent, place.name);
}

/** A file as it lies in the catalog: while the row has the same bytes, so has everything about it. */
export interface FileRow {
  readonly inode: Inode;
  readonly row: Value;
}

export function* findFileRow(tx: Reader, path: FilePath): Program<FileRow | undefined> {
  const inode = yield* findEntry(tx, path, false);
  if (inode === undefined) return undefined;
  return { inode, row: (yield* tx.get(inodeKey(inode))) ?? missing(inode) };
}

export function readFileRow({ inode, row }: FileRow): FileRecord {
  return decodeRecord(inode, row);
}

/** A file or a symlink. A directory of the same name is another thing. */
export function findFile(tx: Reader, path: FilePath): Program<FileRecord | undefined> {
  return findAt(tx, path, false);
}

export function findDirectory(tx: Reader, path: FilePath): Program<FileRecord | undefined> {
  return findAt(tx, path, true);
}

/** The path of a directory, from the parents that each keeps; undefined when it hangs nowhere. The root is "". */
export function* pathOf(tx: Reader, inode: Inode): Program<string | undefined> {
  const names: string[] = [];
  for (let current = inode; current !== ROOT_INODE;) {
    const file = yield* readInode(tx, current);
    if (file?.parent === undefined) return undefined;
    names.unshift(file.parent.name);
    current = file.parent.inode;
  }
  return names.join("/");
}

export interface Maker {
  readonly nowMs: number;
  readonly nextInode: () => Inode;
}

/** Makes what is missing of a directory's path. What is made so is implicit: it goes with its last entry. */
export function* ensureDirectory(tx: Transaction, path: string, maker: Maker): Program<Inode> {
  let inode: Inode = ROOT_INODE;
  for (const component of componentsOf(path)) {
    const name = `${component}/`;
    const found = yield* readEntry(tx, inode, name);
    inode =
      found ??
      addDirectory(tx, { parent: inode, name }, maker, { implicit: true, mode: DIRECTORY_MODE, uid: 0, gid: 0 }).inode;
  }
  return inode;
}

export interface DirectoryAttributes {
  readonly implicit: boolean;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export function addDirectory(
  tx: Transaction,
  place: Place,
  { nowMs, nextInode }: Maker,
  attributes: DirectoryAttributes,
): FileRecord {
  const directory: FileRecord = {
    inode: nextInode(),
    kind: "directory",
    mode: attributes.mode,
    uid: attributes.uid,
    gid: attributes.gid,
    linkCount: 1,
    createdMs: nowMs,
    modifiedMs: nowMs,
    changedMs: nowMs,
    parent: { inode: place.parent, name: place.name.slice(0, -1) },
    ...(attributes.implicit ? { implicit: true } : {}),
  };
  writeInode(tx, directory);
  writeEntry(tx, place.parent, place.name, directory.inode);
  return directory;
}

export function* isEmpty(tx: Reader, directory: Inode): Program<boolean> {
  const entries = yield* tx.range({ ...prefixRange(entryKey(directory, "")), limit: 1 });
  return entries.length === 0;
}

/** After an entry went: implicit directories that are empty now go, too, up to the first that stays. */
export function* pruneUpwards(tx: Transaction, from: Inode): Program<void> {
  let inode = from;
  while (inode !== ROOT_INODE && (yield* isEmpty(tx, inode))) {
    const directory = yield* getInode(tx, inode);
    if (directory.implicit !== true || directory.parent === undefined) return;
    removeEntry(tx, directory.parent.inode, `${directory.parent.name}/`);
    tx.delete(inodeKey(inode));
    inode = directory.parent.inode;
  }
}
