import { randomBytes } from "node:crypto";
import type { DiskStat } from "../../../core/ports/disk.ts";
import type { ObjectInfo } from "../../store.ts";

/** What the driver keeps with an object's file, in one extended attribute. `docs/formats.md` shows it. */
export const ATTRIBUTE = "user.globalfs";

export interface ObjectRecord {
  readonly etag: string;
  readonly sha256?: string;
  readonly contentType?: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** The record speaks of the bytes only while the file has this size and time: whoever edits the file in place makes a new object. */
  readonly sizeBytes: number;
  readonly modifiedNs: string;
}

export interface Attributes {
  readonly sha256?: string | undefined;
  readonly contentType?: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Equal content has an equal etag when its checksum is known. */
export function makeRecord({ sha256, contentType, metadata }: Attributes, stat: DiskStat): ObjectRecord {
  return {
    etag: sha256 === undefined ? randomBytes(16).toString("hex") : sha256.slice(0, 32),
    metadata,
    sizeBytes: stat.sizeBytes,
    modifiedNs: stat.modifiedNs,
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(contentType === undefined ? {} : { contentType }),
  };
}

export function encodeRecord(record: ObjectRecord): Uint8Array {
  return Buffer.from(
    JSON.stringify({
      v: 1,
      e: record.etag,
      h: record.sha256,
      t: record.contentType,
      m: Object.keys(record.metadata).length === 0 ? undefined : record.metadata,
      s: record.sizeBytes,
      n: record.modifiedNs,
    }),
  );
}

/** Undefined when there is no record, or when it speaks of other bytes than the file has. */
export function decodeRecord(bytes: Uint8Array | undefined, stat: DiskStat): ObjectRecord | undefined {
  if (bytes === undefined) return undefined;
  let row: { v?: unknown; e?: unknown; h?: unknown; t?: unknown; m?: unknown; s?: unknown; n?: unknown };
  try {
    row = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()) as typeof row;
  } catch {
    return undefined;
  }
  if (row === null || typeof row !== "object" || row.v !== 1 || typeof row.e !== "string") return undefined;
  if (row.s !== stat.sizeBytes || row.n !== stat.modifiedNs) return undefined;
  return {
    etag: row.e,
    metadata: metadataOf(row.m),
    sizeBytes: stat.sizeBytes,
    modifiedNs: stat.modifiedNs,
    ...(typeof row.h === "string" ? { sha256: row.h } : {}),
    ...(typeof row.t === "string" ? { contentType: row.t } : {}),
  };
}

function metadataOf(found: unknown): Readonly<Record<string, string>> {
  if (found === null || typeof found !== "object") return {};
  return Object.fromEntries(
    Object.entries(found).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}

export function describeObject(key: string, stat: DiskStat, record: ObjectRecord | undefined): ObjectInfo {
  const base = { key, sizeBytes: stat.sizeBytes, modifiedMs: stat.modifiedMs };
  if (record === undefined) return { ...base, etag: `file-${stat.identity}`, metadata: {} };
  return {
    ...base,
    etag: record.etag,
    metadata: record.metadata,
    ...(record.sha256 === undefined ? {} : { sha256: record.sha256 }),
    ...(record.contentType === undefined ? {} : { contentType: record.contentType }),
  };
}
