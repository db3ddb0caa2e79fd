/**
 * AWS Signature Version 4 for S3: headers of a request, or the query of a presigned address.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
 */
import { createHmac, hash } from "node:crypto";

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** When they stop working, on the wall clock; absent for lasting ones. */
  readonly expiresMs?: number;
}

export interface SigningScope {
  readonly region: string;
  readonly credentials: AwsCredentials;
}

export interface RequestToSign {
  readonly method: string;
  /** Percent-encoded once, exactly as it is sent. S3 does not normalise it. */
  readonly path: string;
  /** As `canonicalQuery` made it, exactly as it is sent. */
  readonly query: string;
  /** Lower-case names, `host` among them. */
  readonly headers: Readonly<Record<string, string>>;
  readonly payloadHash: string;
}

export const UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD";
export const EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const ALGORITHM = "AWS4-HMAC-SHA256";

/** Derives the signing key once a day for each secret and region, and formats the date once a second. */
export class SigV4 {
  #keyFor = "";
  #key: Buffer = Buffer.alloc(0);
  #second = Number.NaN;
  #amzDate = "";

  /** The headers that the request must carry besides those given. */
  sign(scope: SigningScope, request: RequestToSign, nowMs: number): Record<string, string> {
    const { credentials } = scope;
    const amzDate = this.#dateAt(nowMs);
    const added: Record<string, string> = { "x-amz-content-sha256": request.payloadHash, "x-amz-date": amzDate };
    if (credentials.sessionToken !== undefined) added["x-amz-security-token"] = credentials.sessionToken;
    const headers = { ...request.headers, ...added };
    const names = Object.keys(headers).sort();
    let canonicalHeaders = "";
    for (const name of names) canonicalHeaders += `${name}:${foldSpaces(headers[name] ?? "")}\n`;
    const signedHeaders = names.join(";");
    const canonical = `${request.method}\n${request.path}\n${request.query}\n${canonicalHeaders}\n${signedHeaders}\n${request.payloadHash}`;
    const { credentialScope, signature } = this.#signature(scope, amzDate, canonical);
    added["authorization"] =
      `${ALGORITHM} Credential=${credentials.accessKeyId}/${credentialScope},SignedHeaders=${signedHeaders},Signature=${signature}`;
    return added;
  }

  /** The whole query of an address that anyone may use until it expires. */
  presign(
    scope: SigningScope,
    request: Omit<RequestToSign, "payloadHash" | "query" | "headers"> & { readonly host: string },
    lifetime: { readonly nowMs: number; readonly expiresSeconds: number },
  ): string {
    const amzDate = this.#dateAt(lifetime.nowMs);
    const query: Record<string, string> = {
      "X-Amz-Algorithm": ALGORITHM,
      "X-Amz-Credential": `${scope.credentials.accessKeyId}/${amzDate.slice(0, 8)}/${scope.region}/s3/aws4_request`,
      "X-Amz-Date": amzDate,
      "X-Amz-Expires": String(lifetime.expiresSeconds),
      "X-Amz-SignedHeaders": "host",
    };
    if (scope.credentials.sessionToken !== undefined) query["X-Amz-Security-Token"] = scope.credentials.sessionToken;
    const unsigned = canonicalQuery(query);
    const canonical = `${request.method}\n${request.path}\n${unsigned}\nhost:${request.host}\n\nhost\n${UNSIGNED_PAYLOAD}`;
    return `${unsigned}&X-Amz-Signature=${this.#signature(scope, amzDate, canonical).signature}`;
  }

  #signature(
    scope: SigningScope,
    amzDate: string,
    canonical: string,
  ): { readonly credentialScope: string; readonly signature: string } {
    const day = amzDate.slice(0, 8);
    const credentialScope = `${day}/${scope.region}/s3/aws4_request`;
    const text = `${ALGORITHM}\n${amzDate}\n${credentialScope}\n${hash("sha256", canonical)}`;
    return { credentialScope, signature: hmac(this.#keyOf(scope, day), text).toString("hex") };
  }

  #keyOf(scope: SigningScope, day: string): Buffer {
    const secret = scope.credentials.secretAccessKey;
    const keyFor = `${day}/${scope.region}/${secret}`;
    if (this.#keyFor !== keyFor) {
      const dated = hmac(`AWS4${secret}`, day);
      this.#key = hmac(hmac(hmac(dated, scope.region), "s3"), "aws4_request");
      this.#keyFor = keyFor;
    }
    return this.#key;
  }

  #dateAt(nowMs: number): string {
    const second = Math.floor(nowMs / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#amzDate = new Date(second * 1_000).toISOString().replace(/[-:]|\.\d{3}/g, "");
    }
    return this.#amzDate;
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

function foldSpaces(value: string): string {
  return value.includes("  ") ? value.trim().replace(/ +/g, " ") : value.trim();
}

function hmac(key: Buffer | string, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
