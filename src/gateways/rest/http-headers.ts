import { emptyRecord } from "../../core/record.ts";
import type { IncomingHttpHeaders } from "node:http";
import { GfsError } from "../../core/errors.ts";
import type { ObjectMeta } from "../../coordinator/index.ts";
import { CONTROL, headerBytes, headerText, httpDate, sealedHeaders, TOKEN } from "../http/index.ts";

/** The headers that are REST's own. Each function refuses what it cannot read, with the header's name. */

export interface ExpectedChecksums {
  readonly md5Hex?: string;
  readonly sha256Hex?: string;
}

/** `Content-MD5`, `X-GlobalFS-Checksum: sha256:<hex>`, and the digest fields of RFC 9530 and RFC 3230. */
export function parseChecksums(headers: IncomingHttpHeaders): ExpectedChecksums | undefined {
  const md5 = headers["content-md5"];
  const own = headers["x-globalfs-checksum"];
  const found: { md5Hex?: string; sha256Hex?: string } = {};
  if (typeof md5 === "string") found.md5Hex = fromBase64(md5, 16, "Content-MD5");
  if (typeof own === "string") {
    const match = /^sha256:([0-9a-f]{64})$/i.exec(own.trim());
    if (match === null) throw new GfsError("InvalidArgument", "X-GlobalFS-Checksum must be sha256: and 64 hex digits.");
    found.sha256Hex = (match[1] as string).toLowerCase();
  }
  for (const name of ["content-digest", "repr-digest", "digest"]) {
    const value = headers[name];
    const match = typeof value === "string" ? /(?:^|,)\s*sha-256=:?([A-Za-z0-9+/=]+):?/i.exec(value) : null;
    if (match !== null) found.sha256Hex = fromBase64(match[1] as string, 32, name);
  }
  return found.md5Hex === undefined && found.sha256Hex === undefined ? undefined : found;
}

function fromBase64(value: string, sizeBytes: number, name: string): string {
  const bytes = Buffer.from(value, "base64");
  if (bytes.length !== sizeBytes || bytes.toString("base64").replaceAll("=", "") !== value.trim().replaceAll("=", "")) {
    throw new GfsError("InvalidArgument", `${name} is not the base64 of ${sizeBytes} bytes.`);
  }
  return bytes.toString("hex");
}

const META_PREFIX = "x-globalfs-meta-";

export function parseMetadata(headers: IncomingHttpHeaders): Record<string, string> {
  const metadata = emptyRecord<string>();
  for (const name in headers) {
    const value = headers[name];
    if (!name.startsWith(META_PREFIX) || value === undefined) continue;
    const text = Array.isArray(value) ? value.join(", ") : value;
    metadata[name.slice(META_PREFIX.length)] = headerText(text);
  }
  return metadata;
}

/** Names and values in turn, as `writeHead` takes them without looking at them twice. */
export function objectHeaders(meta: ObjectMeta): string[] {
  const headers = [
    "ETag",
    `"${meta.etag}"`,
    "Last-Modified",
    httpDate(meta.modifiedMs),
    "Content-Type",
    meta.contentType ?? "application/octet-stream",
    "Accept-Ranges",
    "bytes",
    ...sealedHeaders(meta.contentType),
  ];
  if (meta.sha256 !== undefined) headers.push("X-GlobalFS-Checksum", `sha256:${meta.sha256}`);
  if (meta.versionId !== "") headers.push("X-GlobalFS-Version", meta.versionId);
  for (const name in meta.metadata) {
    const value = meta.metadata[name] as string;
    // What a header cannot carry stays in `explain` and in the JSON views.
    if (TOKEN.test(name) && !CONTROL.test(value)) headers.push(`X-GlobalFS-Meta-${name}`, headerBytes(value));
  }
  return headers;
}
