import { type Inode, ROOT_INODE } from "../core/ids.ts";
import type { Kv, Program, Transaction } from "../kv/index.ts";
import { KeyedLock } from "../core/async/keyed-lock.ts";
import { GfsError } from "../core/errors.ts";
import { RowReader, RowWriter } from "./bytes.ts";
import { inodeCounterKey } from "./rows.ts";
import { readInode, writeInode } from "./tree.ts";

/** Makes the root, once. */
export function* initialize(tx: Transaction, nowMs: number): Program<void> {
  if ((yield* readInode(tx, ROOT_INODE)) !== undefined) return;
  writeInode(tx, {
    inode: ROOT_INODE,
    kind: "directory",
    mode: 0o755,
    uid: 0,
    gid: 0,
    linkCount: 1,
    createdMs: nowMs,
    modifiedMs: nowMs,
    changedMs: nowMs,
  });
}

/** Hands out inode ids without a transaction each: whole blocks are reserved, and what a crash leaves of a block is never used. */
export interface InodeAllocator {
  /** Makes sure that so many `next` calls in this turn of the event loop succeed. */
  ensure(count: number): Promise<void>;
  next(): Inode;
}

const BLOCK = 16_384;

export function createInodeAllocator(kv: Kv): InodeAllocator {
  const lock = new KeyedLock();
  let next = 0;
  let end = 0;
  const reserve = async (count: number): Promise<void> => {
    const size = Math.max(BLOCK, count * 2);
    const start = await kv.transact(function* (tx): Program<number> {
      const row = yield* tx.get(inodeCounterKey);
      const first = row === undefined ? ROOT_INODE + 1 : new RowReader(row).count();
      const writer = new RowWriter();
      writer.count(first + size);
      tx.put(inodeCounterKey, writer.finish());
      return first;
    });
    // What is left of the block before is given up; ids need not be dense.
    next = start;
    end = start + size;
  };
  return {
    async ensure(count) {
      // oxlint-disable-next-line eslint/no-unmodified-loop-condition -- Others take from the block while this waits.
      while (end - next < count) {
        await lock.run("reserve", async () => {
          if (end - next < count) await reserve(count);
        });
      }
    },
    next() {
      if (next >= end) throw new GfsError("Internal", "Inode ids were not reserved before they were needed.");
      return next++ as Inode;
    },
  };
}
