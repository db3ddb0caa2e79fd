/** FS_IOC_GETFLAGS, SETFLAGS, GETVERSION, FSGETXATTR and FSSETXATTR. The kernel has checked the caller's right to set them. */
export const PASSED_IOCTLS: ReadonlySet<number> = new Set([
  0x8008_6601, 0x4008_6602, 0x8008_7601, 0x801c_581f, 0x401c_5820,
]);
/** File systems that tell of writes that went wrong when a file is closed: NFS, SMB, CIFS, FUSE, Ceph, 9p, AFS. */
export const LATE_ERRORS: ReadonlySet<number> = new Set([
  0x6969, 0xfe53_4d42, 0xff53_4d42, 0x6573_5546, 0x00c3_6400, 0x0102_1997, 0x5346_414f,
]);
