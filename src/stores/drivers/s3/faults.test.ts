import { createHash } from "node:crypto";
import type { ServerResponse } from "node:http";
import { describe, expect, it, onTestFinished } from "vitest";
import { backgroundCtx } from "../../../core/context.ts";
import { GfsError } from "../../../core/errors.ts";
import { systemClock } from "../../../core/ports/clock.ts";
import type { Store } from "../../store.ts";
import { createS3Store } from "./index.ts";
import { type Answer, endpoint, fail, LATE, object, type Received, storeAt } from "./testing/endpoint.ts";

const ctx = backgroundCtx();

async function put(store: Store, body: Uint8Array, conditions?: { ifNoneMatch: "*" }) {
  const staged = await store.stage(ctx, "k");
  await staged.write(body);
  await staged.seal();
  return staged.commit(ctx, conditions);
}

describe("an S3 endpoint in trouble", () => {
  it.each([
    [503, "SlowDown", { code: "Overloaded", retry: "safe", retryAfterMs: 7_000 }],
    [500, "InternalError", { code: "Unavailable", retry: "safe" }],
    [403, "AccessDenied", { code: "PermissionDenied", retry: "never" }],
    [403, "SignatureDoesNotMatch", { code: "Unauthenticated" }],
    [404, "NoSuchKey", { code: "NotFound" }],
    [404, "NoSuchBucket", { code: "ConfigInvalid" }],
    [400, "XAmzContentSHA256Mismatch", { code: "ChecksumMismatch" }],
    [409, "OperationAborted", { code: "Conflict", retry: "safe" }],
    [403, "InvalidObjectState", { code: "Unavailable", retry: "never" }],
  ])("that answers %i %s is told apart", async (status, code, expected) => {
    const { store } = await storeAt((_request, response) => fail(response, status, code, { "retry-after": "7" }));
    await expect(store.get(ctx, "k")).rejects.toMatchObject(expected);
  });

  it("may answer in a proxy's HTML", async () => {
    const { store } = await storeAt((_request, response) => {
      response.writeHead(502, { "content-type": "text/html" });
      response.end("<html><body><br>Bad Gateway</html>");
    });
    await expect(store.get(ctx, "k")).rejects.toMatchObject({ code: "Unavailable", retry: "safe" });
  });

  it("that breaks off in the middle of a body is noticed, before anyone takes the beginning for the whole", async () => {
    const { store } = await storeAt((_request, response) => {
      response.writeHead(200, { "content-length": "1000", etag: '"e"' });
      response.write("beginning", () => response.destroy());
    });
    const body = await store.get(ctx, "k");
    const reading = (async () => {
      for await (const chunk of body.stream) expect(chunk.byteLength).toBeGreaterThan(0);
    })();
    await expect(reading).rejects.toMatchObject({ code: "Unavailable", retry: "safe" });
  });

  it("that ignores ranges is not believed to have sent one", async () => {
    const { store } = await storeAt((_request, response) => object(response, "the whole object"));
    await expect(store.get(ctx, "k", { range: { start: 4, end: 9 } })).rejects.toMatchObject({ code: "Unsupported" });
  });

  it("that can not be reached is unavailable", async () => {
    const store = createS3Store({ bucket: "bucket", endpoint: "http://127.0.0.1:1", credentials: "anonymous" });
    await expect(store.check(ctx)).rejects.toMatchObject({ code: "Unavailable", retry: "safe" });
    await store.close();
  });
});

describe("an S3 endpoint that corrects us", () => {
  it("about the region is followed, and asked there from then on", async () => {
    const { store, seen } = await storeAt((request, response) => {
      if (request.headers.authorization?.includes("/eu-central-1/s3/") === true) object(response, "found");
      else fail(response, 301, "PermanentRedirect", { "x-amz-bucket-region": "eu-central-1" });
    });
    expect((await store.head(ctx, "k")).sizeBytes).toBe(5);
    expect((await store.head(ctx, "k")).sizeBytes).toBe(5);
    expect(seen).toHaveLength(3);
  });

  it("about the region in circles is given up", async () => {
    let turn = 0;
    const { store, seen } = await storeAt((_request, response) => {
      turn += 1;
      fail(response, 301, "PermanentRedirect", { "x-amz-bucket-region": `region-${turn % 2}` });
    });
    await expect(store.get(ctx, "k")).rejects.toMatchObject({ code: "ConfigInvalid" });
    expect(seen.length).toBeLessThan(6);
  });

  it("about the time is believed", async () => {
    const { store, seen } = await storeAt((request, response) => {
      if (String(request.headers["x-amz-date"]).startsWith("20130524")) object(response, "found");
      else if (request.method === "HEAD") {
        // An answer to HEAD has no body that would name the reason.
        response.writeHead(403, { date: LATE.toUTCString() });
        response.end();
      } else fail(response, 403, "RequestTimeTooSkewed", { date: LATE.toUTCString() });
    });
    expect((await store.head(ctx, "k")).sizeBytes).toBe(5);
    const body = await store.get(ctx, "k");
    body.cancel();
    expect(body.info.sizeBytes).toBe(5);
    expect(seen.at(-1)?.headers["x-amz-date"]).toMatch(/^20130524/);
  });
});

describe("a write whose answer is lost", () => {
  it("is sent again, and not taken for someone else's when it had worked", async () => {
    let stored: Received | undefined;
    const { store } = await storeAt((request, response) => {
      if (request.method === "HEAD") {
        object(response, "", {
          etag: `"${createHash("md5")
            .update(stored?.body ?? "")
            .digest("hex")}"`,
          "content-length": "4",
          "x-amz-meta-globalfs-sha256": String(stored?.headers["x-amz-meta-globalfs-sha256"]),
        });
      } else if (stored === undefined) {
        stored = request;
        response.destroy();
      } else fail(response, 412, "PreconditionFailed");
    });
    expect(await put(store, Buffer.from("mine"), { ifNoneMatch: "*" })).toMatchObject({ sizeBytes: 4 });
    expect(stored?.body.toString()).toBe("mine");
  });

  it("is refused when someone else's is there", async () => {
    let tries = 0;
    const { store } = await storeAt((request, response) => {
      if (request.method === "HEAD") object(response, "", { "content-length": "4" });
      else if (tries++ === 0) response.destroy();
      else fail(response, 412, "PreconditionFailed");
    });
    await expect(put(store, Buffer.from("mine"), { ifNoneMatch: "*" })).rejects.toMatchObject({
      code: "PreconditionFailed",
    });
  });

  it("in parts is recognised by its entity tag when the upload is gone", async () => {
    let completes = 0;
    const md5 = createHash("md5").update("part").digest();
    const whole = `${createHash("md5").update(md5).digest("hex")}-1`;
    const { store } = await storeAt((request, response) => {
      if (request.method === "HEAD") object(response, "", { etag: `"${whole}"`, "content-length": "4" });
      else if (completes++ === 0) response.destroy();
      else fail(response, 404, "NoSuchUpload");
    });
    const upload = { key: "k", uploadId: "u" };
    const parts = [{ partNumber: 1, sizeBytes: 4, etag: md5.toString("hex") }];
    expect(await store.completeMultipart(ctx, upload, parts)).toMatchObject({ etag: whole });
    expect(completes).toBe(2);
  });
});

describe("an upload in parts", () => {
  const PART = 5 * 1024 * 1024;

  function uploadServer(
    onPart: (part: number, tries: number, response: ServerResponse) => boolean,
    complete: (response: ServerResponse) => void,
  ): Answer {
    const tries = new Map<number, number>();
    return (request, response) => {
      const url = new URL(request.url, "http://x");
      if (request.method === "POST" && url.searchParams.has("uploads")) {
        response.end("<R><UploadId>u</UploadId></R>");
      } else if (request.method === "PUT") {
        const part = Number(url.searchParams.get("partNumber"));
        tries.set(part, (tries.get(part) ?? 0) + 1);
        if (!onPart(part, tries.get(part) ?? 0, response)) return;
        response.setHeader("etag", `"${createHash("md5").update(request.body).digest("hex")}"`);
        response.end();
      } else if (request.method === "POST") complete(response);
      else if (request.method === "HEAD") object(response, "", { "content-length": String(PART * 2 + 1) });
      else {
        response.statusCode = 204;
        response.end();
      }
    };
  }

  it("sends a part again that did not arrive", async () => {
    const answer = uploadServer(
      (part, tries, response) => {
        if (part !== 2 || tries > 2) return true;
        fail(response, 503, "SlowDown");
        return false;
      },
      (response) => response.end("<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"),
    );
    const { store, seen } = await storeAt(answer, { partSizeBytes: PART });
    await put(store, Buffer.alloc(PART * 2 + 1));
    expect(seen.filter(({ method }) => method === "PUT")).toHaveLength(5);
  });

  it("is not complete when the answer says success and holds an error", async () => {
    const answer = uploadServer(
      () => true,
      (response) => response.end('  \n<?xml version="1.0"?><Error><Code>InternalError</Code></Error>'),
    );
    const { store } = await storeAt(answer, { partSizeBytes: PART });
    await expect(put(store, Buffer.alloc(PART + 1))).rejects.toMatchObject({ code: "Unavailable" });
  });

  it("fails for good when another write won, since its parts are lost", async () => {
    const answer = uploadServer(
      () => true,
      (response) => fail(response, 409, "ConditionalRequestConflict"),
    );
    const { store } = await storeAt(answer, { partSizeBytes: PART });
    await expect(put(store, Buffer.alloc(PART + 1))).rejects.toMatchObject({ code: "Conflict", retry: "never" });
  });

  it("keeps to its memory: with no budget left, one part after the other", async () => {
    let underWay = 0;
    let most = 0;
    const answer = uploadServer(
      () => true,
      (response) => response.end("<CompleteMultipartUploadResult/>"),
    );
    const { store } = await storeAt(
      (request, response) => {
        const isPart = request.method === "PUT";
        if (isPart) most = Math.max(most, ++underWay);
        setImmediate(() => {
          if (isPart) underWay -= 1;
          answer(request, response);
        });
      },
      { partSizeBytes: PART, uploadBufferBytes: 1 },
    );
    // The budget lends at least to one at a time: the write's own part and that one.
    await put(store, Buffer.alloc(PART * 5));
    expect(most).toBeLessThanOrEqual(2);
  });

  it("leaves nothing when it is given up, whatever is under way", async () => {
    const answer = uploadServer(
      () => true,
      (response) => response.end("<CompleteMultipartUploadResult/>"),
    );
    const { store, seen } = await storeAt(answer, { partSizeBytes: PART });
    const staged = await store.stage(ctx, "k");
    await staged.write(Buffer.alloc(PART * 3));
    await staged.abort();
    await staged.abort();
    expect(seen.filter(({ method }) => method === "DELETE").map(({ url }) => url)).toEqual(["/bucket/k?uploadId=u"]);
  });
});

describe("a request that may be sent again", () => {
  it("is, when its connection broke", async () => {
    let tries = 0;
    const { store } = await storeAt((_request, response) => {
      if (tries++ === 0) response.destroy();
      else response.writeHead(204).end();
    });
    await store.delete(ctx, "k");
    expect(tries).toBe(2);
  });

  it("is not sent for ever", async () => {
    const { store, seen } = await storeAt((_request, response) => fail(response, 500, "InternalError"));
    await expect(store.delete(ctx, "k")).rejects.toMatchObject({ code: "Unavailable" });
    expect(seen).toHaveLength(4);
  });

  it("is not sent at all once the caller has no time left for it", async () => {
    const { store, seen } = await storeAt((_request, response) => fail(response, 500, "InternalError"));
    const deadlineMs = systemClock.monotonicMs() + 10;
    await expect(store.delete({ ...ctx, deadlineMs }, "k")).rejects.toMatchObject({ code: "Unavailable" });
    expect(seen).toHaveLength(1);
  });
});

describe("many deletes", () => {
  it("go one by one where the endpoint knows no request for them", async () => {
    const { store, seen } = await storeAt((request, response) => {
      if (request.method === "POST") fail(response, 501, "NotImplemented");
      else {
        response.statusCode = 204;
        response.end();
      }
    });
    expect(await store.deleteMany(ctx, ["a", "b"])).toEqual([{ key: "a" }, { key: "b" }]);
    await store.deleteMany(ctx, ["c", "d"]);
    expect(seen.filter(({ method }) => method === "POST")).toHaveLength(1);
    expect(seen.filter(({ method }) => method === "DELETE")).toHaveLength(4);
  });

  it("tell which of them failed", async () => {
    const { store } = await storeAt((_request, response) => {
      response.end(
        "<DeleteResult><Error><Key>b</Key><Code>AccessDenied</Code></Error><Error><Key>c</Key><Code>NoSuchKey</Code></Error></DeleteResult>",
      );
    });
    const outcomes = await store.deleteMany(ctx, ["a", "b", "c"]);
    expect(outcomes.map(({ error }) => (error as { code?: string } | undefined)?.code)).toEqual([
      undefined,
      "PermissionDenied",
      undefined,
    ]);
  });
});

describe("addresses", () => {
  it.each([
    [{ bucket: "bkt", region: "eu-west-1" }, "https://bkt.s3.eu-west-1.amazonaws.com/k"],
    [{ bucket: "b.c", region: "eu-west-1" }, "https://s3.eu-west-1.amazonaws.com/b.c/k"],
    [{ bucket: "bkt", region: "cn-north-1" }, "https://bkt.s3.cn-north-1.amazonaws.com.cn/k"],
    [{ bucket: "bkt", endpoint: "https://storage.googleapis.com" }, "https://storage.googleapis.com/bkt/k"],
    [
      { bucket: "bkt", endpoint: "http://localhost:9000/base/", pathStyle: "virtual" as const },
      "http://bkt.localhost:9000/base/k",
    ],
  ])("for %j", async (config, expected) => {
    const store = createS3Store({ ...config, credentials: "anonymous" });
    expect(await store.presign(ctx, "k", { method: "GET", expiresSeconds: 1 })).toBe(expected);
    await store.close();
  });

  it.each([
    [{ bucket: "no/slash" }],
    [{ bucket: "bkt", endpoint: "ftp://x" }],
    [{ bucket: "bkt", partSizeBytes: 1 }],
    [{ bucket: "bkt", endpoint: "https://user:pw@x" }],
  ])("refuse %j", (config) => {
    expect(() => createS3Store(config)).toThrow(expect.objectContaining({ code: "ConfigInvalid" }));
  });
});

describe("uploads in parts in a shared bucket", () => {
  const LONG_AGO = "2013-05-24T00:00:00.000Z";

  it("are swept when this store began them, and left alone when another tool did, however old they are", async () => {
    const open = new Set(["theirs"]);
    let begun = 0;
    const { store } = await storeAt(({ method, url }, response) => {
      const { pathname, searchParams } = new URL(url, "http://endpoint");
      const uploadId = searchParams.get("uploadId");
      const xml = (text: string): void => void response.writeHead(200, { "content-type": "application/xml" }).end(text);
      if (method === "POST" && searchParams.has("uploads")) {
        open.add(`ours-${++begun}`);
        xml(`<InitiateMultipartUploadResult><UploadId>ours-${begun}</UploadId></InitiateMultipartUploadResult>`);
      } else if (method === "DELETE" && uploadId !== null) {
        open.delete(uploadId);
        response.writeHead(204).end();
      } else if (method === "GET" && searchParams.has("uploads")) {
        const listed = [...open].map(
          (id) => `<Upload><Key>k</Key><UploadId>${id}</UploadId><Initiated>${LONG_AGO}</Initiated></Upload>`,
        );
        xml(`<ListMultipartUploadsResult>${listed.join("")}</ListMultipartUploadsResult>`);
      } else fail(response, 404, pathname === "/bucket/k" ? "NoSuchKey" : "NoSuchUpload");
    });
    const one = await store.createMultipart(ctx, "k", { partSizeBytes: 5 * 1024 ** 2 });
    await store.createMultipart(ctx, "k", { partSizeBytes: 5 * 1024 ** 2 });
    expect(open.size).toBe(3);
    expect(await store.sweep(ctx, 0, async (uploadId) => uploadId === one.uploadId)).toBe(1);
    expect([...open]).toEqual(["theirs", one.uploadId]);
    expect(await store.sweep(ctx, 0)).toBe(1);
    expect([...open]).toEqual(["theirs"]);
  });

  it("are not begun where nobody can write that down", async () => {
    const seen: string[] = [];
    const { url } = await endpoint(({ method, url: at }, response) => {
      seen.push(`${method} ${at}`);
      response
        .writeHead(200, { "content-type": "application/xml" })
        .end("<InitiateMultipartUploadResult><UploadId>one</UploadId></InitiateMultipartUploadResult>");
    });
    const full = async (): Promise<never> => await Promise.reject(new GfsError("NoSpace", "The catalog is full."));
    const store = createS3Store(
      { bucket: "bucket", region: "us-east-1", endpoint: url, credentials: { accessKeyId: "a", secretAccessKey: "b" } },
      { uploads: { begun: full, ended: full, isOurs: async () => false, forgetBefore: async () => undefined } },
    );
    onTestFinished(async () => await store.close());
    await expect(store.createMultipart(ctx, "k", {})).rejects.toMatchObject({ code: "NoSpace" });
    expect(seen.map((line) => line.replace(/\?.*/, ""))).toEqual(["POST /bucket/k", "DELETE /bucket/k"]);
  });
});
