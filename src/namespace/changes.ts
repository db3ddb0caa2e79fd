import {
  afterPrefix,
  findLast,
  type KvEntry,
  positionOf,
  type Program,
  type Reader,
  type Transaction,
} from "../kv/index.ts";
import {
  changeKey,
  changesForgottenKey,
  changeSpace,
  decodeChange,
  decodeNumber,
  encodeChange,
  encodeNumber,
} from "./rows.ts";
import type { Change } from "./types.ts";

/** The change feed: what happened to names, in the order of the commits. */

/** A position in the feed: later changes have higher ones, with gaps between them. */
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
    cursor: last === undefined ? after : positionOf(last.key),
  };
}

export interface FeedLine extends Change {
  readonly position: ChangeCursor;
}

export interface FeedPage {
  readonly changes: readonly FeedLine[];
  /** Where the page begins: where it was asked to, or later, when what lies between was forgotten before it was read. */
  readonly after: ChangeCursor;
}

/** For readers who keep their own place in the feed, and must know when it went on without them. */
export function* readFeed(
  tx: Reader,
  { after, limit }: { readonly after: ChangeCursor; readonly limit: number },
): Program<FeedPage> {
  const from = after > 0 ? Math.max(after, yield* forgottenUpTo(tx)) : after;
  const rows = yield* tx.range({ start: changeKey(from + 1), end: afterPrefix(changeSpace), limit });
  return {
    changes: rows.map(({ key, value }) => ({ ...decodeChange(value), position: positionOf(key) })),
    after: from,
  };
}

function* forgottenUpTo(tx: Reader): Program<ChangeCursor> {
  const row = yield* tx.get(changesForgottenKey);
  return row === undefined ? 0 : decodeNumber(row);
}

/** Where the feed ends now; 0 when it is empty. */
export function* lastChange(tx: Reader): Program<ChangeCursor> {
  const last = yield* findLast(tx, changeSpace);
  return last === undefined ? 0 : positionOf(last.key);
}

/** Forgets the oldest; resolves with where it stopped while there is more to forget. */
export function* trimChanges(
  tx: Transaction,
  { beforeMs, limit }: { readonly beforeMs: number; readonly limit: number },
): Program<ChangeCursor | undefined> {
  const rows = yield* tx.range({ start: changeSpace, end: afterPrefix(changeSpace), limit });
  let last: ChangeCursor | undefined;
  for (const { key, value } of rows) {
    if (decodeChange(value).atMs >= beforeMs) break;
    tx.delete(key);
    last = positionOf(key);
  }
  if (last === undefined) return undefined;
  tx.put(changesForgottenKey, encodeNumber(last));
  return rows.length === limit && last === positionOf((rows.at(-1) as KvEntry).key) ? last : undefined;
}
