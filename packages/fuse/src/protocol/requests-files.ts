import type { DirectoryListing } from "./directory-listing.ts";
import { protocolError } from "./errors.ts";
import {
  FSYNC_FDATASYNC,
  OPEN_KILL_SUIDGID,
  POLL_SCHEDULE_NOTIFY,
  READ_LOCKOWNER,
  RELEASE_FLOCK_UNLOCK,
  RELEASE_FLUSH,
  WRITE_CACHE,
  WRITE_KILL_SUIDGID,
  WRITE_LOCKOWNER,
} from "./flags.ts";
import type { Frame } from "./frame.ts";
import { Opcode } from "./opcodes.ts";
import { type ReplyMemory, Request } from "./request.ts";
import {
  BmapIn,
  CopyFileRangeIn,
  FallocateIn,
  FlushIn,
  FsyncIn,
  IoctlIn,
  LseekIn,
  OpenIn,
  PollIn,
  ReadIn,
  ReleaseIn,
  WriteIn,
} from "./structs-in.ts";

/** open and opendir. */
export class OpenRequest extends Request {
  /** The flags of open(2), without O_CREAT, O_EXCL and O_NOCTTY; O_TRUNC only when `atomicTruncate` was asked for. */
  flags = 0;
  killPrivileges = false;

  protected override decode(frame: Frame): void {
    frame.require(OpenIn.sizeBytes);
    this.flags = frame.u32(OpenIn.at.flags);
    this.killPrivileges = (frame.u32(OpenIn.at.open_flags) & OPEN_KILL_SUIDGID) !== 0;
  }
}

export class ReadRequest extends Request {
  handle = 0;
  offset = 0;
  sizeBytes = 0;
  /** The flags the file was opened with. */
  flags = 0;
  /** Who reads, if mandatory locks could matter. */
  lockOwner: bigint | undefined;
  /** Set by the session. */
  memory: ReplyMemory | undefined;

  /** `sizeBytes` of memory that becomes the reply without another copy: fill it from its start and return how many bytes there are. */
  get into(): Buffer {
    return (this.memory as ReplyMemory).payload(this.sizeBytes);
  }

  protected override decode(frame: Frame): void {
    frame.require(ReadIn.sizeBytes);
    this.handle = frame.id(ReadIn.at.fh);
    this.offset = frame.u64(ReadIn.at.offset);
    this.sizeBytes = frame.u32(ReadIn.at.size);
    this.flags = frame.u32(ReadIn.at.flags);
    const owned = (frame.u32(ReadIn.at.read_flags) & READ_LOCKOWNER) !== 0;
    this.lockOwner = owned ? frame.bigint(ReadIn.at.lock_owner) : undefined;
  }
}

/** readdir and readdirplus. */
export class ReaddirRequest extends Request {
  handle = 0;
  /** 0 for the beginning, else what was given as `nextOffset` of the last entry that the kernel saw. */
  offset = 0;
  sizeBytes = 0;
  /** Where the entries go. Set by the session. */
  listing!: DirectoryListing;

  protected override decode(frame: Frame): void {
    frame.require(ReadIn.sizeBytes);
    this.handle = frame.id(ReadIn.at.fh);
    this.offset = frame.u64(ReadIn.at.offset);
    this.sizeBytes = frame.u32(ReadIn.at.size);
  }
}

const NO_DATA = Buffer.alloc(0);

export class WriteRequest extends Request {
  handle = 0;
  offset = 0;
  /** Valid until the operation has returned its result, or its promise has settled. */
  data: Buffer = NO_DATA;
  /** The flags the file was opened with. */
  flags = 0;
  /** The page cache writes something back; the handle is then one of those that could have written it. */
  fromCache = false;
  /** The file loses set-user-id, and set-group-id if its group may execute it. */
  killPrivileges = false;
  lockOwner: bigint | undefined;

  protected override decode(frame: Frame): void {
    frame.require(WriteIn.sizeBytes);
    this.handle = frame.id(WriteIn.at.fh);
    this.offset = frame.u64(WriteIn.at.offset);
    this.flags = frame.u32(WriteIn.at.flags);
    const flags = frame.u32(WriteIn.at.write_flags);
    this.fromCache = (flags & WRITE_CACHE) !== 0;
    this.killPrivileges = (flags & WRITE_KILL_SUIDGID) !== 0;
    this.lockOwner = (flags & WRITE_LOCKOWNER) !== 0 ? frame.bigint(WriteIn.at.lock_owner) : undefined;
    this.data = frame.data(WriteIn.sizeBytes, frame.u32(WriteIn.at.size));
  }
}

/** release and releasedir: the last descriptor of an open file is gone. */
export class ReleaseRequest extends Request {
  handle = 0;
  flags = 0;
  flush = false;
  /** The flock(2) locks of this owner go with the file. */
  unlockFlock = false;
  lockOwner = 0n;

  protected override decode(frame: Frame): void {
    frame.require(ReleaseIn.sizeBytes);
    this.handle = frame.id(ReleaseIn.at.fh);
    this.flags = frame.u32(ReleaseIn.at.flags);
    const flags = frame.u32(ReleaseIn.at.release_flags);
    this.flush = (flags & RELEASE_FLUSH) !== 0;
    this.unlockFlock = (flags & RELEASE_FLOCK_UNLOCK) !== 0;
    this.lockOwner = this.unlockFlock ? frame.bigint(ReleaseIn.at.lock_owner) : 0n;
  }
}

/** One descriptor of an open file is closed: its owner's POSIX locks on the file go, and errors of its writes can still be told. */
export class FlushRequest extends Request {
  handle = 0;
  lockOwner = 0n;

  protected override decode(frame: Frame): void {
    frame.require(FlushIn.sizeBytes);
    this.handle = frame.id(FlushIn.at.fh);
    this.lockOwner = frame.bigint(FlushIn.at.lock_owner);
  }
}

/** fsync and fsyncdir. */
export class FsyncRequest extends Request {
  handle = 0;
  dataOnly = false;

  protected override decode(frame: Frame): void {
    frame.require(FsyncIn.sizeBytes);
    this.handle = frame.id(FsyncIn.at.fh);
    this.dataOnly = (frame.u32(FsyncIn.at.fsync_flags) & FSYNC_FDATASYNC) !== 0;
  }
}

export class FallocateRequest extends Request {
  handle = 0;
  offset = 0;
  lengthBytes = 0;
  /** The modes of fallocate(2), see `Fallocate`. */
  mode = 0;

  protected override decode(frame: Frame): void {
    frame.require(FallocateIn.sizeBytes);
    this.handle = frame.id(FallocateIn.at.fh);
    this.offset = frame.u64(FallocateIn.at.offset);
    this.lengthBytes = frame.u64(FallocateIn.at.length);
    this.mode = frame.u32(FallocateIn.at.mode);
  }
}

export class LseekRequest extends Request {
  handle = 0;
  offset = 0;
  /** `Seek.DATA` or `Seek.HOLE`; the kernel answers the others itself. */
  whence = 0;

  protected override decode(frame: Frame): void {
    frame.require(LseekIn.sizeBytes);
    this.handle = frame.id(LseekIn.at.fh);
    this.offset = frame.i64(LseekIn.at.offset);
    this.whence = frame.u32(LseekIn.at.whence);
  }
}

export class CopyFileRangeRequest extends Request {
  handle = 0;
  offset = 0;
  outInode = 0;
  outHandle = 0;
  outOffset = 0;
  lengthBytes = 0;
  flags = 0;

  protected override decode(frame: Frame): void {
    frame.require(CopyFileRangeIn.sizeBytes);
    this.handle = frame.id(CopyFileRangeIn.at.fh_in);
    this.offset = frame.u64(CopyFileRangeIn.at.off_in);
    this.outInode = frame.id(CopyFileRangeIn.at.nodeid_out);
    this.outHandle = frame.id(CopyFileRangeIn.at.fh_out);
    this.outOffset = frame.u64(CopyFileRangeIn.at.off_out);
    this.lengthBytes = frame.u64(CopyFileRangeIn.at.len);
    this.flags = frame.u64(CopyFileRangeIn.at.flags);
    // The old form answers in 32 bits, so more than that must not be copied at once.
    if (frame.opcode === Opcode.COPY_FILE_RANGE) this.lengthBytes = Math.min(this.lengthBytes, 0xffff_f000);
  }
}

export class BmapRequest extends Request {
  block = 0;
  blockSizeBytes = 0;

  protected override decode(frame: Frame): void {
    frame.require(BmapIn.sizeBytes);
    this.block = frame.u64(BmapIn.at.block);
    this.blockSizeBytes = frame.u32(BmapIn.at.blocksize);
  }
}

export class IoctlRequest extends Request {
  handle = 0;
  /** FUSE_IOCTL_COMPAT and its kin. */
  flags = 0;
  command = 0;
  argument = 0n;
  /** What the command passes in, as long as its number says. */
  data: Buffer = NO_DATA;
  /** How many bytes the command may pass out. */
  outBytes = 0;

  protected override decode(frame: Frame): void {
    frame.require(IoctlIn.sizeBytes);
    this.handle = frame.id(IoctlIn.at.fh);
    this.flags = frame.u32(IoctlIn.at.flags);
    this.command = frame.u32(IoctlIn.at.cmd);
    this.argument = frame.bigint(IoctlIn.at.arg);
    this.outBytes = frame.u32(IoctlIn.at.out_size);
    this.data = frame.data(IoctlIn.sizeBytes, frame.u32(IoctlIn.at.in_size));
  }
}

export class PollRequest extends Request {
  handle = 0;
  /** Pass it to the poll notification when `notify` is set and something has changed. */
  wakeup = 0;
  notify = false;
  /** The events of poll(2) that are waited for. */
  events = 0;

  protected override decode(frame: Frame): void {
    frame.require(PollIn.sizeBytes);
    this.handle = frame.id(PollIn.at.fh);
    this.wakeup = frame.u64(PollIn.at.kh);
    this.notify = (frame.u32(PollIn.at.flags) & POLL_SCHEDULE_NOTIFY) !== 0;
    this.events = frame.u32(PollIn.at.events);
  }
}

/** The largest reply that is ever asked for, so that a lying size cannot make us allocate. */
export function requireReplySize(sizeBytes: number, limitBytes: number): void {
  if (sizeBytes > limitBytes) {
    throw protocolError(`it wants ${sizeBytes} bytes at once, and ${limitBytes} were agreed on`);
  }
}
