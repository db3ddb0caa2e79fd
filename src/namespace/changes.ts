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

export interface FeedLine extends Change {
  readonly position: ChangeCursor;
}

export interface FeedPage {
  readonly changes: readonly FeedLine[];
  /** Forgotten before they were read: at most so many. */
  readonly missed: number;
}

/** For readers who keep their own place in the feed, and must know when it went on without them. */
export function* readFeed(
  tx: Reader,
  { after, limit }: { readonly after: ChangeCursor; readonly limit: number },
): Program<FeedPage> {
  const rows = yield* tx.range({ start: changeKey(after + 1), end: afterPrefix(changeSpace), limit });
  const changes = rows.map(({ key, value }) => ({ ...decodeChange(value), position: sequenceOfChangeKey(key) }));
  const [first] = changes;
  // The line that was read last is forgotten only together with all before it.
  const forgotten =
    first !== undefined && first.position > after + 1 && after > 0 && (yield* tx.get(changeKey(after))) === undefined;
  return { changes, missed: forgotten ? first.position - after - 1 : 0 };
}

/** Where the feed ends now; 0 when it is empty. */
export function* lastChange(tx: Reader): Program<ChangeCursor> {
  const [last] = yield* tx.range({ start: changeSpace, end: afterPrefix(changeSpace), limit: 1, reverse: true });
  return last === undefined ? 0 : sequenceOfChangeKey(last.key);
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
