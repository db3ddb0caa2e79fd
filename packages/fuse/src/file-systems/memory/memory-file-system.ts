import { Errno } from "../../protocol/errors.ts";
import { Fallocate, LockType, OpenReplyFlag, Seek } from "../../protocol/flags.ts";
import type { Features } from "../../protocol/negotiation.ts";
import { encodeName, nameBytes } from "../../protocol/names.ts";
import type { CreatedFile, Entry, FileStatus, FileSystemStatus, HeldLock, OpenFile } from "../../protocol/replies.ts";
import type { PlainRequest } from "../../protocol/request.ts";
import type {
  GetattrRequest,
  GetxattrRequest,
  ListxattrRequest,
  LockRequest,
  RemovexattrRequest,
  SetattrRequest,
  SetxattrRequest,
} from "../../protocol/requests-attributes.ts";
import type {
  CopyFileRangeRequest,
  FallocateRequest,
  FlushRequest,
  LseekRequest,
  OpenRequest,
  ReadRequest,
  ReaddirRequest,
  ReleaseRequest,
  WriteRequest,
} from "../../protocol/requests-files.ts";
import type {
  CreateRequest,
  LinkRequest,
  MkdirRequest,
  MknodRequest,
  NameRequest,
  RenameRequest,
  SymlinkRequest,
} from "../../protocol/requests-names.ts";
import type { Connection, FileSystem } from "../../session/file-system.ts";
import type { FileClock } from "./clock.ts";
import { Listings } from "./listings.ts";
import { FileLocks, LockWaits, type WantedLock } from "./locks.ts";
import type { MemoryNode } from "./node.ts";
import { TYPE_MASK } from "./node.ts";
import { Tree, type NewNode, type TreeOptions } from "./tree.ts";
import { getXattr, removeXattr, setXattr } from "./xattrs.ts";

const PERMISSIONS = 0o7777;
const BLOCK_BYTES = 4096;
const COPY_BYTES = 1_048_576;
const LARGEST_FILE_BYTES = 0x7fff_ffff_ffff;
/** Nothing changes a file but by way of the kernel, so what it has cached stays right. Files need no state of their own while open. */
const OPEN_FILE: OpenFile = { handle: 0, flags: OpenReplyFlag.KEEP_CACHE | OpenReplyFlag.PARALLEL_DIRECT_WRITES };

export interface MemoryFileSystemOptions extends TreeOptions {
  readonly noOpen: boolean;
}

/** Answers every operation at once, so it is made for the worker. Only waiting for a lock is a promise. */
export class MemoryFileSystem implements FileSystem {
  readonly features: Features;

  readonly #tree: Tree;
  readonly #clock: FileClock;
  readonly #listings = new Listings();
  readonly #waits = new LockWaits();
  readonly #noOpen: boolean;
  #connection: Connection | undefined;

  constructor(options: MemoryFileSystemOptions, clock: FileClock) {
    this.#tree = new Tree(options, clock);
    this.#clock = clock;
    this.#noOpen = options.noOpen;
    this.features = {
      exportSupport: true,
      killPrivileges: true,
      automaticInvalidation: false,
      cacheSymlinks: true,
      posixLocks: true,
      // Without an open there is no release, which is what ends such a lock; the kernel then keeps them itself.
      flockLocks: !options.noOpen,
    };
  }

  init(connection: Connection): void {
    this.#connection = connection;
  }

  lookup({ parent, name }: NameRequest): Entry | Errno {
    const node = this.#tree.lookup(parent, name);
    if (typeof node !== "number") this.#tree.table.lookup(node.inode);
    return node;
  }

  forget(inode: number, lookups: number): void {
    this.#tree.table.forget(inode, lookups);
  }

  getattr({ inode }: GetattrRequest): FileStatus | Errno {
    return this.#tree.find(inode) ?? Errno.ESTALE;
  }

  statx({ inode }: { readonly inode: number }): (FileStatus & MemoryNode) | Errno {
    return this.#tree.find(inode) ?? Errno.ESTALE;
  }

  setattr(request: SetattrRequest): FileStatus | Errno {
    const node = this.#tree.find(request.inode);
    if (node === undefined) return Errno.ESTALE;
    const { mode, newUid, newGid, sizeBytes } = request;
    if (sizeBytes !== undefined) {
      if (node.content === undefined) return Errno.EINVAL;
      if (sizeBytes > LARGEST_FILE_BYTES) return Errno.EFBIG;
      node.content.truncate(sizeBytes);
      node.modified(this.#clock);
    }
    if (newUid !== undefined || newGid !== undefined) {
      node.uid = newUid ?? node.uid;
      node.gid = newGid ?? node.gid;
      if (!node.isDirectory) node.dropPrivileges();
    }
    if (request.killPrivileges) node.dropPrivileges();
    if (mode !== undefined) node.mode = (node.mode & TYPE_MASK) | (mode & PERMISSIONS);
    this.#setTimes(node, request);
    return node;
  }

  #setTimes(node: MemoryNode, request: SetattrRequest): void {
    node.changed(this.#clock);
    if (request.atime !== "keep") {
      const now = request.atime === "now";
      node.atimeSeconds = now ? this.#clock.seconds : request.atimeSeconds;
      node.atimeNanoseconds = now ? this.#clock.nanoseconds : request.atimeNanoseconds;
    }
    if (request.mtime !== "keep") {
      const now = request.mtime === "now";
      node.mtimeSeconds = now ? this.#clock.seconds : request.mtimeSeconds;
      node.mtimeNanoseconds = now ? this.#clock.nanoseconds : request.mtimeNanoseconds;
    }
    if (request.ctime === "set") {
      node.ctimeSeconds = request.ctimeSeconds;
      node.ctimeNanoseconds = request.ctimeNanoseconds;
    }
  }

  readlink({ inode }: PlainRequest): Buffer | Errno {
    const node = this.#tree.find(inode);
    return node === undefined ? Errno.ESTALE : (node.target ?? Errno.EINVAL);
  }

  symlink(request: SymlinkRequest): Entry | Errno {
    const node = this.#make(request.parent, request.name, request);
    if (typeof node !== "number") node.target = encodeTarget(request.target);
    return node;
  }

  mknod(request: MknodRequest): Entry | Errno {
    const node = this.#make(request.parent, request.name, request);
    if (typeof node !== "number") node.device = request.device;
    return node;
  }

  mkdir(request: MkdirRequest): Entry | Errno {
    return this.#make(request.parent, request.name, request);
  }

  create(request: CreateRequest): CreatedFile | Errno {
    const entry = this.#make(request.parent, request.name, request);
    return typeof entry === "number" ? entry : { entry, file: OPEN_FILE };
  }

  tmpfile(request: CreateRequest): CreatedFile | Errno {
    const parent = this.#tree.find(request.parent);
    if (parent === undefined) return Errno.ESTALE;
    const entry = this.#tree.create(parent, request);
    if (typeof entry === "number") return entry;
    this.#tree.table.lookup(entry.inode);
    return { entry, file: OPEN_FILE };
  }

  /** Makes a node with a name, of which the kernel is told. */
  #make(parent: number, name: string, owner: NewNode & Pick<MkdirRequest, "extensions">): MemoryNode | Errno {
    const directory = this.#tree.placeFor(parent, name);
    if (typeof directory === "number") return directory;
    const node = this.#tree.create(directory, owner);
    if (typeof node === "number") return node;
    for (const { name: label, value } of owner.extensions.securityContexts) {
      setXattr(node, { name: label, value, flags: 0 });
    }
    this.#tree.attach(directory, name, node);
    this.#tree.table.lookup(node.inode);
    return node;
  }

  unlink({ parent, name }: NameRequest): Errno | undefined {
    return this.#tree.remove(parent, name, false);
  }

  rmdir({ parent, name }: NameRequest): Errno | undefined {
    return this.#tree.remove(parent, name, true);
  }

  rename({ parent, name, newParent, newName, flags }: RenameRequest): Errno | undefined {
    return this.#tree.rename({ parent, name }, { parent: newParent, name: newName }, flags);
  }

  link({ inode, newParent, newName }: LinkRequest): Entry | Errno {
    const node = this.#tree.find(inode);
    if (node === undefined) return Errno.ESTALE;
    if (node.isDirectory) return Errno.EPERM;
    const directory = this.#tree.placeFor(newParent, newName);
    if (typeof directory === "number") return directory;
    this.#tree.attach(directory, newName, node);
    node.changed(this.#clock);
    this.#tree.table.lookup(inode);
    return node;
  }

  open(_request: OpenRequest): OpenFile | Errno {
    return this.#noOpen ? Errno.ENOSYS : OPEN_FILE;
  }

  read(request: ReadRequest): number {
    const node = this.#tree.find(request.inode);
    if (node?.content === undefined) return Errno.EBADF;
    node.accessed(this.#clock);
    return node.content.read(request.into, request.offset);
  }

  write({ inode, offset, data, killPrivileges }: WriteRequest): number {
    const node = this.#tree.find(inode);
    if (node?.content === undefined) return Errno.EBADF;
    if (offset + data.length > LARGEST_FILE_BYTES) return Errno.EFBIG;
    const written = node.content.write(data, offset);
    if (written === 0 && data.length > 0) return Errno.ENOSPC;
    if (killPrivileges) this.#dropPrivileges(node);
    node.modified(this.#clock);
    return written;
  }

  fallocate({ inode, uid, offset, lengthBytes, mode }: FallocateRequest): Errno | undefined {
    const node = this.#tree.find(inode);
    const content = node?.content;
    if (node === undefined || content === undefined) return Errno.EBADF;
    const known = Fallocate.KEEP_SIZE | Fallocate.PUNCH_HOLE | Fallocate.ZERO_RANGE;
    if ((mode & ~known) !== 0) return Errno.EOPNOTSUPP;
    const end = offset + lengthBytes;
    if (end > LARGEST_FILE_BYTES) return Errno.EFBIG;
    const sizeBefore = content.sizeBytes;
    if ((mode & Fallocate.PUNCH_HOLE) !== 0) {
      content.punch(offset, lengthBytes);
    } else {
      if (!content.allocate(offset, lengthBytes)) return Errno.ENOSPC;
      if ((mode & Fallocate.ZERO_RANGE) !== 0) content.clear(offset, lengthBytes);
      if ((mode & Fallocate.KEEP_SIZE) === 0) content.sizeBytes = Math.max(sizeBefore, end);
    }
    if (uid !== 0) this.#dropPrivileges(node);
    node.modified(this.#clock);
    return undefined;
  }

  /** A direct write has not told the kernel that the mode may change. */
  #dropPrivileges(node: MemoryNode): void {
    if (node.dropPrivileges()) this.#connection?.notifier.forgetAttributes(node.inode);
  }

  lseek({ inode, offset, whence }: LseekRequest): number {
    const content = this.#tree.find(inode)?.content;
    if (content === undefined) return Errno.EBADF;
    if (offset < 0) return Errno.ENXIO;
    if (whence === Seek.DATA) return content.nextData(offset) ?? Errno.ENXIO;
    return whence === Seek.HOLE ? (content.nextHole(offset) ?? Errno.ENXIO) : Errno.EINVAL;
  }

  copyFileRange({ inode, offset, outInode, outOffset, lengthBytes }: CopyFileRangeRequest): number {
    const source = this.#tree.find(inode)?.content;
    const node = this.#tree.find(outInode);
    if (source === undefined || node?.content === undefined) return Errno.EBADF;
    const buffer = Buffer.allocUnsafe(Math.min(lengthBytes, COPY_BYTES));
    const data = buffer.subarray(0, source.read(buffer, offset));
    if (outOffset + data.length > LARGEST_FILE_BYTES) return Errno.EFBIG;
    const written = node.content.write(data, outOffset);
    if (written === 0 && data.length > 0) return Errno.ENOSPC;
    if (written > 0) node.modified(this.#clock);
    return written;
  }

  flush({ inode, lockOwner }: FlushRequest): void {
    this.#unlockAll(inode, lockOwner, false);
  }

  release({ inode, unlockFlock, lockOwner }: ReleaseRequest): void {
    if (unlockFlock) this.#unlockAll(inode, lockOwner, true);
  }

  opendir(_request: OpenRequest): OpenFile {
    return { handle: this.#listings.open(), flags: 0 };
  }

  readdir(request: ReaddirRequest): Errno | undefined {
    const directory = this.#tree.find(request.inode);
    if (directory === undefined) return Errno.ESTALE;
    directory.accessed(this.#clock);
    return this.#listings.fill(request, directory, (node) => this.#tree.table.lookup(node.inode));
  }

  releasedir({ handle }: ReleaseRequest): void {
    this.#listings.close(handle);
  }

  statfs(_request: PlainRequest): FileSystemStatus {
    const { budget, table, options } = this.#tree;
    const free = Math.floor((budget.capacityBytes - budget.usedBytes) / BLOCK_BYTES);
    return {
      blockSizeBytes: BLOCK_BYTES,
      blocks: Math.floor(budget.capacityBytes / BLOCK_BYTES),
      freeBlocks: free,
      availableBlocks: free,
      files: options.maxFiles,
      freeFiles: options.maxFiles - table.size,
      nameLimitBytes: 255,
    };
  }

  setxattr(request: SetxattrRequest): Errno | undefined {
    const node = this.#tree.find(request.inode);
    if (node === undefined) return Errno.ESTALE;
    const refused = setXattr(node, request);
    if (refused === undefined) node.changed(this.#clock);
    return refused;
  }

  getxattr({ inode, name }: GetxattrRequest): Buffer | Errno {
    const node = this.#tree.find(inode);
    return node === undefined ? Errno.ESTALE : getXattr(node, name);
  }

  listxattr({ inode }: ListxattrRequest): readonly string[] | Errno {
    const node = this.#tree.find(inode);
    return node === undefined ? Errno.ESTALE : [...(node.xattrs?.keys() ?? [])];
  }

  removexattr({ inode, name }: RemovexattrRequest): Errno | undefined {
    const node = this.#tree.find(inode);
    if (node === undefined) return Errno.ESTALE;
    const refused = removeXattr(node, name);
    if (refused === undefined) node.changed(this.#clock);
    return refused;
  }

  getlk(request: LockRequest): HeldLock | Errno {
    const { start, end } = request;
    const node = this.#tree.find(request.inode);
    if (node === undefined) return Errno.ESTALE;
    return node.locks?.conflict(request) ?? { start, end, type: LockType.UNLOCK, pid: 0 };
  }

  setlk(request: LockRequest): Errno | undefined | Promise<Errno | undefined> {
    const node = this.#tree.find(request.inode);
    if (node === undefined) return Errno.ESTALE;
    const { owner, start, end, type, lockPid, flock } = request;
    const wanted: WantedLock = { owner, start, end, type, lockPid, flock };
    node.locks ??= new FileLocks(this.#waits);
    if (node.locks.set(wanted)) return undefined;
    return request.wait ? node.locks.wait(wanted, request.signal) : Errno.EAGAIN;
  }

  #unlockAll(inode: number, owner: bigint, flock: boolean): void {
    const node = this.#tree.find(inode);
    if (node?.locks === undefined) return;
    node.locks.releaseAll(owner, flock);
    if (node.locks.isIdle) node.locks = undefined;
  }
}

function encodeTarget(target: string): Buffer {
  const bytes = Buffer.alloc(nameBytes(target));
  encodeName(target, bytes, 0);
  return bytes;
}
