import { createHash } from "node:crypto";
import { SigV4 } from "../../src/stores/drivers/s3/sigv4.ts";
import type { RawRequest } from "./raw-client.ts";

export interface S3Target {
  readonly name: string;
  readonly port: number;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface SignedRequest {
  readonly method: string;
  /** Encoded, such as `/bench/key`. */
  readonly path: string;
  /** In canonical order and encoding. */
  readonly query?: string;
  readonly body?: Uint8Array;
  readonly bodyTimes?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

const signer = new SigV4();
const EMPTY_SHA256 = createHash("sha256").digest("hex");

/**
 * The whole request as bytes, signed by its headers. A signature holds for a quarter of an hour, so that requests are made before the clock
 * starts and sent again and again. Bodies up to a MiB are signed with their hash, longer ones are `UNSIGNED-PAYLOAD`, as SDKs do over TLS.
 */
export function signedRequest(target: S3Target, request: SignedRequest): RawRequest {
  const { method, path, query = "", body, bodyTimes = 1, headers = {} } = request;
  const host = `127.0.0.1:${target.port}`;
  const payloadHash =
    body === undefined
      ? EMPTY_SHA256
      : bodyTimes > 1
        ? "UNSIGNED-PAYLOAD"
        : createHash("sha256").update(body).digest("hex");
  const sent: Record<string, string> = { host, ...headers };
  const scope = {
    region: "us-east-1",
    credentials: { accessKeyId: target.accessKeyId, secretAccessKey: target.secretAccessKey },
  };
  const added = signer.sign(scope, { method, path, query, headers: sent, payloadHash }, Date.now());
  if (body !== undefined || method === "PUT" || method === "POST") {
    sent["content-length"] = String((body?.length ?? 0) * bodyTimes);
  }
  const lines = Object.entries({ ...sent, ...added }).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = Buffer.from(`${method} ${path}${query === "" ? "" : `?${query}`} HTTP/1.1\r\n${lines.join("")}\r\n`);
  if (body === undefined) return { head };
  // One write for what is small, as a client does that knows its body.
  if (bodyTimes === 1 && body.length <= 65_536) return { head: Buffer.concat([head, body]) };
  return { head, body, bodyTimes };
}

/** DeleteObjects of these keys. */
export function deleteRequest(target: S3Target, bucket: string, keys: readonly string[]): RawRequest {
  const objects = keys.map((key) => `<Object><Key>${key}</Key></Object>`).join("");
  const body = Buffer.from(
    `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>${objects}</Delete>`,
  );
  const md5 = createHash("md5").update(body).digest("base64");
  return signedRequest(target, {
    method: "POST",
    path: `/${bucket}`,
    query: "delete=",
    body,
    headers: { "content-md5": md5, "content-type": "application/xml" },
  });
}

/** An address that anybody may read for an hour, for clients that sign nothing. */
export function presignedAddress(target: S3Target, path: string): string {
  const host = `127.0.0.1:${target.port}`;
  const scope = {
    region: "us-east-1",
    credentials: { accessKeyId: target.accessKeyId, secretAccessKey: target.secretAccessKey },
  };
  const query = signer.presign(scope, { method: "GET", path, host }, { nowMs: Date.now(), expiresSeconds: 3_600 });
  return `http://${host}${path}?${query}`;
}
