import type { Inode } from "../../core/ids.ts";
import { ROOT_INODE } from "../../core/ids.ts";
import { findFirst, findLast, positionAt, positionOf } from "../../kv/index.ts";
import { changesForgottenKey, changeSpace, decodeNumber, inodeCounterKey } from "../rows.ts";
import type { Scan } from "./scan.ts";

export interface Counters {
  readonly highestInode: number;
  /** Of the state that is looked at. */
  readonly revision: number;
}

/** Numbers that are handed out are new: inodes, and positions in the change feed. */
export async function checkCounters(scan: Scan, { highestInode, revision }: Counters): Promise<void> {
  await scan.once(function* (tx) {
    const row = yield* tx.get(inodeCounterKey);
    const next = row === undefined ? ((ROOT_INODE + 1) as Inode) : decodeNumber(row);
    if (highestInode >= next)
      scan.fault(`The next inode to be handed out is ${next}, and there is an inode ${highestInode}.`);
    const forgotten = yield* tx.get(changesForgottenKey);
    const first = yield* findFirst(tx, changeSpace);
    if (forgotten !== undefined && first !== undefined && positionOf(first.key) <= decodeNumber(forgotten))
      scan.fault(
        `The change feed is forgotten up to ${decodeNumber(forgotten)}, and begins at ${positionOf(first.key)}.`,
      );
    const last = yield* findLast(tx, changeSpace);
    if (last !== undefined && positionOf(last.key) >= positionAt(revision + 1, 0))
      scan.fault(
        `The change feed has come to ${positionOf(last.key)}, which is beyond the newest commit, ${revision}.`,
      );
  });
}
