import { createHmac } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { KnownAccessKey } from "../../../coordinator/index.ts";
import type { Target } from "../wire/request.ts";
import { SUB_RESOURCES } from "../wire/sub-resources.ts";
import { canonicalPath, splitUrl } from "./canonical.ts";
import type { ClaimV2 } from "./claim-v2.ts";
import { denied, invalidRequest, requestTimeTooSkewed, signatureDoesNotMatch } from "./failures.ts";
import { MAX_SKEW_MS, sameText } from "./verify.ts";

/**
 * Signature Version 2: an HMAC-SHA1 over the method, three headers, everything of `x-amz-` and the resource.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/RESTAuthentication.html
 */

export function checkTimeV2(claim: ClaimV2, nowMs: number): void {
  if (claim.place === "header") {
    if (Math.abs(nowMs - claim.signedMs) > MAX_SKEW_MS) throw requestTimeTooSkewed(claim.signedMs, nowMs);
    return;
  }
  const expiresMs = Number(claim.expires) * 1_000;
  if (nowMs > expiresMs) {
    throw denied("Request has expired", {
      expires: new Date(expiresMs).toISOString(),
      serverTime: new Date(nowMs).toISOString(),
    });
  }
}

const MOVED = /^(?:x-amz-[a-z0-9_.-]{1,128}|content-md5|content-type)$/;

/**
 * Headers that the client moved into the query of a presigned address, where it signed them as headers. A real header of the name counts
 * instead, for the signature and for what is done.
 */
export function movedHeaders(
  headers: ReadonlyMap<string, string>,
  query: Target["query"],
): ReadonlyMap<string, string> {
  const moved = new Map<string, string>();
  for (const [name, value] of query) {
    const header = name.toLowerCase();
    if (!MOVED.test(header) || headers.has(header)) continue;
    if (moved.has(header)) throw invalidRequest(`The parameter ${header} came more than once.`);
    // A line break would let a value pass for other lines of what is signed.
    if (/[^\t\x20-\x7e\x80-\u{10ffff}]/u.test(header + value)) {
      throw invalidRequest(`The parameter ${header.slice(0, 64)} cannot be a header.`);
    }
    moved.set(header, Buffer.from(value).toString("latin1"));
  }
  return moved;
}

export interface PresentedV2 {
  readonly http: IncomingMessage;
  /** Those of the query among them. */
  readonly headers: ReadonlyMap<string, string>;
  readonly target: Target;
}

export function checkSignatureV2(claim: ClaimV2, key: KnownAccessKey, presented: PresentedV2): void {
  for (const head of headsOf(claim, presented)) {
    for (const resource of resourcesOf(presented)) {
      // Headers and address are bytes, one character each.
      if (sameText(signatureV2Of(key.secret, Buffer.from(head + resource, "latin1")), claim.signature)) return;
    }
  }
  throw signatureDoesNotMatch(claim.accessKeyId);
}

export function signatureV2Of(secret: string, text: string | Buffer): string {
  return createHmac("sha1", secret).update(text).digest("base64");
}

/** All that is signed before the resource. */
function headsOf(claim: ClaimV2, { http, headers }: PresentedV2): readonly string[] {
  const start = `${http.method ?? "GET"}\n${line(headers, "content-md5")}${line(headers, "content-type")}`;
  const names = [...headers.keys()].filter((name) => name.startsWith("x-amz-")).sort();
  const rest = (left: readonly string[]): string => left.map((name) => `${name}:${line(headers, name)}`).join("");
  if (claim.place === "query") return [`${start}${claim.expires}\n${rest(names)}`];
  if (!claim.isAmzDate) return [`${start}${claim.date}\n${rest(names)}`];
  // The rule is an empty line; the guide's own example has x-amz-date in the place of Date. Both say the same.
  const others = names.filter((name) => name !== "x-amz-date");
  return [`${start}\n${rest(names)}`, `${start}${claim.date}\n${rest(others)}`];
}

function line(headers: ReadonlyMap<string, string>, name: string): string {
  return `${(headers.get(name) ?? "").trim()}\n`;
}

/** The resource in every spelling that names the same. */
function resourcesOf({ http, target }: PresentedV2): readonly string[] {
  const { path } = splitUrl(http.url ?? "/");
  const paths = new Set<string>();
  for (const spelling of [path, canonicalPath(path)]) {
    const place = placeOf(spelling, target);
    if (place === undefined) continue;
    paths.add(place);
    // A bucket is the same with and without a slash behind it, and clients sign one and send the other.
    if (target.bucket !== "" && target.key === "") paths.add(place.endsWith("/") ? place.slice(0, -1) : `${place}/`);
  }
  const queries = signedQueriesOf(target.query);
  return [...paths].flatMap((place) => queries.map((query) => place + query));
}

/** The path with the bucket in front, if that stands in the host. Undefined: the path is not what the target was read from. */
function placeOf(path: string, { bucket, key }: Target): string | undefined {
  let decoded: string;
  try {
    decoded = decodeURIComponent(path);
  } catch {
    return undefined;
  }
  if (bucket !== "" && decoded === `/${key}`) return `/${bucket}${path}`;
  const names = key === "" ? [`/${bucket}`, `/${bucket}/`] : [`/${bucket}/${key}`];
  return names.includes(decoded) ? path : undefined;
}

const SELECTORS: ReadonlySet<string> = new Set(["partNumber", "versionId"]);

/**
 * Whatever makes a request another one is signed, in order and decoded. Without a value there may be an equals sign or none. Decoded values
 * could be taken apart at an ampersand, so that overrides of an answer's headers go with nothing but a read.
 */
function signedQueriesOf(query: Target["query"]): readonly string[] {
  if (query.size === 0) return [""];
  const overrides = [...query.keys()].filter((name) => name.startsWith("response-"));
  const others = [...query.keys()].filter((name) => SUB_RESOURCES.has(name) || name === "select-type");
  const selectors = [...query.keys()].filter((name) => SELECTORS.has(name));
  if (overrides.length > 0 && others.length > 0) return [];
  const names = [...overrides, ...others, ...selectors].sort();
  if (names.length === 0) return [""];
  const text = (empty: string): string =>
    `?${names.map((name) => name + (query.get(name) === "" ? empty : `=${utf8(query.get(name) as string)}`)).join("&")}`;
  return [...new Set([text(""), text("=")])];
}

function utf8(value: string): string {
  return Buffer.from(value).toString("latin1");
}
