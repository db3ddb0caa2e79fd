import { type Inode, ROOT_INODE } from "../core/ids.ts";
import type { Kv, Program, Transaction } from "../kv/index.ts";
import { momentOf } from "../core/moment.ts";
import { KeyedLock } from "../core/async/keyed-lock.ts";
import { deepening, type Transact } from "./deep-paths.ts";
import { decodeNumber, encodeNumber, inodeCounterKey } from "./rows.ts";
import { readInode, writeAttributes } from "./inodes.ts";

/** Makes the root, once. */
export function* initialize(tx: Transaction, nowMs: number): Program<void> {
  if ((yield* readInode(tx, ROOT_INODE)) !== undefined) return;
  const now = momentOf(nowMs);
  writeAttributes(tx, {
    inode: ROOT_INODE,
    kind: "directory",
    mode: 0o755,
    uid: 0,
    gid: 0,
    linkCount: 2,
    sizeBytes: 0,
    accessed: now,
    modified: now,
    changed: now,
    created: now,
  });
}

/** Inode ids come in blocks, so that no two transactions meet at a counter; what a crash leaves of a block is never used. */
export interface InodeAllocator {
  /**
   * Runs a program that may make files, or take them away. It runs again with a new block when the ids did not suffice, and when directories above them had to be made
   * first that are more than one transaction makes.
   */
  readonly transact: Transact;
}

const BLOCK = 16_384;

/** Ends the attempt; nothing of it is committed. */
class UsedUp extends Error {}

export function createInodeAllocator(kv: Kv): InodeAllocator {
  const lock = new KeyedLock();
  let next = 0;
  let end = 0;
  const take = (): Inode => {
    if (next >= end) throw new UsedUp();
    return next++ as Inode;
  };
  const reserve = async (count: number): Promise<void> => {
    // What is left of the block before is given up; ids need not be dense.
    next = await kv.transact(function* (tx): Program<number> {
      const row = yield* tx.get(inodeCounterKey);
      const first = row === undefined ? ROOT_INODE + 1 : decodeNumber(row);
      tx.put(inodeCounterKey, encodeNumber(first + count));
      return first;
    });
    end = next + count;
  };
  const transact: Transact = async (program, options) => {
    // Others take from the same block, and one program may want more than a block has.
    for (let wanted = BLOCK; ; wanted *= 2) {
      try {
        return await kv.transact((tx) => program(tx, take), options);
      } catch (error) {
        if (!(error instanceof UsedUp)) throw error;
      }
      await lock.run("reserve", async () => {
        if (end - next < wanted / 2) await reserve(wanted);
      });
    }
  };
  return { transact: deepening(transact) };
}
