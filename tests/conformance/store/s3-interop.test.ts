import { createHash, randomBytes } from "node:crypto";
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { backgroundCtx } from "../../../src/core/context.ts";
import { createS3Store } from "../../../src/stores/drivers/s3/index.ts";
import type { Store } from "../../../src/stores/index.ts";
import { probeStore } from "../../../src/stores/probe.ts";
import { createBucket, independentClient, startRadosgw, type TestBucket } from "../../servers/radosgw.ts";
import { readObject } from "./access.ts";
import { collect, putObject } from "./suite.ts";

const server = await startRadosgw();
const ctx = backgroundCtx();
const LARGE_BYTES = 20 * 1024 * 1024 + 1;

describe.skipIf(server === undefined)("objects at a real S3 server", () => {
  let bucket: TestBucket;
  let store: Store;
  let aws: S3Client;

  beforeAll(async () => {
    if (server === undefined) throw new Error("there is no S3 server");
    const { endpoint, accessKeyId, secretAccessKey } = server;
    bucket = await createBucket(server);
    aws = independentClient(server);
    store = createS3Store({ bucket: bucket.name, endpoint, credentials: { accessKeyId, secretAccessKey } });
  });
  afterAll(async () => {
    aws?.destroy();
    await store?.close();
    await bucket?.remove();
  });

  it.each([[0], [1_000], [8 * 1024 * 1024], [LARGE_BYTES]])(
    "of %i bytes are what the AWS SDK reads",
    async (sizeBytes) => {
      const body = randomBytes(sizeBytes);
      const key = `own/${sizeBytes} é+&/../x`;
      const info = await putObject(store, key, body, {
        contentType: "text/x-own",
        metadata: { a: "plain", b: "grün" },
      });
      const found = await aws.send(new GetObjectCommand({ Bucket: bucket.name, Key: key }));
      expect(Buffer.from((await found.Body?.transformToByteArray()) ?? []).equals(body)).toBe(true);
      expect(found.ETag).toBe(`"${info.etag}"`);
      expect(found.ContentType).toBe("text/x-own");
      expect(found.Metadata).toMatchObject({ a: "plain", b: "=?UTF-8?B?Z3LDvG4=?=" });
      const kept = createHash("sha256").update(body).digest("hex");
      expect([kept, undefined]).toContain(found.Metadata?.["globalfs-sha256"]);
    },
  );

  it("that the AWS SDK wrote are read", async () => {
    const body = randomBytes(100_000);
    const Key = "foreign/key with ünïcode";
    await aws.send(new PutObjectCommand({ Bucket: bucket.name, Key, Body: body, Metadata: { colour: "blue" } }));
    const found = await store.get(ctx, Key, { range: { start: 10 } });
    expect((await collect(found.stream)).equals(body.subarray(10))).toBe(true);
    expect(found.info.metadata).toEqual({ colour: "blue" });
    expect(found.info.sha256).toBeUndefined();
  });

  it("are read and written by presigned addresses, without any credentials", async () => {
    const key = "signed/a b+c&d?é";
    const put = await store.presign(ctx, key, { method: "PUT", expiresSeconds: 60 });
    expect((await fetch(put, { method: "PUT", body: "by address" })).status).toBe(200);
    const get = await store.presign(ctx, key, { method: "GET", expiresSeconds: 60 });
    expect(await (await fetch(get)).text()).toBe("by address");
    const head = await store.presign(ctx, key, { method: "HEAD", expiresSeconds: 60 });
    expect((await fetch(head, { method: "HEAD" })).headers.get("content-length")).toBe("10");
    expect((await fetch(get.replace(/Signature=./, "Signature=x"))).status).toBe(403);
  });

  it("are checked by the server on the way in", async () => {
    const staged = await store.stage(ctx, "checked");
    await staged.write(Buffer.from("content"));
    await expect(staged.seal({ sha256: "0".repeat(64) })).rejects.toMatchObject({ code: "ChecksumMismatch" });
    await staged.abort();
    const sha256 = createHash("sha256").update("content").digest("hex");
    await putObject(store, "checked", "content", { sha256 });
    expect((await store.head(ctx, "checked")).sha256).toBe(sha256);
    const head = await aws.send(new HeadObjectCommand({ Bucket: bucket.name, Key: "checked" }));
    expect(head.Metadata).toEqual({ "globalfs-sha256": sha256 });
  });

  it("stream into parts larger than memory should hold, and the parts are checked", async () => {
    const bytes = randomBytes(9 * 1024 * 1024);
    const upload = await store.createMultipart(ctx, "streamed", { partSizeBytes: bytes.length });
    let opened = 0;
    const body = {
      sizeBytes: bytes.length,
      async *open() {
        opened += 1;
        for (let at = 0; at < bytes.length; at += 300_000) yield bytes.subarray(at, at + 300_000);
      },
    };
    const part = await store.uploadPart(ctx, upload, 1, body);
    expect([opened, part.etag]).toEqual([1, createHash("md5").update(bytes).digest("hex")]);
    await expect(store.uploadPart(ctx, upload, 2, { ...body, sizeBytes: bytes.length + 1 })).rejects.toMatchObject({
      code: "IncompleteBody",
    });
    await store.completeMultipart(ctx, upload, [part]);
    expect((await collect((await store.get(ctx, "streamed")).stream)).equals(bytes)).toBe(true);
  });

  it("that were given up leave no upload behind", async () => {
    const staged = await store.stage(ctx, "given up");
    await staged.write(Buffer.alloc(LARGE_BYTES));
    await staged.abort();
    const { Uploads: uploads = [] } = await aws.send(new ListMultipartUploadsCommand({ Bucket: bucket.name }));
    expect(uploads.filter(({ Key }) => Key === "given up")).toEqual([]);
    await expect(store.head(ctx, "given up")).rejects.toMatchObject({ code: "NotFound" });
  });

  it("are deleted a thousand at once", async () => {
    const keys = Array.from({ length: 60 }, (_, index) => `many/${index} & <é>`);
    await Promise.all(keys.map((key) => putObject(store, key, "x")));
    const absent = Array.from({ length: 940 }, (_, index) => `many/absent ${index}`);
    const outcomes = await store.deleteMany(ctx, [...keys, ...absent]);
    expect(outcomes.every(({ error }) => error === undefined)).toBe(true);
    expect((await store.list(ctx, { prefix: "many/", limit: 10 })).objects).toEqual([]);
  });

  it("are probed: the server's own conditions are found out, and the probe cleans up", async () => {
    const { store: probed, report } = await probeStore(ctx, store);
    expect(report).toMatchObject({
      writable: true,
      conditionalReads: true,
      conditionalWrites: true,
      conditionalDeletes: true,
      ranges: true,
      userMetadata: true,
      multipart: true,
    });
    // Whether completing an upload keeps conditions depends on the server's version; the capability must say the same.
    expect(probed.capabilities.conditionalWrites).toBe(report.conditionalCompletes);
    expect((await store.list(ctx, { prefix: ".globalfs/", limit: 10 })).objects).toEqual([]);
    // Those of small copies hold in any case: what is published must not go over something newer.
    await putObject(store, "from", "published late");
    const { etag } = await putObject(store, "to", "newer");
    const copy = async (ifMatch: string): Promise<unknown> => await probed.copy(ctx, "from", "to", { ifMatch });
    await expect(copy("0".repeat(32))).rejects.toMatchObject({ code: "PreconditionFailed" });
    await expect(probed.copy(ctx, "from", "to", { ifNoneMatch: "*" })).rejects.toMatchObject({
      code: "PreconditionFailed",
    });
    expect((await readObject(probed, "to")).toString()).toBe("newer");
    await copy(etag);
    expect((await readObject(probed, "to")).toString()).toBe("published late");
    for (const key of ["from", "to"]) await store.delete(ctx, key);
  });

  it("of others stay out of reach without the right secret", async () => {
    if (server === undefined) throw new Error("there is no S3 server");
    const { endpoint, accessKeyId } = server;
    const thief = createS3Store({
      bucket: bucket.name,
      endpoint,
      credentials: { accessKeyId, secretAccessKey: "guess" },
    });
    await expect(thief.check(ctx)).rejects.toMatchObject({ code: "Unauthenticated" });
    const anonymous = createS3Store({ bucket: bucket.name, endpoint, credentials: "anonymous" });
    await expect(anonymous.check(ctx)).rejects.toMatchObject({ code: "PermissionDenied" });
    await Promise.all([thief.close(), anonymous.close()]);
  });
});
