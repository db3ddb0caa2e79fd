import { emptyRecord } from "../../../core/record.ts";
import { type ChecksumName, isChecksumValue } from "../../../core/checksums.ts";
import { UNSIGNED_PAYLOAD } from "../../../core/sigv4.ts";
import type { Target } from "../wire/request.ts";
import {
  incompleteBody,
  invalidArgument,
  invalidDigest,
  invalidRequest,
  malformedChecksum,
  missingContentLength,
  otherChecksum,
} from "./failures.ts";

/** What the headers promise of the body, checked for sense before a byte of it is read. */
export interface Payload {
  /** `x-amz-content-sha256` as it was sent, which is what is signed. */
  readonly declared: string | undefined;
  readonly framing: Framing;
  /** Of the decoded body; undefined when the client does not say. */
  readonly sizeBytes: number | undefined;
  readonly sha256Hex?: string;
  readonly md5Hex?: string;
  /** From a header. */
  readonly checksum?: { readonly algorithm: ChecksumName; readonly value: string };
  /** Named by `x-amz-trailer`; its value comes behind the body. */
  readonly trailer?: ChecksumName;
}

/** How the body lies on the wire: as it is, or in chunks of `aws-chunked`, which may carry signatures and may be followed by trailers. */
export type Framing = "plain" | "signed-chunks" | "signed-chunks-trailer" | "unsigned-chunks-trailer";

const FRAMINGS: ReadonlyMap<string | undefined, Framing> = new Map<string, Framing>([
  ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "signed-chunks"],
  ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "signed-chunks-trailer"],
  ["STREAMING-UNSIGNED-PAYLOAD-TRAILER", "unsigned-chunks-trailer"],
]);

const SHA256 = /^[0-9a-f]{64}$/i;
const LENGTH = /^\d{1,15}$/;
const CHECKSUM_PREFIX = "x-amz-checksum-";

export const ALGORITHM_OF_HEADER: Readonly<Record<string, ChecksumName>> = Object.assign(emptyRecord<ChecksumName>(), {
  "x-amz-checksum-crc32": "CRC32",
  "x-amz-checksum-crc32c": "CRC32C",
  "x-amz-checksum-crc64nvme": "CRC64NVME",
  "x-amz-checksum-sha1": "SHA1",
  "x-amz-checksum-sha256": "SHA256",
} as const);

export function payloadOf(headers: ReadonlyMap<string, string>, target: Target): Payload {
  const declared = headers.get("x-amz-content-sha256") ?? target.query.get("X-Amz-Content-Sha256");
  const framing = FRAMINGS.get(declared) ?? "plain";
  const hasDigest = declared !== undefined && framing === "plain" && declared !== UNSIGNED_PAYLOAD;
  if (hasDigest && !SHA256.test(declared)) {
    throw invalidArgument(
      "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
      "x-amz-content-sha256",
      declared,
    );
  }
  const md5 = headers.get("content-md5");
  const { checksum, trailer } = checksumOf(headers, framing, target);
  return {
    declared,
    framing,
    sizeBytes: sizeOf(headers, framing),
    ...(hasDigest ? { sha256Hex: declared.toLowerCase() } : {}),
    ...(md5 === undefined ? {} : { md5Hex: md5HexOf(md5) }),
    ...(checksum === undefined ? {} : { checksum }),
    ...(trailer === undefined ? {} : { trailer }),
  };
}

function sizeOf(headers: ReadonlyMap<string, string>, framing: Framing): number | undefined {
  const length = headers.get("content-length");
  if (framing === "plain") return length === undefined ? undefined : lengthOf(length, "Content-Length");
  const decoded = headers.get("x-amz-decoded-content-length");
  if (decoded === undefined) {
    throw missingContentLength(
      "You must provide the x-amz-decoded-content-length HTTP header with a streaming payload.",
    );
  }
  const sizeBytes = lengthOf(decoded, "x-amz-decoded-content-length");
  if (length !== undefined && lengthOf(length, "Content-Length") < sizeBytes) {
    throw incompleteBody("Content-Length is smaller than x-amz-decoded-content-length.");
  }
  return sizeBytes;
}

function lengthOf(text: string, name: string): number {
  if (!LENGTH.test(text.trim())) throw invalidArgument(`${name} must be a number of bytes.`, name, text);
  return Number(text);
}

function md5HexOf(value: string): string {
  const bytes = Buffer.from(value.trim(), "base64");
  if (bytes.byteLength !== 16 || bytes.toString("base64") !== value.trim()) throw invalidDigest();
  return bytes.toString("hex");
}

function checksumOf(
  headers: ReadonlyMap<string, string>,
  framing: Framing,
  { method, query }: Target,
): Pick<Payload, "checksum" | "trailer"> {
  const sdkAlgorithm = headers.get("x-amz-sdk-checksum-algorithm");
  const promised = sdkAlgorithm === undefined ? undefined : algorithmNamed(sdkAlgorithm);
  const trailer = trailerOf(headers, framing);
  // Completing an upload states the checksum of the object here, not of the document that asks for it.
  if (method === "POST" && query.has("uploadId")) return {};
  let checksum: Payload["checksum"];
  for (const [name, value] of headers) {
    if (!name.startsWith(CHECKSUM_PREFIX)) continue;
    const algorithm = ALGORITHM_OF_HEADER[name];
    if (algorithm === undefined) continue;
    if (checksum !== undefined || trailer !== undefined) {
      throw invalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.");
    }
    if (!isChecksumValue(algorithm, value)) throw malformedChecksum(name);
    checksum = { algorithm, value };
  }
  const given = checksum?.algorithm ?? trailer;
  if (promised !== undefined && given !== undefined && promised !== given) {
    throw otherChecksum();
  }
  return {
    ...(checksum === undefined ? {} : { checksum }),
    ...(trailer === undefined ? {} : { trailer }),
  };
}

function algorithmNamed(text: string): ChecksumName {
  const algorithm = ALGORITHM_OF_HEADER[`${CHECKSUM_PREFIX}${text.trim().toLowerCase()}`];
  if (algorithm === undefined) throw invalidRequest("Value for x-amz-sdk-checksum-algorithm header is invalid.");
  return algorithm;
}

function trailerOf(headers: ReadonlyMap<string, string>, framing: Framing): ChecksumName | undefined {
  const name = headers.get("x-amz-trailer");
  if (name === undefined) return undefined;
  const algorithm = ALGORITHM_OF_HEADER[name.trim().toLowerCase()];
  if (algorithm === undefined) {
    throw invalidRequest(
      "The value specified in the x-amz-trailer header is not supported; name one x-amz-checksum- header.",
    );
  }
  if (framing !== "signed-chunks-trailer" && framing !== "unsigned-chunks-trailer") {
    throw invalidRequest("x-amz-trailer needs an x-amz-content-sha256 that ends in -TRAILER.");
  }
  return algorithm;
}

/** `aws-chunked` says how the body travels; what is left is a property of the object. */
export function withoutChunked(encoding: string): string | undefined {
  const rest = encoding
    .split(",")
    .map((token) => token.trim())
    .filter((token) => token !== "" && token.toLowerCase() !== "aws-chunked");
  return rest.length === 0 ? undefined : rest.join(", ");
}
