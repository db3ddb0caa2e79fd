import { closeSync, openSync } from "node:fs";
import { createRequire } from "node:module";
import { Errno } from "../../protocol/errors.ts";
import { decodeName, encodeName } from "../../protocol/names.ts";
import type { FileSystemStatus } from "../../protocol/replies.ts";
import { NativeListing } from "./native-listing.ts";
import { STATX_BYTES, type SourceAttributes } from "./source-attributes.ts";
import { O_CLOEXEC, O_DIRECTORY, type NewTimes, type SourceCalls, type SourceListing } from "./source-calls.ts";

const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_REMOVEDIR = 0x200;
const AT_SYMLINK_FOLLOW = 0x400;
const AT_EMPTY_PATH = 0x1000;
const STATX_BASIC_AND_BIRTH = 0xfff;
const UTIME_NOW = 0x3fff_ffff;
const UTIME_OMIT = 0x3fff_fffe;
const PR_SET_SECUREBITS = 28;
/** Capabilities stay when the thread takes another user's id for a while, see capabilities(7). */
const SECBIT_NO_SETUID_FIXUP = 4;
const CLONE_FS = 0x200;
const RWF_APPEND = 0x10;
const NAME_BYTES = 4096 + 1;
/** The kernel never gives more for an extended attribute or the list of them. */
const XATTR_BYTES = 65_536;
const SMALL_XATTR_BYTES = 512;
const HANDLE_BYTES = 128;
const PATH_BYTES = 64;

type Call = (...args: unknown[]) => number;

interface Koffi {
  load(path: null): { func(definition: string): Call };
  errno(): number;
  address(value: Buffer): bigint;
}

/** The calls of the C library, made in the thread that asks. Throws where koffi is missing or a call is. */
export class NativeCalls implements SourceCalls {
  readonly umask: number;
  readonly appliesUmask: boolean;
  #callersUmask = 0;
  readonly #becomes: boolean;
  #other = false;
  /** /proc/self/fd: names in it lead to what descriptors hold. To begin there saves the way through /proc for each call. */
  readonly #descriptors: number;
  readonly #koffi: Koffi;
  readonly #calls: ReturnType<typeof declareCalls>;
  readonly #name = Buffer.alloc(NAME_BYTES);
  readonly #otherName = Buffer.alloc(NAME_BYTES);
  readonly #path = Buffer.alloc(PATH_BYTES);
  readonly #nothing = Buffer.alloc(1);
  readonly #here = Buffer.from(".\0");
  readonly #statx = Buffer.alloc(STATX_BYTES);
  readonly #statxView = new DataView(this.#statx.buffer, this.#statx.byteOffset, STATX_BYTES);
  readonly #times = Buffer.alloc(32);
  /** struct iovec */
  readonly #vector = Buffer.alloc(16);
  readonly #offsets = [Buffer.alloc(8), Buffer.alloc(8)] as const;
  readonly #large = Buffer.alloc(XATTR_BYTES);

  constructor() {
    this.#koffi = createRequire(import.meta.url)("koffi") as Koffi;
    this.#calls = declareCalls(this.#koffi);
    this.#descriptors = openSync("/proc/self/fd", O_DIRECTORY);
    const { prctl, unshare, umask, geteuid } = this.#calls;
    this.#becomes = geteuid() === 0 && prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) === 0;
    // A umask of its own for this thread: that of the process belongs to the program around us.
    const own = unshare(CLONE_FS) === 0;
    const before = umask(0);
    if (!own) umask(before);
    this.umask = own ? 0 : before;
    this.appliesUmask = own;
  }

  end(): void {
    closeSync(this.#descriptors);
  }

  become({ uid, gid, umask = 0 }: { readonly uid: number; readonly gid: number; readonly umask?: number }): boolean {
    // It may stay: everything that is made comes by here.
    if (this.appliesUmask && umask !== this.#callersUmask) {
      this.#callersUmask = umask;
      this.#calls.umask(umask);
    }
    if (!this.#becomes) return false;
    if (uid === 0 && gid === 0) return true;
    this.#other = true;
    this.#calls.setfsgid(gid);
    this.#calls.setfsuid(uid);
    return true;
  }

  becomeSelf(): void {
    if (!this.#other) return;
    this.#other = false;
    this.#calls.setfsuid(0);
    this.#calls.setfsgid(0);
  }

  open(directory: number, name: string, flags: number, mode: number): number {
    const path = name === "" ? this.#here : terminated(this.#name, name);
    return this.#result(this.#calls.openat(directory, path, flags | O_CLOEXEC, mode));
  }

  openAgain(descriptor: number, flags: number): number {
    return this.#result(this.#calls.openat(this.#descriptors, this.#numberOf(descriptor), flags | O_CLOEXEC, 0));
  }

  close(descriptor: number): void {
    this.#calls.close(descriptor);
  }

  handleOf(descriptor: number): Buffer | undefined {
    const handle = this.#large;
    handle.writeUInt32LE(HANDLE_BYTES, 0);
    const mountId = this.#offsets[0];
    if (this.#calls.name_to_handle_at(descriptor, this.#nothing, handle, mountId, AT_EMPTY_PATH) !== 0)
      return undefined;
    return Buffer.from(handle.subarray(0, 8 + handle.readUInt32LE(0)));
  }

  openHandle(root: number, handle: Buffer): number {
    const O_PATH_NOFOLLOW = 0o10400000;
    return this.#result(this.#calls.open_by_handle_at(root, handle, O_PATH_NOFOLLOW | O_CLOEXEC));
  }

  statusOf(descriptor: number, into: SourceAttributes): number {
    return this.#status(descriptor, this.#nothing, AT_EMPTY_PATH, into);
  }

  statusAt(directory: number, name: string, into: SourceAttributes): number {
    return this.#status(directory, terminated(this.#name, name), AT_SYMLINK_NOFOLLOW, into);
  }

  #status(directory: number, path: Buffer, flags: number, into: SourceAttributes): number {
    if (this.#calls.statx(directory, path, flags, STATX_BASIC_AND_BIRTH, this.#statx) !== 0) return this.#failure();
    into.fromStatx(this.#statxView);
    return 0;
  }

  chmod(descriptor: number, mode: number): number {
    return this.#result(this.#calls.fchmodat(this.#descriptors, this.#numberOf(descriptor), mode, 0));
  }

  chown(descriptor: number, uid: number, gid: number): number {
    return this.#result(this.#calls.fchownat(descriptor, this.#nothing, uid, gid, AT_EMPTY_PATH));
  }

  truncate(descriptor: number, sizeBytes: number): number {
    return this.#result(this.#calls.truncate(this.#pathOf(descriptor), sizeBytes));
  }

  truncateOpen(descriptor: number, sizeBytes: number): number {
    return this.#result(this.#calls.ftruncate(descriptor, sizeBytes));
  }

  setTimes(descriptor: number, times: NewTimes): number {
    writeTime(this.#times, 0, times.atime, times.atimeSeconds, times.atimeNanoseconds);
    writeTime(this.#times, 16, times.mtime, times.mtimeSeconds, times.mtimeNanoseconds);
    return this.#result(this.#calls.utimensat(this.#descriptors, this.#numberOf(descriptor), this.#times, 0));
  }

  readlink(descriptor: number): Buffer | number {
    const length = this.#calls.readlinkat(descriptor, this.#nothing, this.#large, this.#large.length);
    return length < 0 ? this.#failure() : Buffer.from(this.#large.subarray(0, length));
  }

  mkdir(directory: number, name: string, mode: number): number {
    return this.#result(this.#calls.mkdirat(directory, terminated(this.#name, name), mode));
  }

  mknod(directory: number, name: string, kind: { readonly mode: number; readonly device: number }): number {
    return this.#result(this.#calls.mknodat(directory, terminated(this.#name, name), kind.mode, kind.device));
  }

  symlink(directory: number, name: string, target: string): number {
    return this.#result(
      this.#calls.symlinkat(terminated(this.#otherName, target), directory, terminated(this.#name, name)),
    );
  }

  unlink(directory: number, name: string): number {
    return this.#result(this.#calls.unlinkat(directory, terminated(this.#name, name), 0));
  }

  rmdir(directory: number, name: string): number {
    return this.#result(this.#calls.unlinkat(directory, terminated(this.#name, name), AT_REMOVEDIR));
  }

  link(descriptor: number, directory: number, name: string): number {
    const target = terminated(this.#name, name);
    return this.#result(
      this.#calls.linkat(this.#descriptors, this.#numberOf(descriptor), directory, target, AT_SYMLINK_FOLLOW),
    );
  }

  rename(
    from: { readonly directory: number; readonly name: string },
    to: { readonly directory: number; readonly name: string },
    flags: number,
  ): number {
    const name = terminated(this.#name, from.name);
    const newName = terminated(this.#otherName, to.name);
    return this.#result(this.#calls.renameat2(from.directory, name, to.directory, newName, flags));
  }

  read(descriptor: number, into: Buffer, offset: number): number {
    return this.#result(this.#calls.pread(descriptor, into, into.length, offset));
  }

  write(descriptor: number, data: Buffer, offset: number): number {
    return this.#result(this.#calls.pwrite(descriptor, data, data.length, offset));
  }

  append(descriptor: number, data: Buffer): number {
    const vector = this.#vector;
    vector.writeBigUInt64LE(this.#koffi.address(data), 0);
    vector.writeBigUInt64LE(BigInt(data.length), 8);
    return this.#result(this.#calls.pwritev2(descriptor, vector, 1, 0, RWF_APPEND));
  }

  sync(descriptor: number, dataOnly: boolean): number {
    return this.#result(dataOnly ? this.#calls.fdatasync(descriptor) : this.#calls.fsync(descriptor));
  }

  syncAll(descriptor: number): number {
    return this.#result(this.#calls.syncfs(descriptor));
  }

  flush(descriptor: number): number {
    const copy = this.#result(this.#calls.dup(descriptor));
    return copy < 0 ? copy : this.#result(this.#calls.close(copy));
  }

  allocate(
    descriptor: number,
    range: { readonly mode: number; readonly offset: number; readonly lengthBytes: number },
  ): number {
    return this.#result(this.#calls.fallocate(descriptor, range.mode, range.offset, range.lengthBytes));
  }

  seek(descriptor: number, offset: number, whence: number): number {
    return this.#result(this.#calls.lseek(descriptor, offset, whence));
  }

  copyRange(
    from: { readonly descriptor: number; readonly offset: number },
    to: { readonly descriptor: number; readonly offset: number },
    lengthBytes: number,
  ): number {
    const [source, target] = this.#offsets;
    source.writeBigInt64LE(BigInt(from.offset));
    target.writeBigInt64LE(BigInt(to.offset));
    const { copy_file_range: copy } = this.#calls;
    return this.#result(copy(from.descriptor, source, to.descriptor, target, lengthBytes, 0));
  }

  ioctl(descriptor: number, command: number, data: Buffer): number {
    return this.#result(this.#calls.ioctl(descriptor, command, data));
  }

  list(descriptor: number): SourceListing {
    return new NativeListing(
      (into) => this.#result(this.#calls.getdents64(descriptor, into, into.length)),
      (offset) => void this.#calls.lseek(descriptor, offset, 0),
    );
  }

  fileSystemStatus(descriptor: number): (FileSystemStatus & { readonly type: number }) | number {
    const status = this.#large;
    if (this.#calls.fstatfs(descriptor, status) !== 0) return this.#failure();
    const word = (index: number): number => Number(status.readBigUInt64LE(index * 8));
    return {
      type: word(0) % 0x1_0000_0000,
      blockSizeBytes: word(9) === 0 ? word(1) : word(9),
      blocks: word(2),
      freeBlocks: word(3),
      availableBlocks: word(4),
      files: word(5),
      freeFiles: word(6),
      nameLimitBytes: word(8),
    };
  }

  setXattr(descriptor: number, name: string, value: Buffer, flags: number): number {
    const { setxattr } = this.#calls;
    return this.#result(setxattr(this.#pathOf(descriptor), terminated(this.#name, name), value, value.length, flags));
  }

  getXattr(descriptor: number, name: string): Buffer | number {
    const { getxattr } = this.#calls;
    const path = this.#pathOf(descriptor);
    const key = terminated(this.#name, name);
    // The kernel clears as much memory as it is offered before it looks, and most attributes are small or not there.
    let length = getxattr(path, key, this.#large, SMALL_XATTR_BYTES);
    if (length < 0 && this.#failure() === Errno.ERANGE) length = getxattr(path, key, this.#large, this.#large.length);
    return length < 0 ? this.#failure() : Buffer.from(this.#large.subarray(0, length));
  }

  listXattrs(descriptor: number): readonly string[] | number {
    const length = this.#calls.listxattr(this.#pathOf(descriptor), this.#large, this.#large.length);
    if (length < 0) return this.#failure();
    const names: string[] = [];
    for (let at = 0; at < length;) {
      const end = this.#large.indexOf(0, at);
      names.push(decodeName(this.#large, at, end));
      at = end + 1;
    }
    return names;
  }

  removeXattr(descriptor: number, name: string): number {
    return this.#result(this.#calls.removexattr(this.#pathOf(descriptor), terminated(this.#name, name)));
  }

  flock(descriptor: number, operation: number): number {
    return this.#result(this.#calls.flock(descriptor, operation));
  }

  fileLock(descriptor: number, command: number, lock: Buffer): number {
    return this.#result(this.#calls.fcntl(descriptor, command, lock));
  }

  /** A path that leads to what a descriptor holds, whatever its names are. */
  #pathOf(descriptor: number): Buffer {
    const path = this.#path;
    path[path.write(`/proc/self/fd/${descriptor}`, "latin1")] = 0;
    return path;
  }

  /** The name of a descriptor in /proc/self/fd. */
  #numberOf(descriptor: number): Buffer {
    const path = this.#path;
    let at = path.length - 1;
    path[at] = 0;
    let rest = descriptor;
    do {
      at -= 1;
      path[at] = 0x30 + (rest % 10);
      rest = Math.floor(rest / 10);
    } while (rest > 0);
    path.copyWithin(0, at);
    return path;
  }

  #result(result: number): number {
    return result < 0 ? this.#failure() : result;
  }

  #failure(): number {
    return -this.#koffi.errno();
  }
}

function terminated(buffer: Buffer, name: string): Buffer {
  buffer[encodeName(name, buffer, 0)] = 0;
  return buffer;
}

function writeTime(into: Buffer, at: number, ...time: [change: NewTimes["atime"], seconds: number, ns: number]): void {
  const [change, seconds, nanoseconds] = time;
  into.writeBigInt64LE(BigInt(seconds), at);
  const special = change === "now" ? UTIME_NOW : UTIME_OMIT;
  into.writeBigInt64LE(BigInt(change === "set" ? nanoseconds : special), at + 8);
}

/** As the manual has them; what is passed as bytes is declared as an address. */
function declareCalls(koffi: Koffi) {
  const library = koffi.load(null);
  const declare = (definition: string): Call => library.func(definition);
  return {
    geteuid: declare("unsigned int geteuid()"),
    prctl: declare("int prctl(int option, ulong a, ulong b, ulong c, ulong d)"),
    unshare: declare("int unshare(int flags)"),
    umask: declare("unsigned int umask(unsigned int mask)"),
    setfsuid: declare("int setfsuid(unsigned int uid)"),
    setfsgid: declare("int setfsgid(unsigned int gid)"),
    openat: declare("int openat(int directory, void *path, int flags, unsigned int mode)"),
    close: declare("int close(int descriptor)"),
    dup: declare("int dup(int descriptor)"),
    name_to_handle_at: declare(
      "int name_to_handle_at(int directory, void *path, void *handle, void *mount_id, int flags)",
    ),
    open_by_handle_at: declare("int open_by_handle_at(int mount, void *handle, int flags)"),
    statx: declare("int statx(int directory, void *path, int flags, unsigned int mask, void *into)"),
    fchmodat: declare("int fchmodat(int directory, void *path, unsigned int mode, int flags)"),
    fchownat: declare("int fchownat(int directory, void *path, unsigned int uid, unsigned int gid, int flags)"),
    truncate: declare("int truncate(void *path, int64_t length)"),
    ftruncate: declare("int ftruncate(int descriptor, int64_t length)"),
    utimensat: declare("int utimensat(int directory, void *path, void *times, int flags)"),
    readlinkat: declare("int64_t readlinkat(int directory, void *path, void *into, size_t size)"),
    mkdirat: declare("int mkdirat(int directory, void *path, unsigned int mode)"),
    mknodat: declare("int mknodat(int directory, void *path, unsigned int mode, uint64_t device)"),
    symlinkat: declare("int symlinkat(void *target, int directory, void *path)"),
    unlinkat: declare("int unlinkat(int directory, void *path, int flags)"),
    linkat: declare("int linkat(int from, void *old, int to, void *new, int flags)"),
    renameat2: declare("int renameat2(int from, void *old, int to, void *new, unsigned int flags)"),
    pread: declare("int64_t pread64(int descriptor, void *into, size_t size, int64_t offset)"),
    pwrite: declare("int64_t pwrite64(int descriptor, void *data, size_t size, int64_t offset)"),
    pwritev2: declare("int64_t pwritev64v2(int descriptor, void *vectors, int count, int64_t offset, int flags)"),
    fsync: declare("int fsync(int descriptor)"),
    fdatasync: declare("int fdatasync(int descriptor)"),
    syncfs: declare("int syncfs(int descriptor)"),
    fallocate: declare("int fallocate64(int descriptor, int mode, int64_t offset, int64_t length)"),
    lseek: declare("int64_t lseek64(int descriptor, int64_t offset, int whence)"),
    copy_file_range: declare(
      "int64_t copy_file_range(int from, void *at, int to, void *to_at, size_t length, unsigned int flags)",
    ),
    ioctl: declare("int ioctl(int descriptor, ulong command, void *data)"),
    getdents64: declare("int64_t getdents64(int descriptor, void *into, size_t size)"),
    fstatfs: declare("int fstatfs64(int descriptor, void *into)"),
    setxattr: declare("int setxattr(void *path, void *name, void *value, size_t size, int flags)"),
    getxattr: declare("int64_t getxattr(void *path, void *name, void *into, size_t size)"),
    listxattr: declare("int64_t listxattr(void *path, void *into, size_t size)"),
    removexattr: declare("int removexattr(void *path, void *name)"),
    flock: declare("int flock(int descriptor, int operation)"),
    fcntl: declare("int fcntl(int descriptor, int command, void *lock)"),
  };
}
