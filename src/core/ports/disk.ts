/**
 * Disks as a port, so that tests can lose power between any two lines.
 *
 * Durability follows POSIX: bytes are durable after `DiskFile.sync`; a name (created, renamed or removed) is durable after
 * `syncDirectory` of the directory that holds it. Every method rejects with the platform's error (`code` is an errno
 * name such as ENOENT); callers translate with `fromErrno`. Paths are absolute. No component of one is followed when it is a
 * symbolic link: that is ELOOP or ENOTDIR.
 */
export interface Disk {
  open(path: string, flags: OpenFlags): Promise<DiskFile>;
  /** Replaces `to` atomically when it exists. */
  rename(from: string, to: string): Promise<void>;
  /** Like `rename`, and rejects with EEXIST when `to` exists, whatever it is. */
  renameNew(from: string, to: string): Promise<void>;
  /** A second name for a file; rejects with EEXIST when `to` exists. */
  link(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  makeDirectory(path: string): Promise<void>;
  removeDirectory(path: string): Promise<void>;
  /** Names in no particular order. */
  readDirectory(path: string): Promise<DirectoryName[]>;
  /** Does not follow a symbolic link. */
  stat(path: string): Promise<DiskStat>;
  /** `stat` and one extended attribute at once, for listings; undefined where there is none. */
  inspect(
    path: string,
    attribute: string,
  ): Promise<{ readonly stat: DiskStat; readonly attribute: Uint8Array | undefined }>;
  /** The bytes alone, shared with the source where the file system can; `to` must not exist. Durable once `to` was synced. */
  copy(from: string, to: string): Promise<void>;
  syncDirectory(path: string): Promise<void>;
  /** Finds a directory once for several calls. */
  hold(path: string): Promise<HeldDirectory>;
  /** Bytes free for this process and bytes in all. */
  space(path: string): Promise<{ freeBytes: number; totalBytes: number }>;
  /** Where a path leads once all its links are followed, which nothing else here does. */
  realPath(path: string): Promise<string>;
  /** It is a disk of this machine alone, outlives a power loss, and has `lock` and `syncFileSystem`. */
  readonly isLocal: boolean;
  /**
   * A lock among whoever opens the file, in this process or others of this machine, which the kernel drops when a process ends, however it ends.
   * The file is made when it is not there. Undefined at once: somebody holds it. Rejects with ENOSYS where there is no such call.
   */
  lock(path: string, kind: "shared" | "exclusive"): Promise<DiskLock | undefined>;
}

export interface DiskLock {
  release(): void;
}

export interface HeldDirectory {
  /** Stands for the directory at the beginning of paths, whatever becomes of its own, until it is released. */
  readonly path: string;
  /** Like `syncDirectory`. */
  sync(): Promise<void>;
  /** See `DiskFile`. */
  syncFileSystem(): Promise<void>;
  release(): void;
}

/**
 * `read`: existing, for reading. `create`: must not exist, for writing. `update`: existing, for reading and writing. `log`: for reading and
 * writing, made when it is not there; bytes that are written are durable when the write resolves.
 */
export type OpenFlags = "read" | "create" | "update" | "log";

export interface DirectoryName {
  readonly name: string;
  readonly kind: DiskKind;
}

export type DiskKind = "file" | "directory" | "other";

export interface DiskStat {
  readonly kind: DiskKind;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  /** Nanoseconds since 1970, in decimal: as exact as the file system keeps it. */
  readonly modifiedNs: string;
  /** Changes whenever the content may have changed: device, inode, size and modification time in nanoseconds. */
  readonly identity: string;
  /** Device and inode: the same as long as it is the same file or directory of the same disk. */
  readonly place: string;
  /** When it was made, in nanoseconds: with `place` it tells a file from a later one that was given the same inode. "0" where that is not kept. */
  readonly bornNs: string;
}

/** The source has so many bytes from `start` on: fewer are an error. */
export interface CopyRange {
  readonly start: number;
  readonly sizeBytes: number;
  readonly position: number;
}

export interface DiskFile {
  /** Fills `buffer` from `position`; resolves with how much there was, 0 at the end. */
  read(buffer: Uint8Array, position: number): Promise<number>;
  /** Writes all of `buffers` in order at `position`; rejects when the disk took less. */
  write(buffers: readonly Uint8Array[], position: number): Promise<void>;
  /** Writes bytes of another file of this disk at `position`; shared with it, or moved within the kernel, where that is possible. */
  copyFrom(source: DiskFile, range: CopyRange): Promise<void>;
  truncate(sizeBytes: number): Promise<void>;
  stat(): Promise<DiskStat>;
  /** Extended attribute by full name (`user.globalfs`); undefined when there is none. */
  getAttribute(name: string): Promise<Uint8Array | undefined>;
  /** Rejects with ENOTSUP where the file system keeps none. */
  setAttribute(name: string, value: Uint8Array): Promise<void>;
  /** Data, size and attributes are on the disk when it resolves. */
  sync(): Promise<void>;
  /**
   * All that the file's file system had taken when it was called is on the disk when it resolves: bytes, names and attributes of every file. Rejects
   * when any write failed since this file was opened, and with ENOSYS where there is no such call.
   */
  syncFileSystem(): Promise<void>;
  close(): Promise<void>;
}
