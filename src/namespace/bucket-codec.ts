import type { Inode } from "../core/ids.ts";
import { corrupt, RowReader, RowWriter } from "./bytes.ts";
import type { BucketSettings, LifecycleRule, Retention } from "./types.ts";

/** A bucket's row. What every write has to know stands in front, so that it is read without the rest. `docs/formats.md` draws it. */

const FORMAT = 2;
const VERSIONING: readonly BucketSettings["versioning"][] = ["off", "enabled", "suspended"];
const VERSIONING_MASK = 0b11;
const OBJECT_LOCK = 1 << 2;
const HAS_RETENTION = 1 << 3;
const COMPLIANCE = 1 << 4;
const HAS_OWNER = 1 << 5;

/** How a bucket treats versions. */
export interface VersionRules {
  readonly versioning: BucketSettings["versioning"];
  readonly objectLock: boolean;
  readonly defaultRetention?: { readonly mode: Retention["mode"]; readonly days: number };
}

export interface BucketRow extends Omit<BucketSettings, "name"> {
  /** Its documents hang there. */
  readonly documentsOf: Inode;
}

export function encodeBucket(bucket: BucketRow): Buffer {
  const { defaultRetention, owner } = bucket;
  const row = new RowWriter();
  row.byte(FORMAT);
  row.byte(
    VERSIONING.indexOf(bucket.versioning) |
      (bucket.objectLock ? OBJECT_LOCK : 0) |
      (defaultRetention === undefined ? 0 : HAS_RETENTION) |
      (defaultRetention?.mode === "compliance" ? COMPLIANCE : 0) |
      (owner === undefined ? 0 : HAS_OWNER),
  );
  if (defaultRetention !== undefined) row.count(defaultRetention.days);
  row.count(bucket.documentsOf);
  row.time(bucket.createdMs);
  if (owner !== undefined) row.text(owner);
  row.text(JSON.stringify(bucket.lifecycle));
  return row.finish();
}

export function decodeBucket(name: string, bytes: Uint8Array): BucketSettings {
  const { documentsOf: _, ...settings } = decodeBucketRow(bytes);
  return { name, ...settings };
}

export function decodeBucketRow(bytes: Uint8Array): BucketRow {
  const row = new RowReader(bytes);
  const { rules, flags } = readRules(row);
  const documentsOf = row.count() as Inode;
  const createdMs = row.time();
  const owner = flags & HAS_OWNER ? row.text() : undefined;
  const lifecycle = decodeLifecycle(row.text());
  row.end();
  return { documentsOf, createdMs, ...rules, lifecycle, ...(owner === undefined ? {} : { owner }) };
}

/** Only what a write has to know. */
export function decodeRules(bytes: Uint8Array): VersionRules {
  return readRules(new RowReader(bytes)).rules;
}

function readRules(row: RowReader): { readonly rules: VersionRules; readonly flags: number } {
  if (row.byte() !== FORMAT) throw corrupt();
  const flags = row.byte();
  const versioning = VERSIONING[flags & VERSIONING_MASK];
  if (versioning === undefined) throw corrupt();
  const rules = { versioning, objectLock: (flags & OBJECT_LOCK) !== 0 };
  if (!(flags & HAS_RETENTION)) return { rules, flags };
  const mode = flags & COMPLIANCE ? ("compliance" as const) : ("governance" as const);
  return { rules: { ...rules, defaultRetention: { mode, days: row.count() } }, flags };
}

function decodeLifecycle(text: string): readonly LifecycleRule[] {
  try {
    const found = JSON.parse(text) as unknown;
    if (Array.isArray(found)) return found as LifecycleRule[];
  } catch {
    // Said below.
  }
  throw corrupt();
}
