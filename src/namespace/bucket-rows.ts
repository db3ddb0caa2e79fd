import type { Inode } from "../core/ids.ts";
import { prefixRange, type Program, type Reader, type Transaction } from "../kv/index.ts";
import { decodeBucketRow, decodeRules, type VersionRules } from "./bucket-codec.ts";
import {
  bucketDocumentKey,
  bucketGenerationKey,
  bucketKey,
  decodeNumber,
  documentOfKey,
  encodeNumber,
} from "./rows.ts";

/**
 * Settings of the directories at the top of the tree. The row hangs at the name and not at the inode, so that a write finds it with one read; it goes
 * along when the directory is renamed, and with it when it is removed. A directory with a row is never implicit.
 */

export const NO_RULES: VersionRules = { versioning: "off", objectLock: false };
export const MAX_DOCUMENTS = 64;

/** The directory at the top that a path lies in; undefined for what lies at the top itself. */
export function bucketOf(path: string): string | undefined {
  const slash = path.indexOf("/");
  return slash === -1 ? undefined : path.slice(0, slash);
}

/** How versions are treated at a path. */
export function* rulesOf(tx: Reader, path: string): Program<VersionRules> {
  const bucket = bucketOf(path);
  if (bucket === undefined) return NO_RULES;
  const row = yield* tx.get(bucketKey(bucket));
  return row === undefined ? NO_RULES : decodeRules(row);
}

export function keepsVersions(rules: VersionRules): boolean {
  return rules.versioning !== "off";
}

/** Changes whenever a bucket's row or documents do. */
export function* bucketGeneration(tx: Reader): Program<number> {
  const row = yield* tx.get(bucketGenerationKey);
  return row === undefined ? 0 : decodeNumber(row);
}

export function* advanceGeneration(tx: Transaction): Program<void> {
  tx.put(bucketGenerationKey, encodeNumber((yield* bucketGeneration(tx)) + 1));
}

export function* readDocuments(tx: Reader, documentsOf: Inode): Program<Readonly<Record<string, string>>> {
  const rows = yield* tx.range({ ...prefixRange(bucketDocumentKey(documentsOf, "")), limit: MAX_DOCUMENTS });
  return Object.fromEntries(rows.map(({ key, value }) => [documentOfKey(key), Buffer.from(value).toString()]));
}

export function* hasBucketRow(tx: Reader, name: string): Program<boolean> {
  return (yield* tx.get(bucketKey(name))) !== undefined;
}

/** The directory is gone, or goes by another name. */
export function* dropBucketRow(tx: Transaction, name: string): Program<void> {
  const row = yield* tx.get(bucketKey(name));
  if (row === undefined) return;
  tx.delete(bucketKey(name));
  const documents = prefixRange(bucketDocumentKey(decodeBucketRow(row).documentsOf, ""));
  for (const { key } of yield* tx.range({ ...documents, limit: MAX_DOCUMENTS })) tx.delete(key);
  yield* advanceGeneration(tx);
}

/** The directory `from` is now `to`; what `to` was before is gone. */
export function* moveBucketRow(tx: Transaction, from: string, to: string): Program<void> {
  const row = yield* tx.get(bucketKey(from));
  yield* dropBucketRow(tx, to);
  if (row === undefined) return;
  tx.put(bucketKey(to), row);
  tx.delete(bucketKey(from));
  yield* advanceGeneration(tx);
}
