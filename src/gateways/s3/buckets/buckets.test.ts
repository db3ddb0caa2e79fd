import {
  CreateBucketCommand,
  DeleteBucketCommand,
  GetBucketLocationCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { rigCtx } from "../../../coordinator/testing/rig.ts";
import { canonicalUserId } from "../../../security/index.ts";
import { type S3Rig, startS3Rig } from "../testing/s3-rig.ts";

let s3: S3Rig;
let other: S3Client;
let root: S3Client;

beforeAll(async () => {
  s3 = await startS3Rig({ settings: { region: "lab-1" } });
  other = s3.clientOf(await s3.key("bob"));
  root = s3.clientOf(await s3.key("root", [{ path: "", role: "admin" }]));
});
afterAll(async () => {
  await s3.stop();
});

async function names(client: S3Client, query: object = {}): Promise<(string | undefined)[]> {
  const { Buckets } = await client.send(new ListBucketsCommand(query));
  return (Buckets ?? []).map(({ Name }) => Name);
}

describe("a bucket", () => {
  it("is made, shown to its owner, and removed", async () => {
    const made = await s3.client.send(
      new CreateBucketCommand({
        Bucket: "alices",
        CreateBucketConfiguration: { LocationConstraint: "lab-1" as never },
      }),
    );
    expect(made.Location).toBe("/alices");
    const head = await s3.client.send(new HeadBucketCommand({ Bucket: "alices" }));
    expect(head.BucketRegion).toBe("lab-1");
    const location = await s3.client.send(new GetBucketLocationCommand({ Bucket: "alices" }));
    expect(location.LocationConstraint).toBe("lab-1");
    expect(await names(s3.client)).toEqual(["alices"]);
    expect(await names(other)).toEqual([]);
    expect(await names(root)).toContain("alices");
    await s3.client.send(new DeleteBucketCommand({ Bucket: "alices" }));
    expect(await names(s3.client)).toEqual([]);
    await expect(s3.client.send(new HeadBucketCommand({ Bucket: "alices" }))).rejects.toMatchObject({
      $metadata: { httpStatusCode: 404 },
    });
  });

  it("has one owner", async () => {
    const create = async (client: S3Client) => await client.send(new CreateBucketCommand({ Bucket: "taken" }));
    await create(s3.client);
    await expect(create(s3.client)).rejects.toMatchObject({ name: "BucketAlreadyOwnedByYou" });
    await expect(create(other)).rejects.toMatchObject({ name: "BucketAlreadyExists" });
    await expect(other.send(new ListObjectsV2Command({ Bucket: "taken" }))).rejects.toMatchObject({
      name: "AccessDenied",
    });
    const expected = async (ExpectedBucketOwner: string) =>
      await s3.client.send(new HeadBucketCommand({ Bucket: "taken", ExpectedBucketOwner }));
    await expected(canonicalUserId("alice"));
    await expect(expected(canonicalUserId("bob"))).rejects.toMatchObject({ $metadata: { httpStatusCode: 403 } });
    await s3.client.send(new DeleteBucketCommand({ Bucket: "taken" }));
  });

  it("lies in the region of the endpoint", async () => {
    const elsewhere = new CreateBucketCommand({
      Bucket: "elsewhere",
      CreateBucketConfiguration: { LocationConstraint: "eu-west-1" },
    });
    await expect(s3.client.send(elsewhere)).rejects.toMatchObject({ name: "InvalidLocationConstraint" });
  });

  it("is every directory at the top of the tree, for those who may reach it", async () => {
    await s3.rig.put("from-rest/file", "x");
    expect(await names(root)).toContain("from-rest");
    expect(await names(s3.client)).not.toContain("from-rest");
    const found = await root.send(new GetObjectCommand({ Bucket: "from-rest", Key: "file" }));
    expect(await found.Body?.transformToString()).toBe("x");
    const reader = s3.clientOf(await s3.key("carol", [{ path: "from-rest", role: "reader" }]));
    expect(await names(reader)).toEqual(["from-rest"]);
    await expect(reader.send(new PutObjectCommand({ Bucket: "from-rest", Key: "y", Body: "y" }))).rejects.toMatchObject(
      { name: "AccessDenied" },
    );
  });

  it("may be a directory whose name S3 would not take", async () => {
    await s3.rig.put("R&D <x>/file", "x");
    expect(await names(root)).toContain("R&D <x>");
    const Bucket = "R&D <x>";
    const listed = await root.send(new ListObjectsV2Command({ Bucket }));
    expect(listed).toMatchObject({ Name: Bucket, Contents: [{ Key: "file" }] });
    const versions = await root.send(
      new ListObjectVersionsCommand({ Bucket, KeyMarker: "a", VersionIdMarker: "<&>", Delimiter: "%" }),
    );
    expect(versions).toMatchObject({ Name: Bucket, VersionIdMarker: "<&>" });
    await expect(root.send(new CreateBucketCommand({ Bucket }))).rejects.toMatchObject({ name: "InvalidBucketName" });
  });

  it("is listed by prefix, in pages", async () => {
    for (const Bucket of ["page-a", "page-b", "page-c", "other-d"])
      await other.send(new CreateBucketCommand({ Bucket }));
    const first = await other.send(new ListBucketsCommand({ Prefix: "page-", MaxBuckets: 2 }));
    expect(first.Buckets?.map(({ Name }) => Name)).toEqual(["page-a", "page-b"]);
    expect(first.Prefix).toBe("page-");
    const second = await other.send(
      new ListBucketsCommand({ Prefix: "page-", MaxBuckets: 2, ContinuationToken: first.ContinuationToken }),
    );
    expect(second.Buckets?.map(({ Name }) => Name)).toEqual(["page-c"]);
    expect(second.ContinuationToken).toBeUndefined();
  });
});

describe("the whole tree as one bucket", () => {
  it("has every file as its key", async () => {
    const tree = await startS3Rig({ settings: { rootBucket: "tree" } });
    try {
      const client = tree.clientOf(await tree.key("root", [{ path: "", role: "admin" }]));
      await tree.rig.put("a/b", "x");
      await client.send(new PutObjectCommand({ Bucket: "tree", Key: "c/d", Body: "y" }));
      expect(await tree.rig.read("c/d")).toBe("y");
      const { Contents } = await client.send(new ListObjectsV2Command({ Bucket: "tree" }));
      expect(Contents?.map(({ Key }) => Key)).toEqual(["a/b", "c/d"]);
      expect(await names(client)).toEqual(["tree"]);
      await expect(client.send(new ListObjectsV2Command({ Bucket: "a" }))).rejects.toMatchObject({
        name: "NoSuchBucket",
      });
      await expect(client.send(new CreateBucketCommand({ Bucket: "more" }))).rejects.toMatchObject({
        name: "NotImplemented",
      });
      await expect(client.send(new DeleteBucketCommand({ Bucket: "tree" }))).rejects.toMatchObject({
        name: "NotImplemented",
      });
      const versioning = new PutBucketVersioningCommand({
        Bucket: "tree",
        VersioningConfiguration: { Status: "Enabled" },
      });
      await expect(client.send(versioning)).rejects.toMatchObject({ name: "NotImplemented" });
      await tree.rig.coordinator.deleteObject(rigCtx, "a/b");
      expect((await client.send(new ListObjectsV2Command({ Bucket: "tree" }))).KeyCount).toBe(1);
    } finally {
      await tree.stop();
    }
  });
});
