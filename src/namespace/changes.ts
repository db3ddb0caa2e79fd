import { afterPrefix, type Program, type Reader, type Transaction } from "../kv/index.ts";
import { changeKey, changeSpace, decodeChange, encodeChange, sequenceOfChangeKey } from "./rows.ts";
import type { Change } from "./types.ts";

/** The change feed: what happened to names, in the order of the commits. */

/** A position in the feed; later changes have higher ones. */
export type ChangeCursor = number;

export interface ChangePage {
  readonly changes: readonly Change[];
  /** Where to go on. */
  readonly cursor: ChangeCursor;
}

export function recordChange(tx: Transaction, change: Change): void {
  tx.append(changeSpace, encodeChange(change));
}

export function* readChanges(
  tx: Reader,
  { after, limit }: { readonly after: ChangeCursor; readonly limit: number },
): Program<ChangePage> {
  const rows = yield* tx.range({ start: changeKey(after + 1), end: afterPrefix(changeSpace), limit });
  const last = rows.at(-1);
  return {
    changes: rows.map(({ value }) => decodeChange(value)),
    cursor: last === undefined ? after : sequenceOfChangeKey(last.key),
  };
}

/** Forgets the oldest; resolves with where it stopped while there is more to forget. */
export function* trimChanges(
  tx: Transaction,
  { beforeMs, limit }: { readonly beforeMs: number; readonly limit: number },
): Program<ChangeCursor | undefined> {
  const rows = yield* tx.range({ start: changeSpace, end: afterPrefix(changeSpace), limit });
  let last: ChangeCursor | undefined;
  for (const { key, value } of rows) {
    if (decodeChange(value).atMs >= beforeMs) return undefined;
    tx.delete(key);
    last = sequenceOfChangeKey(key);
  }
  return rows.length === limit ? last : undefined;
}
