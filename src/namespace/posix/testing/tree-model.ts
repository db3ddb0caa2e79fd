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
  /** Who has it open without a name. */
  readonly holders: Set<SessionId>;
}

interface Held {
  readonly heldBy?: readonly SessionId[];
  readonly now: Moment;
}

export class TreeModel {
  readonly nodes = new Map<Inode, ModelNode>();

  constructor(now: Moment, mode: number) {
    this.nodes.set(ROOT_INODE, newNode("directory", mode, now));
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
    this.#move(from, to, held.now);
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
    Object.assign(file, { sizeBytes, modified: now, changed: now });
  }

  release(inode: Inode, session: SessionId): void {
    const file = this.nodes.get(inode);
    if (file?.holders.delete(session) === true && file.holders.size === 0) this.nodes.delete(inode);
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

function fail(errno: string): never {
  throw new Errno(errno);
}
