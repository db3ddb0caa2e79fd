/**
 * What signing and verifying have in common in AWS Signature Version 4 for S3: encoding, the canonical request, the text that is
 * signed, and the keys derived for it. https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
 */
import { createHmac, hash } from "node:crypto";
import { LRUCache } from "lru-cache";

export const SIGV4_ALGORITHM = "AWS4-HMAC-SHA256";
export const UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD";
export const EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

export interface CanonicalRequest {
  readonly method: string;
  /** Percent-encoded once. S3 does not normalise it. */
  readonly path: string;
  /** Encoded and in order, as `canonicalQuery` makes it. */
  readonly query: string;
  /** `name:value` and a line break each, in the order of `signedHeaders`. */
  readonly headerLines: string;
  /** Lower-case names, sorted, joined by semicolons. */
  readonly signedHeaders: string;
  readonly payloadHash: string;
}

export function canonicalRequest(request: CanonicalRequest): string {
  const { method, path, query, headerLines, signedHeaders, payloadHash } = request;
  return `${method}\n${path}\n${query}\n${headerLines}\n${signedHeaders}\n${payloadHash}`;
}

/** Day, region and service that a signature holds for. */
export function credentialScope(day: string, region: string): string {
  return `${day}/${region}/s3/aws4_request`;
}

/** `amzDate` looks like 20130524T000000Z. The characters of the canonical request stand for bytes where headers came in as bytes. */
export function textToSign(
  amzDate: string,
  scope: string,
  canonical: { readonly text: string; readonly encoding: "latin1" | "utf8" },
): string {
  const hashed = hash("sha256", canonical.encoding === "utf8" ? canonical.text : Buffer.from(canonical.text, "latin1"));
  return `${SIGV4_ALGORITHM}\n${amzDate}\n${scope}\n${hashed}`;
}

export function signatureOf(key: Uint8Array, text: string): string {
  return createHmac("sha256", key).update(text).digest("hex");
}

export interface KeyScope {
  readonly secret: string;
  /** Eight digits. */
  readonly day: string;
  readonly region: string;
}

/** Deriving a key takes four HMACs; a key holds for a day, so that the last ones used are kept. */
export class SigningKeys {
  readonly #keys: LRUCache<string, Buffer>;

  constructor(limit: number) {
    this.#keys = new LRUCache({ max: limit });
  }

  keyFor({ secret, day, region }: KeyScope): Buffer {
    const name = `${day}/${region}/${secret}`;
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    const dated = hmac(`AWS4${secret}`, day);
    const key = hmac(hmac(hmac(dated, region), "s3"), "aws4_request");
    this.#keys.set(name, key);
    return key;
  }
}

/** Percent-encodes all but the unreserved characters of RFC 3986, as S3 does it. */
export function uriEncode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** A key as a path: slashes stay, and dots are not special. */
export function uriEncodePath(text: string): string {
  return uriEncode(text).replaceAll("%2F", "/");
}

/** In the order that the signature wants, so that the same text can be sent and signed. */
export function canonicalQuery(parameters: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(parameters).map(([name, value]) => [uriEncode(name), uriEncode(value)] as const);
  pairs.sort(([one], [other]) => (one < other ? -1 : 1));
  return pairs.map(([name, value]) => `${name}=${value}`).join("&");
}

/** A header's value as it is signed: without spaces around it, and one where several were. */
export function foldSpaces(value: string): string {
  return value.includes("  ") ? value.trim().replace(/ +/g, " ") : value.trim();
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
