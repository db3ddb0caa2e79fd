import { expect, test } from "vitest";
import { struct } from "./layout.ts";
import * as incoming from "./structs-in.ts";
import * as outgoing from "./structs-out.ts";

/** sizeof() of each structure, as a C compiler says with linux/fuse.h. */
const SIZES: Readonly<Record<string, number>> = {
  fuse_in_header: 40,
  fuse_init_in: 64,
  fuse_forget_in: 8,
  fuse_forget_one: 16,
  fuse_batch_forget_in: 8,
  fuse_getattr_in: 16,
  fuse_statx_in: 24,
  fuse_mknod_in: 16,
  fuse_mkdir_in: 8,
  fuse_rename_in: 8,
  fuse_rename2_in: 16,
  fuse_link_in: 8,
  fuse_setattr_in: 88,
  fuse_open_in: 8,
  fuse_create_in: 16,
  fuse_release_in: 24,
  fuse_flush_in: 24,
  fuse_read_in: 40,
  fuse_write_in: 40,
  fuse_fsync_in: 16,
  fuse_setxattr_in: 16,
  fuse_getxattr_in: 8,
  fuse_file_lock: 24,
  fuse_lk_in: 48,
  fuse_access_in: 8,
  fuse_interrupt_in: 8,
  fuse_bmap_in: 16,
  fuse_ioctl_in: 32,
  fuse_poll_in: 24,
  fuse_fallocate_in: 32,
  fuse_lseek_in: 24,
  fuse_copy_file_range_in: 56,
  fuse_syncfs_in: 8,
  fuse_notify_retrieve_in: 40,
  fuse_ext_header: 8,
  fuse_secctx_header: 8,
  fuse_secctx: 8,
  fuse_out_header: 16,
  fuse_attr: 88,
  fuse_sx_time: 16,
  fuse_statx: 256,
  fuse_entry_out: 128,
  fuse_attr_out: 104,
  fuse_statx_out: 288,
  fuse_open_out: 16,
  fuse_write_out: 8,
  fuse_copy_file_range_out: 8,
  fuse_statfs_out: 80,
  fuse_getxattr_out: 8,
  fuse_lk_out: 24,
  fuse_bmap_out: 8,
  fuse_ioctl_out: 16,
  fuse_ioctl_iovec: 16,
  fuse_poll_out: 8,
  fuse_lseek_out: 8,
  fuse_init_out: 64,
  fuse_dirent: 24,
  fuse_notify_poll_wakeup_out: 8,
  fuse_notify_inval_inode_out: 24,
  fuse_notify_inval_entry_out: 16,
  fuse_notify_delete_out: 24,
  fuse_notify_store_out: 24,
  fuse_notify_retrieve_out: 32,
};

test("every structure has the size that the kernel's header gives it", () => {
  const declared = [...Object.values(incoming), ...Object.values(outgoing)].flatMap((value) =>
    typeof value === "object" ? [[value.name, value.sizeBytes] as const] : [],
  );
  expect(Object.fromEntries(declared)).toEqual(SIZES);
});

test("a declaration with hidden padding is refused", () => {
  expect(() => struct("odd", { small: "u32", large: "u64" })).toThrow("odd.large is not aligned");
  expect(() => struct("short", { large: "u64", small: "u32" })).toThrow("short has a size of 12");
});
