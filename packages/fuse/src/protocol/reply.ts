import type { Attributes, Entry, FileStatus, FileSystemStatus, HeldLock, OpenFile, ExtendedStatus } from "./replies.ts";
import { encodeName, nameBytes } from "./names.ts";
import type { ReplyMemory } from "./request.ts";
import {
  Attr,
  AttrOut,
  EntryOut,
  GetxattrOut,
  IoctlOut,
  LkOut,
  OpenOut,
  OutHeader,
  StatfsOut,
  Statx,
  StatxOut,
  SxTime,
} from "./structs-out.ts";

const HEADER = OutHeader.sizeBytes;
const HIGH = 4_294_967_296;
const MS_PER_SECOND = 1000;
const NS_PER_MS = 1_000_000;
/** The last offset of a file, which the kernel takes for "to the end" in a lock. */
const OFFSET_MAX = 0x7fff_ffff_ffff_ffffn;
/** A timeout that ends after the universe is sent as this many seconds: far away, and far from overflowing the kernel's jiffies. */
const LONGEST_TIMEOUT_S = 0x7fff_ffff;

/** STATX_BASIC_STATS and STATX_BTIME. */
const STATX_BASIC = 0x7ff;
const STATX_BTIME = 0x800;

/** One reply, built in memory that is used again and again. Offsets are counted from the end of the header. */
export class Reply implements ReplyMemory {
  readonly bytes: Buffer<ArrayBuffer>;
  readonly #view: DataView;
  /** How many bytes follow the header. */
  bodyBytes = 0;

  constructor(bodyBytes: number) {
    this.bytes = Buffer.allocUnsafeSlow(HEADER + bodyBytes);
    this.#view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
  }

  get capacityBytes(): number {
    return this.bytes.length - HEADER;
  }

  get lengthBytes(): number {
    return HEADER + this.bodyBytes;
  }

  /** Begins an empty reply. `error` is 0 or a negative error number, or the code of a notification. */
  begin(unique: number, error: number): void {
    const view = this.#view;
    view.setInt32(OutHeader.at.error, error, true);
    view.setUint32(OutHeader.at.unique, unique, true);
    view.setUint32(OutHeader.at.unique + 4, unique / HIGH, true);
    this.bodyBytes = 0;
  }

  /** Writes the length. `following` bytes are sent right behind this reply. */
  end(following: number): void {
    this.#view.setUint32(OutHeader.at.len, HEADER + this.bodyBytes + following, true);
  }

  payload(sizeBytes: number): Buffer {
    return this.bytes.subarray(HEADER, HEADER + sizeBytes);
  }

  u32(offset: number, value: number): void {
    this.#view.setUint32(HEADER + offset, value, true);
  }

  i32(offset: number, value: number): void {
    this.#view.setInt32(HEADER + offset, value, true);
  }

  /** Any safe integer; a negative one as the kernel has it, in two's complement. */
  i64(offset: number, value: number): void {
    this.#view.setUint32(HEADER + offset, value, true);
    this.#view.setInt32(HEADER + offset + 4, Math.floor(value / HIGH), true);
  }

  zero(offset: number, sizeBytes: number): void {
    this.bytes.fill(0, HEADER + offset, HEADER + offset + sizeBytes);
  }

  copy(data: Uint8Array, offset: number): void {
    this.bytes.set(data, HEADER + offset);
  }

  /** Writes a name without a zero byte behind it, and returns its length. */
  name(name: string, offset: number): number {
    return encodeName(name, this.bytes, HEADER + offset);
  }

  hasRoomFor(name: string, offset: number): boolean {
    return offset + nameBytes(name) <= this.capacityBytes;
  }

  /** Seconds, and nanoseconds somewhere else, of how long something may be believed. */
  #timeout(secondsAt: number, nanosecondsAt: number, timeoutMs: number): void {
    const seconds = Math.min(Math.floor(timeoutMs / MS_PER_SECOND), LONGEST_TIMEOUT_S);
    const rest = Number.isFinite(timeoutMs) ? Math.round((timeoutMs % MS_PER_SECOND) * NS_PER_MS) : 0;
    this.i64(secondsAt, seconds);
    this.u32(nanosecondsAt, Math.min(rest, 999_999_999));
  }

  attributes(offset: number, attributes: Attributes): void {
    const at = Attr.at;
    this.i64(offset + at.ino, attributes.inode);
    this.i64(offset + at.size, attributes.sizeBytes);
    this.i64(offset + at.blocks, attributes.blocks);
    this.i64(offset + at.atime, attributes.atimeSeconds);
    this.i64(offset + at.mtime, attributes.mtimeSeconds);
    this.i64(offset + at.ctime, attributes.ctimeSeconds);
    this.u32(offset + at.atimensec, attributes.atimeNanoseconds);
    this.u32(offset + at.mtimensec, attributes.mtimeNanoseconds);
    this.u32(offset + at.ctimensec, attributes.ctimeNanoseconds);
    this.u32(offset + at.mode, attributes.mode);
    this.u32(offset + at.nlink, attributes.links);
    this.u32(offset + at.uid, attributes.uid);
    this.u32(offset + at.gid, attributes.gid);
    this.u32(offset + at.rdev, attributes.device);
    this.u32(offset + at.blksize, attributes.blockSizeBytes);
    this.u32(offset + at.flags, 0);
  }

  entry(offset: number, entry: Entry): void {
    const at = EntryOut.at;
    this.i64(offset + at.nodeid, entry.inode);
    this.i64(offset + at.generation, entry.generation);
    this.#timeout(offset + at.entry_valid, offset + at.entry_valid_nsec, entry.entryTimeoutMs);
    this.#timeout(offset + at.attr_valid, offset + at.attr_valid_nsec, entry.timeoutMs);
    this.attributes(offset + at.attr, entry.attributes);
    this.bodyBytes = offset + EntryOut.sizeBytes;
  }

  /** "There is no such name", to be believed for a while: an entry with inode 0. */
  negativeEntry(entryTimeoutMs: number): void {
    this.zero(0, EntryOut.sizeBytes);
    this.#timeout(EntryOut.at.entry_valid, EntryOut.at.entry_valid_nsec, entryTimeoutMs);
    this.bodyBytes = EntryOut.sizeBytes;
  }

  status(status: FileStatus): void {
    this.#timeout(AttrOut.at.attr_valid, AttrOut.at.attr_valid_nsec, status.timeoutMs);
    this.u32(AttrOut.at.dummy, 0);
    this.attributes(AttrOut.at.attr, status.attributes);
    this.bodyBytes = AttrOut.sizeBytes;
  }

  extendedStatus(status: ExtendedStatus): void {
    this.zero(0, StatxOut.sizeBytes);
    this.#timeout(StatxOut.at.attr_valid, StatxOut.at.attr_valid_nsec, status.timeoutMs);
    const { attributes, btimeSeconds, btimeNanoseconds } = status;
    const base = StatxOut.at.stat;
    const at = Statx.at;
    this.u32(base + at.mask, btimeSeconds === undefined ? STATX_BASIC : STATX_BASIC | STATX_BTIME);
    this.u32(base + at.blksize, attributes.blockSizeBytes);
    this.u32(base + at.nlink, attributes.links);
    this.u32(base + at.uid, attributes.uid);
    this.u32(base + at.gid, attributes.gid);
    this.#view.setUint16(HEADER + base + at.mode, attributes.mode, true);
    this.i64(base + at.ino, attributes.inode);
    this.i64(base + at.size, attributes.sizeBytes);
    this.i64(base + at.blocks, attributes.blocks);
    this.#time(base + at.atime, attributes.atimeSeconds, attributes.atimeNanoseconds);
    this.#time(base + at.btime, btimeSeconds ?? 0, btimeNanoseconds ?? 0);
    this.#time(base + at.ctime, attributes.ctimeSeconds, attributes.ctimeNanoseconds);
    this.#time(base + at.mtime, attributes.mtimeSeconds, attributes.mtimeNanoseconds);
    this.u32(base + at.rdev_major, (attributes.device >>> 8) & 0xfff);
    this.u32(base + at.rdev_minor, (attributes.device & 0xff) | ((attributes.device >>> 12) & 0xf_ff00));
    this.bodyBytes = StatxOut.sizeBytes;
  }

  #time(offset: number, seconds: number, nanoseconds: number): void {
    this.i64(offset + SxTime.at.tv_sec, seconds);
    this.u32(offset + SxTime.at.tv_nsec, nanoseconds);
  }

  open(offset: number, file: OpenFile): void {
    this.i64(offset + OpenOut.at.fh, file.handle);
    this.u32(offset + OpenOut.at.open_flags, file.flags);
    this.i32(offset + OpenOut.at.backing_id, file.backingId ?? 0);
    this.bodyBytes = offset + OpenOut.sizeBytes;
  }

  fileSystemStatus(status: FileSystemStatus): void {
    const at = StatfsOut.at;
    this.zero(0, StatfsOut.sizeBytes);
    this.i64(at.blocks, status.blocks);
    this.i64(at.bfree, status.freeBlocks);
    this.i64(at.bavail, status.availableBlocks);
    this.i64(at.files, status.files);
    this.i64(at.ffree, status.freeFiles);
    this.u32(at.bsize, status.blockSizeBytes);
    this.u32(at.frsize, status.blockSizeBytes);
    this.u32(at.namelen, status.nameLimitBytes);
    this.bodyBytes = StatfsOut.sizeBytes;
  }

  lock(lock: HeldLock): void {
    const at = LkOut.at.lk;
    this.i64(at, lock.start);
    if (Number.isFinite(lock.end)) this.i64(at + 8, lock.end);
    else this.#view.setBigInt64(HEADER + at + 8, OFFSET_MAX, true);
    this.u32(at + 16, lock.type);
    this.u32(at + 20, lock.pid);
    this.bodyBytes = LkOut.sizeBytes;
  }

  /** A 32-bit answer with its padding: write, poll, the size of an extended attribute. */
  count32(value: number): void {
    this.u32(GetxattrOut.at.size, value);
    this.u32(GetxattrOut.at.padding, 0);
    this.bodyBytes = GetxattrOut.sizeBytes;
  }

  /** A 64-bit answer: lseek, bmap, copy_file_range. */
  count64(value: number): void {
    this.i64(0, value);
    this.bodyBytes = 8;
  }

  ioctl(result: number): void {
    this.zero(0, IoctlOut.sizeBytes);
    this.i32(IoctlOut.at.result, result);
    this.bodyBytes = IoctlOut.sizeBytes;
  }
}
