import type { Inode } from "../core/ids.ts";
import type { Program, Transaction } from "../kv/index.ts";

/** So many levels of a path are made, or taken away, by a transaction that has something else to do; each takes up to six rows. */
export const LEVELS_AT_ONCE = 8;

export interface Levels {
  readonly path: string;
  /** So many of them are there, from the top. */
  readonly known: number;
  readonly nowMs: number;
  /** Makes what is missing of a path. */
  readonly make: (tx: Transaction, path: string, nextInode: () => Inode) => Program<Inode>;
}

/** Ends the attempt, of which nothing is committed: more levels of its path are missing than one transaction makes. They have to be made before it. */
export class MissingLevels extends Error {
  readonly levels: Levels;

  constructor(levels: Levels) {
    super(`Too many directories are missing above ${levels.path} to make them in one transaction.`);
    this.levels = levels;
  }
}
