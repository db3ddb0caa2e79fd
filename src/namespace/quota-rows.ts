import type { Inode } from "../core/ids.ts";
import { encodeKey, type Key, type Program, type Reader, type Transaction } from "../kv/index.ts";
import { RowReader, RowWriter } from "./bytes.ts";
import { inodeKey } from "./rows.ts";
import { changeTree, readTree } from "./tree-row.ts";
import { readCounts, type Usage, writeCounts } from "./usage-rows.ts";

/** How much may lie below a directory. What is absent has no limit. */
export interface QuotaLimits {
  /** Of files and older versions. */
  readonly maxBytes?: number;
  readonly maxInodes?: number;
}

/** With what lies below it, to the byte: every transaction that changes that writes this row. */
export interface Quota extends QuotaLimits {
  readonly used: Usage;
}

const QUOTA = "uq";
const HAS_BYTES = 1;
const HAS_INODES = 1 << 1;

export const quotaSpace = encodeKey(QUOTA);

function quotaKey(directory: Inode): Key {
  return inodeKey(quotaSpace, directory);
}

export function* readQuota(tx: Reader, directory: Inode): Program<Quota | undefined> {
  const row = yield* tx.get(quotaKey(directory));
  return row === undefined ? undefined : decodeQuota(row);
}

export function* countQuotas(tx: Reader): Program<number> {
  return (yield* readTree(tx)).quotas;
}

export function* writeQuota(tx: Transaction, directory: Inode, quota: Quota): Program<void> {
  if ((yield* tx.get(quotaKey(directory))) === undefined) yield* changeTree(tx, { quotas: 1 });
  tx.put(quotaKey(directory), encodeQuota(quota));
}

/** Resolves with whether there was one. */
export function* dropQuota(tx: Transaction, directory: Inode): Program<boolean> {
  if ((yield* countQuotas(tx)) === 0 || (yield* tx.get(quotaKey(directory))) === undefined) return false;
  tx.delete(quotaKey(directory));
  yield* changeTree(tx, { quotas: -1 });
  return true;
}

export function encodeQuota({ maxBytes, maxInodes, used }: Quota): Buffer {
  const row = new RowWriter();
  row.byte((maxBytes === undefined ? 0 : HAS_BYTES) | (maxInodes === undefined ? 0 : HAS_INODES));
  if (maxBytes !== undefined) row.count(maxBytes);
  if (maxInodes !== undefined) row.count(maxInodes);
  writeCounts(row, used);
  return row.finish();
}

export function decodeQuota(bytes: Uint8Array): Quota {
  const row = new RowReader(bytes);
  const flags = row.byte();
  const maxBytes = flags & HAS_BYTES ? row.count() : undefined;
  const maxInodes = flags & HAS_INODES ? row.count() : undefined;
  const used = readCounts(row);
  row.end();
  return {
    ...(maxBytes === undefined ? {} : { maxBytes }),
    ...(maxInodes === undefined ? {} : { maxInodes }),
    used,
  };
}
