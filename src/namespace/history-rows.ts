import type { FilePath, Inode, VersionId } from "../core/ids.ts";
import {
  decodeKey,
  encodeKey,
  type Key,
  keyAfter,
  prefixRange,
  type Program,
  type Reader,
  tail,
  type Transaction,
} from "../kv/index.ts";
import { RowReader, RowWriter } from "./bytes.ts";
import type { FileVersion } from "./types.ts";

/**
 * Older versions and delete markers of a path, newest first in the order of their commits; no clock has a say. Beside them an index by the id under
 * which S3 knows each. A version's row leads to its holder: an inode that no name leads to.
 */

const HISTORY = "v";
const INDEX = "vi";
const TOP = Number.MAX_SAFE_INTEGER;

const MARKER = 1;
const VERSIONED = 1 << 1;
const HAS_OWNER = 1 << 2;

export const historySpace = encodeKey(HISTORY);
export const historyIndexSpace = encodeKey(INDEX);

export interface HistoryRow {
  readonly path: FilePath;
  /** Counts up with each row of the path. */
  readonly sequence: number;
  readonly versionId: VersionId;
  readonly versioned: boolean;
  readonly createdMs: number;
  /** Of a delete marker. */
  readonly owner?: string;
  /** The holder; absent for a delete marker. */
  readonly inode?: Inode;
}

/** As S3 shows it. */
export function shownVersionId(version: Pick<HistoryRow, "versionId" | "versioned">): string {
  return version.versioned ? version.versionId : "null";
}

export function shownIdOf(version: FileVersion): string {
  return version.details?.versioned === true ? version.id : "null";
}

export function historyKey(path: string, sequence: number): Key {
  return encodeKey(HISTORY, path, TOP - sequence);
}

/** All rows of one path. */
export function historyOf(path: string): Key {
  return encodeKey(HISTORY, path);
}

/** Where the rows of the paths with this prefix begin. */
export function historyBelow(prefix: string): Key {
  return encodeKey(HISTORY, tail(prefix));
}

function indexKey(path: string, shownId: string): Key {
  return encodeKey(INDEX, path, tail(shownId));
}

export function placeOfIndexKey(key: Key): { readonly path: FilePath; readonly shownId: string } {
  const [path, shownId] = decodeKey(key, ["string", "tail"]);
  return { path: path as FilePath, shownId: shownId as string };
}

export function encodeHistory({ versionId, versioned, createdMs, owner, inode }: HistoryRow): Buffer {
  const row = new RowWriter();
  row.byte((inode === undefined ? MARKER : 0) | (versioned ? VERSIONED : 0) | (owner === undefined ? 0 : HAS_OWNER));
  row.text(versionId);
  row.time(createdMs);
  if (owner !== undefined) row.text(owner);
  if (inode !== undefined) row.count(inode);
  return row.finish();
}

export function decodeHistory(key: Key, bytes: Uint8Array): HistoryRow {
  const [path, inverted] = decodeKey(key, ["string", "number"]);
  const row = new RowReader(bytes);
  const flags = row.byte();
  const versionId = row.text() as VersionId;
  const createdMs = row.time();
  const owner = flags & HAS_OWNER ? row.text() : undefined;
  const inode = flags & MARKER ? undefined : (row.count() as Inode);
  row.end();
  return {
    path: path as FilePath,
    sequence: TOP - (inverted as number),
    versionId,
    versioned: (flags & VERSIONED) !== 0,
    createdMs,
    ...(owner === undefined ? {} : { owner }),
    ...(inode === undefined ? {} : { inode }),
  };
}

export function encodeSequence(sequence: number): Buffer {
  const row = new RowWriter();
  row.count(sequence);
  return row.finish();
}

export function decodeSequence(bytes: Uint8Array): number {
  const row = new RowReader(bytes);
  const sequence = row.count();
  row.end();
  return sequence;
}

export function* newestOf(tx: Reader, path: string): Program<HistoryRow | undefined> {
  const [row] = yield* tx.range({ ...prefixRange(historyOf(path)), limit: 1 });
  return row === undefined ? undefined : decodeHistory(row.key, row.value);
}

export function* findHistory(tx: Reader, path: string, shownId: string): Program<HistoryRow | undefined> {
  const index = yield* tx.get(indexKey(path, shownId));
  if (index === undefined) return undefined;
  const key = historyKey(path, decodeSequence(index));
  const row = yield* tx.get(key);
  return row === undefined ? undefined : decodeHistory(key, row);
}

/** The rows of a path after one of them, or from the newest. */
export function* historyAfter(
  tx: Reader,
  path: string,
  { sequence, limit }: { readonly sequence?: number; readonly limit: number },
): Program<HistoryRow[]> {
  const range = prefixRange(historyOf(path));
  const start = sequence === undefined ? range.start : keyAfter(historyKey(path, sequence));
  return (yield* tx.range({ start, end: range.end, limit })).map(({ key, value }) => decodeHistory(key, value));
}

/** On top of what is there. */
export function* pushHistory(tx: Transaction, row: Omit<HistoryRow, "sequence">): Program<HistoryRow> {
  const below = yield* newestOf(tx, row.path);
  const placed = { ...row, sequence: (below?.sequence ?? 0) + 1 };
  putHistory(tx, placed);
  return placed;
}

export function putHistory(tx: Transaction, row: HistoryRow): void {
  tx.put(historyKey(row.path, row.sequence), encodeHistory(row));
  tx.put(indexKey(row.path, shownVersionId(row)), encodeSequence(row.sequence));
}

export function dropHistory(tx: Transaction, row: HistoryRow): void {
  tx.delete(historyKey(row.path, row.sequence));
  tx.delete(indexKey(row.path, shownVersionId(row)));
}

export function* hasHistoryBelow(tx: Reader, prefix: string): Program<boolean> {
  return (yield* tx.range({ ...prefixRange(historyBelow(prefix)), limit: 1 })).length > 0;
}
