import { GfsError } from "../core/errors.ts";
import type { FilePath } from "../core/ids.ts";
import { keyAfter, prefixRange, type Program, type Reader, type Transaction } from "../kv/index.ts";
import type { VersionRules } from "./bucket-codec.ts";
import { bucketOf, keepsVersions, rulesOf } from "./bucket-rows.ts";
import {
  decodeHistory,
  dropHistory,
  hasHistoryBelow,
  historyBelow,
  type HistoryRow,
  newestOf,
  putHistory,
} from "./history-rows.ts";
import { denied } from "./locks.ts";
import { readContent, writeContent } from "./inodes.ts";

/** Histories hang at paths, so a renamed directory takes those below it along, row by row. */

/** What fits one transaction. */
const MAX_ROWS = 20;
const MAX_BYTES = 400 * 1024;
const PAGE = 100;
/** A row and its index, each taken away and put down again, without the path. */
const OVERHEAD_BYTES = 400;

export interface MoveHistory {
  readonly from: FilePath;
  readonly to: FilePath;
}

/** Before anything of the rename is written: which rules hold under the new name, and whether it may have it. */
export function* moveHistory(tx: Transaction, { from, to }: MoveHistory): Program<void> {
  const rules = yield* rulesOf(tx, `${from}/`);
  if (rules.objectLock) {
    throw denied(
      `${from} lies in a bucket with object lock: what may be locked there keeps its name. Rename single files.`,
    );
  }
  const wholeBucket = bucketOf(from) === undefined && bucketOf(to) === undefined;
  const targetRules: VersionRules = wholeBucket ? rules : yield* rulesOf(tx, `${to}/`);
  const moving = keepsVersions(rules) && (yield* hasHistoryBelow(tx, `${from}/`));
  if (moving && !keepsVersions(targetRules)) {
    throw new GfsError(
      "Conflict",
      `There are older versions below ${from}, and none are kept below ${to}; remove them, or turn versioning on there.`,
      { op: "namespace.rename", retry: "never" },
    );
  }
  const merging = keepsVersions(targetRules) && (yield* hasHistoryBelow(tx, `${to}/`));
  const rows = moving ? yield* rowsBelow(tx, { from, to }) : [];
  if (merging) yield* nameNulls(tx, yield* rowsBelow(tx, { from: to, to }));
  let current: { readonly path: string; readonly base: number } | undefined;
  for (const row of rows) {
    const path = `${to}${row.path.slice(from.length)}` as FilePath;
    if (current?.path !== path) {
      const below = merging ? yield* newestOf(tx, path) : undefined;
      current = { path, base: below?.sequence ?? 0 };
    }
    dropHistory(tx, row);
    putHistory(tx, { ...row, path, sequence: row.sequence + current.base });
  }
}

function* rowsBelow(tx: Reader, { from, to }: MoveHistory): Program<HistoryRow[]> {
  const range = prefixRange(historyBelow(`${from}/`));
  const rows: HistoryRow[] = [];
  let bytes = 0;
  for (let start = range.start; ;) {
    const page = yield* tx.range({ start, end: range.end, limit: PAGE });
    for (const { key, value } of page) {
      const row = decodeHistory(key, value);
      rows.push(row);
      bytes += 4 * Buffer.byteLength(row.path) + 2 * Buffer.byteLength(to) + OVERHEAD_BYTES;
    }
    if (rows.length > MAX_ROWS || bytes > MAX_BYTES) {
      throw new GfsError(
        "TooLarge",
        `More than ${MAX_ROWS} older versions lie below ${from}, too many to rename at once; rename its subdirectories, or remove old versions first.`,
        { op: "namespace.rename" },
      );
    }
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return rows;
    start = keyAfter(last.key);
  }
}

/** What comes may bring a `null` version of its own: those that were here before go by their ids from now on. */
function* nameNulls(tx: Transaction, rows: readonly HistoryRow[]): Program<void> {
  for (const row of rows) {
    if (row.versioned) continue;
    dropHistory(tx, row);
    putHistory(tx, { ...row, versioned: true });
    if (row.inode === undefined) continue;
    const version = yield* readContent(tx, row.inode);
    if (version === undefined) continue;
    writeContent(tx, row.inode, { ...version, details: { ...version.details, versioned: true } });
  }
}
