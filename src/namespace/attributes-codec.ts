import { byteLengthOfText } from "../core/byte-text.ts";
import type { Inode } from "../core/ids.ts";
import { isSameMoment, type Moment } from "../core/moment.ts";
import { corrupt, RowReader, RowWriter } from "./bytes.ts";
import type { FileAttributes, FileKind } from "./types.ts";

/** The attributes of an inode: what stat(2) tells, and how a directory hangs in the tree. `docs/formats.md` draws the row. */

const FORMAT = 1;
export const KINDS: readonly FileKind[] = [
  "file",
  "directory",
  "symlink",
  "fifo",
  "socket",
  "characterDevice",
  "blockDevice",
];
export const KIND_MASK = 0b111;
const IMPLICIT = 1 << 3;
const HAS_PARENT = 1 << 4;
const HAS_EXTENDED = 1 << 5;
const HAS_WRITE_EPOCH = 1 << 6;

const ACCESSED_AS_MODIFIED = 1;
const CHANGED_AS_MODIFIED = 1 << 1;
const CREATED_AS_CHANGED = 1 << 2;
const MODIFIED_HAS_NS = 1 << 3;
const ACCESSED_HAS_NS = 1 << 4;
const CHANGED_HAS_NS = 1 << 5;
const CREATED_HAS_NS = 1 << 6;

export function encodeAttributes(file: FileAttributes): Buffer {
  const row = new RowWriter();
  row.byte(FORMAT);
  row.byte(
    KINDS.indexOf(file.kind) |
      (file.implicit === true ? IMPLICIT : 0) |
      (file.parent === undefined ? 0 : HAS_PARENT) |
      (file.extended === undefined ? 0 : HAS_EXTENDED) |
      (file.writeEpoch === undefined ? 0 : HAS_WRITE_EPOCH),
  );
  row.count(file.mode);
  row.count(file.uid);
  row.count(file.gid);
  row.count(file.linkCount);
  writeTimes(row, file);
  if (file.kind === "file") row.count(file.sizeBytes);
  if (isDevice(file.kind)) row.count(file.rdev ?? 0);
  if (file.kind === "symlink") row.text(file.target ?? "");
  if (file.parent !== undefined) {
    row.count(file.parent.inode);
    row.text(file.parent.name);
  }
  if (file.extended !== undefined) {
    row.count(file.extended.count);
    row.count(file.extended.sizeBytes);
  }
  if (file.writeEpoch !== undefined) row.count(file.writeEpoch);
  return row.finish();
}

/** Times are usually one and the same, and only a file system's have nanoseconds. */
function writeTimes(row: RowWriter, { accessed, modified, changed, created }: FileAttributes): void {
  let flags = 0;
  if (isSameMoment(accessed, modified)) flags |= ACCESSED_AS_MODIFIED;
  else if (accessed.ns > 0) flags |= ACCESSED_HAS_NS;
  if (isSameMoment(changed, modified)) flags |= CHANGED_AS_MODIFIED;
  else if (changed.ns > 0) flags |= CHANGED_HAS_NS;
  if (isSameMoment(created, changed)) flags |= CREATED_AS_CHANGED;
  else if (created.ns > 0) flags |= CREATED_HAS_NS;
  if (modified.ns > 0) flags |= MODIFIED_HAS_NS;
  row.byte(flags);
  row.moment(modified, (flags & MODIFIED_HAS_NS) !== 0);
  if (!(flags & ACCESSED_AS_MODIFIED)) row.moment(accessed, (flags & ACCESSED_HAS_NS) !== 0);
  if (!(flags & CHANGED_AS_MODIFIED)) row.moment(changed, (flags & CHANGED_HAS_NS) !== 0);
  if (!(flags & CREATED_AS_CHANGED)) row.moment(created, (flags & CREATED_HAS_NS) !== 0);
}

export function decodeAttributes(inode: Inode, bytes: Uint8Array): FileAttributes {
  const row = new RowReader(bytes);
  if (row.byte() !== FORMAT) throw corrupt();
  const flags = row.byte();
  const kind = KINDS[flags & KIND_MASK];
  if (kind === undefined) throw corrupt();
  const mode = row.count();
  const uid = row.count();
  const gid = row.count();
  const linkCount = row.count();
  const times = row.byte();
  const modified = row.moment((times & MODIFIED_HAS_NS) !== 0);
  const accessed = times & ACCESSED_AS_MODIFIED ? modified : row.moment((times & ACCESSED_HAS_NS) !== 0);
  const changed = times & CHANGED_AS_MODIFIED ? modified : row.moment((times & CHANGED_HAS_NS) !== 0);
  const created = times & CREATED_AS_CHANGED ? changed : row.moment((times & CREATED_HAS_NS) !== 0);
  const file = { inode, kind, mode, uid, gid, linkCount, sizeBytes: 0, accessed, modified, changed, created } as {
    -readonly [Field in keyof FileAttributes]: FileAttributes[Field];
  };
  if (kind === "file") file.sizeBytes = row.count();
  else if (isDevice(kind)) file.rdev = row.count();
  else if (kind === "symlink") {
    file.target = row.text();
    file.sizeBytes = byteLengthOfText(file.target);
  }
  if (flags & IMPLICIT) file.implicit = true;
  if (flags & HAS_PARENT) file.parent = { inode: row.count() as Inode, name: row.text() };
  if (flags & HAS_EXTENDED) file.extended = { count: row.count(), sizeBytes: row.count() };
  if (flags & HAS_WRITE_EPOCH) file.writeEpoch = row.count();
  row.end();
  return file;
}

export function isDevice(kind: FileKind): boolean {
  return kind === "characterDevice" || kind === "blockDevice";
}

/** When an entry last came to a directory or went from it: a row of its own, which whoever writes there puts without reading it. */
export function encodeMoment(moment: Moment): Buffer {
  const row = new RowWriter();
  row.byte(moment.ns > 0 ? 1 : 0);
  row.moment(moment, moment.ns > 0);
  return row.finish();
}

export function decodeMoment(bytes: Uint8Array): Moment {
  const row = new RowReader(bytes);
  const moment = row.moment((row.byte() & 1) !== 0);
  row.end();
  return moment;
}
