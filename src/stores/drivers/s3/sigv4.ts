/** Signs requests to S3: by their headers, or by the query of a presigned address. */
import {
  canonicalQuery,
  canonicalRequest,
  credentialScope,
  foldSpaces,
  signatureOf,
  SIGV4_ALGORITHM,
  SigningKeys,
  textToSign,
  UNSIGNED_PAYLOAD,
} from "../../../core/sigv4.ts";

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

/** Formats the date once a second; keys are derived once a day. */
export class SigV4 {
  readonly #keys = new SigningKeys(4);
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
    let headerLines = "";
    for (const name of names) headerLines += `${name}:${foldSpaces(headers[name] ?? "")}\n`;
    const signedHeaders = names.join(";");
    const { path, query, method, payloadHash } = request;
    const canonical = canonicalRequest({ method, path, query, headerLines, signedHeaders, payloadHash });
    const { holdsFor, signature } = this.#sign(scope, amzDate, canonical);
    added["authorization"] =
      `${SIGV4_ALGORITHM} Credential=${credentials.accessKeyId}/${holdsFor},SignedHeaders=${signedHeaders},Signature=${signature}`;
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
      "X-Amz-Algorithm": SIGV4_ALGORITHM,
      "X-Amz-Credential": `${scope.credentials.accessKeyId}/${credentialScope(amzDate.slice(0, 8), scope.region)}`,
      "X-Amz-Date": amzDate,
      "X-Amz-Expires": String(lifetime.expiresSeconds),
      "X-Amz-SignedHeaders": "host",
    };
    if (scope.credentials.sessionToken !== undefined) query["X-Amz-Security-Token"] = scope.credentials.sessionToken;
    const unsigned = canonicalQuery(query);
    const canonical = canonicalRequest({
      method: request.method,
      path: request.path,
      query: unsigned,
      headerLines: `host:${request.host}\n`,
      signedHeaders: "host",
      payloadHash: UNSIGNED_PAYLOAD,
    });
    return `${unsigned}&X-Amz-Signature=${this.#sign(scope, amzDate, canonical).signature}`;
  }

  #sign(
    { region, credentials }: SigningScope,
    amzDate: string,
    canonical: string,
  ): { readonly holdsFor: string; readonly signature: string } {
    const day = amzDate.slice(0, 8);
    const holdsFor = credentialScope(day, region);
    const key = this.#keys.keyFor({ secret: credentials.secretAccessKey, day, region });
    const text = textToSign(amzDate, holdsFor, { text: canonical, encoding: "utf8" });
    return { holdsFor, signature: signatureOf(key, text) };
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
