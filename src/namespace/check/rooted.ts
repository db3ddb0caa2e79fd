import { type Inode, ROOT_INODE } from "../../core/ids.ts";
import type { Program, Reader } from "../../kv/index.ts";
import { readAttributes } from "../inodes.ts";
import { InodeSet } from "./inode-set.ts";

/** Whether directories hang below the root: none of the rows of a circle of directories says that anything is wrong. */
export class Rooted {
  readonly #below = new InodeSet();

  *isBelowRoot(tx: Reader, directory: Inode): Program<boolean> {
    const way = new Set<Inode>();
    for (let inode = directory; inode !== ROOT_INODE && !this.#below.has(inode);) {
      const parent: Inode | undefined = (yield* readAttributes(tx, inode))?.parent?.inode;
      if (parent === undefined || way.has(inode)) return false;
      way.add(inode);
      inode = parent;
    }
    for (const inode of way) this.#below.add(inode);
    return true;
  }
}
