import { InodeTable } from "../../inodes/inode-table.ts";
import { Errno } from "../../protocol/errors.ts";
import { RENAME_EXCHANGE, RENAME_NOREPLACE, ROOT_INODE } from "../../protocol/flags.ts";
import { nameBytes } from "../../protocol/names.ts";
import { inheritsGroup } from "../../protocol/requests-names.ts";
import type { FileClock } from "./clock.ts";
import { Budget, SparseContent } from "./content.ts";
import { Children, MemoryNode, TYPE_DIRECTORY, TYPE_MASK, TYPE_REGULAR } from "./node.ts";

const NAME_LIMIT_BYTES = 255;
/** Shorter names need no counting: a UTF-16 unit becomes three bytes at most. */
const SURELY_SHORT = 85;
const SET_GROUP_ID = 0o2000;

export interface NewNode {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface TreeOptions {
  readonly capacityBytes: number;
  readonly maxFiles: number;
  readonly timeoutMs: number;
}

/** Directories, names and links. A node lives as long as a name leads to it or the kernel knows it. */
export class Tree {
  readonly table: InodeTable<MemoryNode>;
  readonly budget: Budget;
  readonly root: MemoryNode;
  readonly clock: FileClock;
  readonly options: TreeOptions;

  constructor(options: TreeOptions, clock: FileClock) {
    this.options = options;
    this.clock = clock;
    this.budget = new Budget(options.capacityBytes);
    const owner = { mode: TYPE_DIRECTORY | 0o755, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    this.root = new MemoryNode(owner, options.timeoutMs);
    this.root.inode = ROOT_INODE;
    this.root.children = new Children();
    this.root.parent = this.root;
    this.root.links = 2;
    this.root.born(clock);
    this.table = new InodeTable(this.root, (node) => {
      node.content?.truncate(0);
    });
  }

  find(inode: number): MemoryNode | undefined {
    return this.table.find(inode);
  }

  /** The node that a name leads to, or why there is none. */
  lookup(parent: number, name: string): MemoryNode | Errno {
    const directory = this.find(parent);
    if (directory === undefined) return Errno.ESTALE;
    if (name === ".") return directory;
    if (directory.children === undefined) return Errno.ENOTDIR;
    if (name === "..") return directory.parent ?? Errno.ESTALE;
    return directory.children.get(name) ?? (isTooLong(name) ? Errno.ENAMETOOLONG : Errno.ENOENT);
  }

  /** A new node without a name. It is dropped again unless it is linked or looked up. */
  create(parent: MemoryNode, owner: NewNode): MemoryNode | Errno {
    if (this.table.size >= this.options.maxFiles) return Errno.ENOSPC;
    const inherits = inheritsGroup(parent.mode);
    const isDirectory = (owner.mode & TYPE_MASK) === TYPE_DIRECTORY;
    const mode = inherits && isDirectory ? owner.mode | SET_GROUP_ID : owner.mode;
    const node = new MemoryNode(
      { mode, uid: owner.uid, gid: inherits ? parent.gid : owner.gid },
      this.options.timeoutMs,
    );
    if (isDirectory) node.children = new Children();
    if ((mode & TYPE_MASK) === TYPE_REGULAR) node.content = new SparseContent(this.budget);
    node.born(this.clock);
    const { inode, generation } = this.table.add(node);
    node.inode = inode;
    node.generation = generation;
    return node;
  }

  /** Whether a new name can be made in a directory: that directory, or why not. */
  placeFor(parent: number, name: string): MemoryNode | Errno {
    const directory = this.find(parent);
    if (directory === undefined) return Errno.ESTALE;
    if (directory.children === undefined) return Errno.ENOTDIR;
    // A directory that was removed takes nothing in any more.
    if (directory.links === 0) return Errno.ENOENT;
    if (isTooLong(name)) return Errno.ENAMETOOLONG;
    return directory.children.get(name) === undefined ? directory : Errno.EEXIST;
  }

  /** Makes a name for a node. The caller has asked `placeFor`. */
  attach(directory: MemoryNode, name: string, node: MemoryNode): void {
    directory.children?.set(name, node);
    this.table.retain(node.inode);
    if (node.isDirectory) {
      node.parent = directory;
      node.links = 2;
      directory.links += 1;
    } else {
      node.links += 1;
    }
    directory.modified(this.clock);
  }

  /** Removes a name. */
  detach(directory: MemoryNode, name: string, node: MemoryNode): void {
    directory.children?.delete(name);
    if (node.isDirectory) {
      node.links = 0;
      directory.links -= 1;
    } else {
      node.links -= 1;
    }
    directory.modified(this.clock);
    node.changed(this.clock);
    this.table.release(node.inode);
  }

  remove(parent: number, name: string, wantsDirectory: boolean): Errno | undefined {
    const directory = this.find(parent);
    const node = this.lookup(parent, name);
    if (typeof node === "number") return node;
    if (directory === undefined) return Errno.ESTALE;
    if (wantsDirectory && !node.isDirectory) return Errno.ENOTDIR;
    if (!wantsDirectory && node.isDirectory) return Errno.EISDIR;
    if (node.children !== undefined && node.children.byName.size > 0) return Errno.ENOTEMPTY;
    this.detach(directory, name, node);
    return undefined;
  }

  rename(
    from: { parent: number; name: string },
    to: { parent: number; name: string },
    flags: number,
  ): Errno | undefined {
    if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) !== 0) return Errno.EINVAL;
    const source = this.find(from.parent);
    const target = this.find(to.parent);
    const node = this.lookup(from.parent, from.name);
    if (typeof node === "number") return node;
    if (source === undefined || target?.children === undefined) return Errno.ESTALE;
    if (target.links === 0) return Errno.ENOENT;
    if (isTooLong(to.name)) return Errno.ENAMETOOLONG;
    const existing = target.children.get(to.name);
    if (flags === RENAME_EXCHANGE) {
      if (existing === undefined) return Errno.ENOENT;
      if (isInside(target, node) || isInside(source, existing)) return Errno.EINVAL;
      this.#exchange({ source, name: from.name, node }, { target, name: to.name, node: existing });
      return undefined;
    }
    if (isInside(target, node)) return Errno.EINVAL;
    if (existing === node) return undefined;
    if (existing !== undefined) {
      if (flags === RENAME_NOREPLACE) return Errno.EEXIST;
      if (existing.isDirectory && !node.isDirectory) return Errno.EISDIR;
      if (!existing.isDirectory && node.isDirectory) return Errno.ENOTDIR;
      if (existing.children !== undefined && existing.children.byName.size > 0) return Errno.ENOTEMPTY;
      this.detach(target, to.name, existing);
    }
    source.children?.delete(from.name);
    target.children.set(to.name, node);
    this.#moved(node, source, target);
    return undefined;
  }

  #exchange(
    from: { readonly source: MemoryNode; readonly name: string; readonly node: MemoryNode },
    to: { readonly target: MemoryNode; readonly name: string; readonly node: MemoryNode },
  ): void {
    from.source.children?.set(from.name, to.node);
    to.target.children?.set(to.name, from.node);
    this.#moved(from.node, from.source, to.target);
    this.#moved(to.node, to.target, from.source);
  }

  #moved(node: MemoryNode, source: MemoryNode, target: MemoryNode): void {
    if (node.isDirectory) {
      node.parent = target;
      source.links -= 1;
      target.links += 1;
    }
    source.modified(this.clock);
    target.modified(this.clock);
    node.changed(this.clock);
  }
}

function isTooLong(name: string): boolean {
  return name.length > SURELY_SHORT && nameBytes(name) > NAME_LIMIT_BYTES;
}

/** Whether a directory is another one, or somewhere below it. */
function isInside(directory: MemoryNode, other: MemoryNode): boolean {
  if (!other.isDirectory) return false;
  let at: MemoryNode | undefined = directory;
  while (at !== undefined) {
    if (at === other) return true;
    at = at.parent === at ? undefined : at.parent;
  }
  return false;
}
