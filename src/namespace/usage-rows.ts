import type { Inode } from "../core/ids.ts";
import { afterPrefix, encodeKey, type Key, type Program, type Reader, type Transaction } from "../kv/index.ts";
import { RowReader, RowWriter } from "./bytes.ts";
import { inodeKey, inodeOfKey } from "./rows.ts";

/** What lies below a directory, which quotas hold against their limits. */
export interface Usage {
  /** Of files, as they are now. */
  readonly sizeBytes: number;
  /** Files, directories, links and all else that has a name. */
  readonly inodes: number;
  /** Of older versions. */
  readonly olderBytes: number;
}

export const NOTHING_USED: Usage = { sizeBytes: 0, inodes: 0, olderBytes: 0 };

/**
 * The usage of a directory as far as it knows: what hangs in it, and what the directories in it have told. What it has not told to the one above yet waits, and
 * a row of its own says so.
 */
export interface UsageRow {
  readonly known: Usage;
  readonly told: Usage;
  readonly waits: boolean;
}

const USAGE = "iu";
const WAITING = "uw";

export const usageSpace = encodeKey(USAGE);
export const waitingSpace = encodeKey(WAITING);

const NO_ROW: UsageRow = { known: NOTHING_USED, told: NOTHING_USED, waits: false };
const WAITS = 1;
const TOLD_ALL = 1 << 1;
const EMPTY = Buffer.alloc(0);

function usageKey(directory: Inode): Key {
  return inodeKey(usageSpace, directory);
}

export function* readUsage(tx: Reader, directory: Inode): Program<UsageRow> {
  const row = yield* tx.get(usageKey(directory));
  return row === undefined ? NO_ROW : decodeUsage(row);
}

export function writeUsage(tx: Transaction, directory: Inode, usage: UsageRow): void {
  tx.put(usageKey(directory), encodeUsage(usage));
}

/** The row says itself that it waits, so that whoever writes it again needs no second look. */
export function putWaiting(tx: Transaction, directory: Inode): void {
  tx.put(inodeKey(waitingSpace, directory), EMPTY);
}

export function dropWaiting(tx: Transaction, directory: Inode): void {
  tx.delete(inodeKey(waitingSpace, directory));
}

/** For a directory that goes. */
export function* dropUsage(tx: Transaction, directory: Inode): Program<void> {
  const row = yield* tx.get(usageKey(directory));
  if (row === undefined) return;
  tx.delete(usageKey(directory));
  if (decodeUsage(row).waits) dropWaiting(tx, directory);
}

export interface WaitingQuery {
  readonly before?: Inode;
  readonly limit: number;
}

/** Those made last come first: most of them lie below those that were there before. */
export function* pageWaiting(tx: Reader, { before, limit }: WaitingQuery): Program<Inode[]> {
  const end = before === undefined ? afterPrefix(waitingSpace) : inodeKey(waitingSpace, before);
  const rows = yield* tx.range({ start: waitingSpace, end, limit, reverse: true });
  return rows.map(({ key }) => inodeOfKey(key));
}

export function* isWaiting(tx: Reader, directory: Inode): Program<boolean> {
  return (yield* tx.get(inodeKey(waitingSpace, directory))) !== undefined;
}

export function encodeUsage({ known, told, waits }: UsageRow): Buffer {
  const row = new RowWriter();
  const toldAll = isSameUsage(known, told);
  row.byte((waits ? WAITS : 0) | (toldAll ? TOLD_ALL : 0));
  writeCounts(row, known);
  if (!toldAll) writeCounts(row, told);
  return row.finish();
}

export function decodeUsage(bytes: Uint8Array): UsageRow {
  const row = new RowReader(bytes);
  const flags = row.byte();
  const known = readCounts(row);
  const told = flags & TOLD_ALL ? known : readCounts(row);
  row.end();
  return { known, told, waits: (flags & WAITS) !== 0 };
}

export function writeCounts(row: RowWriter, { sizeBytes, inodes, olderBytes }: Usage): void {
  row.count(sizeBytes);
  row.count(inodes);
  row.count(olderBytes);
}

export function readCounts(row: RowReader): Usage {
  return { sizeBytes: row.count(), inodes: row.count(), olderBytes: row.count() };
}

export function isSameUsage(one: Usage, other: Usage): boolean {
  return (
    one === other ||
    (one.sizeBytes === other.sizeBytes && one.inodes === other.inodes && one.olderBytes === other.olderBytes)
  );
}

export function isNothing(usage: Usage): boolean {
  return isSameUsage(usage, NOTHING_USED);
}

export function sum(one: Usage, other: Usage): Usage {
  return {
    sizeBytes: one.sizeBytes + other.sizeBytes,
    inodes: one.inodes + other.inodes,
    olderBytes: one.olderBytes + other.olderBytes,
  };
}

export function minus({ sizeBytes, inodes, olderBytes }: Usage): Usage {
  return { sizeBytes: -sizeBytes, inodes: -inodes, olderBytes: -olderBytes };
}
