import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type PutObjectCommandInput,
  S3Client,
  type S3ClientConfig,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "../../../core/ports/clock.ts";
import { accessKey, type GateServer, type Passed, startGateServer } from "./testing/gate-server.ts";

/** Amazon's own client against the gate: whatever it sends has to pass, and nothing that it signed otherwise may. */
const key = accessKey({ id: "AKIDSDK", secret: "sdk/secret+with=signs", user: "sandra" });
const temporary = accessKey({
  id: "AKIDTOKEN",
  secret: "token-secret",
  user: "tom",
  sessionToken: "the/token==",
  expiresMs: Date.now() + 600_000,
});
const expired = accessKey({ ...temporary, id: "AKIDOLD", expiresMs: Date.now() - 1 });
let server: GateServer;
const clients: S3Client[] = [];
beforeAll(async () => {
  server = await startGateServer({ keys: [key, temporary, expired], clock: systemClock, region: "eu-test-1" });
});
afterAll(async () => {
  for (const client of clients) client.destroy();
  await server.close();
});

type Credentials = { accessKeyId: string; secretAccessKey: string; sessionToken?: string };
const own: Credentials = { accessKeyId: key.id, secretAccessKey: key.secret };

/** What the server answered, whatever the SDK makes of it. */
function client(config: S3ClientConfig = {}): { readonly s3: S3Client; readonly last: () => Passed } {
  const s3 = new S3Client({
    endpoint: server.endpoint,
    region: "eu-test-1",
    forcePathStyle: true,
    credentials: own,
    maxAttempts: 1,
    ...config,
  });
  clients.push(s3);
  let text = "";
  s3.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const response = result.response as { body: AsyncIterable<Uint8Array> };
      const chunks: Uint8Array[] = [];
      for await (const chunk of response.body) chunks.push(chunk);
      text = Buffer.concat(chunks).toString();
      const isFine = (response as { statusCode?: number }).statusCode === 200;
      response.body = Readable.from(isFine ? [] : chunks);
      return result;
    },
    { step: "deserialize", priority: "low", name: "keepBody" },
  );
  return { s3, last: () => JSON.parse(text) as Passed };
}

const put = async (input: Partial<PutObjectCommandInput>, config: S3ClientConfig = {}): Promise<Passed> => {
  const { s3, last } = client(config);
  await s3.send(new PutObjectCommand({ Bucket: "bucket", Key: "key", Body: "hello", ...input }));
  return last();
};

describe("requests of Amazon's client", () => {
  it.each([
    "plain",
    "with spaces and +",
    "ümläut/日本語/🙂",
    "a//b",
    "(x)!*'~.-_",
    "%25 %2F",
    "a=b&c?d#e",
    "tab\there",
  ])("pass with the key %j", async (name) => {
    expect(await put({ Key: name })).toMatchObject({
      user: "sandra",
      accessKeyId: key.id,
      body: "hello",
      sizeBytes: 5,
    });
  });

  it("pass with many headers and parameters", async () => {
    const passed = await put({
      ContentType: "text/plain; charset=utf-8",
      ContentEncoding: "gzip",
      CacheControl: "max-age=1,  must-revalidate",
      Metadata: { one: "  two   three  ", other: "x" },
      Tagging: "a=b&c=d",
      ContentMD5: createHash("md5").update("hello").digest("base64"),
    });
    expect(passed).toMatchObject({ user: "sandra", body: "hello", encoding: "gzip" });
    const { s3, last } = client();
    await s3.send(
      new ListObjectsV2Command({ Bucket: "bucket", Prefix: "a b/ü+", Delimiter: "/", StartAfter: "%", MaxKeys: 7 }),
    );
    expect(last().user).toBe("sandra");
    await s3.send(new GetObjectCommand({ Bucket: "bucket", Key: "k", Range: "bytes=0-1", VersionId: "a+b/c=" }));
    expect(last().user).toBe("sandra");
    await s3.send(new CreateBucketCommand({ Bucket: "bucket" }));
    expect(last().user).toBe("sandra");
  });

  it.each(["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] as const)(
    "pass with a trailing %s behind a stream",
    async (algorithm) => {
      const body = randomBytes(200_001);
      const passed = await put({
        Body: Readable.from([body.subarray(0, 70_000), body.subarray(70_000)], { objectMode: false }),
        ContentLength: body.byteLength,
        ChecksumAlgorithm: algorithm,
      });
      expect(passed.body).toBe(body.toString("latin1"));
      expect(passed).toMatchObject({ user: "sandra", sizeBytes: 200_001, checksum: { algorithm, kind: "full" } });
      expect(passed.encoding).toBeUndefined();
    },
  );

  it.each(["CRC32", "CRC32C", "SHA1", "SHA256"] as const)("pass with %s in a header", async (algorithm) => {
    expect(await put({ ChecksumAlgorithm: algorithm })).toMatchObject({ checksum: { algorithm }, body: "hello" });
  });

  it("pass without checksums, in another region's name, and with a session token", async () => {
    expect((await put({}, { requestChecksumCalculation: "WHEN_REQUIRED" })).checksum).toBeUndefined();
    expect((await put({}, { region: "us-east-1" })).user).toBe("sandra");
    const credentials = { accessKeyId: temporary.id, secretAccessKey: temporary.secret, sessionToken: "the/token==" };
    expect((await put({}, { credentials })).user).toBe("tom");
  });

  it.each<[string, S3ClientConfig, string, number]>([
    ["a wrong secret", { credentials: { ...own, secretAccessKey: "x" } }, "SignatureDoesNotMatch", 403],
    ["an unknown key", { credentials: { ...own, accessKeyId: "AKIDNOBODY" } }, "InvalidAccessKeyId", 403],
    ["a token that it should not have", { credentials: { ...own, sessionToken: "t" } }, "InvalidToken", 400],
    [
      "no token",
      { credentials: { accessKeyId: temporary.id, secretAccessKey: temporary.secret } },
      "InvalidToken",
      400,
    ],
    [
      "an expired token",
      { credentials: { accessKeyId: expired.id, secretAccessKey: expired.secret, sessionToken: "the/token==" } },
      "ExpiredToken",
      400,
    ],
    ["another region", { region: "eu-west-9" }, "AuthorizationHeaderMalformed", 400],
    ["a clock that is wrong", { systemClockOffset: -16 * 60_000 }, "RequestTimeTooSkewed", 403],
  ])("are refused with %s", async (_title, config, code, status) => {
    await expect(put({}, config)).rejects.toMatchObject({ name: code, $metadata: { httpStatusCode: status } });
  });

  it("are refused with a wrong digest", async () => {
    await expect(put({ ContentMD5: Buffer.alloc(16).toString("base64") })).rejects.toMatchObject({ name: "BadDigest" });
    await expect(put({ ContentMD5: "abc" })).rejects.toMatchObject({ name: "InvalidDigest" });
    await expect(put({ ChecksumSHA256: Buffer.alloc(32).toString("base64") })).rejects.toMatchObject({
      name: "BadDigest",
    });
    await expect(put({ ChecksumCRC32: "AA" })).rejects.toMatchObject({ name: "BadDigest" });
  });
});

describe("addresses presigned by Amazon's client", () => {
  type Signer = {
    presign(
      request: object,
      options: object,
    ): Promise<{ path: string; query: Record<string, string>; headers: Record<string, string> }>;
  };
  interface Wish {
    readonly method?: string;
    readonly query?: Record<string, string>;
    readonly headers?: Record<string, string>;
    readonly hoisted?: Record<string, string>;
    readonly expiresIn?: number;
    readonly credentials?: Credentials;
    readonly signingDate?: Date;
    readonly path?: string;
  }
  async function presign(wish: Wish = {}): Promise<string> {
    const { s3 } = client({ credentials: wish.credentials ?? own });
    const signer = (await s3.config.signer()) as unknown as Signer;
    const { headers = {}, hoisted = {}, query = {}, method = "PUT", path = "/bucket/a%20key%2Bmore" } = wish;
    const signed = await signer.presign(
      {
        method,
        protocol: "http:",
        hostname: "127.0.0.1",
        port: server.port,
        path,
        query,
        headers: {
          host: `127.0.0.1:${server.port}`,
          "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD",
          ...hoisted,
          ...headers,
        },
        clone() {
          return { ...this };
        },
      },
      {
        expiresIn: wish.expiresIn ?? 60,
        unhoistableHeaders: new Set(Object.keys(headers)),
        ...(wish.signingDate === undefined ? {} : { signingDate: wish.signingDate }),
      },
    );
    const parameters = Object.entries(signed.query).map((pair) => pair.map(encodeURIComponent).join("="));
    return `${server.endpoint}${signed.path}?${parameters.join("&")}`;
  }
  const call = async (url: string, init: RequestInit = {}): Promise<string> =>
    await (await fetch(url, { method: "PUT", body: "hello", ...init })).text();

  it("pass, with whatever body comes", async () => {
    expect(JSON.parse(await call(await presign()))).toMatchObject({ user: "sandra", body: "hello", sizeBytes: 5 });
    expect(JSON.parse(await call(await presign({ query: { versionId: "x y", "list-type": "" } })))).toMatchObject({
      user: "sandra",
    });
    const credentials = { accessKeyId: temporary.id, secretAccessKey: temporary.secret, sessionToken: "the/token==" };
    expect(JSON.parse(await call(await presign({ credentials })))).toMatchObject({ user: "tom" });
  });

  it("pass with headers in the query, which count as headers then", async () => {
    const url = await presign({ hoisted: { "x-amz-acl": "public-read" } });
    expect(url).toContain("x-amz-acl=public-read");
    expect(JSON.parse(await call(url))).toMatchObject({ user: "sandra", acl: "public-read" });
    expect(await call(url.replace("public-read", "private"))).toContain("SignatureDoesNotMatch");
  });

  it("pass with the hash of the body in a header, and then hold the body to it", async () => {
    const sha256 = createHash("sha256").update("hello").digest("hex");
    for (const headers of [{ "x-amz-content-sha256": sha256 }, { "x-amz-content-sha256": "UNSIGNED-PAYLOAD" }]) {
      expect(JSON.parse(await call(await presign(), { headers }))).toMatchObject({ user: "sandra" });
    }
    const headers = { "x-amz-content-sha256": sha256 };
    expect(await call(await presign(), { headers, body: "other" })).toContain("XAmzContentSHA256Mismatch");
  });

  it("are refused when they are not what was signed", async () => {
    const url = await presign({ headers: { "x-amz-acl": "private" } });
    expect(JSON.parse(await call(url, { headers: { "x-amz-acl": "private" } }))).toMatchObject({ user: "sandra" });
    expect(await call(url, { headers: { "x-amz-acl": "public-read" } })).toContain("SignatureDoesNotMatch");
    expect(await call(url)).toContain("SignatureDoesNotMatch");
    expect(await call(await presign(), { headers: { "x-amz-acl": "private" } })).toMatch(/AccessDenied.*not signed/);
    const plain = await presign();
    expect(await call(`${plain}&versionId=1`)).toContain("SignatureDoesNotMatch");
    expect(await call(plain, { method: "DELETE" })).toContain("SignatureDoesNotMatch");
    expect(await call(plain, { headers: { authorization: "AWS4-HMAC-SHA256 Credential=x" } })).toContain(
      "Only one auth mechanism",
    );
  });

  it.each<[string, Wish, (url: string) => string, RegExp]>([
    ["that expired", { signingDate: new Date(Date.now() - 61_000) }, (url) => url, /AccessDenied.*Request has expired/],
    ["of the future", { signingDate: new Date(Date.now() + 16 * 60_000) }, (url) => url, /AccessDenied.*not yet valid/],
    [
      "for eight days",
      {},
      (url) => url.replace("Expires=60", "Expires=691200"),
      /AuthorizationQueryParametersError.*less than a week/,
    ],
    [
      "for no time",
      {},
      (url) => url.replace("Expires=60", "Expires=0"),
      /AuthorizationQueryParametersError.*one second/,
    ],
    [
      "for some time",
      {},
      (url) => url.replace("Expires=60", "Expires=1e3"),
      /AuthorizationQueryParametersError.*number/,
    ],
    [
      "without an expiry",
      {},
      (url) => url.replace("X-Amz-Expires=60&", ""),
      /AuthorizationQueryParametersError.*requires/,
    ],
    [
      "without a signature",
      {},
      (url) => url.replace(/&?X-Amz-Signature=\w+/, ""),
      /AuthorizationQueryParametersError.*requires/,
    ],
    [
      "with half a signature",
      {},
      (url) => url.replace(/(Signature=\w{32})\w{32}/, "$1"),
      /AuthorizationQueryParametersError.*64 hex/,
    ],
    [
      "of another algorithm",
      {},
      (url) => url.replace("AWS4-HMAC-SHA256", "AWS4-HMAC-MD5"),
      /AuthorizationQueryParametersError.*only supports/,
    ],
    [
      "of another day",
      {},
      (url) => url.replace(/%2F\d{8}%2F/, "%2F20200101%2F"),
      /AuthorizationQueryParametersError.*credential date/,
    ],
    [
      "of another service",
      {},
      (url) => url.replace("%2Fs3%2F", "%2Fec2%2F"),
      /AuthorizationQueryParametersError.*incorrect service/,
    ],
    [
      "of another region",
      {},
      (url) => url.replace("eu-test-1", "eu-test-2"),
      /AuthorizationQueryParametersError.*expecting 'eu-test-1'/,
    ],
    [
      "with an odd date",
      {},
      (url) => url.replace(/Date=\d{8}T/, "Date=20261399T"),
      /AuthorizationQueryParametersError.*ISO8601/,
    ],
    [
      "without the host",
      {},
      (url) => url.replace("SignedHeaders=host", "SignedHeaders=range"),
      /AuthorizationQueryParametersError.*host/,
    ],
  ])("%s are refused", async (_title, wish, change, message) => {
    expect(await call(change(await presign(wish)))).toMatch(message);
  });
});
