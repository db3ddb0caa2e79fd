import type { Database } from "lmdb";
import type { Counters } from "../embedded.ts";
import type { KvEntry, RangeQuery } from "../kv.ts";
import type { Snapshot } from "../program.ts";

/** How rows are read from an LMDB environment, by the process that writes it and by those that only read. */

export type Rows = Database<Buffer, Buffer>;

export const FORMAT = 1;
export const FORMAT_KEY = Buffer.from("format");
export const COUNTERS = Buffer.from("counters");
export const CATALOG_FILE = "catalog.lmdb";
export const BINARY = { keyEncoding: "binary", encoding: "binary" } as const;

export function snapshotOf(rows: Rows): Snapshot {
  return { get: (key) => readValue(rows, asBuffer(key)), range: (query) => readRange(rows, query) };
}

export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * The library's own copy of a value is a buffer with memory of its own, which costs more than all else of a lookup; this one shares a pool.
 * What the library hands out is overwritten by the next read.
 */
function readValue(rows: Rows, key: Buffer): Buffer | undefined {
  const shared: (Buffer & { readonly isGlobal?: boolean }) | undefined = rows.getBinaryFast(key);
  if (shared === undefined) return undefined;
  const sizeBytes =
    shared.isGlobal === true ? (rows as unknown as { readonly lastSize: number }).lastSize : shared.length;
  const value = Buffer.allocUnsafe(sizeBytes);
  value.set(new Uint8Array(shared.buffer, shared.byteOffset, sizeBytes));
  return value;
}

export function readRange(rows: Rows, query: RangeQuery): KvEntry[] {
  const start = asBuffer(query.start);
  const end = asBuffer(query.end);
  if (Buffer.compare(start, end) >= 0) return [];
  const found: KvEntry[] = [];
  const range =
    query.reverse === true
      ? rows.getRange({
          start: end,
          end: start,
          exclusiveStart: true,
          inclusiveEnd: true,
          reverse: true,
          limit: query.limit,
        })
      : rows.getRange({ start, end, limit: query.limit });
  for (const { key, value } of range) found.push({ key, value });
  return found;
}

export function decodeCounters(bytes: Buffer | undefined): Counters {
  if (bytes === undefined) return { revision: 0, appended: 0 };
  return { revision: Number(bytes.readBigUInt64BE(0)), appended: Number(bytes.readBigUInt64BE(8)) };
}
