import { InodeTable } from "../../inodes/inode-table.ts";
import { Errno } from "../../protocol/errors.ts";
import { ROOT_INODE } from "../../protocol/flags.ts";
import { SourceAttributes } from "./source-attributes.ts";
import { O_NOFOLLOW, O_PATH, type SourceCalls } from "./source-calls.ts";

/** A file of the source that the kernel knows. */
export class SourceNode {
  inode = 0;
  generation = 0;
  readonly identity: number | bigint;
  readonly device: number;
  /** Holds the file, whatever its names are; -1 while only `handle` knows where it is. */
  descriptor: number;
  handle: Buffer | undefined;
  /** Used since the last search for descriptors that can be spared. */
  used = true;
  /** How many open files there are of it. */
  opens = 0;
  /** How the kernel reads and writes those, which has to be the same for all of them. */
  io: "idle" | "cached" | "passthrough" = "idle";
  /** How many of those may change it behind the kernel's back. */
  silentWriters = 0;
  /** One of those may have left a mapping behind. */
  mapped = false;

  constructor(attributes: SourceAttributes, descriptor: number) {
    this.identity = attributes.identity;
    this.device = attributes.sourceDevice;
    this.descriptor = descriptor;
  }
}

/** How many nodes are looked at for one that can be spared a descriptor. */
const SEARCH_STEPS = 64;

/**
 * Finds the node of a file by device and inode, so that all names of a file lead to one node. Its descriptor keeps the inode from being used for
 * another file. Of a large tree, only so many nodes have a descriptor at the same time: the others keep a handle, as NFS servers do.
 */
export class SourceTree {
  readonly table: InodeTable<SourceNode>;
  readonly root: SourceNode;
  readonly #calls: SourceCalls;
  readonly #maxDescriptors: number;
  readonly #byDevice = new Map<number, Map<number | bigint, SourceNode>>();
  readonly #holding = new Set<SourceNode>();
  readonly #onDrop: (node: SourceNode) => void;
  readonly #attributes = new SourceAttributes();
  #device = -1;
  #ofDevice: Map<number | bigint, SourceNode> = new Map();

  /** `root` is a descriptor of a directory, open for reading. */
  constructor(
    deps: { readonly calls: SourceCalls; readonly root: number; readonly onDrop: (node: SourceNode) => void },
    config: { readonly maxDescriptors: number },
  ) {
    this.#calls = deps.calls;
    this.#onDrop = deps.onDrop;
    this.#maxDescriptors = config.maxDescriptors;
    const attributes = new SourceAttributes();
    deps.calls.statusOf(deps.root, attributes);
    this.root = new SourceNode(attributes, deps.root);
    this.root.inode = ROOT_INODE;
    this.table = new InodeTable(this.root, (node) => this.#drop(node));
    this.#nodesOf(this.root.device).set(this.root.identity, this.root);
  }

  get heldDescriptors(): number {
    return this.#holding.size;
  }

  find(inode: number): SourceNode | undefined {
    return this.table.find(inode);
  }

  /** The descriptor of a node; ESTALE if there is none any more. */
  descriptorOf(inode: number): number {
    const node = this.table.find(inode);
    if (node === undefined) return Errno.ESTALE;
    node.used = true;
    return node.descriptor >= 0 ? node.descriptor : this.#reopen(node);
  }

  /** The node that attributes belong to, if it is held by a descriptor: only then it is sure to be still the same file. */
  findHeld(attributes: SourceAttributes): SourceNode | undefined {
    const node = this.#nodesOf(attributes.sourceDevice).get(attributes.identity);
    return node !== undefined && node.descriptor >= 0 ? node : undefined;
  }

  /** The node of a file, which owns the descriptor from now on. `attributes` are those of the descriptor. */
  adopt(descriptor: number, attributes: SourceAttributes): SourceNode {
    const nodes = this.#nodesOf(attributes.sourceDevice);
    const known = nodes.get(attributes.identity);
    if (known !== undefined) {
      if (known.descriptor >= 0) {
        this.#calls.close(descriptor);
        return known;
      }
      // An inode without a descriptor may have been freed and used again; its handle tells the two apart.
      if (known.handle?.equals(this.#calls.handleOf(descriptor) ?? Buffer.alloc(0)) === true) {
        this.#hold(known, descriptor);
        return known;
      }
    }
    // The table needs a node before it has a number for it.
    const node = new SourceNode(attributes, descriptor);
    const { inode, generation } = this.table.add(node);
    node.inode = inode;
    node.generation = generation;
    nodes.set(attributes.identity, node);
    this.#hold(node, descriptor);
    return node;
  }

  /** Gives everything back. */
  close(): void {
    for (const node of this.#holding) this.#calls.close(node.descriptor);
    this.#holding.clear();
    this.#calls.close(this.root.descriptor);
  }

  #reopen(node: SourceNode): number {
    const { handle } = node;
    if (handle === undefined) return Errno.ESTALE;
    const descriptor = this.#calls.openHandle(this.root.descriptor, handle);
    if (descriptor < 0) return descriptor;
    const matches = this.#calls.statusOf(descriptor, this.#attributes) === 0;
    if (!matches || this.#attributes.identity !== node.identity) {
      this.#calls.close(descriptor);
      return Errno.ESTALE;
    }
    this.#hold(node, descriptor);
    return descriptor;
  }

  #hold(node: SourceNode, descriptor: number): void {
    node.descriptor = descriptor;
    node.handle = undefined;
    node.used = true;
    this.#holding.add(node);
    if (this.#holding.size > this.#maxDescriptors) this.#spareOne(node);
  }

  /** Takes the descriptor from a node that was not used for a while. Those that are open, or of another file system, keep theirs. */
  #spareOne(except: SourceNode): void {
    // Each node at most once: one that was used just now, and whose descriptor is in somebody's hands, is passed over.
    let steps = Math.min(SEARCH_STEPS, this.#holding.size);
    for (const node of this.#holding) {
      steps -= 1;
      if (steps < 0) return;
      this.#holding.delete(node);
      const wanted = node.used || node.opens > 0 || node.device !== this.root.device || node === except;
      const handle = wanted ? undefined : this.#handleOfLinked(node.descriptor);
      if (handle !== undefined) {
        this.#calls.close(node.descriptor);
        node.descriptor = -1;
        node.handle = handle;
        return;
      }
      node.used = false;
      this.#holding.add(node);
    }
  }

  /** A file without a name is gone as soon as nobody holds it. */
  #handleOfLinked(descriptor: number): Buffer | undefined {
    if (this.#calls.statusOf(descriptor, this.#attributes) !== 0 || this.#attributes.links === 0) return undefined;
    return this.#calls.handleOf(descriptor);
  }

  #drop(node: SourceNode): void {
    this.#onDrop(node);
    if (this.#holding.delete(node)) this.#calls.close(node.descriptor);
    const nodes = this.#nodesOf(node.device);
    if (nodes.get(node.identity) === node) nodes.delete(node.identity);
  }

  #nodesOf(device: number): Map<number | bigint, SourceNode> {
    if (device === this.#device) return this.#ofDevice;
    let nodes = this.#byDevice.get(device);
    if (nodes === undefined) {
      nodes = new Map();
      this.#byDevice.set(device, nodes);
    }
    this.#device = device;
    this.#ofDevice = nodes;
    return nodes;
  }
}

/** How descriptors of nodes are opened. */
export const HOLD_FLAGS = O_PATH | O_NOFOLLOW;
