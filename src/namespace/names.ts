import { type Inode, ROOT_INODE } from "../core/ids.ts";
import { isSameMoment, type Moment } from "../core/moment.ts";
import { type Key, prefixRange, type Program, type Reader, type Transaction } from "../kv/index.ts";
import { getAttributes, touch, writeAttributes } from "./inodes.ts";
import { decodeEntry, encodeEntry, type Entry, entryKey, nameKey, namesOf, placeOfNameKey } from "./rows.ts";
import { changeTree } from "./tree-row.ts";
import type { FileAttributes } from "./types.ts";
import { leaveUploads } from "./uploads.ts";
import { addUsage, hangUsage, usageOfFile } from "./usage.ts";
import { minus } from "./usage-rows.ts";

/**
 * How names lead to inodes, and how inodes know their names. An inode says where it hangs; one with several names has a row for each of them, and says of
 * one where it hangs. The times of a directory show that something came or went, and its links how many directories are in it.
 */
export interface Place {
  readonly parent: Inode;
  /** With a trailing slash for a directory. */
  readonly name: string;
}

export function* readEntry(tx: Reader, parent: Inode, name: string): Program<Entry | undefined> {
  const row = yield* tx.get(entryKey(parent, name));
  return row === undefined ? undefined : decodeEntry(row);
}

/** The first name of an inode that has none. */
export function* addFirstName<File extends FileAttributes>(
  tx: Transaction,
  place: Place,
  unnamed: File,
  now: Moment,
): Program<File> {
  const file = yield* hangUncounted(tx, { place, now }, unnamed);
  yield* countAt(tx, place.parent, file, "comes");
  return file;
}

/** The same, for who counts it among others. */
export function* hangUncounted<File extends FileAttributes>(
  tx: Transaction,
  { place, now }: { readonly place: Place; readonly now: Moment },
  unnamed: File,
): Program<File> {
  const linkCount = unnamed.kind === "directory" ? unnamed.linkCount : 1;
  const file = { ...unnamed, linkCount, parent: hangsAt(place) };
  writeAttributes(tx, file);
  yield* putEntry(tx, place, file);
  yield* tellDirectory(tx, place.parent, file, 1, now);
  return file;
}

/** One more name for something that is no directory. */
export function* addName<File extends FileAttributes>(
  tx: Transaction,
  place: Place,
  file: File,
  now: Moment,
): Program<File> {
  if (file.linkCount === 1 && file.parent !== undefined) putNameRow(tx, file.inode, placeOf(file.parent));
  putNameRow(tx, file.inode, place);
  const named = { ...file, linkCount: file.linkCount + 1, changed: now };
  writeAttributes(tx, named);
  yield* putEntry(tx, place, file);
  yield* tellDirectory(tx, place.parent, file, 1, now);
  return named;
}

/** Gives the inode as it is without that name. One without any has a link count of 0, is written nowhere, and what becomes of it is the caller's. */
export function* dropName<File extends FileAttributes>(
  tx: Transaction,
  place: Place,
  file: File,
  now: Moment,
): Program<File> {
  yield* removeEntry(tx, place, file);
  yield* tellDirectory(tx, place.parent, file, -1, now);
  const { parent, ...rest } = file;
  const linkCount = file.kind === "directory" ? 0 : file.linkCount - 1;
  const left = { ...rest, linkCount, changed: now } as File;
  const leaves = parent === undefined || isAt(parent, place);
  if (leaves) yield* countAt(tx, place.parent, file, "goes");
  if (linkCount === 0) return left;
  tx.delete(nameKey(file.inode, place));
  const [first] = yield* namesOfInode(tx, file.inode, 1);
  const home = !leaves ? parent : first === undefined ? undefined : hangsAt(first);
  if (leaves && home !== undefined) yield* countAt(tx, home.inode, file, "comes");
  // What has one name needs no rows of names.
  if (linkCount === 1 && home !== undefined) tx.delete(nameKey(file.inode, placeOf(home)));
  const named = { ...left, ...(home === undefined ? {} : { parent: home }) };
  writeAttributes(tx, named);
  return named;
}

export interface Move {
  readonly source: Place;
  readonly target: Place;
}

/** The target has to be free. */
export function* moveName<File extends FileAttributes>(
  tx: Transaction,
  { source, target }: Move,
  file: File,
  now: Moment,
): Program<File> {
  yield* removeEntry(tx, source, file);
  yield* putEntry(tx, target, file);
  if (file.kind === "directory") yield* changeTree(tx, { moves: 1 });
  if (source.parent !== target.parent) {
    yield* tellDirectory(tx, source.parent, file, -1, now);
    yield* tellDirectory(tx, target.parent, file, 1, now);
  } else touch(tx, target.parent, now);
  if (file.kind !== "directory" && file.linkCount > 1) {
    tx.delete(nameKey(file.inode, source));
    putNameRow(tx, file.inode, target);
  }
  const stays = file.parent !== undefined && !isAt(file.parent, source);
  if (!stays && source.parent !== target.parent) {
    yield* countAt(tx, source.parent, file, "goes");
    yield* countAt(tx, target.parent, file, "comes");
  }
  const moved = { ...file, changed: now, ...(stays ? {} : { parent: hangsAt(target) }) };
  writeAttributes(tx, moved);
  return moved;
}

/** What hangs at a name counts in its directory; with a directory all that lies in it. */
function* countAt(tx: Transaction, parent: Inode, file: FileAttributes, way: "comes" | "goes"): Program<void> {
  const own = usageOfFile(file);
  yield* addUsage(tx, parent, way === "comes" ? own : minus(own));
  if (file.kind === "directory") yield* hangUsage(tx, { parent, directory: file.inode }, way);
}

/** The names of an inode that has several. */
export function* namesOfInode(tx: Reader, inode: Inode, limit: number): Program<Place[]> {
  const rows = yield* tx.range({ ...prefixRange(namesOf(inode)), limit });
  return rows.map(({ key }) => placeOfNameKey(key));
}

function putNameRow(tx: Transaction, inode: Inode, place: Place): void {
  tx.put(nameKey(inode, place), NOTHING);
}

const NOTHING = Buffer.alloc(0);

function hangsAt({ parent, name }: Place): NonNullable<FileAttributes["parent"]> {
  return { inode: parent, name: name.endsWith("/") ? name.slice(0, -1) : name };
}

/** Of something that is no directory. */
function placeOf({ inode, name }: NonNullable<FileAttributes["parent"]>): Place {
  return { parent: inode, name };
}

function isAt(parent: NonNullable<FileAttributes["parent"]>, place: Place): boolean {
  return parent.inode === place.parent && parent.name === hangsAt(place).name;
}

/** A file beside a directory of its name is marked, so that a file system, where the directory hides it, needs no second look at each name. */
function* putEntry(tx: Transaction, { parent, name }: Place, { inode, kind }: Entry): Program<void> {
  if (kind !== "directory") {
    const hidden = (yield* tx.get(directoryKey(parent, name))) !== undefined;
    tx.put(entryKey(parent, name), encodeEntry({ inode, kind, hidden }));
    return;
  }
  yield* markBeside(tx, { parent, name }, true);
  tx.put(entryKey(parent, name), encodeEntry({ inode, kind }));
}

function* removeEntry(tx: Transaction, { parent, name }: Place, { kind }: Entry): Program<void> {
  tx.delete(entryKey(parent, name));
  if (kind !== "directory") return;
  yield* markBeside(tx, { parent, name }, false);
  if (parent === ROOT_INODE) yield* leaveUploads(tx, name.slice(0, -1));
}

function* markBeside(tx: Transaction, { parent, name }: Place, hidden: boolean): Program<void> {
  const beside = yield* readEntry(tx, parent, name.slice(0, -1));
  if (beside !== undefined) tx.put(entryKey(parent, name.slice(0, -1)), encodeEntry({ ...beside, hidden }));
}

function directoryKey(parent: Inode, name: string): Key {
  return entryKey(parent, `${name}/`);
}

function* tellDirectory(tx: Transaction, directory: Inode, { kind }: Entry, more: 1 | -1, now: Moment): Program<void> {
  if (kind !== "directory") return touch(tx, directory, now);
  const attributes = yield* getAttributes(tx, { inode: directory, kind: "directory" });
  // One that was made just now says so already: a deep path must not take more rows than it has to.
  if (!isSameMoment(attributes.modified, now)) touch(tx, directory, now);
  writeAttributes(tx, { ...attributes, linkCount: attributes.linkCount + more });
}
