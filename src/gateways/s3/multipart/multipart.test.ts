import { createHash, randomBytes } from "node:crypto";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  PutObjectCommand,
  UploadPartCommand,
  UploadPartCopyCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type S3Rig, startS3Rig } from "../testing/s3-rig.ts";

const Bucket = "uploads";
const FIVE_MIB = 5 * 1024 ** 2;
let s3: S3Rig;

beforeAll(async () => {
  s3 = await startS3Rig();
  await s3.client.send(new CreateBucketCommand({ Bucket }));
});
afterAll(async () => {
  await s3.stop();
});

async function begin(Key: string, more: object = {}): Promise<string> {
  const { UploadId } = await s3.client.send(new CreateMultipartUploadCommand({ Bucket, Key, ...more }));
  return UploadId as string;
}

async function part(Key: string, UploadId: string, PartNumber: number, Body: Buffer) {
  const sent = await s3.client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body }));
  return { PartNumber, ETag: sent.ETag, ChecksumCRC32: sent.ChecksumCRC32 };
}

const md5 = (bytes: Buffer): Buffer => createHash("md5").update(bytes).digest();

describe("an upload in parts", () => {
  it("becomes one object, with the parts still to be told apart", async () => {
    const Key = "dir/big ü";
    const [one, two] = [randomBytes(FIVE_MIB), randomBytes(1_000)];
    const UploadId = await begin(Key, { ContentType: "x/y", Metadata: { a: "b" }, ChecksumAlgorithm: "CRC32" });
    const second = await part(Key, UploadId, 7, two);
    const first = await part(Key, UploadId, 2, one);
    expect(first.ETag).toBe(`"${md5(one).toString("hex")}"`);

    const listed = await s3.client.send(new ListPartsCommand({ Bucket, Key, UploadId, MaxParts: 1 }));
    expect(listed).toMatchObject({ IsTruncated: true, NextPartNumberMarker: "2", ChecksumAlgorithm: "CRC32" });
    expect(listed.Parts).toMatchObject([{ PartNumber: 2, Size: FIVE_MIB, ETag: first.ETag }]);
    const rest = await s3.client.send(new ListPartsCommand({ Bucket, Key, UploadId, PartNumberMarker: "2" }));
    expect(rest.Parts?.map(({ PartNumber }) => PartNumber)).toEqual([7]);
    await expect(s3.client.send(new HeadObjectCommand({ Bucket, Key }))).rejects.toMatchObject({ name: "NotFound" });

    const done = await s3.client.send(
      new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts: [first, second] } }),
    );
    const etag = `"${md5(Buffer.concat([md5(one), md5(two)])).toString("hex")}-2"`;
    expect(done).toMatchObject({ ETag: etag, Bucket, Key, ChecksumType: "COMPOSITE" });
    expect(done.Location).toContain("/uploads/dir/big%20");
    const found = await s3.client.send(new GetObjectCommand({ Bucket, Key }));
    expect(found).toMatchObject({ ETag: etag, ContentType: "x/y", Metadata: { a: "b" } });
    const bytes = Buffer.from((await found.Body?.transformToByteArray()) ?? []);
    expect(bytes.equals(Buffer.concat([one, two]))).toBe(true);

    const last = await s3.client.send(new GetObjectCommand({ Bucket, Key, PartNumber: 2 }));
    expect(last).toMatchObject({
      PartsCount: 2,
      ContentLength: 1_000,
      ContentRange: `bytes ${FIVE_MIB}-${FIVE_MIB + 999}/${FIVE_MIB + 1_000}`,
    });
    expect(Buffer.from((await last.Body?.transformToByteArray()) ?? []).equals(two)).toBe(true);
    const attributes = await s3.client.send(
      new GetObjectAttributesCommand({ Bucket, Key, ObjectAttributes: ["ObjectParts"], MaxParts: 1 }),
    );
    expect(attributes.ObjectParts).toMatchObject({ TotalPartsCount: 2, IsTruncated: true, NextPartNumberMarker: "1" });
  });

  it("may take its parts from other objects", async () => {
    const source = randomBytes(FIVE_MIB + 10);
    await s3.client.send(new PutObjectCommand({ Bucket, Key: "source", Body: source }));
    const UploadId = await begin("copied");
    const copy = async (PartNumber: number, CopySourceRange: string) => {
      const { CopyPartResult } = await s3.client.send(
        new UploadPartCopyCommand({
          Bucket,
          Key: "copied",
          UploadId,
          PartNumber,
          CopySource: `${Bucket}/source`,
          CopySourceRange,
        }),
      );
      return { PartNumber, ETag: CopyPartResult?.ETag };
    };
    const Parts = [await copy(1, `bytes=10-${FIVE_MIB + 9}`), await copy(2, "bytes=0-9")];
    const missing = new UploadPartCopyCommand({
      Bucket,
      Key: "copied",
      UploadId,
      PartNumber: 3,
      CopySource: `${Bucket}/none`,
    });
    await expect(s3.client.send(missing)).rejects.toMatchObject({ name: "NoSuchKey" });
    await expect(copy(3, "bytes=9-0")).rejects.toMatchObject({ name: "InvalidArgument" });
    await s3.client.send(
      new CompleteMultipartUploadCommand({ Bucket, Key: "copied", UploadId, MultipartUpload: { Parts } }),
    );
    const found = await s3.client.send(new GetObjectCommand({ Bucket, Key: "copied" }));
    const bytes = Buffer.from((await found.Body?.transformToByteArray()) ?? []);
    expect(bytes.equals(Buffer.concat([source.subarray(10), source.subarray(0, 10)]))).toBe(true);
  });

  it("is listed until it ends, and can be given up", async () => {
    const ids = new Map<string, string>();
    for (const Key of ["list/a", "list/b/c", "list/b/d", "listing"]) ids.set(Key, await begin(Key));
    const listed = await s3.client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: "list", Delimiter: "/" }));
    expect(listed.Uploads?.map(({ Key, UploadId }) => [Key, UploadId])).toEqual([["listing", ids.get("listing")]]);
    expect(listed.CommonPrefixes?.map(({ Prefix }) => Prefix)).toEqual(["list/"]);
    const page = await s3.client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: "list/", MaxUploads: 2 }));
    expect(page.Uploads?.map(({ Key }) => Key)).toEqual(["list/a", "list/b/c"]);
    expect(page).toMatchObject({ IsTruncated: true, NextKeyMarker: "list/b/c" });
    const next = await s3.client.send(
      new ListMultipartUploadsCommand({
        Bucket,
        Prefix: "list/",
        KeyMarker: page.NextKeyMarker,
        UploadIdMarker: page.NextUploadIdMarker,
      }),
    );
    expect(next.Uploads?.map(({ Key }) => Key)).toEqual(["list/b/d"]);
    for (const [Key, UploadId] of ids) {
      await s3.client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
    }
    expect((await s3.client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: "list" }))).Uploads).toBeUndefined();
    await expect(part("list/a", ids.get("list/a") as string, 1, Buffer.from("x"))).rejects.toMatchObject({
      name: "NoSuchUpload",
    });
  });

  it("is not completed from parts that are not its own, too small, or out of order", async () => {
    const Key = "wrong";
    const UploadId = await begin(Key);
    const first = await part(Key, UploadId, 1, Buffer.from("small"));
    const second = await part(Key, UploadId, 2, Buffer.from("small"));
    const complete = async (Parts: object[]) =>
      await s3.client.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }));
    await expect(complete([first, second])).rejects.toMatchObject({ name: "EntityTooSmall" });
    await expect(complete([second, first])).rejects.toMatchObject({ name: "InvalidPartOrder" });
    await expect(complete([{ ...first, ETag: '"0"' }])).rejects.toMatchObject({ name: "InvalidPart" });
    await expect(complete([{ ...first, PartNumber: 9 }])).rejects.toMatchObject({ name: "InvalidPart" });
    await expect(complete([])).rejects.toMatchObject({ name: "MalformedXML" });
    await expect(part(Key, UploadId, 10_001, Buffer.from("x"))).rejects.toMatchObject({ name: "InvalidArgument" });
    await complete([first]);
    const found = await s3.client.send(new GetObjectCommand({ Bucket, Key }));
    expect(await found.Body?.transformToString()).toBe("small");
  });

  it("takes of a part that is named twice what is said last", async () => {
    const Key = "twice";
    const UploadId = await begin(Key);
    const old = await part(Key, UploadId, 1, Buffer.from("old"));
    const kept = await part(Key, UploadId, 1, Buffer.from("kept"));
    const complete = async (Parts: object[]) =>
      await s3.client.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }));
    await expect(complete([kept, old])).rejects.toMatchObject({ name: "InvalidPart" });
    const { ETag } = await complete([old, old, kept]);
    expect(ETag).toMatch(/-1"$/);
    const found = await s3.client.send(new GetObjectCommand({ Bucket, Key }));
    expect(await found.Body?.transformToString()).toBe("kept");
  });

  it("is begun only with a checksum that can be had", async () => {
    await expect(begin("x", { ChecksumAlgorithm: "SHA256", ChecksumType: "FULL_OBJECT" })).rejects.toMatchObject({
      name: "InvalidRequest",
    });
    await expect(begin("x", { ChecksumAlgorithm: "CRC64NVME", ChecksumType: "COMPOSITE" })).rejects.toMatchObject({
      name: "InvalidRequest",
    });
  });
});
