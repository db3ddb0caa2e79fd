import type { VersionId } from "../core/ids.ts";
import { decodeKey, encodeKey, type Key, type Program, type Reader, type Transaction } from "../kv/index.ts";
import { RowReader, RowWriter } from "./bytes.ts";
import type { FileVersion, VersionPart } from "./types.ts";

/**
 * The parts that a version was uploaded in: one row beside the content, which is read only when somebody asks for a part. It is written
 * with the version, whose `details.partCount` says that it is there, and goes with it.
 */

const SPACE = "vp";
const HAS_CHECKSUM = 1;

export const partsSpace = encodeKey(SPACE);

export function partsOfVersionKey(versionId: VersionId): Key {
  return encodeKey(SPACE, versionId);
}

export function versionOfPartsKey(key: Key): VersionId {
  return decodeKey(key, ["string"])[0] as VersionId;
}

export function encodeVersionParts(parts: readonly VersionPart[]): Buffer {
  const row = new RowWriter();
  row.count(parts.length);
  for (const { partNumber, sizeBytes, checksum } of parts) {
    row.byte(checksum === undefined ? 0 : HAS_CHECKSUM);
    row.count(partNumber);
    row.count(sizeBytes);
    if (checksum === undefined) continue;
    const sum = Buffer.from(checksum, "base64");
    row.count(sum.byteLength);
    row.hex(sum.toString("hex"));
  }
  return row.finish();
}

export function decodeVersionParts(bytes: Uint8Array): VersionPart[] {
  const row = new RowReader(bytes);
  const parts: VersionPart[] = [];
  for (let left = row.count(); left > 0; left--) {
    const flags = row.byte();
    const part = { partNumber: row.count(), sizeBytes: row.count() };
    const checksum = flags & HAS_CHECKSUM ? Buffer.from(row.hex(row.count()), "hex").toString("base64") : undefined;
    parts.push(checksum === undefined ? part : { ...part, checksum });
  }
  row.end();
  return parts;
}

export function writeVersionParts(tx: Transaction, versionId: VersionId, parts: readonly VersionPart[]): void {
  tx.put(partsOfVersionKey(versionId), encodeVersionParts(parts));
}

/** By number; empty for a version that came in one piece. */
export function* readVersionParts(tx: Reader, version: FileVersion): Program<readonly VersionPart[]> {
  if (version.details?.partCount === undefined) return [];
  const row = yield* tx.get(partsOfVersionKey(version.id));
  return row === undefined ? [] : decodeVersionParts(row);
}

/** For a version whose bytes are about to go. */
export function dropVersionParts(tx: Transaction, version: FileVersion): void {
  if (version.details?.partCount !== undefined) tx.delete(partsOfVersionKey(version.id));
}
