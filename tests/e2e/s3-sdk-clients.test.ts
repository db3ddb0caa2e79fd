import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectsCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from "@aws-sdk/client-s3";
import { Client } from "minio";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type S3Endpoint, startS3Endpoint } from "./support/s3-endpoint.ts";

/** Client libraries of other people against the S3 endpoint, with the checksums and framings that they send by themselves. */

const MIB = 1024 ** 2;
const PART = randomBytes(5 * MIB);
const UNICODE = "Grüße/日本語 und mehr/a+b&c=d?e#f%41/ключ 😀.txt";
let s3: S3Endpoint;

beforeAll(async () => {
  s3 = await startS3Endpoint("sdk");
});
afterAll(async () => await s3?.stop());

const md5 = (bytes: Uint8Array | string): Buffer => createHash("md5").update(bytes).digest();

describe("the AWS SDK for JavaScript", () => {
  let sdk: S3Client;
  const Bucket = "sdk";

  beforeAll(async () => {
    sdk = s3.sdk();
    await sdk.send(new CreateBucketCommand({ Bucket }));
  });
  afterAll(() => sdk?.destroy());

  const text = async (Key: string): Promise<string> => {
    const { Body } = await sdk.send(new GetObjectCommand({ Bucket, Key }));
    return (await Body?.transformToString()) ?? "";
  };

  test("puts and gets names of many alphabets, empty objects, and streams of known length", async () => {
    const { ETag, ChecksumCRC32 } = await sdk.send(new PutObjectCommand({ Bucket, Key: UNICODE, Body: "text" }));
    expect([ETag, ChecksumCRC32]).toEqual([`"${md5("text").toString("hex")}"`, expect.any(String)]);
    expect(await text(UNICODE)).toBe("text");
    await sdk.send(new PutObjectCommand({ Bucket, Key: "empty", Body: "" }));
    expect(await text("empty")).toBe("");
    const Body = Readable.from([PART.subarray(0, MIB), PART.subarray(MIB)]);
    await sdk.send(new PutObjectCommand({ Bucket, Key: "stream", Body, ContentLength: PART.length }));
    const { ContentLength } = await sdk.send(new HeadObjectCommand({ Bucket, Key: "stream" }));
    expect(ContentLength).toBe(PART.length);
    const { Contents = [] } = await sdk.send(new ListObjectsV2Command({ Bucket }));
    expect(Contents.map(({ Key }) => Key)).toEqual([UNICODE, "empty", "stream"]);
  });

  test.each(["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] as const)(
    "checks %s there and back",
    async (algorithm) => {
      const Key = `checksum-${algorithm}`;
      await sdk.send(new PutObjectCommand({ Bucket, Key, Body: "checked", ChecksumAlgorithm: algorithm }));
      const { Checksum } = await sdk.send(
        new GetObjectAttributesCommand({ Bucket, Key, ObjectAttributes: ["Checksum", "ObjectSize"] }),
      );
      expect(Checksum?.[`Checksum${algorithm}`]).toMatch(/^[A-Za-z0-9+/]+=*$/);
      const got = await sdk.send(new GetObjectCommand({ Bucket, Key, ChecksumMode: "ENABLED" }));
      expect(got[`Checksum${algorithm}`]).toBe(Checksum?.[`Checksum${algorithm}`]);
    },
  );

  test("uploads in parts, copies a part, lists them, completes, reads a part, and copies the whole", async () => {
    const Key = "in parts ä";
    const { UploadId } = await sdk.send(
      new CreateMultipartUploadCommand({ Bucket, Key, Metadata: { made: "of parts" } }),
    );
    const parts = [];
    for (const PartNumber of [1, 2]) {
      const { ETag, ChecksumCRC32 } = await sdk.send(
        new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body: PART }),
      );
      parts.push({ PartNumber, ETag, ChecksumCRC32 });
    }
    const { CopyPartResult: copied } = await sdk.send(
      new UploadPartCopyCommand({
        Bucket,
        Key,
        UploadId,
        PartNumber: 3,
        CopySource: `${Bucket}/stream`,
        CopySourceRange: "bytes=0-99",
      }),
    );
    parts.push({ PartNumber: 3, ETag: copied?.ETag });
    const { Parts = [] } = await sdk.send(new ListPartsCommand({ Bucket, Key, UploadId }));
    expect(Parts.map(({ PartNumber, Size }) => [PartNumber, Size])).toEqual([
      [1, PART.length],
      [2, PART.length],
      [3, 100],
    ]);
    const done = await sdk.send(
      new CompleteMultipartUploadCommand({
        Bucket,
        Key,
        UploadId,
        MultipartUpload: { Parts: parts.map(({ PartNumber, ETag }) => ({ PartNumber, ETag })) },
      }),
    );
    const whole = md5(Buffer.concat([md5(PART), md5(PART), md5(PART.subarray(0, 100))])).toString("hex");
    expect(done.ETag).toBe(`"${whole}-3"`);
    const third = await sdk.send(new GetObjectCommand({ Bucket, Key, PartNumber: 3 }));
    expect([third.ContentLength, third.PartsCount]).toEqual([100, 3]);
    await third.Body?.transformToByteArray();
    await sdk.send(new CopyObjectCommand({ Bucket, Key: "copy", CopySource: encodeURI(`${Bucket}/${Key}`) }));
    expect(await sdk.send(new HeadObjectCommand({ Bucket, Key: "copy" }))).toMatchObject({
      ContentLength: 2 * PART.length + 100,
      Metadata: { made: "of parts" },
    });
  });

  test("aborts an upload, of which nothing is left", async () => {
    const { UploadId } = await sdk.send(new CreateMultipartUploadCommand({ Bucket, Key: "aborted" }));
    await sdk.send(new UploadPartCommand({ Bucket, Key: "aborted", UploadId, PartNumber: 1, Body: "x" }));
    await sdk.send(new AbortMultipartUploadCommand({ Bucket, Key: "aborted", UploadId }));
    const { Uploads = [] } = await sdk.send(new ListMultipartUploadsCommand({ Bucket }));
    expect(Uploads).toEqual([]);
    await expect(sdk.send(new ListPartsCommand({ Bucket, Key: "aborted", UploadId }))).rejects.toMatchObject({
      name: "NoSuchUpload",
    });
  });

  test("deletes many at once, also those that are not there", async () => {
    const Objects = ["empty", "stream", "never-there"].map((Key) => ({ Key }));
    const { Deleted = [], Errors = [] } = await sdk.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
    expect([Deleted.length, Errors]).toEqual([3, []]);
    await expect(text("empty")).rejects.toMatchObject({ name: "NoSuchKey" });
  });

  test.runIf(process.env["GLOBALFS_LONG"] === "1")(
    "uploads 5 GiB of zeros in parts",
    { timeout: 900_000 },
    async () => {
      const Key = "sparse";
      const Body = Buffer.alloc(64 * MIB);
      const { UploadId } = await sdk.send(new CreateMultipartUploadCommand({ Bucket, Key }));
      const parts = [];
      for (let PartNumber = 1; PartNumber <= 80; PartNumber++) {
        const { ETag } = await sdk.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body }));
        parts.push({ PartNumber, ETag });
      }
      await sdk.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts: parts } }));
      const { ContentLength } = await sdk.send(new HeadObjectCommand({ Bucket, Key }));
      expect(ContentLength).toBe(5 * 1024 * MIB);
      const { Body: end } = await sdk.send(new GetObjectCommand({ Bucket, Key, Range: "bytes=-3" }));
      expect(await end?.transformToByteArray()).toEqual(new Uint8Array(3));
      await sdk.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key }] } }));
    },
  );
});

describe("the MinIO client for JavaScript", () => {
  let minio: Client;

  beforeAll(async () => {
    minio = new Client({
      endPoint: "127.0.0.1",
      port: s3.port,
      useSSL: false,
      accessKey: s3.accessKeyId,
      secretKey: s3.secretAccessKey,
    });
    await minio.makeBucket("minio");
  });

  const bytesOf = async (stream: Readable): Promise<Buffer> => Buffer.concat((await stream.toArray()) as Buffer[]);

  test("puts, stats, gets, copies, lists and removes", async () => {
    expect(await minio.bucketExists("minio")).toBe(true);
    await minio.putObject("minio", UNICODE, "text", 4, { "Content-Type": "text/x-own", "X-Amz-Meta-Colour": "blue" });
    expect(await minio.statObject("minio", UNICODE)).toMatchObject({
      size: 4,
      etag: md5("text").toString("hex"),
      metaData: { "content-type": "text/x-own", colour: "blue" },
    });
    expect((await bytesOf(await minio.getPartialObject("minio", UNICODE, 1, 2))).toString()).toBe("ex");
    await minio.putObject("minio", "empty", Buffer.alloc(0), 0);
    const names: (string | undefined)[] = [];
    for await (const item of minio.listObjectsV2("minio", "", true)) names.push((item as { name?: string }).name);
    expect(names).toEqual([UNICODE, "empty"]);
    await minio.removeObjects("minio", [UNICODE, "empty"]);
    await expect(minio.statObject("minio", "empty")).rejects.toMatchObject({ code: "NotFound" });
  });

  test("uploads a stream of unknown length in parts", async () => {
    const large = Buffer.concat([PART, PART, PART, PART, PART.subarray(7)]);
    await minio.putObject("minio", "large", Readable.from([large.subarray(0, 9 * MIB), large.subarray(9 * MIB)]));
    expect((await bytesOf(await minio.getObject("minio", "large"))).equals(large)).toBe(true);
    await minio.removeObject("minio", "large");
  });

  test("signs addresses that a browser may use, and forms", async () => {
    const address = await minio.presignedPutObject("minio", "by address", 60);
    expect((await fetch(address, { method: "PUT", body: "presigned" })).status).toBe(200);
    expect(await (await fetch(await minio.presignedGetObject("minio", "by address", 60))).text()).toBe("presigned");
    const policy = minio.newPostPolicy();
    policy.setBucket("minio");
    policy.setKey("by form");
    policy.setExpires(new Date(Date.now() + 60_000));
    policy.setContentLengthRange(1, 100);
    const { postURL, formData } = await minio.presignedPostPolicy(policy);
    const form = new FormData();
    for (const [name, value] of Object.entries(formData)) form.append(name, String(value));
    form.append("file", new Blob(["from a form"]), "file.txt");
    expect((await fetch(postURL, { method: "POST", body: form })).status).toBe(204);
    expect((await bytesOf(await minio.getObject("minio", "by form"))).toString()).toBe("from a form");
    await minio.removeObjects("minio", ["by address", "by form"]);
    await minio.removeBucket("minio");
  });
});
