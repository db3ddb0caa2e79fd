import { createHash, randomBytes } from "node:crypto";
import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  RestoreObjectCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { rigCtx } from "../../../coordinator/testing/rig.ts";
import { type S3Rig, startS3Rig } from "../testing/s3-rig.ts";

let s3: S3Rig;
const Bucket = "photos";

beforeAll(async () => {
  s3 = await startS3Rig();
  await s3.client.send(new CreateBucketCommand({ Bucket }));
});
afterAll(async () => {
  await s3.stop();
});

async function put(Key: string, Body: string | Buffer, more: Partial<PutObjectCommandInput> = {}) {
  return await s3.client.send(new PutObjectCommand({ Bucket, Key, Body, ...more }));
}

async function get(Key: string, more: object = {}): Promise<Buffer> {
  const { Body } = await s3.client.send(new GetObjectCommand({ Bucket, Key, ...more }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

async function failure(work: Promise<unknown>): Promise<{ name: string; status: number | undefined; message: string }> {
  const error = (await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )) as { name: string; message: string; $metadata?: { httpStatusCode?: number } } | undefined;
  if (error === undefined) throw new Error("It should have failed.");
  return { name: error.name, status: error.$metadata?.httpStatusCode, message: error.message };
}

describe("an object", () => {
  it("comes back with everything that was said of it", async () => {
    const body = randomBytes(100_000);
    const { ETag, ChecksumCRC32 } = await put("dir/a b+c.bin", body, {
      ContentType: "application/x-test",
      CacheControl: "no-store",
      ContentDisposition: 'attachment; filename="x"',
      ContentEncoding: "gzip",
      ContentLanguage: "de",
      Metadata: { colour: "green", empty: "" },
      Tagging: "a=1&b=x%20y",
      ChecksumAlgorithm: "CRC32",
    });
    expect(ETag).toBe(`"${createHash("md5").update(body).digest("hex")}"`);
    const found = await s3.client.send(new GetObjectCommand({ Bucket, Key: "dir/a b+c.bin", ChecksumMode: "ENABLED" }));
    expect(Buffer.from((await found.Body?.transformToByteArray()) ?? []).equals(body)).toBe(true);
    expect(found).toMatchObject({
      ETag,
      ContentType: "application/x-test",
      CacheControl: "no-store",
      ContentDisposition: 'attachment; filename="x"',
      ContentEncoding: "gzip",
      ContentLanguage: "de",
      ContentLength: 100_000,
      Metadata: { colour: "green", empty: "" },
      TagCount: 2,
      AcceptRanges: "bytes",
      ChecksumCRC32,
    });
    const head = await s3.client.send(new HeadObjectCommand({ Bucket, Key: "dir/a b+c.bin" }));
    expect(head).toMatchObject({ ETag, ContentLength: 100_000, ContentType: "application/x-test" });
    expect(head.ChecksumCRC32).toBeUndefined();
  });

  it("that REST wrote is one here at once, and the other way round", async () => {
    await s3.rig.put(`${Bucket}/from-rest.txt`, "by rest");
    expect((await get("from-rest.txt")).toString()).toBe("by rest");
    expect((await get("from-rest.txt")).toString()).toBe("by rest");
    await put("from-s3.txt", "by s3");
    expect(await s3.rig.read(`${Bucket}/from-s3.txt`)).toBe("by s3");
    await s3.rig.coordinator.rename(rigCtx, { from: `${Bucket}/from-s3.txt`, to: `${Bucket}/renamed.txt` });
    expect((await get("renamed.txt")).toString()).toBe("by s3");
    expect(await failure(get("from-s3.txt"))).toMatchObject({ name: "NoSuchKey", status: 404 });
  });

  it("is read in ranges; several at once give the whole", async () => {
    await put("ranges", "0123456789");
    expect((await get("ranges", { Range: "bytes=2-4" })).toString()).toBe("234");
    expect((await get("ranges", { Range: "bytes=-3" })).toString()).toBe("789");
    expect((await get("ranges", { Range: "bytes=8-100" })).toString()).toBe("89");
    expect((await get("ranges", { Range: "bytes=0-1,4-5" })).toString()).toBe("0123456789");
    const head = await s3.client.send(new HeadObjectCommand({ Bucket, Key: "ranges", Range: "bytes=2-4" }));
    expect(head).toMatchObject({ ContentLength: 3, $metadata: { httpStatusCode: 206 } });
    expect(await failure(get("ranges", { Range: "bytes=10-" }))).toMatchObject({ name: "InvalidRange", status: 416 });
    await put("empty", "");
    expect((await get("empty")).length).toBe(0);
    expect(await failure(get("empty", { Range: "bytes=0-0" }))).toMatchObject({ name: "InvalidRange" });
  });

  it("is its own only part when it came in one piece", async () => {
    await put("whole", "0123456789");
    expect((await get("whole", { PartNumber: 1 })).toString()).toBe("0123456789");
    expect(await failure(get("whole", { PartNumber: 2 }))).toMatchObject({ name: "InvalidPart" });
  });

  it("answers conditions as HTTP has them", async () => {
    const { ETag } = await put("conditions", "one");
    expect((await get("conditions", { IfMatch: ETag })).toString()).toBe("one");
    expect(await failure(get("conditions", { IfMatch: '"other"' }))).toMatchObject({ status: 412 });
    expect(await failure(get("conditions", { IfNoneMatch: ETag }))).toMatchObject({ status: 304 });
    expect(await failure(get("conditions", { IfModifiedSince: new Date(Date.now() + 5_000) }))).toMatchObject({
      status: 304,
    });
    expect(await failure(get("conditions", { IfUnmodifiedSince: new Date(0) }))).toMatchObject({ status: 412 });
    expect(await failure(put("conditions", "two", { IfNoneMatch: "*" }))).toMatchObject({
      name: "PreconditionFailed",
      status: 412,
    });
    expect(await failure(put("conditions", "two", { IfMatch: '"other"' }))).toMatchObject({ status: 412 });
    await put("conditions", "two", { IfMatch: ETag as string });
    expect((await get("conditions")).toString()).toBe("two");
  });

  it("is written by exactly one of many who want it to be new", async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, async (_, index) => await put("race", `writer ${index}`, { IfNoneMatch: "*" })),
    );
    const winners = outcomes.flatMap(({ status }, index) => (status === "fulfilled" ? [index] : []));
    expect(winners).toHaveLength(1);
    expect((await get("race")).toString()).toBe(`writer ${winners[0]}`);
  });

  it("shows the headers that the address asks for", async () => {
    await put("overrides", "x", { ContentType: "text/plain" });
    const found = await s3.client.send(
      new GetObjectCommand({
        Bucket,
        Key: "overrides",
        ResponseContentType: "image/png",
        ResponseCacheControl: "max-age=3",
        ResponseContentDisposition: "inline",
      }),
    );
    expect(found).toMatchObject({
      ContentType: "image/png",
      CacheControl: "max-age=3",
      ContentDisposition: "inline",
    });
  });

  it("is not taken with what nobody here keeps", async () => {
    expect(await failure(put("no", "x", { ServerSideEncryption: "AES256" }))).toMatchObject({
      name: "NotImplemented",
      status: 501,
    });
    expect(await failure(put("no", "x", { StorageClass: "GLACIER" }))).toMatchObject({ name: "InvalidStorageClass" });
    expect(
      await failure(put("no", "x", { ObjectLockMode: "GOVERNANCE", ObjectLockRetainUntilDate: new Date() })),
    ).toMatchObject({ name: "InvalidRequest" });
    expect(await failure(put("no", "x", { Metadata: { big: "x".repeat(2_100) } }))).toMatchObject({
      name: "MetadataTooLarge",
    });
    for (const Tagging of ["a=1&a=2", "a%3C=1", "a=%26", "aws:a=1", "=1"])
      expect(await failure(put("no", "x", { Tagging }))).toMatchObject({ name: "InvalidTag" });
    expect(await failure(put("no", "x", { ContentMD5: createHash("md5").update("y").digest("base64") }))).toMatchObject(
      { name: "BadDigest", status: 400 },
    );
    expect(await failure(get("no"))).toMatchObject({ name: "NoSuchKey" });
  });

  it("is read without a word of encryption, which it has none of", async () => {
    await put("plain", "x");
    const words = { SSECustomerAlgorithm: "AES256", SSECustomerKey: Buffer.alloc(32).toString("base64") };
    expect(await failure(get("plain", words))).toMatchObject({ name: "InvalidRequest", status: 400 });
    const head = new HeadObjectCommand({ Bucket, Key: "plain", ...words });
    expect(await failure(s3.client.send(head))).toMatchObject({ status: 400 });
  });

  it("may be a directory, which has no bytes", async () => {
    await put("folder/", "");
    expect((await get("folder/")).length).toBe(0);
    expect(await failure(put("folder/", "bytes"))).toMatchObject({ status: 400 });
    await s3.client.send(new DeleteObjectCommand({ Bucket, Key: "folder/" }));
    expect(await failure(get("folder/"))).toMatchObject({ name: "NoSuchKey" });
  });

  it.each([
    ["two slashes", "a//b"],
    ["a way up", "x/../y"],
    ["a dot", "./x"],
    ["a dot at its end", "a/."],
    ["1,025 bytes", "x".repeat(1_025)],
  ])("cannot have a key with %s", async (_what, key) => {
    expect((await failure(put(key, "x"))).status).toBe(400);
  });

  it("is deleted, also when it is not there", async () => {
    await put("gone", "x");
    await s3.client.send(new DeleteObjectCommand({ Bucket, Key: "gone" }));
    await s3.client.send(new DeleteObjectCommand({ Bucket, Key: "gone" }));
    expect(await failure(s3.client.send(new HeadObjectCommand({ Bucket, Key: "gone" })))).toMatchObject({
      status: 404,
    });
  });

  it("tells its attributes", async () => {
    const { ETag } = await put("attributes", "abc", { ChecksumAlgorithm: "SHA256" });
    const found = await s3.client.send(
      new GetObjectAttributesCommand({
        Bucket,
        Key: "attributes",
        ObjectAttributes: ["ETag", "Checksum", "ObjectSize", "StorageClass"],
      }),
    );
    expect(found).toMatchObject({
      ETag: ETag?.replaceAll('"', ""),
      ObjectSize: 3,
      StorageClass: "STANDARD",
      Checksum: { ChecksumSHA256: createHash("sha256").update("abc").digest("base64"), ChecksumType: "FULL_OBJECT" },
    });
  });

  it("has nothing to restore", async () => {
    await put("restore", "x");
    const restore = new RestoreObjectCommand({ Bucket, Key: "restore", RestoreRequest: { Days: 1 } });
    expect(await failure(s3.client.send(restore))).toMatchObject({ name: "InvalidObjectState", status: 403 });
  });
});

describe("deleting many", () => {
  it("tells of each what became of it", async () => {
    await put("many/1", "x");
    await put("many/2", "x");
    const Objects = [{ Key: "many/1" }, { Key: "many/2" }, { Key: "many/missing" }, { Key: "many//odd" }];
    const result = await s3.client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    expect(result.Deleted?.map(({ Key }) => Key)).toEqual(["many/1", "many/2", "many/missing"]);
    expect(result.Errors).toMatchObject([{ Key: "many//odd", Code: "InvalidURI" }]);
    expect(result.Errors?.[0]?.Message).not.toBe("");
  });

  it("is quiet when asked to be", async () => {
    await put("quiet", "x");
    const result = await s3.client.send(
      new DeleteObjectsCommand({ Bucket, Delete: { Quiet: true, Objects: [{ Key: "quiet" }] } }),
    );
    expect([result.Deleted, result.Errors]).toEqual([undefined, undefined]);
    expect(await failure(get("quiet"))).toMatchObject({ name: "NoSuchKey" });
  });

  it("takes a thousand keys and no more", async () => {
    const keys = (count: number) => Array.from({ length: count }, (_, index) => ({ Key: `thousand/${index}` }));
    for (const { Key } of keys(50)) await put(Key, "x");
    const result = await s3.client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: keys(1_000) } }));
    expect(result.Deleted).toHaveLength(1_000);
    const tooMany = new DeleteObjectsCommand({ Bucket, Delete: { Objects: keys(1_001) } });
    expect(await failure(s3.client.send(tooMany))).toMatchObject({ name: "MalformedXML", status: 400 });
  });
});

describe("copying", () => {
  it("keeps what the source has, or replaces it", async () => {
    await put("copy/a ü.txt", "source", { Metadata: { colour: "red" }, ContentType: "text/plain" });
    const CopySource = `${Bucket}/${encodeURIComponent("copy/a ü.txt")}`;
    const copied = await s3.client.send(new CopyObjectCommand({ Bucket, Key: "copy/b", CopySource }));
    expect(copied.CopyObjectResult?.ETag).toBe(`"${createHash("md5").update("source").digest("hex")}"`);
    const kept = await s3.client.send(new HeadObjectCommand({ Bucket, Key: "copy/b" }));
    expect(kept).toMatchObject({ Metadata: { colour: "red" }, ContentType: "text/plain" });
    await s3.client.send(
      new CopyObjectCommand({
        Bucket,
        Key: "copy/b",
        CopySource: `${Bucket}/copy/b`,
        MetadataDirective: "REPLACE",
        Metadata: { colour: "blue" },
      }),
    );
    const replaced = await s3.client.send(new HeadObjectCommand({ Bucket, Key: "copy/b" }));
    expect(replaced.Metadata).toEqual({ colour: "blue" });
    expect((await get("copy/b")).toString()).toBe("source");
  });

  it("is refused where it makes no sense, or its source is not there", async () => {
    await put("copy/self", "x");
    const copy = async (CopySource: string, more: object = {}) =>
      await failure(s3.client.send(new CopyObjectCommand({ Bucket, Key: "copy/self", CopySource, ...more })));
    expect(await copy(`${Bucket}/copy/self`)).toMatchObject({ name: "InvalidRequest" });
    expect(await copy(`${Bucket}/copy/none`)).toMatchObject({ name: "NoSuchKey" });
    expect(await copy("nowhere/x")).toMatchObject({ name: "NoSuchBucket" });
    expect(await copy("nonsense")).toMatchObject({ name: "InvalidArgument" });
    await put("copy/other", "y");
    expect(await copy(`${Bucket}/copy/other`, { CopySourceIfMatch: '"z"' })).toMatchObject({
      name: "PreconditionFailed",
    });
  });
});
