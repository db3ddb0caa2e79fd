import * as fs from "node:fs";
import { Errno, findErrno } from "../../protocol/errors.ts";
import { decodeName, encodeName, nameBytes } from "../../protocol/names.ts";
import type { FileSystemStatus } from "../../protocol/replies.ts";
import type { SourceAttributes } from "./source-attributes.ts";
import type { NewTimes, SourceCalls, SourceListing } from "./source-calls.ts";

const TYPE_MASK = 0o170000;
const REGULAR = 0o100000;
const NAME_LIMIT_BYTES = 255;
const NS_PER_SECOND = 1_000_000_000;
const MS_PER_SECOND = 1000;

/** What `Dirent` tells of the type, as the bits of a mode. */
const TYPES: readonly (readonly [(entry: fs.Dirent<Buffer>) => boolean, number])[] = [
  [(entry) => entry.isFile(), 0o100000],
  [(entry) => entry.isDirectory(), 0o040000],
  [(entry) => entry.isSymbolicLink(), 0o120000],
  [(entry) => entry.isFIFO(), 0o010000],
  [(entry) => entry.isSocket(), 0o140000],
  [(entry) => entry.isCharacterDevice(), 0o020000],
  [(entry) => entry.isBlockDevice(), 0o060000],
];

/**
 * What can be done with Node alone, by paths below /proc/self/fd. There are no extended attributes, access control lists, device files,
 * exchanging renames, fallocate, lseek for data and locks of the source; times are exact to the microsecond; appending does not exclude those
 * who append to the source directly; and owners of new files are set after they were made.
 */
export class NodeCalls implements SourceCalls {
  readonly umask = process.umask();
  readonly appliesUmask = false;

  end(): void {
    // Nothing is kept.
  }

  become(): boolean {
    return false;
  }

  becomeSelf(): void {
    // It never was anybody else.
  }

  open(directory: number, name: string, flags: number, mode: number): number {
    return attempt(() => fs.openSync(pathOf(directory, name === "" ? "." : name), flags, mode));
  }

  openAgain(descriptor: number, flags: number): number {
    return attempt(() => fs.openSync(pathOf(descriptor), flags));
  }

  close(descriptor: number): void {
    fs.closeSync(descriptor);
  }

  handleOf(): undefined {
    return undefined;
  }

  openHandle(): number {
    return Errno.ESTALE;
  }

  statusOf(descriptor: number, into: SourceAttributes): number {
    return attempt(() => into.fromStats(fs.fstatSync(descriptor, { bigint: true })));
  }

  statusAt(directory: number, name: string, into: SourceAttributes): number {
    return attempt(() => into.fromStats(fs.lstatSync(pathOf(directory, name), { bigint: true })));
  }

  chmod(descriptor: number, mode: number): number {
    return attempt(() => fs.chmodSync(pathOf(descriptor), mode & ~TYPE_MASK));
  }

  chown(descriptor: number, uid: number, gid: number): number {
    return attempt(() => fs.chownSync(pathOf(descriptor), uid, gid));
  }

  truncate(descriptor: number, sizeBytes: number): number {
    return attempt(() => fs.truncateSync(pathOf(descriptor), sizeBytes));
  }

  truncateOpen(descriptor: number, sizeBytes: number): number {
    return attempt(() => fs.ftruncateSync(descriptor, sizeBytes));
  }

  setTimes(descriptor: number, times: NewTimes): number {
    return attempt(() => {
      const before = fs.fstatSync(descriptor);
      const choose = (change: NewTimes["atime"], set: number, keepMs: number): number =>
        change === "set" ? set : (change === "now" ? Date.now() : keepMs) / MS_PER_SECOND;
      const atime = choose(times.atime, times.atimeSeconds + times.atimeNanoseconds / NS_PER_SECOND, before.atimeMs);
      const mtime = choose(times.mtime, times.mtimeSeconds + times.mtimeNanoseconds / NS_PER_SECOND, before.mtimeMs);
      fs.utimesSync(pathOf(descriptor), atime, mtime);
    });
  }

  readlink(descriptor: number): Buffer | number {
    return attemptValue(() => fs.readlinkSync(currentPath(descriptor), { encoding: "buffer" }));
  }

  mkdir(directory: number, name: string, mode: number): number {
    return attempt(() => fs.mkdirSync(pathOf(directory, name), mode));
  }

  mknod(directory: number, name: string, kind: { readonly mode: number; readonly device: number }): number {
    if ((kind.mode & TYPE_MASK) !== REGULAR) return Errno.EPERM;
    return attempt(() => fs.closeSync(fs.openSync(pathOf(directory, name), "wx", kind.mode & ~TYPE_MASK)));
  }

  symlink(directory: number, name: string, target: string): number {
    return attempt(() => fs.symlinkSync(bytesOf(target), pathOf(directory, name)));
  }

  unlink(directory: number, name: string): number {
    return attempt(() => fs.unlinkSync(pathOf(directory, name)));
  }

  rmdir(directory: number, name: string): number {
    return attempt(() => fs.rmdirSync(pathOf(directory, name)));
  }

  link(descriptor: number, directory: number, name: string): number {
    return attempt(() => fs.linkSync(currentPath(descriptor), pathOf(directory, name)));
  }

  rename(
    from: { readonly directory: number; readonly name: string },
    to: { readonly directory: number; readonly name: string },
    flags: number,
  ): number {
    if (flags !== 0) return Errno.EINVAL;
    return attempt(() => fs.renameSync(pathOf(from.directory, from.name), pathOf(to.directory, to.name)));
  }

  read(descriptor: number, into: Buffer, offset: number): number {
    return attempt(() => fs.readSync(descriptor, into, 0, into.length, offset));
  }

  write(descriptor: number, data: Buffer, offset: number): number {
    return attempt(() => fs.writeSync(descriptor, data, 0, data.length, offset));
  }

  append(descriptor: number, data: Buffer): number {
    return attempt(() => fs.writeSync(descriptor, data, 0, data.length, fs.fstatSync(descriptor).size));
  }

  sync(descriptor: number, dataOnly: boolean): number {
    return attempt(() => (dataOnly ? fs.fdatasyncSync(descriptor) : fs.fsyncSync(descriptor)));
  }

  syncAll(descriptor: number): number {
    return this.sync(descriptor, false);
  }

  flush(): number {
    return 0;
  }

  allocate(): number {
    return Errno.EOPNOTSUPP;
  }

  /** ENOSYS: the kernel then takes all of a file for data. */
  seek(): number {
    return Errno.ENOSYS;
  }

  copyRange(): number {
    return Errno.ENOSYS;
  }

  ioctl(): number {
    return Errno.ENOTTY;
  }

  list(descriptor: number): SourceListing {
    return new NamesOnceRead(pathOf(descriptor));
  }

  fileSystemStatus(descriptor: number): (FileSystemStatus & { readonly type: number }) | number {
    return attemptValue(() => {
      const { type, bsize, blocks, bfree, bavail, files, ffree } = fs.statfsSync(pathOf(descriptor));
      const counts = { blocks, freeBlocks: bfree, availableBlocks: bavail, files, freeFiles: ffree };
      return { type, blockSizeBytes: bsize, ...counts, nameLimitBytes: NAME_LIMIT_BYTES };
    });
  }

  setXattr(): number {
    return Errno.EOPNOTSUPP;
  }

  getXattr(): number {
    return Errno.EOPNOTSUPP;
  }

  listXattrs(): readonly string[] {
    return [];
  }

  removeXattr(): number {
    return Errno.EOPNOTSUPP;
  }

  flock(): number {
    return Errno.ENOSYS;
  }

  fileLock(): number {
    return Errno.ENOSYS;
  }
}

/** The names that a directory had when they were first asked for. */
class NamesOnceRead implements SourceListing {
  name = "";
  inode = 0;
  mode = 0;
  cookie = 0;
  readonly #path: string | Buffer;
  #entries: fs.Dirent<Buffer>[] | undefined;

  constructor(path: string | Buffer) {
    this.#path = path;
  }

  next(): boolean | number {
    const entries = (this.#entries ??= this.#readAll());
    const entry = entries[this.cookie];
    if (entry === undefined) return false;
    this.cookie += 1;
    this.name = decodeName(entry.name, 0, entry.name.length);
    this.mode = TYPES.find(([matches]) => matches(entry))?.[1] ?? 0;
    return true;
  }

  seek(cookie: number): void {
    if (cookie === 0) this.#entries = undefined;
    this.cookie = cookie;
  }

  #readAll(): fs.Dirent<Buffer>[] {
    return fs.readdirSync(this.#path, { withFileTypes: true, encoding: "buffer" });
  }
}

function pathOf(descriptor: number, name?: string): string | Buffer {
  const base = `/proc/self/fd/${descriptor}`;
  if (name === undefined) return base;
  const path = `${base}/${name}`;
  return nameBytes(name) === Buffer.byteLength(name) ? path : bytesOf(path);
}

/** Where a file is now. Only good for calls that cannot go by way of its descriptor; throws if somebody else is there already. */
function currentPath(descriptor: number): Buffer {
  const path = fs.readlinkSync(pathOf(descriptor), { encoding: "buffer" });
  const [held, there] = [fs.fstatSync(descriptor, { bigint: true }), fs.lstatSync(path, { bigint: true })];
  if (held.ino === there.ino && held.dev === there.dev) return path;
  throw Object.assign(new Error("The file has moved meanwhile."), { errno: Errno.ESTALE });
}

function bytesOf(name: string): Buffer {
  const bytes = Buffer.alloc(nameBytes(name));
  encodeName(name, bytes, 0);
  return bytes;
}

function attempt(call: () => number | void): number {
  const result = attemptValue(call);
  return result ?? 0;
}

function attemptValue<T>(call: () => T): T | number {
  try {
    return call();
  } catch (error) {
    const errno = findErrno(error);
    if (errno === undefined) throw error;
    return errno;
  }
}
