import { createHash, createHmac } from "node:crypto";

/** A second, plain implementation of the signature, so that the gate is not held against itself. */
export interface ToSign {
  readonly method?: string;
  readonly path?: string;
  /** Canonical already. */
  readonly query?: string;
  /** Lower-case names; all are signed. */
  readonly headers: Readonly<Record<string, string>>;
  readonly secret: string;
  readonly accessKeyId: string;
  readonly region?: string;
  readonly amzDate: string;
  /** What is signed of the body, where no header says it. */
  readonly payload?: string;
}

const sha256 = (text: string | Buffer): string => createHash("sha256").update(text).digest("hex");
const hmac = (key: string | Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest();

export interface SignedRequest {
  readonly authorization: string;
  readonly signature: string;
  chunk(bytes: Buffer): Buffer;
  /** Lines with their line feeds, and the signature's own line. */
  trailer(lines: string): string;
}

export function signRequest(request: ToSign): SignedRequest {
  const {
    method = "PUT",
    path = "/bucket/key",
    query = "",
    headers,
    secret,
    accessKeyId,
    region = "us-east-1",
    amzDate,
  } = request;
  const names = Object.keys(headers).sort();
  const lines = names.map((name) => `${name}:${(headers[name] as string).trim().replaceAll(/ +/g, " ")}\n`).join("");
  const payload = request.payload ?? headers["x-amz-content-sha256"] ?? "UNSIGNED-PAYLOAD";
  const canonical = [method, path, query, lines, names.join(";"), payload].join("\n");
  const scope = `${amzDate.slice(0, 8)}/${region}/s3/aws4_request`;
  const key = hmac(hmac(hmac(hmac(`AWS4${secret}`, amzDate.slice(0, 8)), region), "s3"), "aws4_request");
  const signature = hmac(
    key,
    `AWS4-HMAC-SHA256\n${amzDate}\n${scope}\n${sha256(Buffer.from(canonical, "latin1"))}`,
  ).toString("hex");
  let previous = signature;
  const link = (kind: string, rest: string): string => {
    previous = hmac(key, `AWS4-HMAC-SHA256-${kind}\n${amzDate}\n${scope}\n${previous}\n${rest}`).toString("hex");
    return previous;
  };
  return {
    authorization: `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope},SignedHeaders=${names.join(";")},Signature=${signature}`,
    signature,
    chunk(bytes) {
      const signed = link("PAYLOAD", `${sha256("")}\n${sha256(bytes)}`);
      const end = bytes.byteLength === 0 ? "" : "\r\n";
      return Buffer.concat([
        Buffer.from(`${bytes.byteLength.toString(16)};chunk-signature=${signed}\r\n`),
        bytes,
        Buffer.from(end),
      ]);
    },
    trailer: (text) =>
      `${text.replaceAll("\n", "\r\n")}x-amz-trailer-signature:${link("TRAILER", sha256(text))}\r\n\r\n`,
  };
}
