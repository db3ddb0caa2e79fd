import { createHash, createHmac } from "node:crypto";

/** Requests signed by hand, for what no client sends. */
export interface SignedRequest {
  readonly method: string;
  /** As it stands in the request line, with its query in the order of names. */
  readonly target: string;
  readonly host: string;
  readonly key: { readonly id: string; readonly secret: string };
  readonly headers?: Readonly<Record<string, string>>;
  readonly nowMs?: number;
  readonly region?: string;
}

/** The headers to send beside `Host`. The body is not signed. */
export function signedHeaders(request: SignedRequest): Record<string, string> {
  const { method, target, host, key, nowMs = Date.now(), region = "us-east-1" } = request;
  const time = new Date(nowMs).toISOString().replaceAll(/[:-]|\.\d{3}/g, "");
  const day = time.slice(0, 8);
  const headers: Record<string, string> = {
    ...request.headers,
    host,
    "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
    "x-amz-date": time,
  };
  const names = Object.keys(headers).toSorted();
  const [path = "/", query = ""] = target.split("?");
  const canonical = [
    method,
    path,
    query
      .split("&")
      .filter((pair) => pair !== "")
      .map((pair) => (pair.includes("=") ? pair : `${pair}=`).split("=") as [string, string])
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .map(([name, value]) => `${name}=${value}`)
      .join("&"),
    ...names.map((name) => `${name}:${(headers[name] as string).trim()}`),
    "",
    names.join(";"),
    "UNSIGNED-PAYLOAD",
  ].join("\n");
  const scope = `${day}/${region}/s3/aws4_request`;
  const text = ["AWS4-HMAC-SHA256", time, scope, createHash("sha256").update(canonical).digest("hex")].join("\n");
  let secret: Buffer = Buffer.from(`AWS4${key.secret}`);
  for (const part of [day, region, "s3", "aws4_request"]) secret = createHmac("sha256", secret).update(part).digest();
  const signature = createHmac("sha256", secret).update(text).digest("hex");
  const { host: _host, ...rest } = headers;
  return {
    ...rest,
    authorization: `AWS4-HMAC-SHA256 Credential=${key.id}/${scope}, SignedHeaders=${names.join(";")}, Signature=${signature}`,
  };
}

/** The whole head of a request, for a raw socket. */
export function signedHead(request: SignedRequest, more: Readonly<Record<string, string>> = {}): string {
  const lines = Object.entries({ ...signedHeaders(request), ...more }).map(([name, value]) => `${name}: ${value}`);
  return `${request.method} ${request.target} HTTP/1.1\r\nHost: ${request.host}\r\n${lines.join("\r\n")}\r\n\r\n`;
}
