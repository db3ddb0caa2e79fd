import { GETATTR_FH, LK_FLOCK, SETXATTR_ACL_KILL_SGID, SetAttribute } from "./flags.ts";
import type { Frame } from "./frame.ts";
import { Opcode } from "./opcodes.ts";
import { Request, type Dialect } from "./request.ts";
import {
  AccessIn,
  GetattrIn,
  GetxattrIn,
  LkIn,
  SETXATTR_IN_COMPAT_BYTES,
  SetattrIn,
  SetxattrIn,
  StatxIn,
} from "./structs-in.ts";

export class GetattrRequest extends Request {
  /** The open file by which was asked, if any. */
  handle: number | undefined;

  protected override decode(frame: Frame): void {
    frame.require(GetattrIn.sizeBytes);
    const byHandle = (frame.u32(GetattrIn.at.getattr_flags) & GETATTR_FH) !== 0;
    this.handle = byHandle ? frame.id(GetattrIn.at.fh) : undefined;
  }
}

export class StatxRequest extends Request {
  handle: number | undefined;
  /** The AT_STATX_ flags of statx(2). */
  flags = 0;
  /** The STATX_ bits that the caller wants. */
  mask = 0;

  protected override decode(frame: Frame): void {
    frame.require(StatxIn.sizeBytes);
    const byHandle = (frame.u32(StatxIn.at.getattr_flags) & GETATTR_FH) !== 0;
    this.handle = byHandle ? frame.id(StatxIn.at.fh) : undefined;
    this.flags = frame.u32(StatxIn.at.sx_flags);
    this.mask = frame.u32(StatxIn.at.sx_mask);
  }
}

/** What is to become of one of a file's times. */
export type TimeChange = "keep" | "now" | "set";

export class SetattrRequest extends Request {
  /** The open file by which is changed, if any, as ftruncate(2) does. */
  handle: number | undefined;
  /** The permissions and the type, which does not change. */
  mode: number | undefined;
  newUid: number | undefined;
  newGid: number | undefined;
  sizeBytes: number | undefined;
  atime: TimeChange = "keep";
  atimeSeconds = 0;
  atimeNanoseconds = 0;
  mtime: TimeChange = "keep";
  mtimeSeconds = 0;
  mtimeNanoseconds = 0;
  /** Only "keep" or "set": the kernel sets it itself when it caches writes. */
  ctime: TimeChange = "keep";
  ctimeSeconds = 0;
  ctimeNanoseconds = 0;
  /** The file loses set-user-id, and set-group-id if its group may execute it. */
  killPrivileges = false;

  protected override decode(frame: Frame): void {
    frame.require(SetattrIn.sizeBytes);
    const at = SetattrIn.at;
    const valid = frame.u32(at.valid);
    this.handle = (valid & SetAttribute.FH) !== 0 ? frame.id(at.fh) : undefined;
    this.mode = (valid & SetAttribute.MODE) !== 0 ? frame.u32(at.mode) : undefined;
    this.newUid = (valid & SetAttribute.UID) !== 0 ? frame.u32(at.uid) : undefined;
    this.newGid = (valid & SetAttribute.GID) !== 0 ? frame.u32(at.gid) : undefined;
    this.sizeBytes = (valid & SetAttribute.SIZE) !== 0 ? frame.u64(at.size) : undefined;
    this.atime = timeChange(valid, SetAttribute.ATIME, SetAttribute.ATIME_NOW);
    this.atimeSeconds = frame.i64(at.atime);
    this.atimeNanoseconds = frame.u32(at.atimensec);
    this.mtime = timeChange(valid, SetAttribute.MTIME, SetAttribute.MTIME_NOW);
    this.mtimeSeconds = frame.i64(at.mtime);
    this.mtimeNanoseconds = frame.u32(at.mtimensec);
    this.ctime = timeChange(valid, SetAttribute.CTIME, 0);
    this.ctimeSeconds = frame.i64(at.ctime);
    this.ctimeNanoseconds = frame.u32(at.ctimensec);
    this.killPrivileges = (valid & SetAttribute.KILL_SUIDGID) !== 0;
  }
}

function timeChange(valid: number, set: number, now: number): TimeChange {
  if ((valid & now) !== 0) return "now";
  return (valid & set) !== 0 ? "set" : "keep";
}

export class AccessRequest extends Request {
  /** R_OK, W_OK, X_OK of access(2). */
  mask = 0;

  protected override decode(frame: Frame): void {
    frame.require(AccessIn.sizeBytes);
    this.mask = frame.u32(AccessIn.at.mask);
  }
}

export class SetxattrRequest extends Request {
  name = "";
  /** Valid until the operation has returned its result, or its promise has settled. */
  value: Buffer = Buffer.alloc(0);
  /** `XATTR_CREATE`, `XATTR_REPLACE` or 0. */
  flags = 0;
  /** The attribute is an access control list, and the file's set-group-id goes with it. */
  clearSetGroupId = false;

  protected override decode(frame: Frame, dialect: Dialect): void {
    const start = dialect.setxattrExtended ? SetxattrIn.sizeBytes : SETXATTR_IN_COMPAT_BYTES;
    frame.require(start);
    this.flags = frame.u32(SetxattrIn.at.flags);
    this.clearSetGroupId =
      dialect.setxattrExtended && (frame.u32(SetxattrIn.at.setxattr_flags) & SETXATTR_ACL_KILL_SGID) !== 0;
    const end = frame.stringEnd(start);
    this.name = frame.string(start, end);
    this.value = frame.data(end + 1, frame.u32(SetxattrIn.at.size));
  }
}

export class GetxattrRequest extends Request {
  name = "";
  /** How much the caller has room for; 0 if it only wants to know the size. The session compares it with the answer. */
  sizeBytes = 0;

  protected override decode(frame: Frame): void {
    frame.require(GetxattrIn.sizeBytes);
    this.sizeBytes = frame.u32(GetxattrIn.at.size);
    this.name = frame.string(GetxattrIn.sizeBytes, frame.stringEnd(GetxattrIn.sizeBytes));
  }
}

export class ListxattrRequest extends Request {
  sizeBytes = 0;

  protected override decode(frame: Frame): void {
    frame.require(GetxattrIn.sizeBytes);
    this.sizeBytes = frame.u32(GetxattrIn.at.size);
  }
}

export class RemovexattrRequest extends Request {
  name = "";

  protected override decode(frame: Frame): void {
    this.name = frame.string(0, frame.stringEnd(0));
  }
}

/** getlk, setlk and setlkw. */
export class LockRequest extends Request {
  handle = 0;
  /** Who locks. Opaque: two requests with the same owner never exclude each other. */
  owner = 0n;
  /** The first byte, and the last one: `Infinity` if the lock reaches to whatever end the file will have. */
  start = 0;
  end = 0;
  /** See `LockType`. */
  type = 0;
  /** The process that will be named to those who ask who holds the lock. */
  lockPid = 0;
  /** True for flock(2), which always locks the whole file. */
  flock = false;
  /** True for setlkw: wait until the lock can be had. */
  wait = false;

  protected override decode(frame: Frame): void {
    frame.require(LkIn.sizeBytes);
    const at = LkIn.at;
    this.handle = frame.id(at.fh);
    this.owner = frame.bigint(at.owner);
    this.start = frame.u64(at.lk);
    const end = frame.u64(at.lk + 8);
    this.end = end > Number.MAX_SAFE_INTEGER ? Number.POSITIVE_INFINITY : end;
    this.type = frame.u32(at.lk + 16);
    this.lockPid = frame.u32(at.lk + 20);
    this.flock = (frame.u32(at.lk_flags) & LK_FLOCK) !== 0;
    this.wait = frame.opcode === Opcode.SETLKW;
  }
}
