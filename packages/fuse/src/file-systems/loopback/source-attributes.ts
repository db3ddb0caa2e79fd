import type { BigIntStats } from "node:fs";
import type { Attributes } from "../../protocol/replies.ts";

const HIGH = 4_294_967_296;
const EXACT_HIGH = 0x1f_ffff;
const NS_PER_SECOND = 1_000_000_000n;
/** What struct statx takes. */
export const STATX_BYTES = 256;

/** Attributes of a file of the source. One object is filled again and again. */
export class SourceAttributes implements Attributes {
  inode = 0;
  sizeBytes = 0;
  blocks = 0;
  atimeSeconds = 0;
  atimeNanoseconds = 0;
  mtimeSeconds = 0;
  mtimeNanoseconds = 0;
  ctimeSeconds = 0;
  ctimeNanoseconds = 0;
  mode = 0;
  links = 0;
  uid = 0;
  gid = 0;
  device = 0;
  blockSizeBytes = 0;
  /** When it was made, if the source knows. */
  btimeSeconds: number | undefined;
  btimeNanoseconds = 0;
  /** The inode as exact as the source has it: a bigint where a number would not do. */
  identity: number | bigint = 0;
  /** The file system that the file is in. */
  sourceDevice = 0;

  /** Takes over a struct statx, see linux/stat.h. */
  fromStatx(view: DataView): void {
    this.blockSizeBytes = view.getUint32(4, true);
    this.links = view.getUint32(16, true);
    this.uid = view.getUint32(20, true);
    this.gid = view.getUint32(24, true);
    this.mode = view.getUint16(28, true);
    this.inode = unsigned(view, 32);
    this.identity = view.getUint32(36, true) > EXACT_HIGH ? view.getBigUint64(32, true) : this.inode;
    this.sizeBytes = unsigned(view, 40);
    this.blocks = unsigned(view, 48);
    this.atimeSeconds = signed(view, 64);
    this.atimeNanoseconds = view.getUint32(72, true);
    const hasBirth = (view.getUint32(0, true) & 0x800) !== 0;
    this.btimeSeconds = hasBirth ? signed(view, 80) : undefined;
    this.btimeNanoseconds = hasBirth ? view.getUint32(88, true) : 0;
    this.ctimeSeconds = signed(view, 96);
    this.ctimeNanoseconds = view.getUint32(104, true);
    this.mtimeSeconds = signed(view, 112);
    this.mtimeNanoseconds = view.getUint32(120, true);
    this.device = encodeDevice(view.getUint32(128, true), view.getUint32(132, true));
    this.sourceDevice = encodeDevice(view.getUint32(136, true), view.getUint32(140, true));
  }

  fromStats(stats: BigIntStats): void {
    this.inode = Number(stats.ino);
    this.identity = Number.isSafeInteger(this.inode) ? this.inode : stats.ino;
    this.sourceDevice = Number(stats.dev);
    this.sizeBytes = Number(stats.size);
    this.blocks = Number(stats.blocks);
    this.blockSizeBytes = Number(stats.blksize);
    this.mode = Number(stats.mode);
    this.links = Number(stats.nlink);
    this.uid = Number(stats.uid);
    this.gid = Number(stats.gid);
    this.device = Number(stats.rdev);
    [this.atimeSeconds, this.atimeNanoseconds] = split(stats.atimeNs);
    [this.mtimeSeconds, this.mtimeNanoseconds] = split(stats.mtimeNs);
    [this.ctimeSeconds, this.ctimeNanoseconds] = split(stats.ctimeNs);
    this.btimeSeconds = undefined;
    this.btimeNanoseconds = 0;
  }
}

function unsigned(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * HIGH + view.getUint32(at, true);
}

function signed(view: DataView, at: number): number {
  return view.getInt32(at + 4, true) * HIGH + view.getUint32(at, true);
}

/** As the kernel encodes a device in 32 bits. */
function encodeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

/** Seconds are rounded down, so that nanoseconds are never negative. */
function split(nanoseconds: bigint): [number, number] {
  const rest = ((nanoseconds % NS_PER_SECOND) + NS_PER_SECOND) % NS_PER_SECOND;
  return [Number((nanoseconds - rest) / NS_PER_SECOND), Number(rest)];
}
