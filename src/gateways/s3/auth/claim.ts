import { LRUCache } from "lru-cache";
import { SIGV4_ALGORITHM } from "../../../core/sigv4.ts";
import { type ClaimV2, claimV2OfHeader, claimV2OfQuery, isPresignedV2 } from "./claim-v2.ts";
import { amzDateOf, timeOfAmzDate, timeOfHttpDate } from "./dates.ts";
import {
  headerMalformed,
  invalidArgument,
  invalidRequest,
  neverValid,
  noDate,
  onlySignatureV4,
  queryMalformed,
} from "./failures.ts";

/** What a request says of who signed it, before anything of it has been checked. */
export interface Claim {
  readonly version: typeof SIGV4_ALGORITHM;
  readonly place: "header" | "query";
  readonly accessKeyId: string;
  /** Eight digits, as the credential says. */
  readonly day: string;
  readonly region: string;
  readonly signedHeaders: readonly string[];
  /** The same as one text. */
  readonly signedList: string;
  /** 64 lower-case hex digits. */
  readonly signature: string;
  /** Such as 20130524T000000Z. */
  readonly amzDate: string;
  readonly signedMs: number;
  /** Of presigned addresses. */
  readonly expiresSeconds?: number;
  readonly sessionToken: string | undefined;
}

export interface Addressed {
  readonly headers: ReadonlyMap<string, string>;
  readonly query: ReadonlyMap<string, string>;
}

export const SIGNATURE_PARAMETER = "X-Amz-Signature";
const LONGEST_EXPIRY_SECONDS = 604_800;
const MAX_SIGNED_HEADERS = 100;
const SIGNATURE = /^[0-9a-f]{64}$/;

/** Undefined: the request carries no signature at all. */
export function claimOf(
  { headers, query }: Addressed,
  { signatureV2 }: { readonly signatureV2: boolean },
): Claim | ClaimV2 | undefined {
  const authorization = headers.get("authorization");
  const inQuery = query.size > 0 && (query.has("X-Amz-Algorithm") || query.has(SIGNATURE_PARAMETER));
  const oldQuery = query.size > 0 && isPresignedV2(query);
  if (authorization === undefined || authorization === "") {
    if (inQuery) return claimOfQuery(query);
    if (!oldQuery) return undefined;
    if (!signatureV2) throw onlySignatureV4();
    return claimV2OfQuery(query);
  }
  if (inQuery || oldQuery) {
    throw invalidArgument(
      "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified.",
      "Authorization",
      authorization.split(" ")[0] as string,
    );
  }
  if (!authorization.startsWith("AWS ")) return claimOfHeader(authorization, headers);
  if (!signatureV2) throw onlySignatureV4();
  return claimV2OfHeader(authorization, headers);
}

function claimOfHeader(authorization: string, headers: ReadonlyMap<string, string>): Claim {
  if (!authorization.startsWith(SIGV4_ALGORITHM)) throw refuseScheme(authorization);
  let credential = "";
  let signedList = "";
  let signature = "";
  for (const piece of authorization.slice(SIGV4_ALGORITHM.length).split(",")) {
    const text = piece.trim();
    const mark = text.indexOf("=");
    const name = text.slice(0, Math.max(mark, 0));
    const value = text.slice(mark + 1);
    if (name === "Credential" && credential === "") credential = value;
    else if (name === "SignedHeaders" && signedList === "") signedList = value;
    else if (name === "Signature" && signature === "") signature = value;
    else throw headerMalformed("it holds Credential, SignedHeaders and Signature, once each.");
  }
  if (credential === "") throw headerMalformed("it has no Credential.");
  if (signedList === "") throw headerMalformed("it has no SignedHeaders.");
  if (signature === "") throw headerMalformed("it has no Signature.");
  const { amzDate, signedMs } = dateOf(headers);
  const scope = scopeOf(credential, amzDate, headerMalformed);
  if (!SIGNATURE.test(signature)) throw headerMalformed("its Signature is not 64 hex digits.");
  return {
    version: SIGV4_ALGORITHM,
    place: "header",
    ...scope,
    signedHeaders: listOf(signedList, headerMalformed),
    signedList,
    signature,
    amzDate,
    signedMs,
    sessionToken: headers.get("x-amz-security-token"),
  };
}

function refuseScheme(authorization: string): Error {
  if (authorization.startsWith("AWS4-")) {
    return invalidRequest(
      "Only AWS4-HMAC-SHA256 is supported here; configure the client for Signature Version 4 with one region.",
    );
  }
  return invalidArgument(
    "Unsupported Authorization Type.",
    "Authorization",
    authorization.split(/[\s,:]/)[0] as string,
  );
}

function dateOf(headers: ReadonlyMap<string, string>): { readonly amzDate: string; readonly signedMs: number } {
  const amzDate = headers.get("x-amz-date")?.trim();
  if (amzDate !== undefined) {
    const signedMs = timeOfAmzDate(amzDate);
    if (signedMs !== undefined) return { amzDate, signedMs };
  } else {
    const date = headers.get("date")?.trim() ?? "";
    const signedMs = timeOfAmzDate(date) ?? timeOfHttpDate(date);
    if (signedMs !== undefined) return { amzDate: amzDateOf(signedMs), signedMs };
  }
  throw noDate();
}

type Malformed = (message: string, context?: Readonly<Record<string, unknown>>) => Error;

/** `ACCESSKEY/20130524/us-east-1/s3/aws4_request`. The region is compared later, when the key is known to exist. */
export function scopeOf(
  credential: string,
  amzDate: string,
  malformed: Malformed,
): { readonly accessKeyId: string; readonly day: string; readonly region: string } {
  const parts = credential.split("/");
  const [accessKeyId = "", day = "", region = "", service = "", end = ""] = parts;
  if (parts.length !== 5 || accessKeyId === "" || region === "") {
    throw malformed("the Credential must be ACCESSKEY/DATE/REGION/s3/aws4_request.");
  }
  if (service !== "s3") throw malformed("incorrect service in the Credential; it belongs to s3.");
  if (end !== "aws4_request") throw malformed("incorrect terminal in the Credential; it ends in aws4_request.");
  if (day !== amzDate.slice(0, 8)) {
    throw malformed("invalid credential date: it is not the day of the request's date.");
  }
  return { accessKeyId, day, region };
}

const lists = new LRUCache<string, readonly string[]>({ max: 256 });

/** Clients sign the same headers again and again. */
function listOf(text: string, malformed: Malformed): readonly string[] {
  const known = lists.get(text);
  if (known !== undefined) return known;
  const names = text.split(";");
  if (names.length > MAX_SIGNED_HEADERS) throw malformed("it signs too many headers.");
  let before = "";
  for (const name of names) {
    if (name === "" || name !== name.toLowerCase() || name <= before) {
      throw malformed("SignedHeaders must be lower-case names, in order, once each, joined by semicolons.");
    }
    before = name;
  }
  if (!names.includes("host")) throw malformed("SignedHeaders must name host.");
  if (text.length <= 1_024) lists.set(text, names);
  return names;
}

function claimOfQuery(query: ReadonlyMap<string, string>): Claim {
  const take = (name: string): string => {
    const value = query.get(name);
    if (value !== undefined && value !== "") return value;
    throw queryMalformed(
      "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
    );
  };
  const algorithm = take("X-Amz-Algorithm");
  const credential = take("X-Amz-Credential");
  const signature = take(SIGNATURE_PARAMETER);
  const amzDate = take("X-Amz-Date");
  const signedList = take("X-Amz-SignedHeaders");
  const expires = take("X-Amz-Expires");
  if (algorithm !== SIGV4_ALGORITHM) throw queryMalformed('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256".');
  const signedMs = timeOfAmzDate(amzDate);
  if (signedMs === undefined) {
    throw queryMalformed("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\".");
  }
  if (!/^-?\d{1,10}$/.test(expires)) throw queryMalformed("X-Amz-Expires should be a number.");
  const expiresSeconds = Number(expires);
  if (expiresSeconds < 1) throw neverValid("X-Amz-Expires must be at least one second.");
  if (expiresSeconds > LONGEST_EXPIRY_SECONDS) {
    throw neverValid(`X-Amz-Expires must be less than a week (in seconds) that is ${LONGEST_EXPIRY_SECONDS}.`);
  }
  const malformed: Malformed = (message, context) =>
    queryMalformed(`Error parsing the X-Amz-Credential parameter; ${message}`, context);
  const scope = scopeOf(credential, amzDate, malformed);
  if (!SIGNATURE.test(signature)) throw queryMalformed("X-Amz-Signature must be 64 hex digits.");
  return {
    version: SIGV4_ALGORITHM,
    place: "query",
    ...scope,
    signedHeaders: listOf(signedList, (message) => queryMalformed(`X-Amz-SignedHeaders: ${message}`)),
    signedList,
    signature,
    amzDate,
    signedMs,
    expiresSeconds,
    sessionToken: query.get("X-Amz-Security-Token"),
  };
}
