import { createHash } from "node:crypto";
import { crc32c } from "@node-rs/crc32";
import { GfsError } from "../core/errors.ts";
import type { PutRequest } from "./service.ts";

/** Checksums of a body while it streams by: SHA-256 always, others when somebody asks. */
export interface BodyDigest {
  update(chunk: Uint8Array): void;
  readonly sizeBytes: number;
  /** Compares with what the caller promised; throws `ChecksumMismatch` or `IncompleteBody`. */
  finish(): { readonly sha256: string; readonly md5?: string };
}

export function createBodyDigest(request: PutRequest): BodyDigest {
  const { expected, md5Etag } = request;
  const sha256 = createHash("sha256");
  const md5 = md5Etag === true || expected?.md5Hex !== undefined ? createHash("md5") : undefined;
  let crc: number | undefined = expected?.crc32cHex === undefined ? undefined : 0;
  let sizeBytes = 0;
  return {
    get sizeBytes() {
      return sizeBytes;
    },
    update(chunk) {
      sizeBytes += chunk.byteLength;
      sha256.update(chunk);
      md5?.update(chunk);
      if (crc !== undefined) crc = crc32c(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength), crc);
    },
    finish() {
      if (request.sizeBytes !== undefined && request.sizeBytes !== sizeBytes) {
        throw new GfsError(
          "IncompleteBody",
          `The body has ${sizeBytes} bytes and its header promised ${request.sizeBytes}; send it again.`,
        );
      }
      const sha256Hex = sha256.digest("hex");
      const md5Hex = md5?.digest("hex");
      compare("SHA-256", expected?.sha256Hex, sha256Hex);
      compare("MD5", expected?.md5Hex, md5Hex);
      compare("CRC32C", expected?.crc32cHex, crc?.toString(16).padStart(8, "0"));
      return { sha256: sha256Hex, ...(md5Hex === undefined ? {} : { md5: md5Hex }) };
    },
  };
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
