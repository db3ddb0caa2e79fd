/** The catalog as a file system has it: programs by inode, and by a directory's inode and a name in it. Errors are those of POSIX, by their errno. */
export { type Child } from "./child.ts";
export { type Link, link } from "./link.ts";
export { getattr, lookup, readlink } from "./lookup.ts";
export { type Make, type MakeNode, mkdir, mknod, symlink } from "./make.ts";
export {
  type DirectoryEntry,
  type DirectoryEntryPlus,
  type DirectoryPage,
  type ReadDirectory,
  readdir,
  readdirplus,
} from "./readdir.ts";
export { type SetAttr, setattr } from "./setattr.ts";
export { getxattr, listxattr, type RemoveXattr, removexattr, type SetXattr, setxattr } from "./xattrs.ts";
