import { createHash } from "node:crypto";
import net from "node:net";
import { CreateBucketCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { request as send } from "undici";
import type { KnownAccessKey } from "../../../coordinator/service/access-keys.ts";
import { talkTo } from "../../http/testing/conversation.ts";
import { type S3Rig, startS3Rig } from "../testing/s3-rig.ts";
import { signedHead, signedHeaders } from "../testing/signed.ts";

let s3: S3Rig;
let key: KnownAccessKey;
let host: string;

beforeAll(async () => {
  s3 = await startS3Rig({ config: { domains: ["s3.test"] } });
  host = `127.0.0.1:${s3.port}`;
  key = await s3.key("alice");
  await s3.client.send(new CreateBucketCommand({ Bucket: "wire" }));
  await s3.client.send(new PutObjectCommand({ Bucket: "wire", Key: "hello", Body: "hello" }));
});
afterAll(async () => {
  await s3.stop();
});

interface Got {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: string;
}

async function call(
  method: string,
  target: string,
  options: { headers?: Record<string, string>; body?: string | Buffer; unsigned?: boolean } = {},
): Promise<Got> {
  const headers =
    options.unsigned === true
      ? (options.headers ?? {})
      : signedHeaders({
          method,
          target,
          host,
          key,
          ...(options.headers === undefined ? {} : { headers: options.headers }),
        });
  const answer = await send(`${s3.url}${target}`, {
    method: method as "GET",
    headers,
    ...(options.body === undefined ? {} : { body: options.body }),
  });
  return { status: answer.statusCode, headers: answer.headers, body: await answer.body.text() };
}

const codeOf = ({ body }: Got): string | undefined => /<Code>([^<]+)<\/Code>/.exec(body)?.[1];

describe("an error", () => {
  it.each([
    ["GET", "/wire/none", 404, "NoSuchKey"],
    ["GET", "/nowhere/none", 404, "NoSuchBucket"],
    ["GET", "/nowhere", 404, "NoSuchBucket"],
    ["DELETE", "/nowhere", 404, "NoSuchBucket"],
    ["DELETE", "/wire", 409, "BucketNotEmpty"],
    ["GET", "/wire/x?uploadId=none", 404, "NoSuchUpload"],
    ["GET", "/%01/x", 400, "InvalidBucketName"],
    ["GET", "/wire/%ff", 400, "InvalidURI"],
    ["GET", "/wire?list-type=3", 400, "InvalidArgument"],
    ["GET", "/wire?max-keys=many", 400, "InvalidArgument"],
    ["GET", "/wire/hello?partNumber=0", 400, "InvalidArgument"],
    ["GET", "/wire/hello?attributes", 400, "InvalidRequest"],
    ["PUT", "/Wrong_Name", 400, "InvalidBucketName"],
    ["PUT", "/192.168.0.1", 400, "InvalidBucketName"],
    ["PUT", "/ab", 400, "InvalidBucketName"],
    ["PATCH", "/wire/hello", 405, "MethodNotAllowed"],
    ["POST", "/", 405, "MethodNotAllowed"],
  ])("of %s %s is %i %s, with a sentence and both ids", async (method, target, status, code) => {
    const got = await call(method, target);
    expect([got.status, codeOf(got)]).toEqual([status, code]);
    expect(got.headers["content-type"]).toBe("application/xml");
    expect(/<Message>([^<]+)<\/Message>/.exec(got.body)?.[1]).toBeTruthy();
    expect(got.body).toContain(`<RequestId>${got.headers["x-amz-request-id"] as string}</RequestId>`);
    expect(got.body).toContain(`<HostId>${got.headers["x-amz-id-2"] as string}</HostId>`);
    expect(got.body).toContain("<Resource>/");
    expect(got.headers).toMatchObject({ server: "GlobalFS", date: expect.any(String) });
  });

  it("names the bucket and the key", async () => {
    expect((await call("GET", "/nowhere/x")).body).toContain("<BucketName>nowhere</BucketName>");
    expect((await call("GET", "/wire/a%20%3Cb%3E")).body).toContain("<Key>a &#60;b&#62;</Key>");
    const range = await call("GET", "/wire/hello", { headers: { range: "bytes=50-" } });
    expect(range.body).toContain("<ActualObjectSize>5</ActualObjectSize>");
    expect(range.headers["content-range"]).toBe("bytes */5");
  });

  it("of a HEAD has no body", async () => {
    const got = await call("HEAD", "/wire/none");
    expect([got.status, got.body]).toEqual([404, ""]);
    expect(got.headers["x-amz-request-id"]).toBeTruthy();
  });

  it("keeps strangers out, and tells them nothing", async () => {
    for (const target of ["/", "/wire", "/wire/hello", "/wire/none", "/wire?acl"]) {
      const got = await call("GET", target, { unsigned: true });
      expect([got.status, codeOf(got)]).toEqual([403, "AccessDenied"]);
    }
    const forged = await call("GET", "/wire/hello", {
      unsigned: true,
      headers: signedHeaders({ method: "GET", target: "/wire/hello", host, key: { ...key, secret: "guessed" } }),
    });
    expect([forged.status, codeOf(forged)]).toEqual([403, "SignatureDoesNotMatch"]);
    expect(forged.body).not.toContain(key.secret);
  });
});

describe("a sub-resource that is not here", () => {
  it.each([
    ["PUT", "/wire/hello?torrent"],
    ["GET", "/wire/hello?torrent"],
    ["POST", "/wire/hello?select&select-type=2"],
    ["PUT", "/wire/hello?append"],
    ["PUT", "/wire/hello?somethingnew"],
    ["PUT", "/wire/hello?somethingnew=1"],
    ["DELETE", "/wire/hello?somethingnew"],
    ["GET", "/wire/hello?somethingnew"],
    ["PUT", "/wire/hello?uploadId=x"],
    ["PUT", "/wire/hello?partNumber=1"],
    ["PUT", "/wire?metadataTable"],
    ["GET", "/wire?session"],
  ])("is never mistaken for the request without it: %s %s", async (method, target) => {
    const got = await call(method, target, method === "PUT" ? { body: "overwritten" } : {});
    expect([got.status, codeOf(got)]).toEqual([501, "NotImplemented"]);
    expect((await call("GET", "/wire/hello")).body).toBe("hello");
  });

  it("does not go with another one", async () => {
    expect(codeOf(await call("GET", "/wire/hello?acl&tagging"))).toBe("InvalidArgument");
  });

  it("is told from parameters of somebody else's, which a read may carry", async () => {
    expect((await call("GET", "/wire/hello?utm_source=mail")).body).toBe("hello");
  });
});

describe("documents", () => {
  it.each([
    ["a document type", '<!DOCTYPE a [<!ENTITY b "c">]><Delete><Object><Key>&b;</Key></Object></Delete>'],
    ["an unknown entity", "<Delete><Object><Key>&lol;</Key></Object></Delete>"],
    ["deep nesting", "<Delete>".repeat(50) + "</Delete>".repeat(50)],
    ["another root", "<Remove/>"],
    ["no end", "<Delete><Object>"],
    ["nothing", ""],
    ["no keys", "<Delete></Delete>"],
  ])("with %s are malformed", async (_what, body) => {
    const headers = { "content-md5": (await import("node:crypto")).createHash("md5").update(body).digest("base64") };
    const got = await call("POST", "/wire?delete", { body, headers });
    expect([got.status, codeOf(got)]).toEqual([400, "MalformedXML"]);
  });

  it("that are too long are refused without being read to their end", async () => {
    const got = await s3.raw(
      `${signedHead({ method: "POST", target: "/wire?delete", host, key, headers: { "content-md5": "1B2M2Y8AsgTpgAmY7PhCfg==" } }, { "content-length": "900000000" })}<Delete>`,
      /<\/Error>/,
    );
    expect(got).toMatch(/^HTTP\/1\.1 400 [^]*MaxMessageLengthExceeded/);
  });

  it("that delete must say what they weigh", async () => {
    const got = await call("POST", "/wire?delete", { body: "<Delete><Object><Key>hello</Key></Object></Delete>" });
    expect([got.status, codeOf(got)]).toEqual([400, "InvalidRequest"]);
    expect((await call("GET", "/wire/hello")).body).toBe("hello");
  });
});

describe("addresses", () => {
  it("may have the bucket in the host", async () => {
    const virtual = `wire.s3.test:${s3.port}`;
    const got = await s3.raw(
      signedHead({ method: "GET", target: "/hello", host: virtual, key }, { connection: "close" }),
    );
    expect(got).toMatch(/^HTTP\/1\.1 200 [^]*hello$/);
    const listed = await s3.raw(
      signedHead({ method: "GET", target: "/?list-type=2", host: virtual, key }, { connection: "close" }),
    );
    expect(listed).toContain("<Key>hello</Key>");
  });

  it("of the domain itself are in path style", async () => {
    const got = await s3.raw(
      signedHead({ method: "GET", target: "/wire/hello", host: "s3.test", key }, { connection: "close" }),
    );
    expect(got).toMatch(/hello$/);
  });
});

describe("a connection", () => {
  it("carries requests one behind the other, answered in their order", async () => {
    const one = signedHead({ method: "GET", target: "/wire/hello", host, key });
    const two = signedHead({ method: "GET", target: "/wire/none", host, key });
    const last = signedHead({ method: "GET", target: "/wire/hello", host, key }, { connection: "close" });
    const got = await s3.raw(one + two + last);
    expect(Array.from(got.matchAll(/HTTP\/1\.1 (\d+)/g), ([, status]) => status)).toEqual(["200", "404", "200"]);
  });

  it("is told to go on only when the request may", async () => {
    const put = (target: string, secret = key.secret): string =>
      signedHead(
        { method: "PUT", target, host, key: { ...key, secret } },
        { expect: "100-continue", "content-length": "4" },
      );
    const refused = await s3.raw(put("/wire/continued", "wrong"), /<\/Error>/);
    expect(refused).toMatch(/^HTTP\/1\.1 403 /);
    const unknown = await s3.raw(put("/nowhere/continued"), /<\/Error>/);
    expect(unknown).toMatch(/^HTTP\/1\.1 404 /);
    const taken = await new Promise<string>((resolve) => {
      let received = "";
      const socket = net.connect(s3.port, "127.0.0.1", () => socket.write(put("/wire/continued")));
      socket.on("data", (chunk: Buffer) => {
        received += chunk.toString();
        if (received.endsWith("HTTP/1.1 100 Continue\r\n\r\n")) socket.write("body");
        if (received.includes("HTTP/1.1 200 OK")) socket.destroy();
      });
      socket.on("close", () => resolve(received));
    });
    expect(taken).toMatch(/100 Continue[^]*200 OK/);
    expect((await call("GET", "/wire/continued")).body).toBe("body");
  });

  it("whose client sent all it had to say is still answered", async () => {
    const got = await new Promise<string>((resolve) => {
      let received = "";
      const socket = net.connect({ port: s3.port, host: "127.0.0.1", allowHalfOpen: true }, () =>
        socket.end(signedHead({ method: "GET", target: "/wire/hello", host, key })),
      );
      socket.on("data", (chunk: Buffer) => (received += chunk.toString()));
      socket.on("end", () => socket.destroy());
      socket.on("close", () => resolve(received));
    });
    expect(got).toMatch(/^HTTP\/1\.1 200 [^]*hello$/);
  });

  it("that ends within a body leaves no object", async () => {
    await s3.raw(
      `${signedHead({ method: "PUT", target: "/wire/half", host, key }, { "content-length": "100" })}half`,
      /./,
    );
    expect((await call("GET", "/wire/half")).status).toBe(404);
  });

  it("whose body stands still is given up", async () => {
    const got = await s3.raw(
      `${signedHead({ method: "PUT", target: "/wire/idle", host, key }, { "content-length": "100" })}idle`,
    );
    expect(got === "" || got.startsWith("HTTP/1.1 400 ")).toBe(true);
    expect((await call("GET", "/wire/idle")).status).toBe(404);
  });

  it("that speaks no HTTP is told so, and headers have a limit", async () => {
    expect(await s3.raw("nonsense\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 [^]*<Code>InvalidRequest<\/Code>/);
    expect(await s3.raw(`GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${"x".repeat(40_000)}\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 431 /,
    );
  });

  it("whose body is longer than it said is told of its request, and then ends", async () => {
    const put = (md5: string): string =>
      signedHead(
        { method: "PUT", target: "/wire/short", host, key, headers: { "content-md5": md5 } },
        { "content-length": "2" },
      );
    const digest = (text: string): string => createHash("md5").update(text).digest("base64");
    const refused = await s3.raw(`${put(digest("bar"))}bar`);
    expect(refused).toMatch(/^HTTP\/1\.1 400 [^]*Connection: close[^]*<Code>BadDigest<\/Code>/);
    expect((await call("GET", "/wire/short")).status).toBe(404);
    const taken = await s3.raw(`${put(digest("ba"))}bar`);
    expect(taken).toMatch(/^HTTP\/1\.1 200 [^]*Connection: close/);
    expect(taken.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect((await call("GET", "/wire/short")).body).toBe("ba");
  });

  it("goes on after an answer that came before the body was sent", async () => {
    const body = "x".repeat(100_000);
    const refused = signedHead(
      { method: "PUT", target: "/nowhere/early", host, key },
      { "content-length": String(body.length) },
    );
    const next = signedHead({ method: "GET", target: "/wire/hello", host, key }, { connection: "close" });
    const got = await s3.raw(refused + body + next);
    expect(Array.from(got.matchAll(/HTTP\/1\.1 (\d+)/g), ([, status]) => status)).toEqual(["404", "200"]);
  });
});

describe("a busy endpoint", () => {
  it("asks to slow down, and counts what it does", async () => {
    const busy = await startS3Rig({ config: { maxConcurrentRequests: 1 } });
    try {
      const mine = await busy.key("bob");
      const busyHost = `127.0.0.1:${busy.port}`;
      await busy.clientOf(mine).send(new CreateBucketCommand({ Bucket: "busy" }));
      const holder = net.connect(busy.port, "127.0.0.1");
      holder.write(
        signedHead({ method: "PUT", target: "/busy/x", host: busyHost, key: mine }, { "content-length": "10" }),
      );
      const ask = async (): Promise<string> =>
        await busy.raw(signedHead({ method: "GET", target: "/", host: busyHost, key: mine }), /<\/Error>|Result>/);
      await expect.poll(ask).toMatch(/^HTTP\/1\.1 503 [^]*Retry-After: 1[^]*<Code>SlowDown<\/Code>/);
      holder.destroy();
      await expect.poll(ask).toMatch(/^HTTP\/1\.1 200 /);
      const metrics = await busy.metrics();
      expect(metrics).toMatch(/globalfs_s3_requests_total\{operation="CreateBucket",status="200"\} 1/);
      expect(metrics).toMatch(/globalfs_s3_requests_total\{operation="PutObject",status="499"\} 1/);
      expect(metrics).toMatch(/globalfs_s3_request_duration_seconds_count\{operation="ListBuckets"\}/);
      expect(metrics).toMatch(/globalfs_s3_sent_bytes_total [1-9]/);
      expect(metrics).toMatch(/globalfs_s3_received_bytes_total [1-9]/);
    } finally {
      await busy.stop();
    }
  });

  it("cuts off who never ends the headers, and takes only so many connections", async () => {
    const small = await startS3Rig({ config: { headersTimeoutMs: 300, maxConnections: 2 } });
    try {
      const slow = await small.raw("GET / HTTP/1.1\r\nHost: x\r\nX-Slow");
      expect(slow).toMatch(/^HTTP\/1\.1 408 /);
      const key = await small.key("alice");
      const list = signedHead({ method: "GET", target: "/", host: `127.0.0.1:${small.port}`, key });
      const known = [talkTo(small.port, list), talkTo(small.port, list)];
      await Promise.all(known.map(async ({ heard }) => await heard(/ListAllMyBucketsResult>$/)));
      expect(await small.raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n")).toBe("");
      for (const { socket } of known) socket.destroy();
      // Who has not proved anything makes room.
      const idle = Array.from({ length: 3 }, () => talkTo(small.port, "GET /"));
      await (idle[0] as (typeof idle)[0]).ended;
      const late = talkTo(small.port, list);
      await late.heard(/ListAllMyBucketsResult>$/);
      for (const { socket } of [...idle, late]) socket.destroy();
    } finally {
      await small.stop();
    }
  });
});
