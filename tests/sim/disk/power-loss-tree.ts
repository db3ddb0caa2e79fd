import type { Random } from "../../../src/core/ports/random.ts";
import { FileNode } from "./power-loss-file.ts";

export class DirectoryNode {
  readonly kind = "directory";
  readonly inode: number;
  readonly bornNs: bigint;
  readonly entries = new Map<string, Node>();
  readonly durable = new Map<string, Node>();
  modifiedNs: bigint;

  constructor(inode: number, modifiedNs: bigint) {
    this.inode = inode;
    this.bornNs = modifiedNs;
    this.modifiedNs = modifiedNs;
  }
}

export type Node = FileNode | DirectoryNode;

/** What one name of one directory becomes; undefined: nothing. */
export interface NameChange {
  readonly directory: DirectoryNode;
  readonly name: string;
  readonly node: Node | undefined;
}

/**
 * Names and what of them is durable. Changes wait, in order, until a directory of theirs is flushed. Power loss keeps any subset of those
 * that wait in which the changes of one name have no gap. A rename is one change of two names: it never loses the file, but between two
 * directories the old name may stay when only the new one was flushed.
 */
export class PowerLossTree {
  readonly root: DirectoryNode;
  #waiting: NameChange[][] = [];

  constructor(modifiedNs: bigint) {
    this.root = new DirectoryNode(1, modifiedNs);
  }

  change(...names: NameChange[]): void {
    for (const { directory, name, node } of names) {
      if (node === undefined) directory.entries.delete(name);
      else directory.entries.set(name, node);
    }
    this.#waiting.push(names);
  }

  flush(directory: DirectoryNode): void {
    for (const change of this.#waiting) {
      if (change.some((each) => each.directory === directory)) this.#persist(change, directory);
    }
  }

  /** All names, and what all files have that can be reached. */
  flushAll(): void {
    for (const change of this.#waiting) for (const each of change) makeDurable(each);
    this.#waiting = [];
    flushFiles(this.root);
  }

  /** Earlier changes of the same names go first, whole: what comes later builds on them. */
  #persist(change: readonly NameChange[], flushed?: DirectoryNode): void {
    const position = this.#waiting.findIndex((each) => each === change);
    if (position === -1) return;
    for (const earlier of this.#waiting.slice(0, position)) {
      if (earlier.some((one) => change.some((other) => isSameName(one, other)))) this.#persist(earlier);
    }
    const left =
      flushed === undefined ? [] : change.filter((each) => each.node === undefined && each.directory !== flushed);
    for (const each of change) if (!left.includes(each)) makeDurable(each);
    this.#waiting = this.#waiting.flatMap((each) => (each !== change ? [each] : left.length === 0 ? [] : [left]));
  }

  losePower(random: Random): void {
    const keepShare = [0, 0.3, 0.7, 1][Math.floor(random.fraction() * 4)] as number;
    const blocked: NameChange[] = [];
    for (const change of this.#waiting) {
      const isBlocked = change.some((each) => blocked.some((other) => isSameName(each, other)));
      if (isBlocked || random.fraction() >= keepShare) {
        blocked.push(...change);
        continue;
      }
      const between = change.some(({ directory }) => directory !== change[0]?.directory);
      for (const each of change) {
        if (between && each.node === undefined && random.fraction() < 0.5) blocked.push(each);
        else makeDurable(each);
      }
    }
    this.#waiting = [];
    revert(this.root, random);
  }
}

function isSameName(one: NameChange, other: NameChange): boolean {
  return one.directory === other.directory && one.name === other.name;
}

function makeDurable({ directory, name, node }: NameChange): void {
  if (node === undefined) directory.durable.delete(name);
  else directory.durable.set(name, node);
}

function flushFiles(directory: DirectoryNode): void {
  for (const node of directory.entries.values()) {
    if (node.kind === "directory") flushFiles(node);
    else node.flush();
  }
}

function revert(directory: DirectoryNode, random: Random): void {
  directory.entries.clear();
  for (const [name, node] of directory.durable) {
    directory.entries.set(name, node);
    if (node.kind === "directory") revert(node, random);
    else node.losePower(random);
  }
}
