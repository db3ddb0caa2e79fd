import { encodeKey, type Program, type Reader, type Transaction } from "../kv/index.ts";
import { RowReader, RowWriter } from "./bytes.ts";

/**
 * What is known of the tree as a whole, in one row that every change of usage reads anyway. Both change seldom, so that nobody who makes or removes
 * something waits for others who do.
 */
export interface Tree {
  /** How many directories have a quota: nobody looks for quotas where there are none. */
  readonly quotas: number;
  /** How often a directory came to another name, or left nothing but its history: while that stays, each that is there still has the path that it had. */
  readonly moves: number;
}

export const treeKey = encodeKey("nt");

const NOTHING: Tree = { quotas: 0, moves: 0 };

export function* readTree(tx: Reader): Program<Tree> {
  const row = yield* tx.get(treeKey);
  return row === undefined ? NOTHING : decodeTree(row);
}

export function* changeTree(tx: Transaction, change: Partial<Tree>): Program<void> {
  const { quotas, moves } = yield* readTree(tx);
  tx.put(treeKey, encodeTree({ quotas: quotas + (change.quotas ?? 0), moves: moves + (change.moves ?? 0) }));
}

export function encodeTree({ quotas, moves }: Tree): Buffer {
  const row = new RowWriter();
  row.count(quotas);
  row.count(moves);
  return row.finish();
}

export function decodeTree(bytes: Uint8Array): Tree {
  const row = new RowReader(bytes);
  const tree = { quotas: row.count(), moves: row.count() };
  row.end();
  return tree;
}
