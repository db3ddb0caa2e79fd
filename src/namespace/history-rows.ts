import type { Inode, VersionId } from "../core/ids.ts";
import { decodeKey, encodeKey, type Key, tail, type Transaction } from "../kv/index.ts";
import { RowReader, RowWriter } from "./bytes.ts";
import type { FileVersion } from "./types.ts";

/**
 * Older versions and delete markers of a name in a directory, newest first in the order of their commits; no clock has a say. Beside them an index by
 * the id under which S3 knows each. A version's row leads to its holder: an inode that no name leads to.
 */

const HISTORY = "v";
const INDEX = "vi";
const TOP = Number.MAX_SAFE_INTEGER;

const MARKER = 1;
const VERSIONED = 1 << 1;
const HAS_OWNER = 1 << 2;

export const historySpace = encodeKey(HISTORY);
export const historyIndexSpace = encodeKey(INDEX);

/** Whose history it is. */
export interface Named {
  readonly directory: Inode;
  readonly name: string;
}

/** Where a row stands in a history. */
export interface HistoryPlace {
  readonly directory: Inode;
  /** Counts up with each row of the name. */
  readonly sequence: number;
}

export interface HistoryRow extends Named, HistoryPlace {
  readonly versionId: VersionId;
  /** S3 knows it by its id; it calls any other `null`. */
  readonly versioned: boolean;
  readonly createdMs: number;
  /** Of a delete marker. */
  readonly owner?: string;
  /** The holder; absent for a delete marker. */
  readonly inode?: Inode;
  /** It was a `null` version until its directory came to hang below another of its name, whose history may have one, too. */
  readonly wasNull?: true;
}

/** As S3 shows it. */
export function shownVersionId(version: Pick<HistoryRow, "versionId" | "versioned">): string {
  return version.versioned ? version.versionId : NULL;
}

export function shownIdOf(version: FileVersion): string {
  return version.details?.versioned === true ? version.id : NULL;
}

export const NULL = "null";

export function historyKey({ directory, name }: Named, sequence: number): Key {
  return encodeKey(HISTORY, directory, name, TOP - sequence);
}

/** All rows of one name. */
export function historyOf({ directory, name }: Named): Key {
  return encodeKey(HISTORY, directory, name);
}

/** All rows of a directory, but not of those in it. */
export function historyIn(directory: Inode): Key {
  return encodeKey(HISTORY, directory);
}

/** Where the rows of the names in a directory that begin so, or come after those, begin. */
export function historyFrom(directory: Inode, prefix: string): Key {
  return encodeKey(HISTORY, directory, tail(prefix));
}

export function indexKey({ directory, name }: Named, shownId: string): Key {
  return encodeKey(INDEX, directory, name, tail(shownId));
}

export function placeOfIndexKey(key: Key): Named & { readonly shownId: string } {
  const [directory, name, shownId] = decodeKey(key, ["number", "string", "tail"]);
  return { directory: directory as Inode, name: name as string, shownId: shownId as string };
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
  const [directory, name, inverted] = decodeKey(key, ["number", "string", "number"]);
  const row = new RowReader(bytes);
  const flags = row.byte();
  const versionId = row.text() as VersionId;
  const createdMs = row.time();
  const owner = flags & HAS_OWNER ? row.text() : undefined;
  const inode = flags & MARKER ? undefined : (row.count() as Inode);
  row.end();
  return {
    directory: directory as Inode,
    name: name as string,
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

export function putHistory(tx: Transaction, row: HistoryRow): void {
  tx.put(historyKey(row, row.sequence), encodeHistory(row));
  tx.put(indexKey(row, shownVersionId(row)), encodeSequence(row.sequence));
}

export function dropHistory(tx: Transaction, row: HistoryRow): void {
  tx.delete(historyKey(row, row.sequence));
  tx.delete(indexKey(row, row.wasNull === true ? NULL : shownVersionId(row)));
}
