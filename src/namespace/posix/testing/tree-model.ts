import { type Inode, ROOT_INODE, type SessionId } from "../../../core/ids.ts";
import { isSameMoment, laterOf, type Moment } from "../../../core/moment.ts";
import type { FileKind } from "../../types.ts";
import type { Child } from "../child.ts";

/** The simplest tree of POSIX that could be right: what the programs are held against. It fails with the errno alone. */

export class Errno extends Error {}

export interface ModelNode {
  readonly kind: FileKind;
  mode: number;
  links: number;
  sizeBytes: number;
  /** Of a directory: until something came or went, which `touched` tells. */
  modified: Moment;
  changed: Moment;
  touched?: Moment | undefined;
  /** Of a directory. */
  parent?: Inode | undefined;
  readonly entries: Map<string, Inode>;
  readonly extended: Map<string, string>;
  /** Of what is no directory: the name that it counts at. */
  home?: Child | undefined;
  /** Who has it open without a name. */
  readonly holders: Set<SessionId>;
}

interface Held {
  readonly heldBy?: readonly SessionId[];
  readonly now: Moment;
}

export interface ModelUsage {
  readonly sizeBytes: number;
  readonly inodes: number;
}

export class TreeModel {
  readonly nodes = new Map<Inode, ModelNode>();
  readonly quotas = new Map<Inode, ModelUsage>();

  constructor(now: Moment, mode: number) {
    this.nodes.set(ROOT_INODE, newNode("directory", mode, now));
  }

  /** Whatever fails leaves all as it was. */
  run(work: () => void): void {
    const before = structuredClone([...this.nodes]);
    try {
      work();
    } catch (error) {
      this.nodes.clear();
      for (const [inode, node] of before) this.nodes.set(inode, node);
      throw error;
    }
    for (const inode of this.quotas.keys()) if ((this.nodes.get(inode)?.links ?? 0) === 0) this.quotas.delete(inode);
  }

  limit(inode: Inode, quota: ModelUsage): void {
    this.directory(inode);
    this.quotas.set(inode, quota);
  }

  /** What lies below a directory, counted. */
  usage(directory: Inode): ModelUsage {
    let [sizeBytes, inodes] = [0, 0];
    for (const [name, inode] of this.get(directory).entries) {
      const node = this.get(inode);
      if (node.kind !== "directory" && !isSame(node.home, { parent: directory, name })) continue;
      const below = node.kind === "directory" ? this.usage(inode) : { sizeBytes: 0, inodes: 0 };
      sizeBytes += below.sizeBytes + (node.kind === "file" ? node.sizeBytes : 0);
      inodes += below.inodes + 1;
    }
    return { sizeBytes, inodes };
  }

  #usageWith(inode: Inode): ModelUsage {
    const { kind, sizeBytes } = this.get(inode);
    if (kind !== "directory") return { sizeBytes: kind === "file" ? sizeBytes : 0, inodes: 1 };
    const below = this.usage(inode);
    return { ...below, inodes: below.inodes + 1 };
  }

  /** After it came. Quotas above `from` had it before. */
  #assertMayCome(parent: Inode, more: ModelUsage, from?: Inode): void {
    for (const [inode, quota] of this.quotas) {
      if (!this.#isBelow(parent, inode) || (from !== undefined && this.#isBelow(from, inode))) continue;
      const used = this.usage(inode);
      if (more.sizeBytes > 0 && used.sizeBytes > quota.sizeBytes) fail("EDQUOT");
      if (more.inodes > 0 && used.inodes > quota.inodes) fail("EDQUOT");
    }
  }

  get(inode: Inode): ModelNode {
    return this.nodes.get(inode) ?? fail("ENOENT");
  }

  directory(inode: Inode): ModelNode {
    const found = this.get(inode);
    if (found.links === 0) fail("ENOENT");
    if (found.kind !== "directory") fail("ENOTDIR");
    return found;
  }

  find({ parent, name }: Child): Inode | undefined {
    return this.nodes.get(parent)?.entries.get(name);
  }

  child(child: Child): Inode {
    const found = this.find(child);
    if (found !== undefined) return found;
    this.directory(child.parent);
    return fail("ENOENT");
  }

  make(child: Child, made: { inode: Inode; kind: FileKind; mode: number; sizeBytes: number; now: Moment }): void {
    this.directory(child.parent);
    if (this.find(child) !== undefined) fail("EEXIST");
    const node = newNode(made.kind, made.mode, made.now);
    node.sizeBytes = made.sizeBytes;
    this.nodes.set(made.inode, node);
    this.#hang(child, made.inode, made.now);
    this.#assertMayCome(child.parent, { sizeBytes: 0, inodes: 1 });
  }

  link(child: Child, { inode, now }: { readonly inode: Inode; readonly now: Moment }): void {
    const file = this.get(inode);
    this.directory(child.parent);
    if (this.find(child) !== undefined) fail("EEXIST");
    if (file.kind === "directory") fail("EPERM");
    if (file.links === 0) fail("ENOENT");
    file.links += 1;
    file.changed = now;
    this.#hang(child, inode, now);
  }

  unlink(child: Child, held: Held): void {
    const inode = this.child(child);
    if (this.get(inode).kind === "directory") fail("EISDIR");
    this.#drop(child, held);
  }

  rmdir(child: Child, held: Held): void {
    const inode = this.child(child);
    const { kind, entries } = this.get(inode);
    if (kind !== "directory") fail("ENOTDIR");
    if (entries.size > 0) fail("ENOTEMPTY");
    this.#drop(child, held);
  }

  rename(from: Child, to: Child, { noReplace, ...held }: Held & { readonly noReplace: boolean }): void {
    const inode = this.child(from);
    for (const { parent } of [from, to]) this.directory(parent);
    const target = this.find(to);
    if (target !== undefined && noReplace) fail("EEXIST");
    const moved = this.get(inode);
    if (moved.kind === "directory" && this.#isBelow(to.parent, inode)) fail("EINVAL");
    const replaced = target === undefined ? undefined : this.get(target);
    if (replaced?.kind === "directory" && this.#isBelow(from.parent, target as Inode)) fail("ENOTEMPTY");
    if (target === inode) return;
    if (replaced !== undefined) {
      if (moved.kind === "directory" && replaced.kind !== "directory") fail("ENOTDIR");
      if (moved.kind !== "directory" && replaced.kind === "directory") fail("EISDIR");
      if (replaced.entries.size > 0) fail("ENOTEMPTY");
      this.#drop(to, held);
    }
    const counts = moved.kind === "directory" || isSame(moved.home, from);
    this.#move(from, to, held.now);
    if (counts) this.#assertMayCome(to.parent, this.#usageWith(inode), from.parent);
  }

  exchange(one: Child, other: Child, now: Moment): void {
    const [first, second] = [this.child(one), this.child(other)];
    const isDirectory = (inode: Inode): boolean => this.get(inode).kind === "directory";
    if (isDirectory(first) && this.#isBelow(other.parent, first)) fail("EINVAL");
    if (isDirectory(second) && this.#isBelow(one.parent, second)) fail("EINVAL");
    if (first === second) return;
    const aside = { parent: one.parent, name: "/" };
    this.#move(one, aside, now);
    this.#move(other, one, now);
    this.#move(aside, other, now);
    const [brought, taken] = [this.#usageWith(second), this.#usageWith(first)];
    this.#assertMayCome(one.parent, difference(brought, taken), other.parent);
    this.#assertMayCome(other.parent, difference(taken, brought), one.parent);
  }

  setattr(inode: Inode, { mode, modified, now }: { mode?: number; modified?: Moment; now: Moment }): void {
    const file = this.get(inode);
    merge(file);
    if (mode !== undefined) file.mode = mode;
    file.changed = now;
    if (modified === undefined) return;
    file.modified = modified;
    file.touched = undefined;
  }

  setxattr(inode: Inode, { name, value, now }: { name: string; value: string | undefined; now: Moment }): void {
    const file = this.get(inode);
    if (value === undefined && !file.extended.has(name)) fail("ENODATA");
    merge(file);
    if (value === undefined) file.extended.delete(name);
    else file.extended.set(name, value);
    file.changed = now;
  }

  write(inode: Inode, { sizeBytes, now }: { readonly sizeBytes: number; readonly now: Moment }): void {
    const file = this.get(inode);
    if (file.kind !== "file") fail(file.kind === "directory" ? "EISDIR" : "EINVAL");
    const more = sizeBytes - file.sizeBytes;
    Object.assign(file, { sizeBytes, modified: now, changed: now });
    if (file.home !== undefined) this.#assertMayCome(file.home.parent, { sizeBytes: more, inodes: 0 });
  }

  release(inode: Inode, session: SessionId): void {
    const file = this.nodes.get(inode);
    if (file?.holders.delete(session) === true && file.holders.size === 0) this.nodes.delete(inode);
  }

  #namesOf(inode: Inode): Child[] {
    const names: Child[] = [];
    for (const parent of [...this.nodes.keys()].sort((one, other) => one - other))
      for (const name of [...this.get(parent).entries.keys()].sort())
        if (this.get(parent).entries.get(name) === inode) names.push({ parent, name });
    return names;
  }

  #isBelow(directory: Inode, above: Inode): boolean {
    for (let current: Inode | undefined = directory; current !== undefined; current = this.get(current).parent)
      if (current === above) return true;
    return false;
  }

  #hang({ parent, name }: Child, inode: Inode, now: Moment): void {
    const node = this.get(inode);
    this.get(parent).entries.set(name, inode);
    if (node.kind === "directory") node.parent = parent;
    else node.home ??= { parent, name };
    this.#tell(parent, node, { more: 1, now });
  }

  #tell(parent: Inode, { kind }: ModelNode, { more, now }: { more: number; now: Moment }): void {
    const directory = this.get(parent);
    if (kind !== "directory") {
      directory.touched = now;
      return;
    }
    merge(directory);
    directory.links += more;
    if (!isSameMoment(directory.modified, now)) directory.touched = now;
  }

  #drop({ parent, name }: Child, { heldBy = [], now }: Held): void {
    const inode = this.get(parent).entries.get(name) as Inode;
    const node = this.get(inode);
    this.get(parent).entries.delete(name);
    this.#tell(parent, node, { more: -1, now });
    // Of a directory, whatever it was, both links are gone.
    node.links = node.kind === "directory" ? 0 : node.links - 1;
    merge(node);
    node.changed = now;
    if (isSame(node.home, { parent, name })) node.home = this.#namesOf(inode)[0];
    if (node.links > 0) return;
    if (heldBy.length === 0) this.nodes.delete(inode);
    for (const session of heldBy) node.holders.add(session);
    if (node.kind !== "directory") return;
    node.parent = undefined;
    node.touched = undefined;
    node.extended.clear();
  }

  #move(from: Child, to: Child, now: Moment): void {
    const inode = this.get(from.parent).entries.get(from.name) as Inode;
    const node = this.get(inode);
    this.get(from.parent).entries.delete(from.name);
    this.get(to.parent).entries.set(to.name, inode);
    if (node.kind === "directory") node.parent = to.parent;
    else if (isSame(node.home, from)) node.home = to;
    if (from.parent !== to.parent) {
      this.#tell(from.parent, node, { more: -1, now });
      this.#tell(to.parent, node, { more: 1, now });
    }
    for (const { parent } of [from, to]) this.get(parent).touched = now;
    merge(node);
    node.changed = now;
  }
}

export function modifiedOf({ modified, touched }: ModelNode): Moment {
  return touched ?? modified;
}

export function changedOf({ changed, touched }: ModelNode): Moment {
  return touched === undefined ? changed : laterOf(changed, touched);
}

/** What is written anew says when something last came or went, too. */
function merge(node: ModelNode): void {
  node.changed = changedOf(node);
  node.modified = modifiedOf(node);
}

function newNode(kind: FileKind, mode: number, now: Moment): ModelNode {
  return {
    kind,
    mode,
    links: kind === "directory" ? 2 : 1,
    sizeBytes: 0,
    modified: now,
    changed: now,
    entries: new Map(),
    extended: new Map(),
    holders: new Set(),
  };
}

function isSame(one: Child | undefined, other: Child): boolean {
  return one?.parent === other.parent && one.name === other.name;
}

function difference(one: ModelUsage, other: ModelUsage): ModelUsage {
  return { sizeBytes: one.sizeBytes - other.sizeBytes, inodes: one.inodes - other.inodes };
}

function fail(errno: string): never {
  throw new Errno(errno);
}
