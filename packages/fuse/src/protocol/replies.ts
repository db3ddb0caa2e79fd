/** What operations answer with. */

/**
 * The attributes of a file. Times are seconds since 1970, which may be negative, and the nanoseconds since that second. `blocks` are of 512
 * bytes whatever `blockSizeBytes` says, as in stat(2). `device` is encoded as `MknodRequest.device` is.
 */
export interface Attributes {
  readonly inode: number;
  readonly sizeBytes: number;
  readonly blocks: number;
  readonly atimeSeconds: number;
  readonly atimeNanoseconds: number;
  readonly mtimeSeconds: number;
  readonly mtimeNanoseconds: number;
  readonly ctimeSeconds: number;
  readonly ctimeNanoseconds: number;
  readonly mode: number;
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
  readonly device: number;
  readonly blockSizeBytes: number;
}

/** Attributes, and for how long the kernel may answer with them on its own. `Infinity` is a fine timeout; 0 means "ask each time". */
export interface FileStatus {
  readonly attributes: Attributes;
  readonly timeoutMs: number;
}

export interface ExtendedStatus extends FileStatus {
  /** When the file was made, if that is known. */
  readonly btimeSeconds?: number;
  readonly btimeNanoseconds?: number;
}

/**
 * What a name leads to. Every entry that an operation answers with counts as one lookup of its inode, which the kernel gives back with
 * `forget`. The pair of inode and generation must never be used for another file while this file system is mounted.
 */
export interface Entry extends FileStatus {
  readonly inode: number;
  readonly generation: number;
  /** For how long the kernel may believe that the name leads there. */
  readonly entryTimeoutMs: number;
}

/** Says that there is no such name, and for how long the kernel may believe it. Without caching, answer `Errno.ENOENT`. */
export interface NegativeEntry {
  readonly inode: 0;
  readonly entryTimeoutMs: number;
}

export interface OpenFile {
  /** What the operations on this open file will be told. Any integer from 0 to 2^53 - 1. */
  readonly handle: number;
  /** Bits of `OpenReplyFlag`. */
  readonly flags: number;
  /** The kernel's number of the file that reads and writes pass through to. Only with `OpenReplyFlag.PASSTHROUGH`. */
  readonly backingId?: number;
}

export interface CreatedFile {
  readonly entry: Entry;
  readonly file: OpenFile;
}

/** What statfs(2) says. */
export interface FileSystemStatus {
  readonly blockSizeBytes: number;
  readonly blocks: number;
  readonly freeBlocks: number;
  readonly availableBlocks: number;
  readonly files: number;
  readonly freeFiles: number;
  readonly nameLimitBytes: number;
}

/** A lock in somebody's hands, or with `LockType.UNLOCK` the news that nothing is in the way. */
export interface HeldLock {
  readonly start: number;
  /** The last byte; `Infinity` for the end of the file. */
  readonly end: number;
  readonly type: number;
  readonly pid: number;
}

export interface IoctlResult {
  readonly result: number;
  readonly data?: Uint8Array;
}
