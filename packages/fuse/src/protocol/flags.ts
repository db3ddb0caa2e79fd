/** The flags of linux/fuse.h, by the structure that carries them. */

export const PROTOCOL_MAJOR = 7;
/** The oldest kernel that is served is Linux 5.4. */
export const PROTOCOL_MINOR_OLDEST = 31;
export const PROTOCOL_MINOR_NEWEST = 45;
export const ROOT_INODE = 1;

/** The bits of fuse_init_in and fuse_init_out. Those from 32 on travel in `flags2`. */
export const InitBit = {
  ASYNC_READ: 0,
  POSIX_LOCKS: 1,
  ATOMIC_O_TRUNC: 3,
  EXPORT_SUPPORT: 4,
  BIG_WRITES: 5,
  DONT_MASK: 6,
  FLOCK_LOCKS: 10,
  HAS_IOCTL_DIR: 11,
  AUTO_INVAL_DATA: 12,
  DO_READDIRPLUS: 13,
  READDIRPLUS_AUTO: 14,
  ASYNC_DIO: 15,
  WRITEBACK_CACHE: 16,
  NO_OPEN_SUPPORT: 17,
  PARALLEL_DIROPS: 18,
  HANDLE_KILLPRIV: 19,
  POSIX_ACL: 20,
  ABORT_ERROR: 21,
  MAX_PAGES: 22,
  CACHE_SYMLINKS: 23,
  NO_OPENDIR_SUPPORT: 24,
  EXPLICIT_INVAL_DATA: 25,
  SUBMOUNTS: 27,
  HANDLE_KILLPRIV_V2: 28,
  SETXATTR_EXT: 29,
  INIT_EXT: 30,
  SECURITY_CTX: 32,
  CREATE_SUPP_GROUP: 34,
  HAS_EXPIRE_ONLY: 35,
  DIRECT_IO_ALLOW_MMAP: 36,
  PASSTHROUGH: 37,
  NO_EXPORT_SUPPORT: 38,
  ALLOW_IDMAP: 40,
  REQUEST_TIMEOUT: 42,
} as const;

/** fuse_setattr_in.valid */
export const SetAttribute = {
  MODE: 1 << 0,
  UID: 1 << 1,
  GID: 1 << 2,
  SIZE: 1 << 3,
  ATIME: 1 << 4,
  MTIME: 1 << 5,
  FH: 1 << 6,
  ATIME_NOW: 1 << 7,
  MTIME_NOW: 1 << 8,
  LOCKOWNER: 1 << 9,
  CTIME: 1 << 10,
  KILL_SUIDGID: 1 << 11,
} as const;

/** fuse_open_out.open_flags */
export const OpenReplyFlag = {
  DIRECT_IO: 1 << 0,
  KEEP_CACHE: 1 << 1,
  NONSEEKABLE: 1 << 2,
  CACHE_DIR: 1 << 3,
  STREAM: 1 << 4,
  NOFLUSH: 1 << 5,
  PARALLEL_DIRECT_WRITES: 1 << 6,
  PASSTHROUGH: 1 << 7,
} as const;

export const GETATTR_FH = 1 << 0;
export const RELEASE_FLUSH = 1 << 0;
export const RELEASE_FLOCK_UNLOCK = 1 << 1;
export const LK_FLOCK = 1 << 0;
export const WRITE_CACHE = 1 << 0;
export const WRITE_LOCKOWNER = 1 << 1;
export const WRITE_KILL_SUIDGID = 1 << 2;
export const READ_LOCKOWNER = 1 << 1;
export const FSYNC_FDATASYNC = 1 << 0;
export const OPEN_KILL_SUIDGID = 1 << 0;
export const SETXATTR_ACL_KILL_SGID = 1 << 0;
export const POLL_SCHEDULE_NOTIFY = 1 << 0;
export const EXPIRE_ONLY = 1 << 0;
/** Extensions with a type up to this one carry security contexts; the type is then their number. */
export const MAX_SECURITY_CONTEXTS = 31;
export const EXTENSION_GROUPS = 32;

/** The flags of renameat2(2). */
export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;
export const RENAME_WHITEOUT = 4;

/** What fcntl(2) calls a lock, in fuse_file_lock.type. */
export const LockType = { READ: 0, WRITE: 1, UNLOCK: 2 } as const;

/** The modes of fallocate(2). */
export const Fallocate = { KEEP_SIZE: 1, PUNCH_HOLE: 2, COLLAPSE_RANGE: 8, ZERO_RANGE: 16, INSERT_RANGE: 32 } as const;

/** The places of lseek(2) that reach the server. */
export const Seek = { DATA: 3, HOLE: 4 } as const;

/** The flags of setxattr(2). */
export const XATTR_CREATE = 1;
export const XATTR_REPLACE = 2;
