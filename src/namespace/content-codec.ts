import { type BlockRun, type BlockSums, isBlockSums } from "../core/block-sums.ts";
import type { SiteName, VersionId } from "../core/ids.ts";
import { corrupt, RowReader, RowWriter } from "./bytes.ts";
import { readDetails, writeDetails } from "./details-codec.ts";
import type { Copy, CopyState, FileVersion, ListedObject } from "./types.ts";

/** The content of a file: its current version and that version's copies, in one row, which a job that moves bytes writes. `docs/formats.md` draws it. */

const FORMAT = 1;
const STATES: readonly CopyState[] = ["present", "foreign", "pending", "stale", "failed"];
const HAS_SHA256 = 1;
const HAS_CONTENT_TYPE = 1 << 1;
const HAS_DETAILS = 1 << 2;
const HAS_BLOCKS = 1 << 3;
const STATE_MASK = 0b111;
const HAS_ETAG = 1 << 3;
const HAS_REASON = 1 << 4;
const HAS_HOME = 1 << 5;
const HAS_REPLACED = 1 << 6;
const SHA256_HEX = /^[0-9a-f]{64}$/;

export function encodeContent(version: FileVersion): Buffer {
  const row = new RowWriter();
  row.byte(FORMAT);
  writeVersion(row, version);
  return row.finish();
}

function writeVersion(row: RowWriter, version: FileVersion): void {
  const { sha256, contentType, details, blocks } = version;
  const kept = sha256 !== undefined && SHA256_HEX.test(sha256);
  row.byte(
    (kept ? HAS_SHA256 : 0) |
      (contentType === undefined ? 0 : HAS_CONTENT_TYPE) |
      (details === undefined ? 0 : HAS_DETAILS) |
      (blocks === undefined ? 0 : HAS_BLOCKS),
  );
  row.text(version.id);
  row.count(version.sizeBytes);
  row.text(version.etag);
  if (kept) row.hex(sha256);
  if (contentType !== undefined) row.text(contentType);
  const metadata = Object.entries(version.metadata);
  row.count(metadata.length);
  for (const [name, value] of metadata) {
    row.text(name);
    row.text(value);
  }
  row.time(version.createdMs);
  row.count(version.copies.length);
  for (const copy of version.copies) writeCopy(row, copy);
  if (details !== undefined) writeDetails(row, details);
  if (blocks !== undefined) writeBlocks(row, blocks);
}

function writeBlocks(row: RowWriter, { runs, sums }: BlockSums): void {
  row.count(runs.length);
  for (const { count, sizeBytes, blockBytes } of runs) {
    row.count(count);
    row.count(sizeBytes);
    row.count(blockBytes);
  }
  row.base64(sums);
}

function writeCopy(row: RowWriter, copy: Copy): void {
  row.byte(
    STATES.indexOf(copy.state) |
      (copy.etag === undefined ? 0 : HAS_ETAG) |
      (copy.reason === undefined ? 0 : HAS_REASON) |
      (copy.home === undefined ? 0 : HAS_HOME) |
      (copy.replaces === undefined ? 0 : HAS_REPLACED),
  );
  row.text(copy.site);
  row.text(copy.key);
  row.time(copy.changedMs);
  if (copy.etag !== undefined) row.text(copy.etag);
  if (copy.reason !== undefined) row.text(copy.reason);
  if (copy.home !== undefined) row.text(copy.home);
  if (copy.replaces !== undefined) row.text(copy.replaces);
}

export function decodeContent(bytes: Uint8Array): FileVersion {
  const row = new RowReader(bytes);
  if (row.byte() !== FORMAT) throw corrupt();
  const version = readVersion(row);
  row.end();
  return version;
}

/** What a listing shows of a row, in one pass: most of a row tells where the copies are, which nobody asks there. */
export function decodeListed(key: string, bytes: Uint8Array, brief = false): ListedObject {
  const row = new RowReader(bytes);
  if (row.byte() !== FORMAT) throw corrupt();
  const listed = readListedVersion(row, key, brief);
  row.end();
  return listed;
}

/** What a listing shows of a file that nobody has written to yet, and of everything that has no bytes. */
export function listedEmpty(key: string, modifiedMs: number): ListedObject {
  return { key, sizeBytes: 0, etag: EMPTY_ETAG, modifiedMs, metadata: NO_METADATA, versionId: "" };
}

function readListedVersion(row: RowReader, key: string, brief: boolean): ListedObject {
  const flags = row.byte();
  const versionId = row.text();
  const sizeBytes = row.count();
  const etag = row.text();
  let sha256: string | undefined;
  let contentType: string | undefined;
  let metadata = NO_METADATA;
  if (brief) {
    if (flags & HAS_SHA256) row.skip(32);
    if (flags & HAS_CONTENT_TYPE) row.skipText();
    for (let left = 2 * row.count(); left > 0; left--) row.skipText();
  } else {
    if (flags & HAS_SHA256) sha256 = row.hex(32);
    if (flags & HAS_CONTENT_TYPE) contentType = row.text();
    metadata = readMetadata(row);
  }
  const listed = { key, sizeBytes, etag, modifiedMs: row.time(), metadata, versionId } as {
    -readonly [Field in keyof ListedObject]: ListedObject[Field];
  };
  for (let left = row.count(); left > 0; left--) skipCopy(row);
  if (contentType !== undefined) listed.contentType = contentType;
  if (sha256 !== undefined) listed.sha256 = sha256;
  if (flags & HAS_DETAILS) listed.details = readDetails(row);
  if (flags & HAS_BLOCKS) {
    for (let left = 3 * row.count(); left > 0; left--) row.skipCount();
    row.skipText();
  }
  return listed;
}

/** The MD5 of nothing: what S3 shows for a directory marker. */
export const EMPTY_ETAG = "d41d8cd98f00b204e9800998ecf8427e";

function skipCopy(row: RowReader): void {
  const flags = row.byte();
  row.skipText();
  row.skipText();
  row.skipCount();
  if (flags & HAS_ETAG) row.skipText();
  if (flags & HAS_REASON) row.skipText();
  if (flags & HAS_HOME) row.skipText();
  if (flags & HAS_REPLACED) row.skipText();
}

function readVersion(row: RowReader): FileVersion {
  const flags = row.byte();
  const id = row.text() as VersionId;
  const sizeBytes = row.count();
  const etag = row.text();
  const sha256 = flags & HAS_SHA256 ? row.hex(32) : undefined;
  const contentType = flags & HAS_CONTENT_TYPE ? row.text() : undefined;
  const metadata = readMetadata(row);
  const createdMs = row.time();
  const copies: Copy[] = [];
  for (let left = row.count(); left > 0; left--) copies.push(readCopy(row));
  const details = flags & HAS_DETAILS ? readDetails(row) : undefined;
  const blocks = flags & HAS_BLOCKS ? readBlocks(row, sizeBytes) : undefined;
  return {
    id,
    sizeBytes,
    etag,
    metadata,
    createdMs,
    copies,
    ...(sha256 === undefined ? undefined : { sha256 }),
    ...(contentType === undefined ? undefined : { contentType }),
    ...(details === undefined ? undefined : { details }),
    ...(blocks === undefined ? undefined : { blocks }),
  };
}

function readBlocks(row: RowReader, sizeBytes: number): BlockSums {
  const runs: BlockRun[] = [];
  for (let left = row.count(); left > 0; left--) {
    runs.push({ count: row.count(), sizeBytes: row.count(), blockBytes: row.count() });
  }
  const blocks = { runs, sums: row.base64() };
  if (!isBlockSums(blocks, sizeBytes)) throw corrupt();
  return blocks;
}

const NO_METADATA: Readonly<Record<string, string>> = Object.freeze({});

function readMetadata(row: RowReader): Readonly<Record<string, string>> {
  let left = row.count();
  if (left === 0) return NO_METADATA;
  const entries: [string, string][] = [];
  for (; left > 0; left--) entries.push([row.text(), row.text()]);
  return Object.fromEntries(entries);
}

function readCopy(row: RowReader): Copy {
  const flags = row.byte();
  const state = STATES[flags & STATE_MASK];
  if (state === undefined) throw corrupt();
  const copy = { site: row.text() as SiteName, key: row.text(), state, changedMs: row.time() } as {
    -readonly [Field in keyof Copy]: Copy[Field];
  };
  if (flags & HAS_ETAG) copy.etag = row.text();
  if (flags & HAS_REASON) copy.reason = row.text();
  if (flags & HAS_HOME) copy.home = row.text();
  if (flags & HAS_REPLACED) copy.replaces = row.text();
  return copy;
}
