import { textOfBytes } from "../core/byte-text.ts";
import type { FilePath, Inode, SiteName, VersionId } from "../core/ids.ts";
import { decodeKey, encodeKey, type Key, tail } from "../kv/index.ts";
import { KIND_MASK, KINDS } from "./attributes-codec.ts";
import { corrupt, RowReader, RowWriter } from "./bytes.ts";
import type { Change, ChangeCause, ChangeKind, FileKind, Owner, Tombstone } from "./types.ts";

/** The keys of every row the namespace keeps, and the codecs of the small ones. `docs/formats.md` lists them for readers of a catalog. */

const ATTRIBUTES = "i";
const CONTENT = "ic";
const TOUCHED = "it";
const NAME = "in";
const ENTRY = "d";
const OWNER = "o";
const TOMBSTONE = "t";
const TOMBSTONE_AGE = "ta";
const CHANGE = "c";
const ALLOCATION = "n";
const BUCKET = "b";
const BUCKET_DOCUMENT = "bd";

const HIGH = 2 ** 32;

export const attributesSpace = encodeKey(ATTRIBUTES);
export const contentSpace = encodeKey(CONTENT);
export const touchedSpace = encodeKey(TOUCHED);
export const nameSpace = encodeKey(NAME);
export const entrySpace = encodeKey(ENTRY);
export const ownerSpace = encodeKey(OWNER);
export const tombstoneAgeSpace = encodeKey(TOMBSTONE_AGE);
export const changeSpace = encodeKey(CHANGE);
export const inodeCounterKey = encodeKey(ALLOCATION, "inodes");
export const bucketSpace = encodeKey(BUCKET);
export const bucketGenerationKey = encodeKey(ALLOCATION, "buckets");
/** Up to which position the change feed is forgotten. */
export const changesForgottenKey = encodeKey(ALLOCATION, "changes");

/** The key of a row that an inode has one of. */
export function inodeKey(space: Key, inode: Inode): Key {
  const key = Buffer.allocUnsafe(space.byteLength + 8);
  putNumber(key, putSpace(key, space), inode);
  return key;
}

/** These keys are made for every look at the tree, and byte by byte is the quickest way for as few. */
function putSpace(key: Buffer, space: Key): number {
  for (let index = 0; index < space.byteLength; index++) key[index] = space[index] as number;
  return space.byteLength;
}

function putNumber(key: Buffer, offset: number, value: number): number {
  const [high, low] = [Math.floor(value / HIGH), value % HIGH];
  for (let byte = 0; byte < 4; byte++) {
    key[offset + byte] = high >>> (24 - 8 * byte);
    key[offset + 4 + byte] = low >>> (24 - 8 * byte);
  }
  return offset + 8;
}

export function attributesKey(inode: Inode): Key {
  return inodeKey(attributesSpace, inode);
}

export function contentKey(inode: Inode): Key {
  return inodeKey(contentSpace, inode);
}

/** When an entry last came to a directory or went from it. */
export function touchedKey(inode: Inode): Key {
  return inodeKey(touchedSpace, inode);
}

/** A name of an inode that has several. */
export function nameKey(inode: Inode, { parent, name }: { readonly parent: Inode; readonly name: string }): Key {
  return encodeKey(NAME, inode, parent, tail(name));
}

export function namesOf(inode: Inode): Key {
  return encodeKey(NAME, inode);
}

export function placeOfNameKey(key: Key): { readonly inode: Inode; readonly parent: Inode; readonly name: string } {
  const [inode, parent, name] = decodeKey(key, ["number", "number", "tail"]);
  return { inode: inode as Inode, parent: parent as Inode, name: name as string };
}

/** Of any of the rows of an inode. */
export function inodeOfKey(key: Key): Inode {
  return decodeKey(key, ["number"])[0] as Inode;
}

/** A directory's name ends in a slash, so that a scan of the entries comes out in the order S3 lists keys. */
export function entryKey(parent: Inode, name: string): Key {
  const key = Buffer.allocUnsafe(NAME_OFFSET + name.length);
  putNumber(key, putSpace(key, entrySpace), parent);
  for (let index = 0; index < name.length; index++) {
    const unit = name.charCodeAt(index);
    if (unit > MAX_ASCII) return encodeKey(ENTRY, parent, tail(name));
    key[NAME_OFFSET + index] = unit;
  }
  return key;
}

const NAME_OFFSET = entrySpace.byteLength + 8;
const MAX_ASCII = 0x7f;
const SLASH = 0x2f;

export function isDirectoryEntry(key: Key): boolean {
  return key[key.byteLength - 1] === SLASH;
}

export function nameOfEntryKey(key: Key): string {
  const bytes = Buffer.isBuffer(key) ? key : Buffer.from(key.buffer, key.byteOffset, key.byteLength);
  return textOfBytes(bytes, NAME_OFFSET);
}

export function parentOfEntryKey(key: Key): Inode {
  return decodeKey(key, ["number", "tail"])[0] as Inode;
}

/** The kind stands beside the inode, so that whoever reads a directory knows which rows to ask for. It never changes. */
export interface Entry {
  readonly inode: Inode;
  readonly kind: FileKind;
  /** Of what is no directory: one of the same name is beside it, and hides it where names have no slashes. */
  readonly hidden?: boolean;
}

export function encodeEntry({ inode, kind, hidden }: Entry): Buffer {
  const row = new RowWriter();
  row.byte(KINDS.indexOf(kind) | (hidden === true ? HIDDEN : 0));
  row.count(inode);
  return row.finish();
}

export function decodeEntry(bytes: Uint8Array): Entry {
  const row = new RowReader(bytes);
  const flags = row.byte();
  const kind = KINDS[flags & KIND_MASK];
  if (kind === undefined) throw corrupt();
  const inode = row.count() as Inode;
  row.end();
  return flags & HIDDEN ? { inode, kind, hidden: true } : { inode, kind };
}

const HIDDEN = 1 << 3;

export function ownerKey(site: SiteName, objectKey: string): Key {
  return encodeKey(OWNER, site, tail(objectKey));
}

/** All that lies at a site. */
export function ownerRange(site: SiteName): Key {
  return encodeKey(OWNER, site);
}

export function placeOfOwnerKey(key: Key): { readonly site: SiteName; readonly objectKey: string } {
  const [site, objectKey] = decodeKey(key, ["string", "tail"]);
  return { site: site as SiteName, objectKey: objectKey as string };
}

export function encodeOwner({ inode, versionId }: Owner): Buffer {
  const row = new RowWriter();
  row.count(inode);
  row.text(versionId);
  return row.finish();
}

export function decodeOwner(bytes: Uint8Array): Owner {
  const row = new RowReader(bytes);
  const owner = { inode: row.count() as Inode, versionId: row.text() as VersionId };
  row.end();
  return owner;
}

/** Tombstones by when they are to be looked at, counted from their delete. */
export function tombstoneAgeKey(sinceMs: number, path: string): Key {
  return encodeKey(TOMBSTONE_AGE, Math.max(0, Math.floor(sinceMs)), tail(path));
}

export function placeOfTombstoneAgeKey(key: Key): { readonly sinceMs: number; readonly path: FilePath } {
  const [sinceMs, path] = decodeKey(key, ["number", "tail"]);
  return { sinceMs: sinceMs as number, path: path as FilePath };
}

export function tombstoneKey(path: string): Key {
  return encodeKey(TOMBSTONE, tail(path));
}

export function encodeTombstone(tombstone: Tombstone): Buffer {
  const row = new RowWriter();
  row.time(tombstone.deletedMs);
  row.text(tombstone.versionId);
  row.count(tombstone.etags.length);
  for (const etag of tombstone.etags) row.text(etag);
  row.count(tombstone.versions.length);
  for (const version of tombstone.versions) row.text(version);
  return row.finish();
}

export function decodeTombstone(path: FilePath, bytes: Uint8Array): Tombstone {
  const row = new RowReader(bytes);
  const deletedMs = row.time();
  const versionId = row.text() as VersionId;
  const etags: string[] = [];
  for (let left = row.count(); left > 0; left--) etags.push(row.text());
  const versions: string[] = [];
  for (let left = row.count(); left > 0; left--) versions.push(row.text());
  row.end();
  return { path, deletedMs, versionId, etags, versions };
}

export function bucketKey(name: string): Key {
  return encodeKey(BUCKET, tail(name));
}

export function nameOfBucketKey(key: Key): string {
  return decodeKey(key, ["tail"])[0] as string;
}

/** They hang at the inode that the bucket's row names, so that none of them moves when the bucket gets another name. */
export function bucketDocumentKey(documentsOf: Inode, document: string): Key {
  return encodeKey(BUCKET_DOCUMENT, documentsOf, tail(document));
}

export const bucketDocumentSpace = encodeKey(BUCKET_DOCUMENT);

export function inodeOfDocumentKey(key: Key): Inode {
  return decodeKey(key, ["number", "tail"])[0] as Inode;
}

export function documentOfKey(key: Key): string {
  return decodeKey(key, ["number", "tail"])[1] as string;
}

export function encodeNumber(value: number): Buffer {
  const row = new RowWriter();
  row.count(value);
  return row.finish();
}

export function decodeNumber(bytes: Uint8Array): number {
  const row = new RowReader(bytes);
  const value = row.count();
  row.end();
  return value;
}

const CHANGE_KINDS: readonly ChangeKind[] = ["created", "updated", "removed", "renamed"];
const CHANGE_CAUSES: readonly ChangeCause[] = [
  "copied",
  "assembled",
  "hidden",
  "uncovered",
  "tagged",
  "untagged",
  "labelled",
  "expired",
];
const HAS_FROM = 1 << 3;
const HAS_VERSION = 1 << 4;
const HAS_CAUSE = 1 << 5;

export function encodeChange(change: Change): Buffer {
  const row = new RowWriter();
  row.byte(
    CHANGE_KINDS.indexOf(change.kind) |
      (change.from === undefined ? 0 : HAS_FROM) |
      (change.versionId === undefined ? 0 : HAS_VERSION) |
      (change.cause === undefined ? 0 : HAS_CAUSE),
  );
  row.time(change.atMs);
  row.count(change.inode);
  row.text(change.path);
  if (change.from !== undefined) row.text(change.from);
  if (change.versionId !== undefined) row.text(change.versionId);
  if (change.cause !== undefined) row.byte(CHANGE_CAUSES.indexOf(change.cause));
  return row.finish();
}

export function decodeChange(bytes: Uint8Array): Change {
  const row = new RowReader(bytes);
  const flags = row.byte();
  const kind = CHANGE_KINDS[flags & 0b111];
  if (kind === undefined) throw corrupt();
  const atMs = row.time();
  const inode = row.count() as Inode;
  const path = row.text() as FilePath;
  const from = flags & HAS_FROM ? (row.text() as FilePath) : undefined;
  const versionId = flags & HAS_VERSION ? (row.text() as VersionId) : undefined;
  const cause = flags & HAS_CAUSE ? CHANGE_CAUSES[row.byte()] : undefined;
  if (flags & HAS_CAUSE && cause === undefined) throw corrupt();
  row.end();
  return {
    kind,
    atMs,
    inode,
    path,
    ...(from === undefined ? {} : { from }),
    ...(versionId === undefined ? {} : { versionId }),
    ...(cause === undefined ? {} : { cause }),
  };
}

export function changeKey(position: number): Key {
  return encodeKey(CHANGE, position);
}
