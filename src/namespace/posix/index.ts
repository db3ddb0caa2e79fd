/** The catalog as a file system has it: programs by inode, and by a directory's inode and a name in it. Errors are those of POSIX, by their errno. */
export { type Child } from "./child.ts";
export * as checked from "./checked.ts";
export { assertEpoch, type Commit, commit, fence } from "./commit.ts";
export { type Exchange, type Exchanged, exchange } from "./exchange.ts";
export { type Link, link } from "./link.ts";
export { getattr, lookup, readlink } from "./lookup.ts";
export { type Make, type MakeNode, mkdir, mknod, symlink } from "./make.ts";
export { closeSession, openSession } from "../orphan-rows.ts";
export { nextDeadSession, releaseNextOrphan, releaseOrphan, type Release, type Released } from "./orphans.ts";
export { type Credentials, EXECUTE, mayAccess, READ, withoutSetIds, WRITE } from "./permissions.ts";
export {
  type DirectoryEntry,
  type DirectoryEntryPlus,
  type DirectoryPage,
  type ReadDirectory,
  readdir,
  readdirplus,
} from "./readdir.ts";
export { type Remove, rmdir, type Unlink, type Unlinked, unlink } from "./remove.ts";
export { type Rename, type Renamed, rename } from "./rename.ts";
export { type SetAttr, setattr } from "./setattr.ts";
export { clearQuota, setQuota, statfs } from "./quota.ts";
export { type Walk, type Walked, walk } from "./walk.ts";
export { getxattr, listxattr, type RemoveXattr, removexattr, type SetXattr, setxattr } from "./xattrs.ts";
