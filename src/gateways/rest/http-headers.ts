import type { IncomingHttpHeaders } from "node:http";
import { GfsError } from "../../core/errors.ts";
import type { Conditions, ObjectMeta } from "../../coordinator/index.ts";
import type { ByteRange } from "../../stores/index.ts";

/** Header values to and from what the service understands. Each function refuses what it cannot read, with the header's name. */

const MAX_ETAGS = 64;

/** RFC 9110 section 8.8.3. For If-Match a weak tag never matches; for If-None-Match weakness does not matter. */
export function parseEtags(value: string | undefined, name: string, weak: "match" | "skip"): string[] | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  if (text === "*") return ["*"];
  const etags: string[] = [];
  const pattern = /\s*(?:(W\/)?"([^"]*)"|([^\s",]+))\s*(?:,|$)/gy;
  while (pattern.lastIndex < text.length) {
    const match = pattern.exec(text);
    if (match === null || etags.length === MAX_ETAGS)
      throw new GfsError("InvalidArgument", `${name} is no list of ETags; write "abc", "def" or *.`);
    if (match[1] !== undefined && weak === "skip") continue;
    etags.push(match[2] ?? (match[3] as string));
  }
  return etags;
}

export function parseHttpDate(value: string | undefined): number | undefined {
  if (value === undefined || !/^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(value)) return undefined;
  const timeMs = Date.parse(value);
  return Number.isNaN(timeMs) ? undefined : timeMs;
}

export function hasConditions(headers: IncomingHttpHeaders): boolean {
  return (
    headers["if-none-match"] !== undefined ||
    headers["if-modified-since"] !== undefined ||
    headers["if-match"] !== undefined ||
    headers["if-unmodified-since"] !== undefined
  );
}

export function parseConditions(headers: IncomingHttpHeaders): Conditions | undefined {
  const ifMatch = parseEtags(headers["if-match"], "If-Match", "skip");
  const ifNoneMatch = parseEtags(headers["if-none-match"], "If-None-Match", "match");
  const ifModifiedSinceMs = parseHttpDate(headers["if-modified-since"]);
  const ifUnmodifiedSinceMs = parseHttpDate(headers["if-unmodified-since"]);
  if (
    ifMatch === undefined &&
    ifNoneMatch === undefined &&
    ifModifiedSinceMs === undefined &&
    ifUnmodifiedSinceMs === undefined
  )
    return undefined;
  return {
    ...(ifMatch === undefined ? {} : { ifMatch }),
    ...(ifNoneMatch === undefined ? {} : { ifNoneMatch }),
    ...(ifModifiedSinceMs === undefined ? {} : { ifModifiedSinceMs }),
    ...(ifUnmodifiedSinceMs === undefined ? {} : { ifUnmodifiedSinceMs }),
  };
}

const MAX_RANGES = 32;

/** RFC 9110 section 14.2: what is no byte range at all is ignored. Undefined: send everything. */
export function parseRanges(value: string | undefined): ByteRange[] | undefined {
  const match = value === undefined ? null : /^bytes=(.+)$/i.exec(value.trim());
  if (match === null) return undefined;
  const specs = (match[1] as string).split(",");
  if (specs.length > MAX_RANGES) throw new GfsError("InvalidArgument", `Ask for at most ${MAX_RANGES} ranges at once.`);
  const ranges: ByteRange[] = [];
  for (const spec of specs) {
    const bounds = /^\s*(\d{0,32})\s*-\s*(\d{0,32})\s*$/.exec(spec);
    if (bounds === null || (bounds[1] === "" && bounds[2] === "")) return undefined;
    const last = bounds[2] === "" ? undefined : Math.min(Number(bounds[2]), Number.MAX_SAFE_INTEGER - 1);
    if (bounds[1] === "") {
      ranges.push({ suffix: last as number });
      continue;
    }
    const start = Math.min(Number(bounds[1]), Number.MAX_SAFE_INTEGER - 1);
    if (last !== undefined && last < start) return undefined;
    ranges.push(last === undefined ? { start } : { start, end: last + 1 });
  }
  return ranges;
}

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

/** Node hands over header bytes as Latin-1; they are read as UTF-8 where they are that. */
export function parseMetadata(headers: IncomingHttpHeaders): Record<string, string> {
  const metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith(META_PREFIX) || value === undefined) continue;
    const text = Array.isArray(value) ? value.join(", ") : value;
    const decoded = Buffer.from(text, "latin1").toString("utf8");
    metadata[name.slice(META_PREFIX.length)] = decoded.includes("\uFFFD") ? text : decoded;
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
  ];
  if (meta.sha256 !== undefined) headers.push("X-GlobalFS-Checksum", `sha256:${meta.sha256}`);
  if (meta.versionId !== "") headers.push("X-GlobalFS-Version", meta.versionId);
  for (const name in meta.metadata) {
    const value = meta.metadata[name] as string;
    // What a header cannot carry stays in `explain` and in the JSON views.
    if (TOKEN.test(name) && !CONTROL.test(value))
      headers.push(`X-GlobalFS-Meta-${name}`, Buffer.from(value).toString("latin1"));
  }
  return headers;
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9a-z-]+$/i;
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f]/;

let dateSecond = -1;
let dateText = "";

/** The same second is asked for again and again. */
export function httpDate(timeMs: number): string {
  const second = Math.floor(timeMs / 1_000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateText = new Date(second * 1_000).toUTCString();
  }
  return dateText;
}
