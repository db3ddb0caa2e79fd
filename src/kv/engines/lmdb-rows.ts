import type { Database, RootDatabase, Transaction } from "lmdb";
import type { KvEntry, RangeQuery } from "../kv.ts";
import type { HeldSnapshot } from "../held-snapshot.ts";
import type { Snapshot } from "../program.ts";

/** How rows are read from an LMDB environment, by the process that writes it and by those that only read. */

export type Rows = Database<Buffer, Buffer>;

export const FORMAT = 5;
export const FORMAT_KEY = Buffer.from("format");
export const REVISION = Buffer.from("revision");
export const CATALOG_FILE = "catalog.lmdb";
export const BINARY = { keyEncoding: "binary", encoding: "binary" } as const;
/** The same bytes in the file; what is read comes in buffers that share memory. */
export const SHARED_BINARY = {
  keyEncoder: {
    writeKey(key: Uint8Array, target: Buffer, start: number): number {
      target.set(key, start);
      return start + key.length;
    },
    readKey: (source: Buffer, start: number, end: number): Buffer => copyOut(source, start, end - start),
  },
  encoder: {
    encode: (value: Buffer): Buffer => value,
    decode: (source: Buffer, sizeBytes: number): Buffer => copyOut(source, 0, sizeBytes),
  },
} as const;

/** The library overwrites the memory that it reads into with the next read. A small copy shares a pool: memory of its own would cost more than the read. */
function copyOut(source: Buffer, start: number, sizeBytes: number): Buffer {
  const copy = Buffer.allocUnsafe(sizeBytes);
  if (sizeBytes <= SMALL_BYTES)
    for (let index = 0; index < sizeBytes; index++) copy[index] = source[start + index] as number;
  else copy.set(new Uint8Array(source.buffer, source.byteOffset + start, sizeBytes));
  return copy;
}

/** Up to here a loop is faster than a call that copies. */
const SMALL_BYTES = 64;

export function snapshotOf(rows: Rows): Snapshot {
  return { get: (key) => readValue(rows, asBuffer(key)), range: (query) => readRange(rows, query) };
}

/** LMDB keeps the pages of a state as long as somebody reads in it. */
export function holdSnapshot(root: RootDatabase, rows: Rows, meta: Rows): HeldSnapshot {
  // The library goes on with the state that it looked at last until its timers run.
  root.resetReadTxn();
  const transaction = root.useReadTransaction();
  return {
    revision: decodeRevision(readValue(meta, REVISION, transaction)),
    get: (key) => readValue(rows, asBuffer(key), transaction),
    range: (query) => readRange(rows, query, transaction),
    release: () => transaction.done(),
  };
}

export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * The library's own copy of a value is a buffer with memory of its own, which costs more than all else of a lookup; this one shares a pool.
 * What the library hands out is overwritten by the next read.
 */
function readValue(rows: Rows, key: Buffer, transaction?: Transaction): Buffer | undefined {
  const shared = (rows as unknown as FastRows).getBinaryFast(
    key,
    transaction === undefined ? undefined : { transaction },
  );
  if (shared === undefined) return undefined;
  const sizeBytes =
    shared.isGlobal === true ? (rows as unknown as { readonly lastSize: number }).lastSize : shared.length;
  return copyOut(shared, 0, sizeBytes);
}

/** What the library's types leave out. */
interface FastRows {
  getBinaryFast(
    key: Buffer,
    options?: { readonly transaction: Transaction },
  ): (Buffer & { readonly isGlobal?: boolean }) | undefined;
}

export function readRange(rows: Rows, query: RangeQuery, transaction?: Transaction): KvEntry[] {
  const start = asBuffer(query.start);
  const end = asBuffer(query.end);
  const found: KvEntry[] = [];
  const within = transaction === undefined ? {} : { transaction };
  const range =
    query.reverse === true
      ? rows.getRange({
          start: end,
          end: start,
          exclusiveStart: true,
          inclusiveEnd: true,
          reverse: true,
          limit: query.limit,
          ...within,
        })
      : rows.getRange({ start, end, limit: query.limit, ...within });
  for (const { key, value } of range) found.push({ key, value });
  return found;
}

export function decodeRevision(bytes: Buffer | undefined): number {
  return bytes === undefined ? 0 : Number(bytes.readBigUInt64BE(0));
}

export function encodeRevision(revision: number): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigUInt64BE(BigInt(revision), 0);
  return bytes;
}
