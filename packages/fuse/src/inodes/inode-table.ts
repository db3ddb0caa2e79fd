import { ROOT_INODE } from "../protocol/flags.ts";

/**
 * The inodes that the kernel knows, with how often it was told of each. A node is dropped when the kernel has forgotten all of that and
 * nobody holds it otherwise (`retain`), so the table is as large as the kernel's memory of the file system, and no larger.
 *
 * Numbers are used again, the last dropped first, each time with a higher generation, as handles that were exported must not come to mean
 * another file.
 */
export class InodeTable<Node extends object> {
  readonly #slots: (Slot<Node> | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #generations: number[] = [];
  readonly #onDrop: (node: Node, inode: number) => void;
  #size = 0;

  /** `onDrop` is called when a node has left the table. The root is never dropped. */
  constructor(root: Node, onDrop: (node: Node, inode: number) => void = () => undefined) {
    this.#onDrop = onDrop;
    this.#slots[ROOT_INODE] = { node: root, lookups: 1, holds: 1 };
    this.#generations[ROOT_INODE] = 0;
    this.#size = 1;
  }

  get size(): number {
    return this.#size;
  }

  /** Takes a node in, without a lookup or a hold: one of them has to follow before the next `forget` or `release`. */
  add(node: Node): { readonly inode: number; readonly generation: number } {
    const inode = this.#free.pop() ?? Math.max(this.#slots.length, ROOT_INODE + 1);
    const generation = (this.#generations[inode] ?? -1) + 1;
    this.#generations[inode] = generation;
    this.#slots[inode] = { node, lookups: 0, holds: 0 };
    this.#size += 1;
    return { inode, generation };
  }

  find(inode: number): Node | undefined {
    return this.#slots[inode]?.node;
  }

  lookups(inode: number): number {
    return this.#slots[inode]?.lookups ?? 0;
  }

  /** The kernel is told of this inode once more. */
  lookup(inode: number): void {
    this.#get(inode).lookups += 1;
  }

  /** The kernel has forgotten so many lookups. What it does not know it cannot forget, so that an inode it makes up changes nothing. */
  forget(inode: number, lookups: number): void {
    const slot = this.#slots[inode];
    if (slot === undefined) return;
    slot.lookups = Math.max(slot.lookups - lookups, 0);
    this.#dropUnused(inode, slot);
  }

  /** Keeps a node in the table for another reason, such as a name that leads to it. */
  retain(inode: number): void {
    this.#get(inode).holds += 1;
  }

  release(inode: number): void {
    const slot = this.#get(inode);
    if (slot.holds === 0) throw new RangeError(`Inode ${inode} was released more often than it was retained.`);
    slot.holds -= 1;
    this.#dropUnused(inode, slot);
  }

  #get(inode: number): Slot<Node> {
    const slot = this.#slots[inode];
    if (slot === undefined) throw new RangeError(`There is no inode ${inode}.`);
    return slot;
  }

  #dropUnused(inode: number, slot: Slot<Node>): void {
    if (slot.lookups > 0 || slot.holds > 0 || inode === ROOT_INODE) return;
    this.#slots[inode] = undefined;
    this.#free.push(inode);
    this.#size -= 1;
    this.#onDrop(slot.node, inode);
  }
}

interface Slot<Node> {
  readonly node: Node;
  lookups: number;
  holds: number;
}
