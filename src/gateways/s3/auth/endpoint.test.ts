import { createHash } from "node:crypto";
import { CreateBucketCommand, CreateMultipartUploadCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { request as send } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createChecksum } from "../../../core/checksums.ts";
import type { KnownAccessKey } from "../../../coordinator/service/access-keys.ts";
import { type S3Rig, startS3Rig } from "../testing/s3-rig.ts";
import { signRequest } from "./testing/signing.ts";

/** Every way to send a body, on every kind of route that takes one, through the whole endpoint. */
let s3: S3Rig;
let key: KnownAccessKey;
let uploadId: string;
beforeAll(async () => {
  s3 = await startS3Rig();
  key = await s3.key("alice");
  const client = s3.clientOf(key);
  await client.send(new CreateBucketCommand({ Bucket: "routes" }));
  await client.send(new PutObjectCommand({ Bucket: "routes", Key: "there", Body: "old" }));
  uploadId = (await client.send(new CreateMultipartUploadCommand({ Bucket: "routes", Key: "up" }))).UploadId ?? "";
});
afterAll(async () => await s3.stop());

const TAGGING = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
interface Route {
  readonly method: "PUT" | "POST";
  readonly path: string;
  /** Canonical. */
  readonly query: () => string;
  readonly body: string;
}
const ROUTES: readonly (readonly [string, Route])[] = [
  ["PutObject", { method: "PUT", path: "/routes/new", query: () => "", body: "content" }],
  [
    "UploadPart",
    {
      method: "PUT",
      path: "/routes/up",
      query: () => `partNumber=1&uploadId=${encodeURIComponent(uploadId)}`,
      body: "part",
    },
  ],
  ["PutBucketTagging", { method: "PUT", path: "/routes", query: () => "tagging=", body: TAGGING }],
  ["PutObjectTagging", { method: "PUT", path: "/routes/there", query: () => "tagging=", body: TAGGING }],
  [
    "DeleteObjects",
    {
      method: "POST",
      path: "/routes",
      query: () => "delete=",
      body: "<Delete><Object><Key>gone</Key></Object></Delete>",
    },
  ],
];

type Damage = "none" | "body" | "promise";
interface Mode {
  /** What goes over the wire for this body, and the headers that promise it. */
  readonly headers: (body: string) => Record<string, string>;
  readonly wire: (body: string, signed: ReturnType<typeof signRequest>) => Buffer;
  readonly code: string;
}
const crc = (body: string): string => {
  const sum = createChecksum("CRC32");
  sum.update(Buffer.from(body));
  return sum.digest();
};
const hash = (algorithm: string, body: string, encoding: "hex" | "base64"): string =>
  createHash(algorithm).update(body).digest(encoding);
const streaming = (mode: string, body: string): Record<string, string> => ({
  "x-amz-content-sha256": mode,
  "x-amz-decoded-content-length": String(body.length),
  "content-md5": hash("md5", body, "base64"),
});
const trailing = { "x-amz-trailer": "x-amz-checksum-crc32" };
const MODES: Readonly<Record<string, Mode>> = {
  "a signed hash": {
    headers: (body) => ({
      "x-amz-content-sha256": hash("sha256", body, "hex"),
      "content-md5": hash("md5", body, "base64"),
    }),
    wire: (body) => Buffer.from(body),
    code: "XAmzContentSHA256Mismatch|BadDigest",
  },
  "an MD5 alone": {
    headers: (body) => ({ "x-amz-content-sha256": "UNSIGNED-PAYLOAD", "content-md5": hash("md5", body, "base64") }),
    wire: (body) => Buffer.from(body),
    code: "BadDigest",
  },
  "a checksum alone": {
    headers: (body) => ({ "x-amz-content-sha256": "UNSIGNED-PAYLOAD", "x-amz-checksum-crc32": crc(body) }),
    wire: (body) => Buffer.from(body),
    code: "BadDigest",
  },
  "signed chunks": {
    headers: (body) => streaming("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", body),
    wire: (body, signed) =>
      Buffer.concat([signed.chunk(Buffer.from(body)), signed.chunk(Buffer.alloc(0)), Buffer.from("\r\n")]),
    code: "SignatureDoesNotMatch",
  },
  "signed chunks and a trailer": {
    headers: (body) => ({ ...streaming("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", body), ...trailing }),
    wire: (body, signed) =>
      Buffer.concat([
        signed.chunk(Buffer.from(body)),
        signed.chunk(Buffer.alloc(0)),
        Buffer.from(signed.trailer(`x-amz-checksum-crc32:${crc(body)}\n`)),
      ]),
    code: "SignatureDoesNotMatch",
  },
  "an unsigned trailer": {
    headers: (body) => ({
      "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
      "x-amz-decoded-content-length": String(body.length),
      ...trailing,
    }),
    wire: (body) =>
      Buffer.from(`${body.length.toString(16)}\r\n${body}\r\n0\r\nx-amz-checksum-crc32:${crc(body)}\r\n\r\n`),
    code: "BadDigest",
  },
};

async function call(
  { method, path, query, body }: Route,
  mode: Mode,
  damage: Damage,
): Promise<readonly [number, string]> {
  const amzDate = new Date().toISOString().replaceAll(/[:-]|\.\d{3}/g, "");
  const headers = { host: `127.0.0.1:${s3.port}`, "x-amz-date": amzDate, ...mode.headers(body) };
  const signed = signRequest({
    method,
    path,
    query: query(),
    headers,
    secret: key.secret,
    accessKeyId: key.id,
    amzDate,
  });
  const wire = mode.wire(body, signed);
  if (damage === "body") {
    // A byte in the middle of what is kept, with the framing as it was.
    const place = wire.indexOf(body) + Math.floor(body.length / 2);
    wire[place] = (wire[place] as number) ^ 1;
  }
  const authorization =
    damage === "promise"
      ? signed.authorization.replace(/.$/, (digit) => (digit === "0" ? "1" : "0"))
      : signed.authorization;
  const answer = await send(`${s3.url}${path}${query() === "" ? "" : `?${query()}`}`, {
    method,
    headers: { ...headers, authorization },
    body: wire,
  });
  const text = await answer.body.text();
  return [answer.statusCode, /<Code>(\w+)<\/Code>/.exec(text)?.[1] ?? ""];
}

describe.each(ROUTES)("%s", (_name, route) => {
  it.each(Object.entries(MODES))("with %s takes what was promised, and nothing else", async (_title, mode) => {
    const [status, code] = await call(route, mode, "body");
    expect([status, code]).toEqual([expect.any(Number), expect.stringMatching(new RegExp(`^(?:${mode.code})$`))]);
    expect(await call(route, mode, "promise")).toEqual([403, "SignatureDoesNotMatch"]);
    const [fine, none] = await call(route, mode, "none");
    expect([[200, 204].includes(fine), none]).toEqual([true, ""]);
  });
});

it("leaves nothing of a body that was refused", async () => {
  const [, route] = ROUTES[0] as (typeof ROUTES)[0];
  for (const mode of Object.values(MODES)) {
    const other: Route = { ...route, path: "/routes/never" };
    expect((await call(other, mode, "body"))[0]).toBeGreaterThanOrEqual(400);
    await expect(s3.rig.read("routes/never")).rejects.toMatchObject({ code: "NotFound" });
  }
});
