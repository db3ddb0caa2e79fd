import { createHash } from "node:crypto";
import { BLOCK_BYTES, type BlockSums, joinBlocks, type SummedBlocks } from "../../core/block-sums.ts";
import { combineChecksums, compositeChecksum, isCombinable } from "../../core/checksums.ts";
import { GfsError } from "../../core/errors.ts";
import type { ContentChecksum, PartRecord, UploadRecord } from "../../namespace/index.ts";
import type { CompleteUpload } from "../service/service.ts";
import { refuse } from "./context.ts";

const MIN_PART_BYTES = 5 * 1024 ** 2;

/** What the parts make, or why they make nothing. */
export interface Whole {
  readonly parts: readonly PartRecord[];
  readonly sizeBytes: number;
  /** The MD5 of the parts' MD5s, a dash, and how many they are. */
  readonly etag: string;
  readonly checksum: ContentChecksum;
  /** Of all bytes, where the one above is not. */
  readonly wholeChecksum?: ContentChecksum;
  readonly blocks: BlockSums;
}

export function checkCompletion(upload: UploadRecord, arrived: readonly PartRecord[], request: CompleteUpload): Whole {
  const byNumber = new Map(arrived.map((part) => [part.partNumber, part]));
  const parts: PartRecord[] = [];
  let lastNumber = 0;
  for (const [index, { partNumber, etag, checksum }] of request.parts.entries()) {
    if (partNumber < lastNumber) {
      throw refuse("InvalidPartOrder", "The parts are not in ascending order; list them by their numbers.");
    }
    lastNumber = partNumber;
    // A client that sent a part twice may name it twice, and then means what it says last.
    if (request.parts[index + 1]?.partNumber === partNumber) continue;
    const part = byNumber.get(partNumber);
    const sameSum = checksum === undefined || part?.checksum === undefined || checksum === part.checksum;
    if (part === undefined || part.etag !== bareEtag(etag) || !sameSum) {
      throw refuse(
        "InvalidPart",
        `Part ${partNumber} has not arrived, or has another ETag or checksum than the request names.`,
      );
    }
    parts.push(part);
  }
  if (parts.length === 0) throw refuse("MalformedXML", "An upload is completed with one part at least.");
  const small = parts.find((part, index) => index < parts.length - 1 && part.sizeBytes < MIN_PART_BYTES);
  if (small !== undefined) {
    throw refuse(
      "EntityTooSmall",
      `Part ${small.partNumber} has ${small.sizeBytes} bytes; every part but the last needs ${MIN_PART_BYTES}.`,
    );
  }
  const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
  if (request.sizeBytes !== undefined && request.sizeBytes !== sizeBytes) {
    throw refuse(
      "InvalidRequest",
      `The parts have ${sizeBytes} bytes together, and the request names ${request.sizeBytes}.`,
    );
  }
  const checksum = checksumOf(upload, parts);
  if (request.checksum !== undefined && upload.checksum !== undefined && !isSame(request.checksum, checksum)) {
    throw new GfsError(
      "ChecksumMismatch",
      `The ${checksum.algorithm} of the parts is ${checksum.value} and the request promised ${request.checksum}.`,
      { op: "coordinator.upload" },
    );
  }
  const made = { parts, sizeBytes, etag: etagOf(parts), checksum, blocks: joinBlocks(parts.map(blocksOfPart)) };
  return checksum.kind === "full" ? made : { ...made, wholeChecksum: wholeCrc32c(parts) };
}

function blocksOfPart({ sizeBytes, crc32c, blocks }: PartRecord): SummedBlocks {
  if (blocks !== undefined) return { sizeBytes, ...blocks };
  return {
    sizeBytes,
    blockBytes: BLOCK_BYTES,
    sums: sizeBytes === 0 ? [] : [Buffer.from(crc32c, "base64").readUInt32BE(0)],
  };
}

function bareEtag(etag: string): string {
  return etag.replace(/^"|"$/g, "").toLowerCase();
}

/** Clients may leave out how many the parts are. */
function isSame(promised: string, { kind, value }: ContentChecksum): boolean {
  return promised === value || (kind === "composite" && promised === value.slice(0, value.lastIndexOf("-")));
}

function etagOf(parts: readonly PartRecord[]): string {
  const whole = createHash("md5");
  for (const { etag } of parts) whole.update(etag, "hex");
  return `${whole.digest("hex")}-${parts.length}`;
}

/** Where nobody asked for one, that of all bytes is kept all the same: it is what copies are held against. */
function checksumOf({ checksum }: UploadRecord, parts: readonly PartRecord[]): ContentChecksum {
  if (checksum === undefined) return wholeCrc32c(parts);
  const { algorithm, kind } = checksum;
  const sums = parts.map(({ checksum: value, sizeBytes }) => ({ value: value ?? "", sizeBytes }));
  if (kind === "full" && isCombinable(algorithm)) return { algorithm, kind, value: combineChecksums(algorithm, sums) };
  return {
    algorithm,
    kind: "composite",
    value: compositeChecksum(
      algorithm,
      sums.map(({ value }) => value),
    ),
  };
}

function wholeCrc32c(parts: readonly PartRecord[]): ContentChecksum {
  const sums = parts.map(({ crc32c, sizeBytes }) => ({ value: crc32c, sizeBytes }));
  return { algorithm: "CRC32C", kind: "full", value: combineChecksums("CRC32C", sums) };
}
