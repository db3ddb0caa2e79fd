import { type FilePath, type Inode, ROOT_INODE } from "../core/ids.ts";
import { type Moment, momentOf } from "../core/moment.ts";
import { prefixRange, type Program, type Reader, type Transaction, type Value } from "../kv/index.ts";
import { decodeAttributes } from "./attributes-codec.ts";
import { decodeContent } from "./content-codec.ts";
import { dropInode, getAttributes, getEntered, touch, writeAttributes } from "./inodes.ts";
import { componentsOf, splitPath } from "./path.ts";
import { attributesKey, contentKey, decodeEntry, encodeEntry, type Entry, entryKey } from "./rows.ts";
import type { FileRecord, FileVersion } from "./types.ts";

/** Directory entries and paths: the steps that every program on the tree is made of. */

const DIRECTORY_MODE = 0o755;

export function* readEntry(tx: Reader, parent: Inode, name: string): Program<Entry | undefined> {
  const row = yield* tx.get(entryKey(parent, name));
  return row === undefined ? undefined : decodeEntry(row);
}

/** The directory's times show that something came, and its links that it is a directory. */
export function* addEntry(tx: Transaction, { parent, name }: Place, entry: Entry, now: Moment): Program<void> {
  tx.put(entryKey(parent, name), encodeEntry(entry));
  touch(tx, parent, now);
  if (entry.kind === "directory") yield* countLinks(tx, parent, 1);
}

/** Of a directory the one that it hung in has one link less. */
export function* dropEntry(tx: Transaction, { parent, name }: Place, { kind }: Entry, now: Moment): Program<void> {
  tx.delete(entryKey(parent, name));
  touch(tx, parent, now);
  if (kind === "directory") yield* countLinks(tx, parent, -1);
}

function* countLinks(tx: Transaction, directory: Inode, more: number): Program<void> {
  const attributes = yield* getAttributes(tx, { inode: directory, kind: "directory" });
  writeAttributes(tx, { ...attributes, linkCount: attributes.linkCount + more });
}

/** The inode of a directory; the empty path is the root. */
export function* findDirectoryInode(tx: Reader, path: string): Program<Inode | undefined> {
  let inode: Inode | undefined = ROOT_INODE;
  for (const component of componentsOf(path)) {
    inode = (yield* readEntry(tx, inode, `${component}/`))?.inode;
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
  const entry = yield* findEntry(tx, path, directory);
  return entry === undefined ? undefined : yield* getEntered(tx, entry);
}

function* findEntry(tx: Reader, path: FilePath, directory: boolean): Program<Entry | undefined> {
  const place = yield* findPlace(tx, path, directory);
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
    const row = yield* tx.get(attributesKey(current));
    const file = row === undefined ? undefined : decodeAttributes(current, row);
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
    const place = { parent: inode, name };
    const attributes = { implicit: true, mode: DIRECTORY_MODE, uid: 0, gid: 0 };
    inode = (found ?? (yield* addDirectory(tx, place, maker, attributes))).inode;
  }
  return inode;
}

export interface DirectoryAttributes {
  readonly implicit: boolean;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export function* addDirectory(
  tx: Transaction,
  place: Place,
  { nowMs, nextInode }: Maker,
  attributes: DirectoryAttributes,
): Program<FileRecord> {
  const now = momentOf(nowMs);
  const directory: FileRecord = {
    inode: nextInode(),
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
    parent: { inode: place.parent, name: place.name.slice(0, -1) },
    ...(attributes.implicit ? { implicit: true } : {}),
  };
  writeAttributes(tx, directory);
  yield* addEntry(tx, place, directory, now);
  return directory;
}

export function* isEmpty(tx: Reader, directory: Inode): Program<boolean> {
  const entries = yield* tx.range({ ...prefixRange(entryKey(directory, "")), limit: 1 });
  return entries.length === 0;
}

/** After an entry went: implicit directories that are empty now go, too, up to the first that stays. */
export function* pruneUpwards(tx: Transaction, from: Inode, nowMs: number): Program<void> {
  let inode = from;
  while (inode !== ROOT_INODE && (yield* isEmpty(tx, inode))) {
    const directory = yield* getAttributes(tx, { inode, kind: "directory" });
    if (directory.implicit !== true || directory.parent === undefined) return;
    const place = { parent: directory.parent.inode, name: `${directory.parent.name}/` };
    yield* dropEntry(tx, place, directory, momentOf(nowMs));
    dropInode(tx, directory);
    inode = place.parent;
  }
}
