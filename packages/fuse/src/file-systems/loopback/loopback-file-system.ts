import { Errno, type FuseError } from "../../protocol/errors.ts";
import type { Features } from "../../protocol/negotiation.ts";
import type {
  CreatedFile,
  Entry,
  ExtendedStatus,
  FileStatus,
  FileSystemStatus,
  HeldLock,
  IoctlResult,
  OpenFile,
} from "../../protocol/replies.ts";
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
  FsyncRequest,
  IoctlRequest,
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
import { openBackingFiles } from "../../passthrough/index.ts";
import type { Connection, FileSystem } from "../../session/file-system.ts";
import { settleNewFile } from "./new-file.ts";
import { OpenFiles, type PassthroughPolicy } from "./open-files.ts";
import { OpenListings } from "./open-listings.ts";
import { isPrivileged, PERMISSIONS, SET_GROUP_ID, withoutPrivileges, type Caller } from "./set-id-bits.ts";
import { SourceAttributes } from "./source-attributes.ts";
import * as calls from "./source-calls.ts";
import type { SourceCalls } from "./source-calls.ts";
import { CHANGING_IOCTLS, LATE_ERRORS, OPEN_FLAGS, PASSED_IOCTLS } from "./source-facts.ts";
import { SourceLocks } from "./source-locks.ts";
import { HOLD_FLAGS, SourceTree, type SourceNode } from "./source-tree.ts";

/** A copy keeps this thread from everything else, so a large one is done in several. */
const COPY_BYTES = 16_777_216;
const BACKING_FILES = 8192;
const IDLE_BACKING_FILES = 1024;
export interface LoopbackConfig {
  readonly passthrough: PassthroughPolicy;
  readonly timeoutMs: number;
  readonly locksAtSource: boolean;
  readonly maxDescriptors: number;
}

/** Everything is answered at once, so it is made for the worker; only waiting for a lock at the source is a promise. */
export class LoopbackFileSystem implements FileSystem {
  readonly features: Features;
  readonly flush?: (request: FlushRequest) => Errno | undefined;
  readonly getlk?: (request: LockRequest) => HeldLock | Errno;
  readonly setlk?: (request: LockRequest) => Errno | undefined | Promise<Errno | undefined>;

  readonly #calls: SourceCalls;
  readonly #config: LoopbackConfig;
  readonly #problem: FuseError | undefined;
  readonly #tree: SourceTree;
  readonly #files: OpenFiles;
  readonly #listings: OpenListings;
  readonly #locks: SourceLocks;
  readonly #handles = new Set<number>();
  /** Those of files that may only be appended to: whatever is written to them goes to the end. */
  readonly #appendOnly = new Set<number>();
  readonly #attributes = new SourceAttributes();
  /** Answers are encoded before the next request is read, so one of each is enough. */
  readonly #status: { attributes: SourceAttributes; timeoutMs: number };
  readonly #born: { -readonly [Key in keyof ExtendedStatus]-?: ExtendedStatus[Key] };
  readonly #entry: { -readonly [Key in keyof Entry]: Entry[Key] };
  #connection: Connection | undefined;

  constructor(
    deps: { readonly calls: SourceCalls; readonly root: number; readonly problem?: FuseError | undefined },
    config: LoopbackConfig,
  ) {
    this.#calls = deps.calls;
    this.#config = config;
    this.#problem = deps.problem;
    const { timeoutMs } = config;
    const attributes = this.#attributes;
    this.#status = { attributes, timeoutMs };
    this.#born = { attributes, timeoutMs, btimeSeconds: 0, btimeNanoseconds: 0 };
    this.#entry = { inode: 0, generation: 0, attributes, timeoutMs, entryTimeoutMs: timeoutMs };
    this.#files = new OpenFiles(config.passthrough, (node) => this.#forgetTimes(node));
    this.#listings = new OpenListings(deps.calls);
    this.#locks = new SourceLocks(deps.calls);
    const { calls: source, root } = deps;
    this.#tree = new SourceTree({ calls: source, root, onDrop: (node) => this.#dropped(node) }, config);
    this.features = {
      exportSupport: true,
      killPrivileges: true,
      atomicTruncate: true,
      directIoMmap: true,
      passthrough: config.passthrough !== "off",
      posixAcl: deps.calls.appliesUmask,
      umaskInServer: deps.calls.appliesUmask,
    };
    if (config.locksAtSource) {
      this.getlk = (request) => this.#withDescriptor(request, (held) => this.#locks.test(request, held));
      this.setlk = (request) => this.#withDescriptor(request, (held) => this.#locks.set(request, held));
    }
    if (config.locksAtSource || this.#hasLateErrors()) this.flush = (request) => this.#flush(request);
  }

  init(connection: Connection): void {
    this.#connection = connection;
    if (this.#problem !== undefined) connection.report(this.#problem);
    if (this.#config.passthrough === "off" || this.#problem !== undefined) return;
    const limits = { maxFiles: BACKING_FILES, maxIdle: IDLE_BACKING_FILES };
    this.#files.backing = openBackingFiles(connection, { ...limits, writes: this.#config.passthrough === "write" });
  }

  destroy(): void {
    this.#files.backing?.close();
    for (const handle of this.#handles) this.#calls.close(handle);
    this.#handles.clear();
    this.#tree.close();
    this.#calls.end();
  }

  lookup({ parent, name }: NameRequest): Entry | Errno {
    return this.#find(parent, name);
  }

  forget(inode: number, lookups: number): void {
    this.#tree.table.forget(inode, lookups);
  }

  getattr({ inode }: GetattrRequest): FileStatus | Errno {
    const held = this.#tree.descriptorOf(inode);
    return held < 0 ? (held as Errno) : this.#statusOf(inode, held);
  }

  statx({ inode }: { readonly inode: number }): ExtendedStatus | Errno {
    const held = this.#tree.descriptorOf(inode);
    if (held < 0) return held as Errno;
    const status = this.#statusOf(inode, held);
    const { btimeSeconds, btimeNanoseconds } = this.#attributes;
    if (typeof status === "number" || btimeSeconds === undefined) return status;
    const born = this.#born;
    born.timeoutMs = status.timeoutMs;
    born.btimeSeconds = btimeSeconds;
    born.btimeNanoseconds = btimeNanoseconds;
    return born;
  }

  setattr(request: SetattrRequest): FileStatus | Errno {
    const held = this.#tree.descriptorOf(request.inode);
    if (held < 0) return held as Errno;
    const failed = this.#change(request, held);
    return failed < 0 ? (failed as Errno) : this.#statusOf(request.inode, held);
  }

  #change(request: SetattrRequest, held: number): number {
    const { mode, newUid, newGid, sizeBytes, handle } = request;
    let result = 0;
    if (newUid !== undefined || newGid !== undefined) result = this.#calls.chown(held, newUid ?? -1, newGid ?? -1);
    if (result >= 0 && mode !== undefined) result = this.#calls.chmod(held, mode & PERMISSIONS);
    if (result >= 0 && sizeBytes !== undefined) {
      const open = handle !== undefined && this.#handles.has(handle);
      result = open ? this.#calls.truncateOpen(handle, sizeBytes) : this.#calls.truncate(held, sizeBytes);
    }
    if (result >= 0 && request.killPrivileges) this.#dropPrivileges(request.inode, request);
    if (result >= 0 && (request.atime !== "keep" || request.mtime !== "keep")) {
      result = this.#calls.setTimes(held, request);
    }
    return result;
  }

  readlink({ inode }: PlainRequest): Buffer | Errno {
    const held = this.#tree.descriptorOf(inode);
    return (held < 0 ? held : this.#calls.readlink(held)) as Buffer | Errno;
  }

  symlink(request: SymlinkRequest): Entry | Errno {
    return this.#make(request, (parent) => this.#calls.symlink(parent, request.name, request.target));
  }

  mknod(request: MknodRequest): Entry | Errno {
    return this.#make(request, (parent) => this.#calls.mknod(parent, request.name, request));
  }

  mkdir(request: MkdirRequest): Entry | Errno {
    return this.#make(request, (parent) => this.#calls.mkdir(parent, request.name, request.mode & PERMISSIONS));
  }

  create(request: CreateRequest): CreatedFile | Errno {
    const flags = (request.flags & OPEN_FLAGS) | calls.O_CREAT | calls.O_EXCL | calls.O_NOFOLLOW;
    const created = this.#createOpen(request, request.name, flags);
    // The kernel knew of no such file, so it has not checked the right to open it. It looks again, and then it does.
    if (created === Errno.EEXIST && (request.flags & calls.O_EXCL) === 0) return Errno.ESTALE;
    return created;
  }

  tmpfile(request: CreateRequest): CreatedFile | Errno {
    return this.#createOpen(request, "", (request.flags & (OPEN_FLAGS | calls.O_EXCL)) | calls.O_TMPFILE);
  }

  #createOpen(request: CreateRequest, name: string, flags: number): CreatedFile | Errno {
    const parent = this.#tree.descriptorOf(request.parent);
    if (parent < 0) return parent as Errno;
    const became = this.#calls.become(request);
    const handle = this.#calls.open(parent, name, flags, request.mode & PERMISSIONS);
    this.#calls.becomeSelf();
    if (handle < 0) return handle as Errno;
    const held = this.#calls.openAgain(handle, calls.O_PATH);
    const made = { parent, held, became, attributes: this.#attributes };
    const entry = held < 0 ? (held as Errno) : this.#take(settleNewFile(this.#calls, request, made));
    if (typeof entry === "number") {
      this.#calls.close(handle);
      return entry;
    }
    this.#handles.add(handle);
    const node = this.#tree.find(entry.inode) as SourceNode;
    return {
      entry,
      file: this.#files.open(node, { handle, flags: request.flags, privileged: isPrivileged(this.#attributes.mode) }),
    };
  }

  /** Makes something with a name, and tells the kernel what came of it. */
  #make(request: MkdirRequest | MknodRequest | SymlinkRequest, call: (parent: number) => number): Entry | Errno {
    const parent = this.#tree.descriptorOf(request.parent);
    if (parent < 0) return parent as Errno;
    const became = this.#calls.become(request);
    const result = call(parent);
    this.#calls.becomeSelf();
    if (result < 0) return result as Errno;
    const held = this.#calls.open(parent, request.name, HOLD_FLAGS, 0);
    if (held < 0) return held as Errno;
    return this.#take(settleNewFile(this.#calls, request, { parent, held, became, attributes: this.#attributes }));
  }

  unlink({ parent, name }: NameRequest): Errno | undefined {
    const directory = this.#tree.descriptorOf(parent);
    return done(directory < 0 ? directory : this.#calls.unlink(directory, name));
  }

  rmdir({ parent, name }: NameRequest): Errno | undefined {
    const directory = this.#tree.descriptorOf(parent);
    return done(directory < 0 ? directory : this.#calls.rmdir(directory, name));
  }

  rename({ parent, name, newParent, newName, flags }: RenameRequest): Errno | undefined {
    const from = this.#tree.descriptorOf(parent);
    const to = this.#tree.descriptorOf(newParent);
    if (from < 0 || to < 0) return Errno.ESTALE;
    return done(this.#calls.rename({ directory: from, name }, { directory: to, name: newName }, flags));
  }

  link({ inode, newParent, newName }: LinkRequest): Entry | Errno {
    const held = this.#tree.descriptorOf(inode);
    const parent = this.#tree.descriptorOf(newParent);
    if (held < 0 || parent < 0) return Errno.ESTALE;
    const result = this.#calls.link(held, parent, newName);
    return result < 0 ? (result as Errno) : this.#find(newParent, newName);
  }

  open(request: OpenRequest): OpenFile | Errno {
    const { inode, flags } = request;
    const held = this.#tree.descriptorOf(inode);
    if (held < 0) return held as Errno;
    let handle = this.#calls.openAgain(held, flags & OPEN_FLAGS);
    const appendOnly = handle === Errno.EPERM && (flags & calls.O_APPEND) !== 0;
    if (appendOnly) handle = this.#calls.openAgain(held, flags & (OPEN_FLAGS | calls.O_APPEND));
    if (handle < 0) return handle as Errno;
    if (appendOnly) this.#appendOnly.add(handle);
    if (request.killPrivileges) this.#dropPrivileges(inode, request);
    this.#handles.add(handle);
    const writes = (flags & calls.O_ACCMODE) !== calls.O_RDONLY;
    const asks = writes && this.#config.passthrough === "write";
    const privileged =
      asks && this.#calls.statusOf(held, this.#attributes) === 0 && isPrivileged(this.#attributes.mode);
    return this.#files.open(this.#tree.find(inode) as SourceNode, { handle, flags, privileged });
  }

  read({ handle, into, offset }: ReadRequest): number {
    return this.#calls.read(handle, into, offset);
  }

  write(request: WriteRequest): number {
    const { handle, data, offset, flags, fromCache } = request;
    // The kernel may write a page of a mapping back with any handle, also with one for appending.
    const appends = (flags & calls.O_APPEND) !== 0 && !fromCache;
    if (fromCache && this.#appendOnly.has(handle)) return Errno.EPERM;
    const written = appends ? this.#calls.append(handle, data) : this.#calls.write(handle, data, offset);
    if (request.killPrivileges && written > 0) this.#dropPrivileges(request.inode, request);
    return written;
  }

  release({ inode, handle, flags, unlockFlock, lockOwner }: ReleaseRequest): void {
    const node = this.#tree.find(inode);
    if (node !== undefined) this.#files.release(node, flags);
    if (unlockFlock) this.#locks.releaseOwner(inode, lockOwner);
    if (node?.opens === 0) this.#locks.releaseInode(inode);
    this.#appendOnly.delete(handle);
    if (this.#handles.delete(handle)) this.#calls.close(handle);
  }

  #flush({ inode, handle, lockOwner }: FlushRequest): Errno | undefined {
    this.#locks.releaseOwner(inode, lockOwner);
    return done(this.#calls.flush(handle));
  }

  fsync({ handle, dataOnly }: FsyncRequest): Errno | undefined {
    return done(this.#calls.sync(handle, dataOnly));
  }

  fsyncdir({ handle, dataOnly }: FsyncRequest): Errno | undefined {
    return done(this.#calls.sync(handle, dataOnly));
  }

  syncfs(_request: PlainRequest): Errno | undefined {
    return done(this.#calls.syncAll(this.#tree.root.descriptor));
  }

  fallocate(request: FallocateRequest): Errno | undefined {
    const result = this.#calls.allocate(request.handle, request);
    if (result >= 0) this.#writtenBy(request, request.inode);
    return done(result);
  }

  lseek({ handle, offset, whence }: LseekRequest): number {
    return this.#calls.seek(handle, offset, whence);
  }

  copyFileRange(request: CopyFileRangeRequest): number {
    const { handle, offset, outHandle, outOffset, lengthBytes } = request;
    const to = { descriptor: outHandle, offset: outOffset };
    const copied = this.#calls.copyRange({ descriptor: handle, offset }, to, Math.min(lengthBytes, COPY_BYTES));
    if (copied > 0) this.#writtenBy(request, request.outInode);
    return copied;
  }

  ioctl({ inode, handle, command, data, outBytes }: IoctlRequest): IoctlResult | Errno {
    if (!PASSED_IOCTLS.has(command)) return Errno.ENOTTY;
    const argument = Buffer.alloc(Math.max(data.length, outBytes, 8));
    data.copy(argument);
    const result = this.#calls.ioctl(handle, command, argument);
    if (result >= 0 && CHANGING_IOCTLS.has(command)) this.#connection?.notifier.forgetAttributes(inode);
    return result < 0 ? (result as Errno) : { result, data: argument.subarray(0, outBytes) };
  }

  opendir({ inode }: OpenRequest): OpenFile | Errno {
    const held = this.#tree.descriptorOf(inode);
    const handle = held < 0 ? held : this.#calls.openAgain(held, calls.O_RDONLY | calls.O_DIRECTORY);
    if (handle < 0) return handle as Errno;
    this.#handles.add(handle);
    this.#listings.add(handle);
    return { handle, flags: 0 };
  }

  readdir(request: ReaddirRequest): Errno | undefined {
    return this.#listings.fill(
      request,
      (name) => this.#find(request.inode, name),
      ({ inode }) => this.#tree.table.forget(inode, 1),
    );
  }

  releasedir({ handle }: ReleaseRequest): void {
    this.#listings.remove(handle);
    if (this.#handles.delete(handle)) this.#calls.close(handle);
  }

  statfs({ inode }: PlainRequest): FileSystemStatus | Errno {
    const held = this.#tree.descriptorOf(inode);
    return (held < 0 ? held : this.#calls.fileSystemStatus(held)) as FileSystemStatus | Errno;
  }

  setxattr({ inode, name, value, flags, clearSetGroupId }: SetxattrRequest): Errno | undefined {
    const held = this.#tree.descriptorOf(inode);
    const result = held < 0 ? held : this.#calls.setXattr(held, name, value, flags);
    if (result >= 0 && clearSetGroupId && this.#calls.statusOf(held, this.#attributes) === 0) {
      this.#calls.chmod(held, this.#attributes.mode & PERMISSIONS & ~SET_GROUP_ID);
    }
    return done(result);
  }

  getxattr({ inode, name }: GetxattrRequest): Buffer | Errno {
    const held = this.#tree.descriptorOf(inode);
    return (held < 0 ? held : this.#calls.getXattr(held, name)) as Buffer | Errno;
  }

  listxattr({ inode }: ListxattrRequest): readonly string[] | Errno {
    const held = this.#tree.descriptorOf(inode);
    return (held < 0 ? held : this.#calls.listXattrs(held)) as readonly string[] | Errno;
  }

  removexattr({ inode, name }: RemovexattrRequest): Errno | undefined {
    const held = this.#tree.descriptorOf(inode);
    return done(held < 0 ? held : this.#calls.removeXattr(held, name));
  }

  /** The entry of a name, which the kernel then knows once more. */
  #find(parent: number, name: string): Entry | Errno {
    const directory = this.#tree.descriptorOf(parent);
    if (directory < 0) return directory as Errno;
    // There is nothing above the root, whatever is above it in the source.
    const asked = name === ".." && directory === this.#tree.root.descriptor ? "." : name;
    // Most names lead to what is known already, and one call tells.
    const result = this.#calls.statusAt(directory, asked, this.#attributes);
    if (result < 0) return result as Errno;
    const known = this.#tree.findHeld(this.#attributes);
    if (known !== undefined) return this.#entryOf(known);
    const held = this.#calls.open(directory, asked, HOLD_FLAGS, 0);
    return held < 0 ? (held as Errno) : this.#take(held);
  }

  /** The entry of what a descriptor holds, which belongs to the tree from now on. */
  #take(held: number): Entry | Errno {
    const result = this.#calls.statusOf(held, this.#attributes);
    if (result >= 0) return this.#entryOf(this.#tree.adopt(held, this.#attributes));
    this.#calls.close(held);
    return result as Errno;
  }

  #entryOf(node: SourceNode): Entry {
    this.#tree.table.lookup(node.inode);
    node.used = true;
    const entry = this.#entry;
    entry.inode = node.inode;
    entry.generation = node.generation;
    entry.timeoutMs = node.silentWriters > 0 ? 0 : this.#config.timeoutMs;
    return entry;
  }

  #statusOf(inode: number, held: number): FileStatus | Errno {
    const result = this.#calls.statusOf(held, this.#attributes);
    if (result < 0) return result as Errno;
    const silent = (this.#tree.find(inode)?.silentWriters ?? 0) > 0;
    this.#status.timeoutMs = silent ? 0 : this.#config.timeoutMs;
    return this.#status;
  }

  #dropPrivileges(inode: number, caller: Caller): void {
    const held = this.#tree.descriptorOf(inode);
    if (held < 0 || this.#calls.statusOf(held, this.#attributes) < 0) return;
    const { mode } = this.#attributes;
    const left = withoutPrivileges(this.#attributes, caller);
    if (left === mode) return;
    this.#calls.chmod(held, left & PERMISSIONS);
    // Who wrote without the page cache has not told the kernel that the mode may change.
    this.#connection?.notifier.forgetAttributes(inode);
  }

  /** For changes of content that no flag of the kernel comes with. */
  #writtenBy(caller: Caller, inode: number): void {
    if (caller.uid !== 0) this.#dropPrivileges(inode, caller);
  }

  #withDescriptor<T>(request: LockRequest, use: (held: number) => T): T | Errno {
    const held = this.#tree.descriptorOf(request.inode);
    return held < 0 ? (held as Errno) : use(held);
  }

  #hasLateErrors(): boolean {
    const status = this.#calls.fileSystemStatus(this.#tree.root.descriptor);
    return typeof status !== "number" && LATE_ERRORS.has(status.type);
  }

  #forgetTimes({ inode }: SourceNode): void {
    if (this.#config.timeoutMs === 0) return;
    this.#connection?.notifier.forgetAttributes(inode);
  }

  #dropped(node: SourceNode): void {
    this.#files.backing?.forget(node.inode);
    this.#locks.releaseInode(node.inode);
  }
}

function done(result: number): Errno | undefined {
  return result < 0 ? (result as Errno) : undefined;
}
