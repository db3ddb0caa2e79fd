import { GfsError } from "../core/errors.ts";
import type { Inode } from "../core/ids.ts";
import { laterOf, type Moment } from "../core/moment.ts";
import type { Program, Reader, Transaction, Value } from "../kv/index.ts";
import { decodeAttributes, decodeMoment, encodeAttributes, encodeMoment } from "./attributes-codec.ts";
import { decodeContent, encodeContent } from "./content-codec.ts";
import { dropExtended } from "./extended-rows.ts";
import { attributesKey, contentKey, type Entry, touchedKey } from "./rows.ts";
import type { FileAttributes, FileRecord, FileVersion } from "./types.ts";

/** The rows of an inode: attributes, content, and of a directory when an entry last came or went. Rows that change for different reasons are different rows. */

export function* readInode(tx: Reader, inode: Inode): Program<FileRecord | undefined> {
  const [attributes, content, touched] = yield* tx.getMany([
    attributesKey(inode),
    contentKey(inode),
    touchedKey(inode),
  ]);
  return attributes === undefined ? undefined : join(decodeAttributes(inode, attributes), content, touched);
}

/** An entry without its inode is a damaged catalog; it is said, not skipped. */
export function* getInode(tx: Reader, inode: Inode): Program<FileRecord> {
  return (yield* readInode(tx, inode)) ?? missing(inode);
}

/** What an entry leads to: the kind says which rows there are. */
export function* getEntered(tx: Reader, { inode, kind }: Entry): Program<FileRecord> {
  if (kind === "file") {
    const [attributes, content] = yield* tx.getMany([attributesKey(inode), contentKey(inode)]);
    return joinFile(inode, attributes, content);
  }
  return yield* getAttributes(tx, { inode, kind });
}

/** The row alone: of a directory without when an entry last came or went. */
export function* readAttributes(tx: Reader, inode: Inode): Program<FileAttributes | undefined> {
  const row = yield* tx.get(attributesKey(inode));
  return row === undefined ? undefined : decodeAttributes(inode, row);
}

export function* getAttributes(tx: Reader, { inode, kind }: Pick<Entry, "inode" | "kind">): Program<FileAttributes> {
  if (kind !== "directory") return decodeAttributes(inode, (yield* tx.get(attributesKey(inode))) ?? missing(inode));
  const [attributes, touched] = yield* tx.getMany([attributesKey(inode), touchedKey(inode)]);
  return withTouch(decodeAttributes(inode, attributes ?? missing(inode)), touched);
}

/** The rows of a file that an entry names. */
export function joinFile(inode: Inode, attributes: Value | undefined, content: Value | undefined): FileRecord {
  return join(decodeAttributes(inode, attributes ?? missing(inode)), content, undefined);
}

export function* isImplicit(tx: Reader, directory: Inode): Program<boolean> {
  const row = yield* tx.get(attributesKey(directory));
  return decodeAttributes(directory, row ?? missing(directory)).implicit === true;
}

function join(attributes: FileAttributes, content: Value | undefined, touched: Value | undefined): FileRecord {
  if (content !== undefined) (attributes as { version?: FileVersion }).version = decodeContent(content);
  return touched === undefined ? attributes : withTouch(attributes, touched);
}

export function withTouch(directory: FileAttributes, touched: Value | undefined): FileAttributes {
  if (touched === undefined) return directory;
  const modified = decodeMoment(touched);
  return { ...directory, modified, changed: laterOf(directory.changed, modified) };
}

export function missing(inode: Inode): never {
  throw new GfsError(
    "DataCorrupt",
    `Inode ${inode} is named by an entry and missing; \`globalfs meta check\` tells more.`,
  );
}

export function* readContent(tx: Reader, inode: Inode): Program<FileVersion | undefined> {
  const row = yield* tx.get(contentKey(inode));
  return row === undefined ? undefined : decodeContent(row);
}

export function writeAttributes(tx: Transaction, file: FileAttributes): void {
  tx.put(attributesKey(file.inode), encodeAttributes(file));
}

export function writeContent(tx: Transaction, inode: Inode, version: FileVersion): void {
  tx.put(contentKey(inode), encodeContent(version));
}

/** For a directory to which an entry came, or from which one went. Nothing of it is read, so that writers in one directory do not meet here. */
export function touch(tx: Transaction, directory: Inode, now: Moment): void {
  tx.put(touchedKey(directory), encodeMoment(now));
}

const FILE_MODE = 0o644;

/** A file that an object came to be, with the attributes that nobody chose. */
export function newFile(made: {
  readonly inode: Inode;
  readonly version: FileVersion;
  readonly modified: Moment;
  readonly now: Moment;
}): FileRecord & { readonly version: FileVersion } {
  const { inode, version, modified, now } = made;
  const times = { accessed: modified, modified, changed: now, created: now };
  const owner = { mode: FILE_MODE, uid: 0, gid: 0 };
  return { inode, kind: "file", ...owner, linkCount: 1, sizeBytes: version.sizeBytes, ...times, version };
}

/** All rows of an inode that nothing leads to any more. */
export function* dropInode(tx: Transaction, file: FileAttributes): Program<void> {
  const { inode, kind } = file;
  tx.delete(attributesKey(inode));
  yield* dropExtended(tx, file);
  if (kind === "file") tx.delete(contentKey(inode));
  if (kind === "directory") tx.delete(touchedKey(inode));
}
