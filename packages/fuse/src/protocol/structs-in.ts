/** What the kernel sends, as linux/fuse.h declares it. */
import { struct } from "./layout.ts";

export const InHeader = struct("fuse_in_header", {
  len: "u32",
  opcode: "u32",
  unique: "u64",
  nodeid: "u64",
  uid: "u32",
  gid: "u32",
  pid: "u32",
  total_extlen: "u16",
  padding: "u16",
});

export const InitIn = struct("fuse_init_in", {
  major: "u32",
  minor: "u32",
  max_readahead: "u32",
  flags: "u32",
  flags2: "u32",
  unused: ["u32", 11],
});

/** What a kernel older than 7.36 sends at INIT: everything up to the flags. */
export const INIT_IN_COMPAT_BYTES = 16;

export const ForgetIn = struct("fuse_forget_in", { nlookup: "u64" });
export const ForgetOne = struct("fuse_forget_one", { nodeid: "u64", nlookup: "u64" });
export const BatchForgetIn = struct("fuse_batch_forget_in", { count: "u32", dummy: "u32" });
export const GetattrIn = struct("fuse_getattr_in", { getattr_flags: "u32", dummy: "u32", fh: "u64" });

export const StatxIn = struct("fuse_statx_in", {
  getattr_flags: "u32",
  reserved: "u32",
  fh: "u64",
  sx_flags: "u32",
  sx_mask: "u32",
});

export const MknodIn = struct("fuse_mknod_in", { mode: "u32", rdev: "u32", umask: "u32", padding: "u32" });
export const MkdirIn = struct("fuse_mkdir_in", { mode: "u32", umask: "u32" });
export const RenameIn = struct("fuse_rename_in", { newdir: "u64" });
export const Rename2In = struct("fuse_rename2_in", { newdir: "u64", flags: "u32", padding: "u32" });
export const LinkIn = struct("fuse_link_in", { oldnodeid: "u64" });

export const SetattrIn = struct("fuse_setattr_in", {
  valid: "u32",
  padding: "u32",
  fh: "u64",
  size: "u64",
  lock_owner: "u64",
  atime: "u64",
  mtime: "u64",
  ctime: "u64",
  atimensec: "u32",
  mtimensec: "u32",
  ctimensec: "u32",
  mode: "u32",
  unused4: "u32",
  uid: "u32",
  gid: "u32",
  unused5: "u32",
});

export const OpenIn = struct("fuse_open_in", { flags: "u32", open_flags: "u32" });
export const CreateIn = struct("fuse_create_in", { flags: "u32", mode: "u32", umask: "u32", open_flags: "u32" });

export const ReleaseIn = struct("fuse_release_in", {
  fh: "u64",
  flags: "u32",
  release_flags: "u32",
  lock_owner: "u64",
});

export const FlushIn = struct("fuse_flush_in", { fh: "u64", unused: "u32", padding: "u32", lock_owner: "u64" });

export const ReadIn = struct("fuse_read_in", {
  fh: "u64",
  offset: "u64",
  size: "u32",
  read_flags: "u32",
  lock_owner: "u64",
  flags: "u32",
  padding: "u32",
});

export const WriteIn = struct("fuse_write_in", {
  fh: "u64",
  offset: "u64",
  size: "u32",
  write_flags: "u32",
  lock_owner: "u64",
  flags: "u32",
  padding: "u32",
});

export const FsyncIn = struct("fuse_fsync_in", { fh: "u64", fsync_flags: "u32", padding: "u32" });

/** With FUSE_SETXATTR_EXT; without it only the first two fields are sent. */
export const SetxattrIn = struct("fuse_setxattr_in", {
  size: "u32",
  flags: "u32",
  setxattr_flags: "u32",
  padding: "u32",
});

export const SETXATTR_IN_COMPAT_BYTES = 8;

export const GetxattrIn = struct("fuse_getxattr_in", { size: "u32", padding: "u32" });

export const FileLock = struct("fuse_file_lock", { start: "u64", end: "u64", type: "u32", pid: "u32" });

export const LkIn = struct("fuse_lk_in", {
  fh: "u64",
  owner: "u64",
  lk: FileLock,
  lk_flags: "u32",
  padding: "u32",
});

export const AccessIn = struct("fuse_access_in", { mask: "u32", padding: "u32" });
export const InterruptIn = struct("fuse_interrupt_in", { unique: "u64" });
export const BmapIn = struct("fuse_bmap_in", { block: "u64", blocksize: "u32", padding: "u32" });

export const IoctlIn = struct("fuse_ioctl_in", {
  fh: "u64",
  flags: "u32",
  cmd: "u32",
  arg: "u64",
  in_size: "u32",
  out_size: "u32",
});

export const PollIn = struct("fuse_poll_in", { fh: "u64", kh: "u64", flags: "u32", events: "u32" });

export const FallocateIn = struct("fuse_fallocate_in", {
  fh: "u64",
  offset: "u64",
  length: "u64",
  mode: "u32",
  padding: "u32",
});

export const LseekIn = struct("fuse_lseek_in", { fh: "u64", offset: "u64", whence: "u32", padding: "u32" });

export const CopyFileRangeIn = struct("fuse_copy_file_range_in", {
  fh_in: "u64",
  off_in: "u64",
  nodeid_out: "u64",
  fh_out: "u64",
  off_out: "u64",
  len: "u64",
  flags: "u64",
});

export const SyncfsIn = struct("fuse_syncfs_in", { padding: "u64" });

/** What answers a retrieve notification. */
export const NotifyRetrieveIn = struct("fuse_notify_retrieve_in", {
  dummy1: "u64",
  offset: "u64",
  size: "u32",
  dummy2: "u32",
  dummy3: "u64",
  dummy4: "u64",
});

export const ExtHeader = struct("fuse_ext_header", { size: "u32", type: "u32" });
export const SecctxHeader = struct("fuse_secctx_header", { size: "u32", nr_secctx: "u32" });
export const Secctx = struct("fuse_secctx", { size: "u32", padding: "u32" });
