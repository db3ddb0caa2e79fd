import type { FileSystemStatus } from "../../protocol/replies.ts";
import type { SourceAttributes } from "./source-attributes.ts";

/** The flags of open(2) that Node's constants lack, or that are needed as plain numbers. */
export const O_ACCMODE = 0o3;
export const O_RDONLY = 0o0;
export const O_RDWR = 0o2;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_TRUNC = 0o1000;
export const O_APPEND = 0o2000;
export const O_NONBLOCK = 0o4000;
export const O_DSYNC = 0o10000;
export const O_DIRECTORY = 0o200000;
export const O_NOFOLLOW = 0o400000;
export const O_NOATIME = 0o1000000;
export const O_CLOEXEC = 0o2000000;
export const O_SYNC = 0o4010000;
export const O_PATH = 0o10000000;
export const O_TMPFILE = 0o20200000;

/** A directory that is being listed. After `next` has said true, the fields describe the name it came to. */
export interface SourceListing {
  /** Goes on to the next name. False at the end; a negative error number if the source fails. */
  next(): boolean | number;
  name: string;
  /** The inode and the type as `Attributes.mode` has it; both without a question to the file itself. */
  inode: number;
  mode: number;
  /** Where a listing goes on behind this name: never 0, and stable as long as the listing is open. */
  cookie: number;
  /** Goes to a cookie, or to the beginning with 0. */
  seek(cookie: number): void;
}

/** New times for a file; undefined leaves one alone. */
export interface NewTimes {
  readonly atime: "keep" | "now" | "set";
  readonly atimeSeconds: number;
  readonly atimeNanoseconds: number;
  readonly mtime: "keep" | "now" | "set";
  readonly mtimeSeconds: number;
  readonly mtimeNanoseconds: number;
}

/**
 * The system calls that loopback makes. Every call answers with 0 or what the call returns, or with a negative error number: exceptions would
 * cost more than the calls. Descriptors of nodes are opened with O_PATH, so they hold a file without opening it; names are relative to the
 * descriptor of a directory, so that renames above do not matter.
 */
export interface SourceCalls {
  /** The bits that are taken from the mode of everything made here whoever asks for it, 0 if none are. */
  readonly umask: number;
  /** Whether `become` has the source apply the umask of who asks, or the default access control list of the directory in its place. */
  readonly appliesUmask: boolean;
  /** No call is made after this one. */
  end(): void;
  /**
   * Makes this thread act in the name of somebody else, as far as owners of new files go, without losing its privileges. False if that cannot
   * be done, and owners have to be set afterwards.
   */
  become(caller: { readonly uid: number; readonly gid: number; readonly umask?: number }): boolean;
  becomeSelf(): void;

  open(directory: number, name: string, flags: number, mode: number): number;
  /** Opens what a descriptor holds once more, with other flags. */
  openAgain(descriptor: number, flags: number): number;
  close(descriptor: number): void;
  /** A description that outlives the descriptor, or undefined where the source has none. */
  handleOf(descriptor: number): Buffer | undefined;
  openHandle(root: number, handle: Buffer): number;

  statusOf(descriptor: number, into: SourceAttributes): number;
  statusAt(directory: number, name: string, into: SourceAttributes): number;
  chmod(descriptor: number, mode: number): number;
  /** -1 leaves one of the two alone. */
  chown(descriptor: number, uid: number, gid: number): number;
  truncate(descriptor: number, sizeBytes: number): number;
  /** As `truncate`, by a descriptor that is open for writing. */
  truncateOpen(descriptor: number, sizeBytes: number): number;
  setTimes(descriptor: number, times: NewTimes): number;
  readlink(descriptor: number): Buffer | number;

  mkdir(directory: number, name: string, mode: number): number;
  mknod(directory: number, name: string, kind: { readonly mode: number; readonly device: number }): number;
  symlink(directory: number, name: string, target: string): number;
  unlink(directory: number, name: string): number;
  rmdir(directory: number, name: string): number;
  link(descriptor: number, directory: number, name: string): number;
  rename(
    from: { readonly directory: number; readonly name: string },
    to: { readonly directory: number; readonly name: string },
    flags: number,
  ): number;

  read(descriptor: number, into: Buffer, offset: number): number;
  write(descriptor: number, data: Buffer, offset: number): number;
  /** Writes behind the last byte, wherever that is by now, with a descriptor that is not open for appending only. */
  append(descriptor: number, data: Buffer): number;
  sync(descriptor: number, dataOnly: boolean): number;
  syncAll(descriptor: number): number;
  /** What closing would tell of writes that went wrong, without closing. */
  flush(descriptor: number): number;
  allocate(
    descriptor: number,
    range: { readonly mode: number; readonly offset: number; readonly lengthBytes: number },
  ): number;
  seek(descriptor: number, offset: number, whence: number): number;
  copyRange(
    from: { readonly descriptor: number; readonly offset: number },
    to: { readonly descriptor: number; readonly offset: number },
    lengthBytes: number,
  ): number;
  ioctl(descriptor: number, command: number, data: Buffer): number;
  list(descriptor: number): SourceListing;
  fileSystemStatus(descriptor: number): (FileSystemStatus & { readonly type: number }) | number;

  setXattr(descriptor: number, name: string, value: Buffer, flags: number): number;
  getXattr(descriptor: number, name: string): Buffer | number;
  listXattrs(descriptor: number): readonly string[] | number;
  removeXattr(descriptor: number, name: string): number;

  /** Locks as flock(2) does, without waiting. */
  flock(descriptor: number, operation: number): number;
  /** fcntl(2) with a lock of the open file, which `lock` describes as struct flock. */
  fileLock(descriptor: number, command: number, lock: Buffer): number;
}
