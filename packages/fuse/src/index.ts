export { mount } from "./mount/mount.ts";
export type { MountedFileSystem, MountOptions, UnmountOptions } from "./mount/mount.ts";
export type { MountFlag } from "./mount/mount-options.ts";
export { BackingFiles, openBackingFiles } from "./passthrough/index.ts";
export type { BackingFilesConfig } from "./passthrough/index.ts";
export { InodeTable } from "./inodes/inode-table.ts";
export { Errno, FuseError } from "./protocol/errors.ts";
export type { FuseErrorCode } from "./protocol/errors.ts";
export {
  Fallocate,
  InitBit,
  LockType,
  OpenReplyFlag,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  RENAME_WHITEOUT,
  ROOT_INODE,
  Seek,
  XATTR_CREATE,
  XATTR_REPLACE,
} from "./protocol/flags.ts";
export type { DirectoryListing } from "./protocol/directory-listing.ts";
export type { Extensions, SecurityContext } from "./protocol/extensions.ts";
export type { Features, Negotiated } from "./protocol/negotiation.ts";
export type * from "./protocol/replies.ts";
export type { PlainRequest, Request } from "./protocol/request.ts";
export type * from "./protocol/requests-attributes.ts";
export type {
  BmapRequest,
  CopyFileRangeRequest,
  FallocateRequest,
  FlushRequest,
  FsyncRequest,
  IoctlRequest,
  LseekRequest,
  OpenRequest,
  PollRequest,
  ReadRequest,
  ReaddirRequest,
  ReleaseRequest,
  WriteRequest,
} from "./protocol/requests-files.ts";
export type {
  CreateRequest,
  LinkRequest,
  MkdirRequest,
  MknodRequest,
  NameRequest,
  RenameRequest,
  SymlinkRequest,
} from "./protocol/requests-names.ts";
export { DEFER } from "./session/file-system.ts";
export type { Answer, Connection, FileSystem, FileSystemModule } from "./session/file-system.ts";
export type { Notifier } from "./session/notifier.ts";
