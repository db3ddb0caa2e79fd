import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectLegalHoldCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type S3Rig, startS3Rig } from "../testing/s3-rig.ts";

const Bucket = "versions";
let s3: S3Rig;

beforeAll(async () => {
  s3 = await startS3Rig();
  await s3.client.send(new CreateBucketCommand({ Bucket }));
  await s3.client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: "Enabled" } }));
});
afterAll(async () => {
  await s3.stop();
});

async function put(Key: string, Body: string): Promise<string> {
  const { VersionId } = await s3.client.send(new PutObjectCommand({ Bucket, Key, Body }));
  return VersionId as string;
}

async function get(Key: string, VersionId?: string) {
  const found = await s3.client.send(
    new GetObjectCommand({ Bucket, Key, ...(VersionId === undefined ? {} : { VersionId }) }),
  );
  return { text: await found.Body?.transformToString(), versionId: found.VersionId };
}

interface Failed {
  readonly name: string;
  readonly $metadata: { readonly httpStatusCode?: number };
  readonly $response?: { readonly headers: Record<string, string> };
}

async function failure(work: Promise<unknown>): Promise<Failed> {
  return (await work.then(
    () => Promise.reject(new Error("It should have failed.")),
    (error: unknown) => error,
  )) as Failed;
}

describe("a bucket that keeps versions", () => {
  it("gives each write an id, and reads any of them", async () => {
    const one = await put("key", "one");
    const two = await put("key", "two");
    expect(one).not.toBe(two);
    expect(await get("key")).toEqual({ text: "two", versionId: two });
    expect(await get("key", one)).toEqual({ text: "one", versionId: one });
    const head = await s3.client.send(new HeadObjectCommand({ Bucket, Key: "key", VersionId: one }));
    expect(head).toMatchObject({ VersionId: one, ContentLength: 3 });
    const strange = await failure(get("key", `${one.slice(0, -1)}${one.endsWith("0") ? "1" : "0"}`));
    expect([strange.name, strange.$metadata.httpStatusCode]).toEqual(["NoSuchVersion", 404]);
  });

  it("marks what is deleted, and says so to who asks for it", async () => {
    const one = await put("marked", "one");
    const marker = await s3.client.send(new DeleteObjectCommand({ Bucket, Key: "marked" }));
    expect(marker).toMatchObject({ DeleteMarker: true, VersionId: expect.any(String) });
    const gone = await failure(get("marked"));
    expect(gone.name).toBe("NoSuchKey");
    expect(gone.$response?.headers).toMatchObject({
      "x-amz-delete-marker": "true",
      "x-amz-version-id": marker.VersionId,
    });
    const itself = await failure(get("marked", marker.VersionId));
    expect([itself.name, itself.$metadata.httpStatusCode]).toEqual(["MethodNotAllowed", 405]);
    expect(itself.$response?.headers).toMatchObject({ "x-amz-delete-marker": "true" });
    expect((await get("marked", one)).text).toBe("one");
    const back = await s3.client.send(new DeleteObjectCommand({ Bucket, Key: "marked", VersionId: marker.VersionId }));
    expect(back).toMatchObject({ DeleteMarker: true, VersionId: marker.VersionId });
    expect((await get("marked")).text).toBe("one");
  });

  it("lists versions and markers, the newest of a key first, in pages", async () => {
    const ids = [await put("list/a", "1"), await put("list/a", "2")];
    await s3.client.send(new DeleteObjectCommand({ Bucket, Key: "list/a" }));
    const other = await put("list/b%c", "3");
    const all = await s3.client.send(new ListObjectVersionsCommand({ Bucket, Prefix: "list/" }));
    expect(all.Versions?.map(({ Key, VersionId, IsLatest }) => [Key, VersionId, IsLatest])).toEqual([
      ["list/a", ids[1], false],
      ["list/a", ids[0], false],
      ["list/b%c", other, true],
    ]);
    expect(all.DeleteMarkers).toMatchObject([{ Key: "list/a", IsLatest: true, Owner: { DisplayName: "alice" } }]);
    const seen: (string | undefined)[] = [];
    let place: { KeyMarker?: string | undefined; VersionIdMarker?: string | undefined } = {};
    for (let page = 0; page < 9; page++) {
      const found = await s3.client.send(
        new ListObjectVersionsCommand({ Bucket, Prefix: "list/", MaxKeys: 1, ...place }),
      );
      seen.push(...[...(found.Versions ?? []), ...(found.DeleteMarkers ?? [])].map(({ VersionId }) => VersionId));
      if (found.IsTruncated !== true) break;
      place = { KeyMarker: found.NextKeyMarker, VersionIdMarker: found.NextVersionIdMarker };
    }
    expect(seen).toEqual([all.DeleteMarkers?.[0]?.VersionId, ids[1], ids[0], other]);
    for (const [Delimiter, prefixes] of [
      ["/", ["list/"]],
      ["%", ["list/b%"]],
    ] as const) {
      const rolled = await s3.client.send(
        new ListObjectVersionsCommand({ Bucket, Prefix: Delimiter === "/" ? "li" : "list/", Delimiter }),
      );
      expect(rolled.CommonPrefixes?.map(({ Prefix }) => Prefix)).toEqual(prefixes);
    }
    const current = await s3.client.send(new ListObjectsV2Command({ Bucket, Prefix: "list/" }));
    expect(current.Contents?.map(({ Key }) => Key)).toEqual(["list/b%c"]);
  });

  it("copies any version, and deletes many by their ids", async () => {
    const one = await put("source", "one");
    const two = await put("source", "two");
    const copied = await s3.client.send(
      new CopyObjectCommand({ Bucket, Key: "source", CopySource: `${Bucket}/source?versionId=${one}` }),
    );
    expect(copied.CopySourceVersionId).toBe(one);
    expect(await get("source")).toEqual({ text: "one", versionId: copied.VersionId });
    const result = await s3.client.send(
      new DeleteObjectsCommand({
        Bucket,
        Delete: {
          Objects: [{ Key: "source", VersionId: copied.VersionId }, { Key: "source", VersionId: one }, { Key: "new" }],
        },
      }),
    );
    expect(result.Deleted).toMatchObject([
      { Key: "source", VersionId: copied.VersionId },
      { Key: "source", VersionId: one },
      { Key: "new", DeleteMarker: true, DeleteMarkerVersionId: expect.any(String) },
    ]);
    expect(await get("source")).toEqual({ text: "two", versionId: two });
  });

  it("is not empty while it keeps any", async () => {
    const removal = await failure(s3.client.send(new DeleteBucketCommand({ Bucket })));
    expect([removal.name, removal.$metadata.httpStatusCode]).toEqual(["BucketNotEmpty", 409]);
  });
});

describe("a bucket with object lock", () => {
  it("keeps what is held, and shows it", async () => {
    await s3.client.send(new CreateBucketCommand({ Bucket: "locked", ObjectLockEnabledForBucket: true }));
    const until = new Date(Math.floor(Date.now() / 1_000) * 1_000 + 60_000);
    const { VersionId } = await s3.client.send(
      new PutObjectCommand({
        Bucket: "locked",
        Key: "x",
        Body: "x",
        ObjectLockMode: "GOVERNANCE",
        ObjectLockRetainUntilDate: until,
        ObjectLockLegalHoldStatus: "ON",
      }),
    );
    const head = await s3.client.send(new HeadObjectCommand({ Bucket: "locked", Key: "x" }));
    expect(head).toMatchObject({ ObjectLockMode: "GOVERNANCE", ObjectLockLegalHoldStatus: "ON" });
    expect(head.ObjectLockRetainUntilDate).toEqual(until);
    const remove = async (BypassGovernanceRetention: boolean) =>
      await s3.client.send(
        new DeleteObjectCommand({ Bucket: "locked", Key: "x", VersionId, BypassGovernanceRetention }),
      );
    expect((await failure(remove(true))).name).toBe("AccessDenied");
    await s3.client.send(
      new PutObjectLegalHoldCommand({ Bucket: "locked", Key: "x", VersionId, LegalHold: { Status: "OFF" } }),
    );
    expect((await failure(remove(false))).name).toBe("AccessDenied");
    await remove(true);
    expect((await failure(s3.client.send(new HeadObjectCommand({ Bucket: "locked", Key: "x" })))).name).toBe(
      "NotFound",
    );
  });
});
