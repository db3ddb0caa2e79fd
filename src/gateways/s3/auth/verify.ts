import { timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { KnownAccessKey } from "../../../coordinator/index.ts";
import {
  canonicalRequest,
  credentialScope,
  signatureOf,
  type SigningKeys,
  textToSign,
  UNSIGNED_PAYLOAD,
} from "../../../core/sigv4.ts";
import { canonicalPath, canonicalQueryOf, headerLinesOf, rawQueryWithout, splitUrl } from "./canonical.ts";
import { type Claim, SIGNATURE_PARAMETER } from "./claim.ts";
import {
  denied,
  expiredToken,
  headerMalformed,
  invalidToken,
  queryMalformed,
  requestTimeTooSkewed,
  signatureDoesNotMatch,
} from "./failures.ts";

/** How far the clocks of client and server may be apart; also for how long a request may be sent again by somebody who saw it. */
export const MAX_SKEW_MS = 900_000;
/** Tools that know no region sign for this one. */
const REGION_OF_OLD = "us-east-1";

export function checkRegion(
  claim: { readonly place: "header" | "query"; readonly region: string },
  region: string,
): void {
  if (claim.region === region || claim.region === REGION_OF_OLD) return;
  const message = `the region '${claim.region.slice(0, 64)}' is wrong; expecting '${region}'`;
  const context = { region };
  throw claim.place === "header"
    ? headerMalformed(message, context)
    : queryMalformed(`Error parsing the X-Amz-Credential parameter; ${message}`, context);
}

export function checkTime(claim: Claim, nowMs: number): void {
  const { signedMs, expiresSeconds } = claim;
  if (expiresSeconds === undefined) {
    if (Math.abs(nowMs - signedMs) > MAX_SKEW_MS) throw requestTimeTooSkewed(signedMs, nowMs);
    return;
  }
  if (signedMs > nowMs + MAX_SKEW_MS) throw denied("Request is not yet valid");
  const expiresMs = signedMs + expiresSeconds * 1_000;
  if (nowMs > expiresMs) {
    throw denied("Request has expired", {
      expires: new Date(expiresMs).toISOString(),
      serverTime: new Date(nowMs).toISOString(),
    });
  }
}

/** A key with a session token must bring it, and one without must not. */
export function checkToken(key: KnownAccessKey, token: string | undefined, nowMs: number): void {
  if (key.sessionToken === undefined) {
    if (token !== undefined) throw invalidToken();
  } else if (token === undefined || !sameText(key.sessionToken, token)) {
    throw invalidToken();
  }
  if (key.expiresMs !== undefined && nowMs >= key.expiresMs) throw expiredToken();
}

/** Takes as long for any text of the same length. */
export function sameText(one: string, other: string): boolean {
  const left = Buffer.from(one);
  const right = Buffer.from(other);
  return left.byteLength === right.byteLength && timingSafeEqual(left, right);
}

/** Every header that S3 gives a meaning must be signed, else somebody in between could add it. */
export function checkAllSigned(claim: Claim, headers: ReadonlyMap<string, string>): void {
  for (const name of headers.keys()) {
    if (!name.startsWith("x-amz-") || claim.signedHeaders.includes(name)) continue;
    // A presigned address says what it signs of the body; the header then only adds a check.
    if (claim.place === "query" && name === "x-amz-content-sha256") continue;
    throw denied("There were headers present in the request which were not signed", { headersNotSigned: name });
  }
}

export interface Signed {
  readonly signingKey: Buffer;
  readonly scope: string;
}

export interface Presented {
  readonly http: IncomingMessage;
  readonly headers: ReadonlyMap<string, string>;
  /** What the request says of its body; undefined where it says nothing. */
  readonly payload: string | undefined;
}

/** Throws `SignatureDoesNotMatch`, or returns what the signatures of the body's chunks are made with. */
export function checkSignature(claim: Claim, key: KnownAccessKey, keys: SigningKeys, presented: Presented): Signed {
  const { http, headers, payload } = presented;
  const signingKey = keys.keyFor({ secret: key.secret, day: claim.day, region: claim.region });
  const scope = credentialScope(claim.day, claim.region);
  const headerLines = headerLinesOf(claim.signedHeaders, headers);
  if (headerLines === undefined) throw signatureDoesNotMatch(claim.accessKeyId);
  const { path, query } = splitUrl(http.url ?? "/");
  const without = claim.place === "query" ? SIGNATURE_PARAMETER : undefined;
  const claimed = Buffer.from(claim.signature, "latin1");
  const matches = (canonPath: string, canonQuery: string, payloadHash: string): boolean => {
    const text = canonicalRequest({
      method: http.method ?? "GET",
      path: canonPath,
      query: canonQuery,
      headerLines,
      signedHeaders: claim.signedList,
      payloadHash,
    });
    const signature = signatureOf(signingKey, textToSign(claim.amzDate, scope, { text, encoding: "latin1" }));
    return timingSafeEqual(Buffer.from(signature, "latin1"), claimed);
  };
  const canonPath = canonicalPath(path);
  const canonQuery = canonicalQueryOf(query, without);
  for (const payloadHash of payloadsOf(claim, payload)) {
    if (matches(canonPath, canonQuery, payloadHash)) return { signingKey, scope };
    // Some tools sign the address as they send it. It is theirs all the same.
    const rawQuery = rawQueryWithout(query, without);
    if ((canonPath !== path || canonQuery !== rawQuery) && matches(path, rawQuery, payloadHash)) {
      return { signingKey, scope };
    }
  }
  throw signatureDoesNotMatch(claim.accessKeyId);
}

/** A presigned address leaves the body unsigned unless it says otherwise, in which case tools differ in what they sign. */
function payloadsOf(claim: Claim, payload: string | undefined): readonly string[] {
  if (claim.place === "header") return [payload ?? UNSIGNED_PAYLOAD];
  return payload === undefined || payload === UNSIGNED_PAYLOAD ? [UNSIGNED_PAYLOAD] : [payload, UNSIGNED_PAYLOAD];
}
