import {
  CreateBucketCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandInput,
  ListObjectVersionsCommand,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { flakyStore, type FlakyStore } from "../../../coordinator/testing/flaky-store.ts";
import { createMemoryStore } from "../../../stores/index.ts";
import { type S3Rig, startS3Rig } from "../testing/s3-rig.ts";

let s3: S3Rig;
let cloud: FlakyStore;
const KEYS = ["a", "a-b", "a/b", "a/c/d", "b%c", "b%d", "b e", "ü/1", "ü/2", "z+1"];

beforeAll(async () => {
  cloud = flakyStore(createMemoryStore());
  s3 = await startS3Rig({
    rig: {
      sites: [
        { name: "local", role: "primary" },
        { name: "cloud", role: "burst", store: cloud },
      ],
    },
  });
  await s3.client.send(new CreateBucketCommand({ Bucket: "keys" }));
  await s3.client.send(new CreateBucketCommand({ Bucket: "keys-not-these" }));
  for (const Key of KEYS) await s3.client.send(new PutObjectCommand({ Bucket: "keys", Key, Body: Key }));
  await s3.client.send(new PutObjectCommand({ Bucket: "keys-not-these", Key: "x", Body: "x" }));
  await s3.rig.settled();
});
afterAll(async () => {
  await s3.stop();
});

const IN_ORDER = ["a", "a-b", "a/b", "a/c/d", "b e", "b%c", "b%d", "z+1", "ü/1", "ü/2"];

async function list(query: Partial<ListObjectsV2CommandInput>) {
  const found = await s3.client.send(new ListObjectsV2Command({ Bucket: "keys", ...query }));
  return {
    ...found,
    keys: (found.Contents ?? []).map(({ Key }) => Key),
    prefixes: (found.CommonPrefixes ?? []).map(({ Prefix }) => Prefix),
  };
}

function inOrder(keys: readonly (string | undefined)[]): (string | undefined)[] {
  return keys.toSorted((one, other) => Buffer.compare(Buffer.from(one ?? ""), Buffer.from(other ?? "")));
}

/** Every page of a listing, and whether each but the last was as full as asked. */
async function pages(query: Partial<ListObjectsV2CommandInput>): Promise<(string | undefined)[]> {
  const all: (string | undefined)[] = [];
  let token: string | undefined;
  for (let page = 0; page < 50; page++) {
    const found = await list({ ...query, ...(token === undefined ? {} : { ContinuationToken: token }) });
    all.push(...inOrder([...found.keys, ...found.prefixes]));
    if (found.IsTruncated !== true) return all;
    expect(found.KeyCount).toBe(query.MaxKeys);
    token = found.NextContinuationToken;
  }
  throw new Error("The listing does not end.");
}

describe("a listing", () => {
  it("has every key of the bucket and no other, in the order of their bytes", async () => {
    const found = await list({});
    expect(found.keys).toEqual(IN_ORDER);
    expect(found).toMatchObject({ KeyCount: KEYS.length, IsTruncated: false, Name: "keys", MaxKeys: 1_000 });
    expect(found.Contents?.[0]).toMatchObject({ Size: 1, StorageClass: "STANDARD" });
    expect(found.Contents?.[0]?.Owner).toBeUndefined();
    expect((await list({ FetchOwner: true })).Contents?.[0]?.Owner?.DisplayName).toBe("alice");
  });

  it.each([1, 2, 3, 7])("comes whole in pages of %i", async (MaxKeys) => {
    expect(await pages({ MaxKeys })).toEqual(IN_ORDER);
    const rolled = await pages({ MaxKeys, Delimiter: "/" });
    expect(inOrder(rolled)).toEqual(inOrder(["a", "a-b", "a/", "b%c", "b%d", "b e", "z+1", "ü/"]));
    const odd = await pages({ MaxKeys, Delimiter: "%" });
    expect(inOrder(odd)).toEqual(inOrder(["a", "a-b", "a/b", "a/c/d", "b%", "b e", "z+1", "ü/1", "ü/2"]));
  });

  it("rolls up at any delimiter", async () => {
    expect(await list({ Delimiter: "/" })).toMatchObject({
      keys: ["a", "a-b", "b e", "b%c", "b%d", "z+1"],
      prefixes: ["a/", "ü/"],
    });
    expect(await list({ Delimiter: "/", Prefix: "a/" })).toMatchObject({ keys: ["a/b"], prefixes: ["a/c/"] });
    expect(await list({ Delimiter: "%" })).toMatchObject({ prefixes: ["b%"] });
    expect((await list({ Delimiter: "a" })).prefixes).toEqual(["a"]);
    expect(await list({ Delimiter: " ", Prefix: "b" })).toMatchObject({ keys: ["b%c", "b%d"], prefixes: ["b "] });
    expect((await list({ Delimiter: "c/", Prefix: "a" })).prefixes).toEqual(["a/c/"]);
    expect((await list({ Delimiter: "\n" })).keys).toEqual(IN_ORDER);
    expect((await list({ Delimiter: "" })).Delimiter).toBeUndefined();
  });

  it("begins after a key, whatever it is", async () => {
    expect((await list({ StartAfter: "b%c" })).keys).toEqual(["b%d", "z+1", "ü/1", "ü/2"]);
    expect((await list({ StartAfter: "a/zzz" })).keys[0]).toBe("b e");
    expect((await list({ StartAfter: "\n" })).keys).toEqual(IN_ORDER);
    expect((await list({ StartAfter: "üü" })).keys).toEqual([]);
    expect((await list({ StartAfter: "a/b", Delimiter: "/" })).prefixes).toEqual(["a/", "ü/"]);
    expect((await list({ StartAfter: "a/", Delimiter: "/" })).prefixes).toEqual(["ü/"]);
  });

  it("is empty where no key can be", async () => {
    for (const Prefix of ["none", "a//", "/", "../", "\n", "x".repeat(2_000)]) {
      expect((await list({ Prefix })).keys).toEqual([]);
    }
    expect(await list({ MaxKeys: 0 })).toMatchObject({ keys: [], IsTruncated: false });
  });

  it("of the first version pages by keys and by prefixes", async () => {
    const first = await s3.client.send(new ListObjectsCommand({ Bucket: "keys", MaxKeys: 3, Delimiter: "/" }));
    expect(first).toMatchObject({ IsTruncated: true, NextMarker: "a/", Marker: "" });
    expect(first.Contents?.[0]?.Owner?.DisplayName).toBe("alice");
    const second = await s3.client.send(
      new ListObjectsCommand({ Bucket: "keys", Delimiter: "/", Marker: first.NextMarker }),
    );
    expect(second.Contents?.map(({ Key }) => Key)).toEqual(["b e", "b%c", "b%d", "z+1"]);
    expect(second.CommonPrefixes?.map(({ Prefix }) => Prefix)).toEqual(["ü/"]);
  });

  it("comes percent-encoded when asked for", async () => {
    const found = await list({ EncodingType: "url", Prefix: "b", Delimiter: "%" });
    expect(found).toMatchObject({ EncodingType: "url", keys: ["b%20e"], prefixes: ["b%25"], Delimiter: "%25" });
  });

  it.each([
    [{ MaxKeys: -1 }, "InvalidArgument"],
    [{ ContinuationToken: "bm90IG91cnM=" }, "InvalidArgument"],
    [{ EncodingType: "xml" as "url" }, "InvalidArgument"],
  ])("with %j is refused", async (query, code) => {
    await expect(list(query)).rejects.toMatchObject({ name: code });
  });

  it("shows versions also where none are kept", async () => {
    const found = await s3.client.send(new ListObjectVersionsCommand({ Bucket: "keys", Prefix: "a" }));
    expect(found.Versions?.map(({ Key, VersionId, IsLatest }) => [Key, VersionId, IsLatest])).toEqual([
      ["a", "null", true],
      ["a-b", "null", true],
      ["a/b", "null", true],
      ["a/c/d", "null", true],
    ]);
  });

  it("is not given when a site cannot be asked: keys might be missing", async () => {
    cloud.failing.add("list");
    await expect(list({})).rejects.toMatchObject({
      name: "ServiceUnavailable",
      $metadata: { httpStatusCode: 503 },
      // Which site it is stands in the log.
      message: expect.not.stringContaining("cloud"),
    });
  });
});
