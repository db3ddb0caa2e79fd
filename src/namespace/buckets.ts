import { GfsError } from "../core/errors.ts";
import { type FilePath, type Inode, ROOT_INODE } from "../core/ids.ts";
import { keyAfter, prefixRange, type Program, type Reader, type Transaction } from "../kv/index.ts";
import { decodeBucket, decodeBucketRow, encodeBucket } from "./bucket-codec.ts";
import { advanceGeneration, MAX_DOCUMENTS, NO_RULES, readDocuments } from "./bucket-rows.ts";
import { makeDirectory, removeDirectory } from "./directories.ts";
import { bucketDocumentKey, bucketKey, bucketSpace, nameOfBucketKey } from "./rows.ts";
import { getAttributes } from "./inodes.ts";
import { readEntry } from "./names.ts";
import { findDirectory } from "./tree.ts";
import type { BucketSettings } from "./types.ts";

/** Buckets: directories at the top of the tree, with their settings and documents. */

const MAX_DOCUMENT_BYTES = 65_536;
const DIRECTORY_MODE = 0o755;

export interface StoredBucket {
  readonly settings: BucketSettings;
  readonly documents: Readonly<Record<string, string>>;
  /** Nobody made it: it is there because objects are. */
  readonly implicit: boolean;
  readonly hasRow: boolean;
}

/** Undefined when there is no such directory. One without a row has the defaults, and nobody owns it. */
export function* findStoredBucket(tx: Reader, name: string): Program<StoredBucket | undefined> {
  const entry = yield* readEntry(tx, ROOT_INODE, `${name}/`);
  if (entry === undefined) return undefined;
  const directory = yield* getAttributes(tx, entry);
  const row = yield* tx.get(bucketKey(name));
  const implicit = directory.implicit === true;
  if (row === undefined) {
    const settings = { ...NO_RULES, name, createdMs: directory.created.ms, lifecycle: [] };
    return { settings, documents: {}, implicit, hasRow: false };
  }
  const documents = yield* readDocuments(tx, decodeBucketRow(row).documentsOf);
  return { settings: decodeBucket(name, row), documents, implicit, hasRow: true };
}

/** The inode of a directory at the top. */
export function* findTopDirectory(tx: Reader, name: string): Program<Inode | undefined> {
  return (yield* readEntry(tx, ROOT_INODE, `${name}/`))?.inode;
}

export interface BucketPage {
  readonly buckets: readonly BucketSettings[];
  /** Absent on the last page. */
  readonly next?: string;
}

/** Buckets with a row, in the order of their names. */
export function* pageBuckets(
  tx: Reader,
  { limit, after }: { readonly limit: number; readonly after?: string },
): Program<BucketPage> {
  const range = prefixRange(bucketSpace);
  const start = after === undefined ? range.start : keyAfter(bucketKey(after));
  const rows = yield* tx.range({ start, end: range.end, limit });
  const buckets = rows.map(({ key, value }) => decodeBucket(nameOfBucketKey(key), value));
  const last = buckets.at(-1);
  return { buckets, ...(rows.length === limit && last !== undefined ? { next: last.name } : {}) };
}

export interface WriteBucket {
  readonly settings: BucketSettings;
  /** A text replaces what was there; null takes it away. */
  readonly documents: Readonly<Record<string, string | null>>;
  readonly nowMs: number;
  readonly nextInode: () => Inode;
}

/** Makes the directory when it is missing, and explicit when nobody had made it. */
export function* writeBucket(tx: Transaction, { settings, documents, nowMs, nextInode }: WriteBucket): Program<void> {
  const { name, ...row } = settings;
  tx.claimRoom();
  const { inode } = yield* makeDirectory(tx, {
    path: name as FilePath,
    mode: DIRECTORY_MODE,
    uid: 0,
    gid: 0,
    parents: true,
    existing: "keep",
    nowMs,
    nextInode,
  });
  const before = yield* tx.get(bucketKey(name));
  const documentsOf = before === undefined ? inode : decodeBucketRow(before).documentsOf;
  tx.put(bucketKey(name), encodeBucket({ ...row, documentsOf }));
  const kept = new Set(Object.keys(yield* readDocuments(tx, documentsOf)));
  for (const [document, text] of Object.entries(documents)) {
    if (text === null) {
      kept.delete(document);
      tx.delete(bucketDocumentKey(documentsOf, document));
      continue;
    }
    if (Buffer.byteLength(text) > MAX_DOCUMENT_BYTES)
      throw new GfsError("TooLarge", `The ${document} of a bucket has at most ${MAX_DOCUMENT_BYTES} bytes.`);
    kept.add(document);
    tx.put(bucketDocumentKey(documentsOf, document), Buffer.from(text));
  }
  if (kept.size > MAX_DOCUMENTS)
    throw new GfsError("TooLarge", `A bucket has at most ${MAX_DOCUMENTS} documents; remove one first.`);
  yield* advanceGeneration(tx);
}

/** `NotFound`, or `NotEmpty` while anything lies below it or is remembered of what lay there. */
export function* removeBucket(tx: Transaction, { name, nowMs }: { name: string; nowMs: number }): Program<void> {
  if ((yield* findDirectory(tx, name as FilePath)) === undefined)
    throw new GfsError("NotFound", `There is no bucket ${name}.`, { op: "namespace.buckets" });
  yield* removeDirectory(tx, { path: name as FilePath, semantics: "directory", nowMs });
}
