import type { Entry } from "../../protocol/replies.ts";
import type { FileClock } from "./clock.ts";
import type { SparseContent } from "./content.ts";
import type { FileLocks } from "./locks.ts";

export const TYPE_MASK = 0o170000;
export const TYPE_DIRECTORY = 0o040000;
export const TYPE_REGULAR = 0o100000;
const SET_USER_ID = 0o4000;
const SET_GROUP_ID = 0o2000;
const GROUP_EXECUTE = 0o010;
const UNIT_BYTES = 512;
const DIRECTORY_BYTES = 4096;
/** What readdir calls "." and "..". */
const FIRST_COOKIE = 3;

/** A name in a directory. Its cookie is where a listing goes on behind it; cookies grow in the order of the map. */
export interface Child {
  readonly node: MemoryNode;
  readonly cookie: number;
}

/** What is in a directory. */
export class Children {
  readonly byName = new Map<string, Child>();
  #nextCookie = FIRST_COOKIE;

  get(name: string): MemoryNode | undefined {
    return this.byName.get(name)?.node;
  }

  /** A name that is set again moves to the end, so that the order of the map stays that of the cookies. */
  set(name: string, node: MemoryNode): void {
    this.byName.delete(name);
    this.byName.set(name, { node, cookie: this.#nextCookie });
    this.#nextCookie += 1;
  }

  delete(name: string): void {
    this.byName.delete(name);
  }
}

/** A file of any type. It is its own attributes and its own entry, so that answering with it allocates nothing. */
export class MemoryNode implements Entry {
  inode = 0;
  generation = 0;
  mode: number;
  links = 0;
  uid: number;
  gid: number;
  device = 0;
  atimeSeconds = 0;
  atimeNanoseconds = 0;
  mtimeSeconds = 0;
  mtimeNanoseconds = 0;
  ctimeSeconds = 0;
  ctimeNanoseconds = 0;
  btimeSeconds = 0;
  btimeNanoseconds = 0;
  readonly timeoutMs: number;
  readonly entryTimeoutMs: number;
  readonly blockSizeBytes = 4096;

  content: SparseContent | undefined;
  children: Children | undefined;
  /** The directory that a directory is in. */
  parent: MemoryNode | undefined;
  target: Buffer | undefined;
  xattrs: Map<string, Buffer> | undefined;
  locks: FileLocks | undefined;

  constructor(owner: { readonly mode: number; readonly uid: number; readonly gid: number }, timeoutMs: number) {
    this.mode = owner.mode;
    this.uid = owner.uid;
    this.gid = owner.gid;
    this.timeoutMs = timeoutMs;
    this.entryTimeoutMs = timeoutMs;
  }

  get attributes(): this {
    return this;
  }

  get sizeBytes(): number {
    if (this.children !== undefined) return DIRECTORY_BYTES;
    return this.content?.sizeBytes ?? this.target?.length ?? 0;
  }

  get blocks(): number {
    return Math.ceil((this.content?.allocatedBytes ?? 0) / UNIT_BYTES);
  }

  get isDirectory(): boolean {
    return this.children !== undefined;
  }

  born(clock: FileClock): void {
    clock.read();
    this.btimeSeconds = this.atimeSeconds = this.mtimeSeconds = this.ctimeSeconds = clock.seconds;
    this.btimeNanoseconds = this.atimeNanoseconds = this.mtimeNanoseconds = this.ctimeNanoseconds = clock.nanoseconds;
  }

  /** The attributes have changed. */
  changed(clock: FileClock): void {
    clock.read();
    this.ctimeSeconds = clock.seconds;
    this.ctimeNanoseconds = clock.nanoseconds;
  }

  /** The content has changed, and with it the attributes. */
  modified(clock: FileClock): void {
    this.changed(clock);
    this.mtimeSeconds = clock.seconds;
    this.mtimeNanoseconds = clock.nanoseconds;
  }

  /** The content was read. As with relatime, only the first time after a change is remembered. */
  accessed(clock: FileClock): void {
    const seen =
      this.atimeSeconds > this.mtimeSeconds ||
      (this.atimeSeconds === this.mtimeSeconds && this.atimeNanoseconds > this.mtimeNanoseconds);
    if (seen) return;
    clock.read();
    this.atimeSeconds = clock.seconds;
    this.atimeNanoseconds = clock.nanoseconds;
  }

  /** What happens to set-user-id and set-group-id when somebody writes, truncates or changes the owner. */
  /** True if there was anything to drop. */
  dropPrivileges(): boolean {
    const before = this.mode;
    this.mode &= ~SET_USER_ID;
    if ((this.mode & GROUP_EXECUTE) !== 0) this.mode &= ~SET_GROUP_ID;
    return this.mode !== before;
  }
}
