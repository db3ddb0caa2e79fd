import { createHash } from "node:crypto";
import type { FilePath, SiteName, VersionId } from "../core/ids.ts";
import {
  afterPrefix,
  decodeKey,
  encodeKey,
  type Key,
  type KvEntry,
  keyAfter,
  findFirst,
  prefixRange,
  type Program,
  type Reader,
  tail,
  type Transaction,
} from "../kv/index.ts";
import { corrupt } from "./bytes.ts";
import { dropBegun, dropEndedTime, type EndedTime, markHomeless, putBegun, putEndedTime } from "./upload-due.ts";
import type { ChecksumAlgorithm, ContentChecksum, ContentHeaders, VersionLabels } from "./types.ts";

/**
 * Uploads in parts that are under way: a row for each upload, by path, one for each of its parts, and one for each of the uploads at the
 * sites, by which a site's sweep knows what is still wanted. What became of an upload stays known for a while in a row of its own.
 */
export interface UploadRecord {
  readonly path: FilePath;
  /** Also what the objects at the sites say of their version: they were described before the version was made. */
  readonly uploadId: VersionId;
  readonly startedMs: number;
  readonly owner?: string;
  readonly contentType?: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly contentHeaders?: ContentHeaders;
  readonly labels?: VersionLabels;
  readonly checksum?: { readonly algorithm: ChecksumAlgorithm; readonly kind: ContentChecksum["kind"] };
  readonly sites: readonly SiteUpload[];
  /** Its bucket was there when it began, so without the bucket it is meant for nothing. */
  readonly inBucket: boolean;
  /** The tag of the writer that completes it, from when objects of it may appear under its path. */
  readonly completing?: string;
}

export interface SiteUpload {
  readonly site: SiteName;
  readonly objectKey: string;
  readonly uploadId: string;
}

export interface PartRecord {
  readonly partNumber: number;
  readonly sizeBytes: number;
  /** Hex MD5. */
  readonly etag: string;
  readonly modifiedMs: number;
  /** Base64, in the upload's algorithm. */
  readonly checksum?: string;
  /** Base64; what the whole can be held against when nobody asked for a checksum. */
  readonly crc32c: string;
  /** Absent where the part has one block. */
  readonly blocks?: PartBlocks;
  readonly sites: readonly { readonly site: SiteName; readonly etag: string }[];
}

/** Sums of the blocks of a part, as `core/block-sums.ts` has them. */
export interface PartBlocks {
  readonly blockBytes: number;
  readonly sums: readonly number[];
}

/** What became of an upload; `answer` is the caller's own. */
export interface EndedUpload {
  readonly uploadId: VersionId;
  readonly path: FilePath;
  readonly endedMs: number;
  /** Absent for one that was aborted. */
  readonly answer?: unknown;
  /** The rows of its parts that did not go with it, because there were too many for one transaction. */
  readonly partsLeft?: true;
}

const UPLOAD = "u";
const PART = "up";
const SITE_UPLOAD = "us";
const ENDED = "ue";
const PAGE = 1_000;
/** So many parts go with their upload, while there is room; those of larger ones are left to a walk. */
const PARTS_AT_ONCE = 20;
/** For what else the transaction may have to say. */
const ROOM_BEHIND = { writes: 10, sizeBytes: 64 * 1024 };

export const uploadSpace = encodeKey(UPLOAD);
export const partSpace = encodeKey(PART);
export const siteUploadSpace = encodeKey(SITE_UPLOAD);
export const endedSpace = encodeKey(ENDED);

export function placeOfUploadKey(key: Key): { readonly path: FilePath; readonly uploadId: string } {
  const [path, uploadId] = decodeKey(key, ["string", "tail"]);
  return { path: path as FilePath, uploadId: uploadId as string };
}

export function uploadIdOfPartKey(key: Key): string {
  return decodeKey(key, ["string", "number"])[0] as string;
}

export function readUploadRow(bytes: Uint8Array): UploadRecord {
  return decodeRow(bytes) as UploadRecord;
}

export function readEndedRow(bytes: Uint8Array): EndedUpload {
  return decodeRow(bytes) as EndedUpload;
}

function uploadKey(path: FilePath, uploadId: string): Key {
  return encodeKey(UPLOAD, path, tail(uploadId));
}

/** Sites name their uploads at any length. */
function siteUploadKey(site: SiteName, uploadId: string): Key {
  return encodeKey(SITE_UPLOAD, site, tail(createHash("sha256").update(uploadId).digest("hex")));
}

function encodeRow(record: unknown): Buffer {
  return Buffer.from(JSON.stringify(record));
}

function decodeRow(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()) as unknown;
  } catch {
    throw corrupt();
  }
}

export function putUpload(tx: Transaction, upload: UploadRecord): void {
  tx.put(uploadKey(upload.path, upload.uploadId), encodeRow(upload));
  putBegun(tx, upload);
  for (const { site, uploadId } of upload.sites) tx.put(siteUploadKey(site, uploadId), Buffer.alloc(0));
}

/** The uploads at the other sites are gone: there is nothing to protect any more. */
export function leaveSites(tx: Transaction, upload: UploadRecord, left: ReadonlySet<SiteName>): void {
  for (const { site, uploadId } of upload.sites) if (left.has(site)) tx.delete(siteUploadKey(site, uploadId));
  putUpload(tx, { ...upload, sites: upload.sites.filter(({ site }) => !left.has(site)) });
}

export function* findUpload(tx: Reader, path: FilePath, uploadId: string): Program<UploadRecord | undefined> {
  const row = yield* tx.get(uploadKey(path, uploadId));
  return row === undefined ? undefined : (decodeRow(row) as UploadRecord);
}

/** Whether a site's upload belongs to one that is under way. */
export function* isUploadInUse(tx: Reader, site: SiteName, uploadId: string): Program<boolean> {
  return (yield* tx.get(siteUploadKey(site, uploadId))) !== undefined;
}

/** Takes the upload away, with its parts when they are few, and remembers what became of it. */
export function* endUpload(tx: Transaction, upload: UploadRecord, ended: EndedUpload): Program<void> {
  tx.delete(uploadKey(upload.path, upload.uploadId));
  dropBegun(tx, upload);
  for (const { site, uploadId } of upload.sites) tx.delete(siteUploadKey(site, uploadId));
  const parts = yield* partRows(tx, upload.uploadId, PARTS_AT_ONCE + 1);
  let left = parts.length;
  for (const { key } of parts.slice(0, PARTS_AT_ONCE)) {
    if (!tx.hasRoom(ROOM_BEHIND)) break;
    tx.delete(key);
    left -= 1;
  }
  putEnded(tx, left > 0 ? { ...ended, partsLeft: true } : ended);
  putEndedTime(tx, left > 0 ? { ...ended, endedMs: 0 } : ended);
}

function* partRows(tx: Reader, uploadId: VersionId, limit: number): Program<KvEntry[]> {
  return yield* tx.range({ ...prefixRange(encodeKey(PART, uploadId)), limit });
}

function putEnded(tx: Transaction, ended: EndedUpload): void {
  tx.put(endedKey(ended.uploadId), encodeRow(ended));
}

function endedKey(uploadId: string): Key {
  return encodeKey(ENDED, tail(uploadId));
}

export function* findEndedUpload(tx: Reader, uploadId: string): Program<EndedUpload | undefined> {
  const row = yield* tx.get(endedKey(uploadId));
  return row === undefined ? undefined : (decodeRow(row) as EndedUpload);
}

const PARTS_A_COMMIT = 99;

/** Takes parts away that their upload has left behind; resolves with whether there are more. */
export function* dropLeftParts(tx: Transaction, uploadId: VersionId): Program<boolean> {
  const ended = yield* findEndedUpload(tx, uploadId);
  if (ended?.partsLeft !== true) return false;
  const rows = yield* partRows(tx, uploadId, PARTS_A_COMMIT);
  for (const { key } of rows) tx.delete(key);
  if (rows.length === PARTS_A_COMMIT) return true;
  const { partsLeft: _, ...rest } = ended;
  putEnded(tx, rest);
  dropEndedTime(tx, { ...ended, endedMs: 0 });
  putEndedTime(tx, ended);
  return false;
}

export function forgetEndedUpload(tx: Transaction, ended: EndedTime): void {
  tx.delete(endedKey(ended.uploadId));
  dropEndedTime(tx, ended);
}

/** Before a directory at the top loses its name: the uploads into it that are under way are meant for nothing from then on. */
export function* leaveUploads(tx: Transaction, bucket: string): Program<void> {
  const range = prefixRange(encodeKey(UPLOAD, tail(`${bucket}/`)));
  if ((yield* tx.range({ ...range, limit: 1 })).length > 0) markHomeless(tx, bucket);
}

/** Whether an upload with this id is under way and parts of it have arrived. */
export function* hasParts(tx: Reader, uploadId: string): Program<boolean> {
  return (yield* findFirst(tx, encodeKey(PART, uploadId))) !== undefined;
}

export function putPart(tx: Transaction, uploadId: VersionId, part: PartRecord): void {
  tx.claimRoom();
  tx.put(encodeKey(PART, uploadId, part.partNumber), encodeRow(part));
}

export function dropPart(tx: Transaction, uploadId: VersionId, partNumber: number): void {
  tx.delete(encodeKey(PART, uploadId, partNumber));
}

export function* findPart(tx: Reader, uploadId: VersionId, partNumber: number): Program<PartRecord | undefined> {
  const row = yield* tx.get(encodeKey(PART, uploadId, partNumber));
  return row === undefined ? undefined : (decodeRow(row) as PartRecord);
}

/** By number, those after `after`. */
export function* readParts(
  tx: Reader,
  uploadId: VersionId,
  { after, limit }: { readonly after?: number; readonly limit: number },
): Program<PartRecord[]> {
  const start = encodeKey(PART, uploadId, (after ?? 0) + 1);
  const rows = yield* tx.range({ start, end: afterPrefix(encodeKey(PART, uploadId)), limit });
  return rows.map(({ value }) => decodeRow(value) as PartRecord);
}

export interface UploadQuery {
  readonly prefix: string;
  readonly delimiter?: "/";
  readonly afterKey?: string;
  readonly afterUploadId?: string;
  readonly limit: number;
}

export interface UploadPage {
  readonly uploads: readonly UploadRecord[];
  readonly prefixes: readonly string[];
  readonly next?: { readonly key: string; readonly uploadId?: string };
}

/**
 * In the order of the paths' bytes, then of when they began. Common prefixes count as uploads do; all below one but the first are stepped over, so
 * that after one little is read at first, and then more and more.
 */
export function* listUploads(tx: Reader, query: UploadQuery): Program<UploadPage> {
  const { prefix, delimiter, limit } = query;
  const end = afterPrefix(encodeKey(UPLOAD, tail(prefix)));
  let start = startOf(query);
  const uploads: UploadRecord[] = [];
  const prefixes: string[] = [];
  let last: { readonly key: string; readonly uploadId?: string } | undefined;
  const most = Math.min(PAGE, limit + 1);
  let page = delimiter === undefined ? most : 1;
  for (;;) {
    const rows = yield* tx.range({ start, end, limit: page });
    let jumped = false;
    for (const { key, value } of rows) {
      if (uploads.length + prefixes.length === limit)
        return { uploads, prefixes, ...(last === undefined ? {} : { next: last }) };
      const upload = decodeRow(value) as UploadRecord;
      const slash = delimiter === undefined ? -1 : upload.path.indexOf(delimiter, prefix.length);
      if (slash === -1) {
        uploads.push(upload);
        last = { key: upload.path, uploadId: upload.uploadId };
        start = keyAfter(key);
        continue;
      }
      const common = upload.path.slice(0, slash + 1);
      prefixes.push(common);
      last = { key: common };
      start = afterPrefix(encodeKey(UPLOAD, tail(common)));
      jumped = true;
      break;
    }
    if (!jumped && rows.length < page) return { uploads, prefixes };
    page = jumped ? 1 : Math.min(most, page * 2);
  }
}

function startOf({ prefix, delimiter, afterKey, afterUploadId }: UploadQuery): Key {
  const first = encodeKey(UPLOAD, tail(prefix));
  if (afterKey === undefined || afterKey === "") return first;
  let start: Key;
  if (afterUploadId !== undefined) start = keyAfter(uploadKey(afterKey as FilePath, afterUploadId));
  else if (delimiter !== undefined && afterKey.startsWith(prefix) && afterKey.endsWith(delimiter))
    start = afterPrefix(encodeKey(UPLOAD, tail(afterKey)));
  else start = afterPrefix(encodeKey(UPLOAD, afterKey));
  return Buffer.compare(start, first) > 0 ? start : first;
}
