import type { Inode } from "../core/ids.ts";
import { decodeKey, encodeKey, type Key, keyAfter, type Program, type Reader, type Transaction } from "../kv/index.ts";

/**
 * Directories that may be there for nothing: the last of those that were made level by level for a write, and the next one that a delete in a deep tree has left
 * to be pruned. A row for each, by when it is to be looked at, so that none stays when the process dies in between.
 */
export interface Emptied {
  readonly dueMs: number;
  readonly directory: Inode;
}

const EMPTIED = "de";

export const emptiedSpace = encodeKey(EMPTIED);

function emptiedKey({ dueMs, directory }: Emptied): Key {
  return encodeKey(EMPTIED, dueMs, directory);
}

export function emptiedOfKey(key: Key): Emptied {
  const [dueMs, directory] = decodeKey(key, ["number", "number"]);
  return { dueMs: dueMs as number, directory: directory as Inode };
}

export function putEmptied(tx: Transaction, emptied: Emptied): void {
  tx.put(emptiedKey(emptied), NOTHING);
}

const NOTHING = Buffer.alloc(0);

export function dropEmptied(tx: Transaction, emptied: Emptied): void {
  tx.delete(emptiedKey(emptied));
}

/** The first that are to be looked at by now. */
export function* dueEmptied(tx: Reader, nowMs: number, limit: number): Program<Emptied[]> {
  const end = keyAfter(emptiedKey({ dueMs: nowMs, directory: Number.MAX_SAFE_INTEGER as Inode }));
  return (yield* tx.range({ start: emptiedSpace, end, limit })).map(({ key }) => emptiedOfKey(key));
}

/** What transactions have left to be pruned behind them. */
const left = new WeakMap<Transaction, Emptied[]>();

/** Whoever commits the transaction goes on there at once; if it cannot, the leader does. */
export function leaveToPrune(tx: Transaction, emptied: Emptied): void {
  putEmptied(tx, emptied);
  const before = left.get(tx);
  if (before === undefined) left.set(tx, [emptied]);
  else before.push(emptied);
}

export function leftBy(tx: Transaction): readonly Emptied[] {
  return left.get(tx) ?? [];
}
