import { type BodyHash, createBodyHash, type HashName } from "../../core/hashing/body-hash.ts";
import { type BlockSums, BlockSummer, joinBlocks, wholeSum } from "../../core/block-sums.ts";
import { GfsError } from "../../core/errors.ts";
import type { ContentChecksum } from "../../namespace/index.ts";
import type { PutRequest } from "../service/service.ts";

type DigestedBody = Pick<PutRequest, "expected" | "md5Etag" | "sizeBytes">;

/** Checksums of a body while it streams by. */
export interface BodyDigest {
  /** Resolves when more can be taken. */
  update(chunk: Uint8Array): Promise<void> | void;
  readonly sizeBytes: number;
  /** Compares with what the caller promised; throws `ChecksumMismatch` or `IncompleteBody`. */
  finish(): Promise<BodySums>;
  abandon(): void;
}

export interface BodySums {
  /** Absent for a large body whose writer asked for an MD5 and promised nothing else: the CRC stands in for it. */
  readonly sha256?: string;
  readonly md5?: string;
  /** Costs next to nothing, so that every read can be held against it. */
  readonly crc32c: ContentChecksum;
  readonly blocks: BlockSums;
}

/** From this size on a second strong hash would be what a writer waits for longest. */
const ONE_HASH_FROM_BYTES = 1024 * 1024;

export function createBodyDigest(request: DigestedBody): BodyDigest {
  const { expected } = request;
  const hash: BodyHash = createBodyHash(hashesFor(request), request.sizeBytes);
  const summer = new BlockSummer();
  let sizeBytes = 0;
  return {
    get sizeBytes() {
      return sizeBytes;
    },
    update(chunk) {
      sizeBytes += chunk.byteLength;
      summer.update(chunk);
      return hash.update(chunk);
    },
    async finish() {
      if (request.sizeBytes !== undefined && request.sizeBytes !== sizeBytes) {
        throw new GfsError(
          "IncompleteBody",
          `The body has ${sizeBytes} bytes and its header promised ${request.sizeBytes}; send it again.`,
        );
      }
      const { sha256, md5 } = await hash.digest();
      const summed = summer.finish();
      const value = wholeSum(summed);
      compare("SHA-256", expected?.sha256Hex, sha256);
      compare("MD5", expected?.md5Hex, md5);
      compare("CRC32C", expected?.crc32cHex, Buffer.from(value, "base64").toString("hex"));
      return {
        crc32c: { algorithm: "CRC32C", kind: "full", value },
        blocks: joinBlocks([summed]),
        ...(sha256 === undefined ? {} : { sha256 }),
        ...(md5 === undefined ? {} : { md5 }),
      };
    },
    abandon: () => hash.abandon(),
  };
}

function hashesFor({ md5Etag, expected, sizeBytes }: DigestedBody): HashName[] {
  const md5 = md5Etag === true || expected?.md5Hex !== undefined;
  const one = md5Etag === true && sizeBytes !== undefined && sizeBytes >= ONE_HASH_FROM_BYTES;
  const sha256 = expected?.sha256Hex !== undefined || !one;
  return [...(md5 ? (["md5"] as const) : []), ...(sha256 ? (["sha256"] as const) : [])];
}

function compare(what: string, promised: string | undefined, found: string | undefined): void {
  if (promised === undefined || promised.toLowerCase() === found) return;
  throw new GfsError(
    "ChecksumMismatch",
    `The body's ${what} is ${found ?? "unknown"} and the request promised ${promised}; send it again.`,
    // S3 promises a SHA-256 along with the signature, and has a code of its own for it.
    what === "SHA-256" ? { context: { s3: "XAmzContentSHA256Mismatch" } } : {},
  );
}
