import { O_ACCMODE, O_DSYNC, O_NOATIME, O_NONBLOCK, O_SYNC, O_TRUNC } from "./source-calls.ts";

/** What of the flags of open(2) matters for our own descriptor. Our memory is not aligned as O_DIRECT would want it. */
export const OPEN_FLAGS = O_ACCMODE | O_TRUNC | O_NONBLOCK | O_SYNC | O_DSYNC | O_NOATIME;

/** FS_IOC_SETFLAGS and FSSETXATTR. The kernel has checked the caller's right to them. */
export const CHANGING_IOCTLS: ReadonlySet<number> = new Set([0x4008_6602, 0x401c_5820]);
/** These, and FS_IOC_GETFLAGS, GETVERSION and FSGETXATTR. */
export const PASSED_IOCTLS: ReadonlySet<number> = new Set([...CHANGING_IOCTLS, 0x8008_6601, 0x8008_7601, 0x801c_581f]);
/** File systems that tell of writes that went wrong when a file is closed: NFS, SMB, CIFS, FUSE, Ceph, 9p, AFS. */
export const LATE_ERRORS: ReadonlySet<number> = new Set([
  0x6969, 0xfe53_4d42, 0xff53_4d42, 0x6573_5546, 0x00c3_6400, 0x0102_1997, 0x5346_414f,
]);
