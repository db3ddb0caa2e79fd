import { emptyRecord } from "../../../core/record.ts";
import type { IncomingHttpHeaders } from "node:http";
import type { Bucket } from "../../../coordinator/service/buckets.ts";
import type { Conditions } from "../../../coordinator/service/objects.ts";
import type {
  ChecksumAlgorithm,
  ContentChecksum,
  ContentHeaders,
  VersionLabels,
  VersionLock,
} from "../../../namespace/types.ts";
import { headerText, parseEtags } from "../../http/index.ts";
import { accessListFromHeaders, ownerOfNewObject } from "../access/index.ts";
import { notImplemented, s3Error } from "../wire/errors.ts";
import type { S3Request } from "../wire/request.ts";
import { parseTaggingHeader } from "./tagging-header.ts";

/** What the headers of a write say of the object beside its bytes. What they ask that is not here is refused, never ignored. */

export interface WrittenAttributes {
  readonly contentType?: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly contentHeaders?: ContentHeaders;
  readonly owner?: string;
  readonly labels?: VersionLabels;
}

const MAX_METADATA_BYTES = 2_048;
const META_PREFIX = "x-amz-meta-";

export function attributesOf(request: S3Request): WrittenAttributes {
  const { headers } = request.http;
  refuseUnkept(headers);
  const contentType = text(headers["content-type"]);
  const contentHeaders = contentHeadersOf(headers);
  const labels = labelsOf(request);
  return {
    metadata: metadataOf(headers),
    ...(contentType === undefined ? {} : { contentType }),
    ...(contentHeaders === undefined ? {} : { contentHeaders }),
    ...ownerOf(request),
    ...(labels === undefined ? {} : { labels }),
  };
}

export function ownerOf(request: S3Request): { readonly owner?: string } {
  const owner = ownerOfNewObject(request);
  return owner === undefined ? {} : { owner };
}

export function metadataOf(headers: IncomingHttpHeaders): Record<string, string> {
  const metadata = emptyRecord<string>();
  let sizeBytes = 0;
  for (const name in headers) {
    if (!name.startsWith(META_PREFIX)) continue;
    const value = headers[name];
    const shown = headerText(Array.isArray(value) ? value.join(",") : (value ?? ""));
    metadata[name.slice(META_PREFIX.length)] = shown;
    sizeBytes += name.length - META_PREFIX.length + Buffer.byteLength(shown);
  }
  if (sizeBytes > MAX_METADATA_BYTES) {
    throw s3Error(
      "InvalidArgument",
      "MetadataTooLarge",
      `The metadata headers have ${sizeBytes} bytes; names and values together may have ${MAX_METADATA_BYTES}.`,
    );
  }
  return metadata;
}

export function contentHeadersOf(headers: IncomingHttpHeaders): ContentHeaders | undefined {
  // The gate has taken out what says only how the body travelled.
  const encoding = text(headers["content-encoding"]);
  const found = {
    cacheControl: text(headers["cache-control"]),
    contentDisposition: text(headers["content-disposition"]),
    contentEncoding: encoding === "" ? undefined : encoding,
    contentLanguage: text(headers["content-language"]),
    expires: text(headers.expires),
    websiteRedirect: text(headers["x-amz-website-redirect-location"]),
  };
  const entries = Object.entries(found).filter(([, value]) => value !== undefined);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function text(value: string | string[] | undefined): string | undefined {
  if (value === undefined) return undefined;
  return headerText(Array.isArray(value) ? value.join(",") : value);
}

export function labelsOf(request: S3Request): VersionLabels | undefined {
  const { headers } = request.http;
  const tagging = headers["x-amz-tagging"];
  const tags = typeof tagging === "string" ? parseTaggingHeader(tagging) : undefined;
  const accessList = accessListFromHeaders(headers, ownerOfNewObject(request) ?? "", request.settings);
  const lock = lockOf(headers, request.settings);
  if (tags === undefined && accessList === undefined && lock === undefined) return undefined;
  return {
    ...(tags === undefined ? {} : { tags }),
    ...(accessList === undefined ? {} : { accessList }),
    ...(lock === undefined ? {} : { lock }),
  };
}

export function lockOf(headers: IncomingHttpHeaders, bucket: Bucket | undefined): VersionLock | undefined {
  const mode = headers["x-amz-object-lock-mode"];
  const until = headers["x-amz-object-lock-retain-until-date"];
  const hold = headers["x-amz-object-lock-legal-hold"];
  if (mode === undefined && until === undefined && hold === undefined) return undefined;
  if (bucket?.objectLock !== true)
    throw s3Error("InvalidArgument", "InvalidRequest", "Bucket is missing Object Lock Configuration.");
  if ((mode === undefined) !== (until === undefined)) {
    throw s3Error(
      "InvalidArgument",
      "InvalidArgument",
      "x-amz-object-lock-mode and x-amz-object-lock-retain-until-date must both be given.",
    );
  }
  return {
    ...(mode === undefined ? {} : { retention: { mode: retentionMode(mode), untilMs: retainUntil(until) } }),
    ...(hold === undefined ? {} : { legalHold: legalHold(hold) }),
  };
}

function retentionMode(value: string | string[]): "governance" | "compliance" {
  if (value === "GOVERNANCE") return "governance";
  if (value === "COMPLIANCE") return "compliance";
  throw invalid("x-amz-object-lock-mode", String(value), "Unknown wormMode directive.");
}

function retainUntil(value: string | string[] | undefined): number {
  const untilMs = Date.parse(String(value));
  if (Number.isNaN(untilMs))
    throw invalid("x-amz-object-lock-retain-until-date", String(value), "The retain until date is no ISO 8601 date.");
  return untilMs;
}

function legalHold(value: string | string[]): boolean {
  if (value === "ON") return true;
  if (value === "OFF") return false;
  throw invalid("x-amz-object-lock-legal-hold", String(value), "Legal Hold must be either of 'ON' or 'OFF'.");
}

function invalid(argumentName: string, argumentValue: string, message: string): Error {
  return s3Error("InvalidArgument", "InvalidArgument", message, {
    argumentName,
    argumentValue: argumentValue.slice(0, 200),
  });
}

/** Encryption and storage classes would be promises about bytes that nobody here keeps. */
export function refuseUnkept(headers: IncomingHttpHeaders): void {
  for (const name in headers) {
    if (
      name.startsWith("x-amz-server-side-encryption") ||
      name.startsWith("x-amz-copy-source-server-side-encryption")
    ) {
      throw notImplemented(
        `${name} is not implemented: GlobalFS does not encrypt on behalf of S3 clients; encrypt at the client, or at the sites.`,
        { header: name },
      );
    }
  }
  const storageClass = headers["x-amz-storage-class"];
  if (storageClass !== undefined && storageClass !== "STANDARD") {
    throw s3Error(
      "InvalidArgument",
      "InvalidStorageClass",
      "The storage class is not one of this endpoint, which has STANDARD; rules of GlobalFS decide where objects lie.",
    );
  }
  if (headers["x-amz-write-offset-bytes"] !== undefined)
    throw notImplemented("Appending to an object is not implemented.", { header: "x-amz-write-offset-bytes" });
}

/** S3 knows two conditions of a write. */
export function writeConditions(headers: IncomingHttpHeaders): { readonly conditions?: Conditions } {
  const ifMatch = parseEtags(headers["if-match"], "If-Match", "skip");
  const ifNoneMatch = parseEtags(headers["if-none-match"], "If-None-Match", "match");
  if (ifMatch === undefined && ifNoneMatch === undefined) return {};
  return {
    conditions: {
      ...(ifMatch === undefined ? {} : { ifMatch }),
      ...(ifNoneMatch === undefined ? {} : { ifNoneMatch }),
    },
  };
}

const ALGORITHMS: readonly ChecksumAlgorithm[] = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"];

export function checksumAlgorithm(value: string | string[] | undefined, name: string): ChecksumAlgorithm | undefined {
  if (value === undefined) return undefined;
  const algorithm = ALGORITHMS.find((known) => known === String(value).toUpperCase());
  if (algorithm === undefined)
    throw s3Error(
      "InvalidArgument",
      "InvalidRequest",
      "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]",
      {
        argumentName: name,
      },
    );
  return algorithm;
}

/** A checksum of the whole that a header names without being one of this request's body. */
export function statedChecksum(headers: IncomingHttpHeaders): Omit<ContentChecksum, "kind"> | undefined {
  for (const algorithm of ALGORITHMS) {
    const value = headers[`x-amz-checksum-${algorithm.toLowerCase()}`];
    if (typeof value === "string") return { algorithm, value };
  }
  return undefined;
}
