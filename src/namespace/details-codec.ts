import { corrupt, type RowReader, type RowWriter } from "./bytes.ts";
import type {
  ChecksumAlgorithm,
  ContentChecksum,
  ContentHeaders,
  Retention,
  VersionDetails,
  VersionLabels,
  VersionLock,
} from "./types.ts";

/** The details of a version, within the row of its content. A version without any costs one bit. `docs/formats.md` draws them. */

const HAS_HEADERS = 1;
const HAS_CHECKSUM = 1 << 1;
const HAS_PART_COUNT = 1 << 2;
const VERSIONED = 1 << 3;
const HAS_OWNER = 1 << 4;
const HAS_LABELS = 1 << 5;
const HAS_WHOLE_CHECKSUM = 1 << 6;

const ALGORITHMS: readonly ChecksumAlgorithm[] = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"];
const ALGORITHM_MASK = 0b111;
const COMPOSITE = 1 << 3;

/** The bits of the flags byte, in this order. */
const HEADERS = [
  "cacheControl",
  "contentDisposition",
  "contentEncoding",
  "contentLanguage",
  "expires",
  "websiteRedirect",
] as const satisfies readonly (keyof ContentHeaders)[];

const HAS_TAGS = 1;
const HAS_ACCESS_LIST = 1 << 1;
const HAS_LOCK = 1 << 2;
const HAS_RETENTION = 1 << 3;
const COMPLIANCE = 1 << 4;
const HAS_LEGAL_HOLD = 1 << 5;
const LEGAL_HOLD = 1 << 6;

type Writable<T> = { -readonly [Field in keyof T]: T[Field] };

export function writeDetails(row: RowWriter, details: VersionDetails): void {
  const { contentHeaders, checksum, wholeChecksum, partCount, owner, labels } = details;
  row.byte(
    (contentHeaders === undefined ? 0 : HAS_HEADERS) |
      (checksum === undefined ? 0 : HAS_CHECKSUM) |
      (partCount === undefined ? 0 : HAS_PART_COUNT) |
      (details.versioned === true ? VERSIONED : 0) |
      (owner === undefined ? 0 : HAS_OWNER) |
      (labels === undefined ? 0 : HAS_LABELS) |
      (wholeChecksum === undefined ? 0 : HAS_WHOLE_CHECKSUM),
  );
  if (contentHeaders !== undefined) writeHeaders(row, contentHeaders);
  if (checksum !== undefined) writeChecksum(row, checksum);
  if (wholeChecksum !== undefined) writeChecksum(row, wholeChecksum);
  if (partCount !== undefined) row.count(partCount);
  if (owner !== undefined) row.text(owner);
  if (labels !== undefined) writeLabels(row, labels);
}

function writeChecksum(row: RowWriter, { algorithm, kind, value }: ContentChecksum): void {
  row.byte(ALGORITHMS.indexOf(algorithm) | (kind === "composite" ? COMPOSITE : 0));
  row.text(value);
}

function writeHeaders(row: RowWriter, headers: ContentHeaders): void {
  let flags = 0;
  HEADERS.forEach((name, bit) => {
    if (headers[name] !== undefined) flags |= 1 << bit;
  });
  row.byte(flags);
  for (const name of HEADERS) {
    const value = headers[name];
    if (value !== undefined) row.text(value);
  }
}

function writeLabels(row: RowWriter, { tags, accessList, lock }: VersionLabels): void {
  const retention = lock?.retention;
  row.byte(
    (tags === undefined ? 0 : HAS_TAGS) |
      (accessList === undefined ? 0 : HAS_ACCESS_LIST) |
      (lock === undefined ? 0 : HAS_LOCK) |
      (retention === undefined ? 0 : HAS_RETENTION) |
      (retention?.mode === "compliance" ? COMPLIANCE : 0) |
      (lock?.legalHold === undefined ? 0 : HAS_LEGAL_HOLD) |
      (lock?.legalHold === true ? LEGAL_HOLD : 0),
  );
  if (tags !== undefined) {
    const pairs = Object.entries(tags);
    row.count(pairs.length);
    for (const [name, value] of pairs) {
      row.text(name);
      row.text(value);
    }
  }
  if (accessList !== undefined) row.text(accessList);
  if (retention !== undefined) row.time(retention.untilMs);
}

export function readDetails(row: RowReader): VersionDetails {
  const flags = row.byte();
  const details: Writable<VersionDetails> = {};
  if (flags & HAS_HEADERS) details.contentHeaders = readHeaders(row);
  if (flags & HAS_CHECKSUM) details.checksum = readChecksum(row);
  if (flags & HAS_WHOLE_CHECKSUM) details.wholeChecksum = readChecksum(row);
  if (flags & HAS_PART_COUNT) details.partCount = row.count();
  if (flags & VERSIONED) details.versioned = true;
  if (flags & HAS_OWNER) details.owner = row.text();
  if (flags & HAS_LABELS) details.labels = readLabels(row);
  return details;
}

function readHeaders(row: RowReader): ContentHeaders {
  const flags = row.byte();
  const headers: Writable<ContentHeaders> = {};
  HEADERS.forEach((name, bit) => {
    if (flags & (1 << bit)) headers[name] = row.text();
  });
  return headers;
}

function readChecksum(row: RowReader): ContentChecksum {
  const flags = row.byte();
  const algorithm = ALGORITHMS[flags & ALGORITHM_MASK];
  if (algorithm === undefined) throw corrupt();
  return { algorithm, kind: flags & COMPOSITE ? "composite" : "full", value: row.text() };
}

function readLabels(row: RowReader): VersionLabels {
  const flags = row.byte();
  const labels: Writable<VersionLabels> = {};
  if (flags & HAS_TAGS) {
    const pairs: [string, string][] = [];
    for (let left = row.count(); left > 0; left--) pairs.push([row.text(), row.text()]);
    labels.tags = Object.fromEntries(pairs);
  }
  if (flags & HAS_ACCESS_LIST) labels.accessList = row.text();
  if (flags & HAS_LOCK) labels.lock = readLock(row, flags);
  return labels;
}

function readLock(row: RowReader, flags: number): VersionLock {
  const lock: Writable<VersionLock> = {};
  if (flags & HAS_RETENTION) {
    const mode: Retention["mode"] = flags & COMPLIANCE ? "compliance" : "governance";
    lock.retention = { mode, untilMs: row.time() };
  }
  if (flags & HAS_LEGAL_HOLD) lock.legalHold = (flags & LEGAL_HOLD) !== 0;
  return lock;
}
