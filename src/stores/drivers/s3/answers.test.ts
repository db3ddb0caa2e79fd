import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { backgroundCtx } from "../../../core/context.ts";
import { GfsError } from "../../../core/errors.ts";
import type { PartBody, Store } from "../../store.ts";
import { fromTransport } from "./failures.ts";
import { type Answer, fail, object, storeAt } from "./testing/endpoint.ts";

const ctx = backgroundCtx();
const GIB = 1024 ** 3;

function part(text: string): PartBody {
  return {
    sizeBytes: Buffer.byteLength(text),
    async *open() {
      yield Buffer.from(text);
    },
  };
}

describe("a copy with conditions, or of a large object", () => {
  interface Copied {
    readonly ranges: string[];
    readonly ended: string[];
    readonly headers: Record<string, unknown>[];
  }

  /** A bucket with one source, which copies parts of it and then has the whole. */
  function copying(
    sizeBytes: number,
    onPart?: (part: number) => string | undefined,
  ): { answer: Answer; copied: Copied } {
    const copied: Copied = { ranges: [], ended: [], headers: [] };
    const answer: Answer = ({ method, url, headers }, response) => {
      const { searchParams } = new URL(url, "http://x");
      if (method === "HEAD") {
        object(response, "", {
          etag: '"source"',
          "content-length": String(sizeBytes),
          "content-type": "text/plain",
          "x-amz-meta-globalfs-sha256": "a".repeat(64),
        });
      } else if (method === "POST" && searchParams.has("uploads")) {
        copied.headers.push(headers);
        response.end("<R><UploadId>u</UploadId></R>");
      } else if (method === "PUT") {
        const number = Number(searchParams.get("partNumber"));
        copied.headers.push(headers);
        copied.ranges[number] = String(headers["x-amz-copy-source-range"]);
        const code = onPart?.(number);
        response.end(
          code === undefined
            ? `<CopyPartResult><ETag>"part${number}"</ETag></CopyPartResult>`
            : `<Error><Code>${code}</Code></Error>`,
        );
      } else {
        copied.ended.push(method);
        if (method === "DELETE") response.writeHead(204).end();
        else response.end("<CompleteMultipartUploadResult/>");
      }
    };
    return { answer, copied };
  }

  const digestOf = (text: string): string => createHash("sha256").update(text).digest("hex");

  /** A bucket with one small source, which takes what is written. */
  async function carrying(body: string, sha256?: string) {
    return await storeAt(({ method }, response) => {
      if (method === "PUT") return void response.writeHead(200, { etag: '"e"' }).end();
      const headers = sha256 === undefined ? {} : { "x-amz-meta-globalfs-sha256": sha256 };
      const length = String(Buffer.byteLength(body));
      const whole = { etag: '"source"', "content-length": length, "content-type": "text/plain", ...headers };
      object(response, method === "HEAD" ? "" : body, whole);
    });
  }

  it("is made of parts that the endpoint copies, in their order and to the last byte", async () => {
    const { answer, copied } = copying(1.5 * GIB + 1);
    const { store, seen } = await storeAt(answer);
    const info = await store.copy(ctx, "from", "to", { ifNoneMatch: "*" });
    expect(info.key).toBe("to");
    expect(copied.ranges.slice(1)).toEqual([
      `bytes=0-${0.5 * GIB - 1}`,
      `bytes=${0.5 * GIB}-${GIB - 1}`,
      `bytes=${GIB}-${1.5 * GIB - 1}`,
      `bytes=${1.5 * GIB}-${1.5 * GIB}`,
    ]);
    const complete = seen.find(({ method, url }) => method === "POST" && url.includes("uploadId"));
    expect(complete?.headers["if-none-match"]).toBe("*");
    expect([...String(complete?.body).matchAll(/part\d/g)].map(([etag]) => etag)).toEqual([
      "part1",
      "part2",
      "part3",
      "part4",
    ]);
    expect(copied.headers[0]).toMatchObject({
      "content-type": "text/plain",
      "x-amz-meta-globalfs-sha256": "a".repeat(64),
    });
    for (const headers of copied.headers.slice(1)) {
      expect(headers).toMatchObject({
        "x-amz-copy-source": "/bucket/from",
        "x-amz-copy-source-if-match": '"source"',
      });
    }
    expect(copied.ended).toEqual(["POST"]);
  });

  it("needs no condition when one request may not move so much", async () => {
    const { answer, copied } = copying(5 * GIB + 1);
    const { store } = await storeAt(answer);
    await store.copy(ctx, "from", "to");
    expect([copied.ranges.length - 1, copied.ranges.at(-1)]).toEqual([11, `bytes=${5 * GIB}-${5 * GIB}`]);
    const small = copying(5 * GIB);
    await (await storeAt(small.answer)).store.copy(ctx, "from", "to");
    expect([small.copied.ranges.length, small.copied.ended]).toEqual([1, []]);
  });

  it("of more than 10,000 such parts has larger ones", async () => {
    const { answer, copied } = copying(10_000 * 512 * 1024 ** 2 + 1);
    const { store } = await storeAt(answer);
    // Only how it begins is looked at.
    const failing: Answer = (request, response) =>
      request.method === "PUT" ? fail(response, 403, "AccessDenied") : answer(request, response);
    const refused = await storeAt(failing);
    await expect(refused.store.copy(ctx, "from", "to")).rejects.toMatchObject({ code: "PermissionDenied" });
    const first = refused.seen.find(({ method, url }) => method === "PUT" && url.includes("partNumber=1&"));
    expect(first?.headers["x-amz-copy-source-range"]).toBe(`bytes=0-${513 * 1024 ** 2 - 1}`);
    expect([copied.ended, store.driver]).toEqual([["DELETE"], "s3"]);
  });

  it("that fails at a part leaves no upload behind, and says what failed", async () => {
    const { answer, copied } = copying(GIB, (number) => (number === 2 ? "AccessDenied" : undefined));
    const { store } = await storeAt(answer);
    await expect(store.copy(ctx, "from", "to", { ifMatch: "x" })).rejects.toMatchObject({ code: "PermissionDenied" });
    expect(copied.ended).toEqual(["DELETE"]);
  });

  it("of an empty object is an empty object that is written anew", async () => {
    const { store, seen } = await carrying("");
    await store.copy(ctx, "from", "to", { ifNoneMatch: "*" });
    expect(seen.map(({ method }) => method)).toEqual(["HEAD", "PUT"]);
    const put = seen.find(({ method }) => method === "PUT");
    expect([put?.body.length, put?.headers["if-none-match"], put?.headers["content-type"]]).toEqual([
      0,
      "*",
      "text/plain",
    ]);
  });

  it("of a small object is read, as it was looked at, and written on the condition, with what is kept beside it", async () => {
    const { store, seen } = await carrying("small", digestOf("small"));
    await store.copy(ctx, "from", "to", { ifMatch: "before", metadata: { path: "to" } });
    expect(seen.map(({ method, url }) => `${method} ${url}`)).toEqual([
      "HEAD /bucket/from",
      "GET /bucket/from",
      "PUT /bucket/to",
    ]);
    const [, get, put] = seen;
    expect(get?.headers["if-match"]).toBe('"source"');
    expect(String(put?.body)).toBe("small");
    expect(put?.headers).toMatchObject({
      "if-match": '"before"',
      "content-type": "text/plain",
      "x-amz-meta-path": "to",
      "x-amz-meta-globalfs-sha256": digestOf("small"),
    });
  });

  it("of a small object whose bytes have rotted is refused", async () => {
    const { store, seen } = await carrying("smell", digestOf("small"));
    await expect(store.copy(ctx, "from", "to", { ifMatch: "before" })).rejects.toMatchObject({ code: "DataCorrupt" });
    expect(seen.map(({ method }) => method)).toEqual(["HEAD", "GET"]);
  });

  it("is not made of a source that is another object by now", async () => {
    const { answer, copied } = copying(10);
    const { store } = await storeAt(answer);
    await expect(store.copy(ctx, "from", "to", { sourceIfMatch: "another" })).rejects.toMatchObject({
      code: "PreconditionFailed",
    });
    expect(copied.headers).toEqual([]);
  });
});

describe("a part that is streamed", () => {
  const md5Of = (text: string): string => createHash("md5").update(text).digest("hex");

  async function streamed(headers: (body: Buffer) => Record<string, string>): Promise<Promise<unknown>> {
    const { store } = await storeAt(
      (request, response) => {
        response.writeHead(200, headers(request.body));
        response.end();
      },
      { uploadBufferBytes: 1 },
    );
    await takeAllRoom(store);
    return store.uploadPart(ctx, { key: "k", uploadId: "u" }, 1, part("bytes")).then(
      ({ etag }) => etag,
      (error: unknown) => (error as { code: string }).code,
    );
  }

  it("is held against the MD5 that the endpoint says it has", async () => {
    const right = md5Of("bytes");
    const wrong = md5Of("others");
    expect(await streamed(() => ({ etag: `"${right}"` }))).toBe(right);
    expect(await streamed(() => ({ etag: `"${wrong}"` }))).toBe("ChecksumMismatch");
    expect(await streamed(() => ({ etag: `"${wrong}"`, "x-amz-server-side-encryption": "AES256" }))).toBe(
      "ChecksumMismatch",
    );
    // With keys of its own the endpoint's tag is no MD5, nor is one of another form.
    expect(await streamed(() => ({ etag: `"${wrong}"`, "x-amz-server-side-encryption": "aws:kms" }))).toBe(wrong);
    expect(await streamed(() => ({ etag: '"opaque"' }))).toBe("opaque");
  });

  it("comes whole, with its length", async () => {
    let received: { readonly body: string; readonly length: unknown } | undefined;
    const { store } = await storeAt(
      (request, response) => {
        received = { body: request.body.toString(), length: request.headers["content-length"] };
        response.writeHead(200, { etag: `"${md5Of(received.body)}"` }).end();
      },
      { uploadBufferBytes: 1 },
    );
    await takeAllRoom(store);
    await store.uploadPart(ctx, { key: "k", uploadId: "u" }, 1, part("bytes"));
    expect(received).toEqual({ body: "bytes", length: "5" });
  });

  it.each([0, 10_001, 1.5])("has no number %d", async (number) => {
    const { store, seen } = await storeAt((_request, response) => response.end());
    await expect(store.uploadPart(ctx, { key: "k", uploadId: "u" }, number, part("x"))).rejects.toMatchObject({
      code: "InvalidArgument",
    });
    expect(seen).toEqual([]);
  });
});

/** A part that waits for its bytes has all the room, so that others are streamed. */
async function takeAllRoom(store: Store): Promise<void> {
  await new Promise<void>((opened) => {
    void store
      .uploadPart(ctx, { key: "large", uploadId: "u" }, 1, {
        sizeBytes: 1,
        async *open() {
          opened();
          await new Promise(() => undefined);
          yield Buffer.from("x");
        },
      })
      .catch(() => undefined);
  });
}

describe("an answer that is none", () => {
  it.each<[string, (store: Store) => Promise<unknown>, string]>([
    ["to the beginning of an upload", (store) => store.createMultipart(ctx, "k", {}), "<R><UploadId></UploadId></R>"],
    ["to a listing", (store) => store.list(ctx, { limit: 1 }), "<Something/>"],
    ["of far too many bytes", (store) => store.list(ctx, { limit: 1 }), "x".repeat(20 * 1024 ** 2)],
  ])("%s is told as the endpoint's failure", async (_what, ask, body) => {
    const { store } = await storeAt((_request, response) => {
      response.writeHead(200, { "content-type": "application/xml" });
      response.end(body);
    });
    await expect(ask(store)).rejects.toMatchObject({ code: "Unavailable" });
  });

  it("of a range or of a length that is not said is not guessed", async () => {
    const answers: Record<string, string>[] = [{}, { "content-range": "bytes 0-1/*" }, { "content-range": "nonsense" }];
    for (const headers of answers) {
      const { store } = await storeAt((_request, response) => {
        response.writeHead(206, { etag: '"e"', ...headers });
        response.end("by");
      });
      await expect(store.get(ctx, "k", { range: { start: 0, end: 2 } })).rejects.toMatchObject({ code: "Unavailable" });
    }
    const { store } = await storeAt((_request, response) => {
      response.writeHead(200, { etag: '"e"', "transfer-encoding": "chunked" });
      response.end("bytes");
    });
    await expect(store.get(ctx, "k")).rejects.toMatchObject({ code: "Unavailable" });
  });

  it("to the end of an upload that is not there any more is told as that", async () => {
    const upload = { key: "k", uploadId: "u" };
    const parts = [{ partNumber: 1, sizeBytes: 5, etag: "0".repeat(32) }];
    const answers = (code: string): Answer => {
      return (request, response) => {
        if (request.method === "HEAD") response.writeHead(404).end();
        else fail(response, 404, code);
      };
    };
    const gone = (await storeAt(answers("NoSuchKey"))).store;
    await expect(gone.completeMultipart(ctx, upload, parts, { ifMatch: "e" })).rejects.toMatchObject({
      code: "PreconditionFailed",
    });
    await expect(gone.completeMultipart(ctx, upload, parts)).rejects.toMatchObject({ code: "NotFound" });
    const ended = (await storeAt(answers("NoSuchUpload"))).store;
    await expect(ended.completeMultipart(ctx, upload, parts, { ifMatch: "e" })).rejects.toMatchObject({
      code: "NotFound",
    });
    // Its tag tells nothing of parts that have no MD5.
    const opaque = (await storeAt(answers("NoSuchUpload"))).store;
    await expect(
      opaque.completeMultipart(ctx, upload, [{ partNumber: 1, sizeBytes: 5, etag: "opaque" }]),
    ).rejects.toMatchObject({ code: "NotFound" });
    await ended.abortMultipart(ctx, upload);
  });
});

describe("a request that never got an answer", () => {
  const signal = new AbortController().signal;
  const thrown = (code: string): Error => Object.assign(new Error("it broke"), { code });

  it.each([
    ["UND_ERR_CONNECT_TIMEOUT", "Timeout", "safe"],
    ["UND_ERR_BODY_TIMEOUT", "Timeout", "safe"],
    ["ETIMEDOUT", "Timeout", "safe"],
    ["UND_ERR_REQ_CONTENT_LENGTH_MISMATCH", "IncompleteBody", "never"],
    ["UND_ERR_DESTROYED", "Unavailable", "never"],
    ["UND_ERR_CLOSED", "Unavailable", "never"],
    ["UND_ERR_ABORTED", "Canceled", "never"],
    ["ENOTFOUND", "Unavailable", "safe"],
    ["DEPTH_ZERO_SELF_SIGNED_CERT", "Unavailable", "never"],
    ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "Unavailable", "never"],
    ["ECONNRESET", "Unavailable", "safe"],
    ["constructor", "Unavailable", "safe"],
  ])("for %s is %s, and may be sent again: %s", (code, expected, retry) => {
    expect(fromTransport(thrown(code), "s3.get", signal)).toMatchObject({ code: expected, retry });
  });

  it("is ended by its caller's own reason", () => {
    const reason = new GfsError("Timeout", "The time for this request is over.");
    expect(fromTransport(thrown("ECONNRESET"), "s3.get", AbortSignal.abort(reason))).toBe(reason);
    expect(fromTransport(thrown("ECONNRESET"), "s3.get", AbortSignal.abort())).toMatchObject({ code: "Canceled" });
    const known = new GfsError("NotFound", "It is not there.");
    expect(fromTransport(known, "s3.get", AbortSignal.abort(reason))).toBe(known);
    expect(fromTransport(undefined, "s3.get", signal)).toMatchObject({ code: "Unavailable" });
  });
});
