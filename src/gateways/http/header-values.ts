import type { IncomingHttpHeaders } from "node:http";
import { GfsError } from "../../core/errors.ts";
import type { Conditions } from "../../coordinator/index.ts";
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
function parseRanges(value: string | undefined): ByteRange[] | undefined {
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

/** What may be the name of a header. */
export const TOKEN = /^[!#$%&'*+.^_`|~0-9a-z-]+$/i;
/** What no header can carry. */
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
export const CONTROL = /[\u0000-\u001f\u007f]/;

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

/** Node hands over header bytes as Latin-1; they are read as UTF-8 where they are that. */
export function headerText(value: string): string {
  const decoded = Buffer.from(value, "latin1").toString("utf8");
  return decoded.includes("\uFFFD") ? value : decoded;
}

/** The other way round: what Node then writes as the bytes of UTF-8. */
export function headerBytes(text: string): string {
  return Buffer.from(text).toString("latin1");
}

/** RFC 9110 section 13.1.5: an If-Range that does not hold asks for the whole. */
export function rangesAsked(
  headers: IncomingHttpHeaders,
  meta: { readonly etag: string; readonly modifiedMs: number },
): ByteRange[] | undefined {
  if (headers.range === undefined) return undefined;
  const ifRange = headers["if-range"];
  if (typeof ifRange === "string") {
    const tag = /^"([^"]*)"$/.exec(ifRange.trim());
    const dateMs = tag === null ? parseHttpDate(ifRange) : undefined;
    const holds =
      tag === null ? dateMs !== undefined && httpDate(dateMs) === httpDate(meta.modifiedMs) : tag[1] === meta.etag;
    if (!holds) return undefined;
  }
  return parseRanges(headers.range);
}
