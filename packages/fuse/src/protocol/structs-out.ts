/** What the kernel is answered and notified with, as linux/fuse.h declares it. */
import { struct } from "./layout.ts";
import { FileLock } from "./structs-in.ts";

export const OutHeader = struct("fuse_out_header", { len: "u32", error: "i32", unique: "u64" });

export const Attr = struct("fuse_attr", {
  ino: "u64",
  size: "u64",
  blocks: "u64",
  atime: "u64",
  mtime: "u64",
  ctime: "u64",
  atimensec: "u32",
  mtimensec: "u32",
  ctimensec: "u32",
  mode: "u32",
  nlink: "u32",
  uid: "u32",
  gid: "u32",
  rdev: "u32",
  blksize: "u32",
  flags: "u32",
});

export const SxTime = struct("fuse_sx_time", { tv_sec: "i64", tv_nsec: "u32", reserved: "i32" });

export const Statx = struct("fuse_statx", {
  mask: "u32",
  blksize: "u32",
  attributes: "u64",
  nlink: "u32",
  uid: "u32",
  gid: "u32",
  mode: "u16",
  spare0: "u16",
  ino: "u64",
  size: "u64",
  blocks: "u64",
  attributes_mask: "u64",
  atime: SxTime,
  btime: SxTime,
  ctime: SxTime,
  mtime: SxTime,
  rdev_major: "u32",
  rdev_minor: "u32",
  dev_major: "u32",
  dev_minor: "u32",
  spare2: ["u64", 14],
});

export const EntryOut = struct("fuse_entry_out", {
  nodeid: "u64",
  generation: "u64",
  entry_valid: "u64",
  attr_valid: "u64",
  entry_valid_nsec: "u32",
  attr_valid_nsec: "u32",
  attr: Attr,
});

export const AttrOut = struct("fuse_attr_out", { attr_valid: "u64", attr_valid_nsec: "u32", dummy: "u32", attr: Attr });

export const StatxOut = struct("fuse_statx_out", {
  attr_valid: "u64",
  attr_valid_nsec: "u32",
  flags: "u32",
  spare: ["u64", 2],
  stat: Statx,
});

export const OpenOut = struct("fuse_open_out", { fh: "u64", open_flags: "u32", backing_id: "i32" });
export const WriteOut = struct("fuse_write_out", { size: "u32", padding: "u32" });
export const CopyFileRangeOut = struct("fuse_copy_file_range_out", { bytes_copied: "u64" });

export const StatfsOut = struct("fuse_statfs_out", {
  blocks: "u64",
  bfree: "u64",
  bavail: "u64",
  files: "u64",
  ffree: "u64",
  bsize: "u32",
  namelen: "u32",
  frsize: "u32",
  padding: "u32",
  spare: ["u32", 6],
});

export const GetxattrOut = struct("fuse_getxattr_out", { size: "u32", padding: "u32" });
export const LkOut = struct("fuse_lk_out", { lk: FileLock });
export const BmapOut = struct("fuse_bmap_out", { block: "u64" });
export const IoctlOut = struct("fuse_ioctl_out", { result: "i32", flags: "u32", in_iovs: "u32", out_iovs: "u32" });
export const IoctlIovec = struct("fuse_ioctl_iovec", { base: "u64", len: "u64" });
export const PollOut = struct("fuse_poll_out", { revents: "u32", padding: "u32" });
export const LseekOut = struct("fuse_lseek_out", { offset: "u64" });

export const InitOut = struct("fuse_init_out", {
  major: "u32",
  minor: "u32",
  max_readahead: "u32",
  flags: "u32",
  max_background: "u16",
  congestion_threshold: "u16",
  max_write: "u32",
  time_gran: "u32",
  max_pages: "u16",
  map_alignment: "u16",
  flags2: "u32",
  max_stack_depth: "u32",
  request_timeout: "u16",
  unused: ["u16", 11],
});

/** Followed by the name, padded with zeros to a multiple of eight bytes. */
export const Dirent = struct("fuse_dirent", { ino: "u64", off: "u64", namelen: "u32", type: "u32" });

export const NotifyPollWakeupOut = struct("fuse_notify_poll_wakeup_out", { kh: "u64" });
export const NotifyInvalInodeOut = struct("fuse_notify_inval_inode_out", { ino: "u64", off: "i64", len: "i64" });
export const NotifyInvalEntryOut = struct("fuse_notify_inval_entry_out", {
  parent: "u64",
  namelen: "u32",
  flags: "u32",
});
export const NotifyDeleteOut = struct("fuse_notify_delete_out", {
  parent: "u64",
  child: "u64",
  namelen: "u32",
  padding: "u32",
});
export const NotifyStoreOut = struct("fuse_notify_store_out", {
  nodeid: "u64",
  offset: "u64",
  size: "u32",
  padding: "u32",
});
export const NotifyRetrieveOut = struct("fuse_notify_retrieve_out", {
  notify_unique: "u64",
  nodeid: "u64",
  offset: "u64",
  size: "u32",
  padding: "u32",
});
