import type { Inode } from "../../core/ids.ts";
import { ROOT_INODE } from "../../core/ids.ts";
import { positionAt, positionOf, prefixRange, type Program, type Reader } from "../../kv/index.ts";
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
    const first = yield* endOfFeed(tx, false);
    if (forgotten !== undefined && first !== undefined && first <= decodeNumber(forgotten))
      scan.fault(`The change feed is forgotten up to ${decodeNumber(forgotten)}, and begins at ${first}.`);
    const last = yield* endOfFeed(tx, true);
    if (last !== undefined && last >= positionAt(revision + 1, 0))
      scan.fault(`The change feed has come to ${last}, which is beyond the newest commit, ${revision}.`);
  });
}

function* endOfFeed(tx: Reader, reverse: boolean): Program<number | undefined> {
  const [row] = yield* tx.range({ ...prefixRange(changeSpace), limit: 1, reverse });
  return row === undefined ? undefined : positionOf(row.key);
}
