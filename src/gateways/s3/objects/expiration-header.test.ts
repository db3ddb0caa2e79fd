import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  type LifecycleRule,
  PutBucketLifecycleConfigurationCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type S3Rig, startS3Rig } from "../testing/s3-rig.ts";

const Bucket = "expiring";
const DAY_MS = 86_400_000;
let s3: S3Rig;

beforeAll(async () => {
  s3 = await startS3Rig();
  await s3.client.send(new CreateBucketCommand({ Bucket }));
});
afterAll(async () => {
  await s3.stop();
});

async function rules(...Rules: Partial<LifecycleRule>[]): Promise<void> {
  const LifecycleConfiguration = {
    Rules: Rules.map((rule): LifecycleRule => ({ Status: "Enabled", ...rule })),
  };
  await s3.client.send(new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration }));
}

const put = async (Key: string) => await s3.client.send(new PutObjectCommand({ Bucket, Key, Body: "body" }));
const head = async (Key: string, VersionId?: string) =>
  (await s3.client.send(new HeadObjectCommand({ Bucket, Key, VersionId }))).Expiration;
/** Twice: the second read is answered from memory, without looking anything up. */
const get = async (Key: string) => {
  const [first, second] = [new GetObjectCommand({ Bucket, Key }), new GetObjectCommand({ Bucket, Key })];
  const { Expiration, Body } = await s3.client.send(first);
  await Body?.transformToByteArray();
  const again = await s3.client.send(second);
  await again.Body?.transformToByteArray();
  expect(again.Expiration).toBe(Expiration);
  return Expiration;
};

function atOf(header: string | undefined): number {
  return Date.parse(/^expiry-date="(.*GMT)", rule-id="[^"]+"$/.exec(header ?? "")?.[1] ?? "");
}

describe("the header x-amz-expiration", () => {
  it("comes with writes and reads of what a rule will let go, and changes with the rules", async () => {
    expect((await put("logs/before")).Expiration).toBeUndefined();
    expect(await get("logs/before")).toBeUndefined();
    await rules({ ID: "old logs/ä", Filter: { Prefix: "logs/" }, Expiration: { Days: 1 } });
    const { Expiration } = await put("logs/one");
    expect(Expiration).toMatch(/, rule-id="old%20logs%2F%C3%A4"$/);
    expect(atOf(Expiration) % DAY_MS).toBe(0);
    const untilMs = atOf(Expiration) - Date.now();
    expect(untilMs > DAY_MS - 60_000 && untilMs <= 2 * DAY_MS).toBe(true);
    expect([await head("logs/one"), await get("logs/one")]).toEqual([Expiration, Expiration]);
    expect(atOf(await get("logs/before"))).toBeGreaterThan(Date.now());
    expect([(await put("other")).Expiration, await head("other"), await get("other")]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);

    await rules(
      { ID: "late", Filter: { Prefix: "" }, Expiration: { Days: 30 } },
      { ID: "soon", Filter: { Prefix: "logs/" }, Expiration: { Date: new Date("2030-01-02") } },
      { ID: "off", Status: "Disabled", Filter: { Prefix: "" }, Expiration: { Days: 1 } },
    );
    expect(await get("logs/one")).toContain('rule-id="late"');
    await rules({ ID: "dated", Filter: { Prefix: "" }, Expiration: { Date: new Date("2040-01-02") } });
    expect(await get("logs/one")).toBe('expiry-date="Mon, 02 Jan 2040 00:00:00 GMT", rule-id="dated"');
    await rules({ ID: "uploads", Filter: { Prefix: "" }, AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 } });
    expect([await head("logs/one"), await get("logs/one")]).toEqual([undefined, undefined]);
  });

  it("knows of tags, comes with copies and uploads, and is not said of versions by their id", async () => {
    const Tag = { Key: "keep", Value: "no" };
    await rules({ ID: "tagged", Filter: { Tag }, Expiration: { Days: 3 } });
    expect((await put("tagged")).Expiration).toBeUndefined();
    await s3.client.send(new PutObjectTaggingCommand({ Bucket, Key: "tagged", Tagging: { TagSet: [Tag] } }));
    expect(await head("tagged")).toContain('rule-id="tagged"');
    expect(await get("tagged")).toContain('rule-id="tagged"');
    const copy = new CopyObjectCommand({ Bucket, Key: "copy", CopySource: `${Bucket}/tagged` });
    expect((await s3.client.send(copy)).Expiration).toContain('rule-id="tagged"');
    const Upload = { Bucket, Key: "upload" };
    const { UploadId } = await s3.client.send(new CreateMultipartUploadCommand({ ...Upload, Tagging: "keep=no" }));
    const { ETag } = await s3.client.send(new UploadPartCommand({ ...Upload, UploadId, PartNumber: 1, Body: "x" }));
    const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };
    const completed = await s3.client.send(
      new CompleteMultipartUploadCommand({ ...Upload, UploadId, MultipartUpload }),
    );
    expect(completed.Expiration).toContain('rule-id="tagged"');

    const VersioningConfiguration = { Status: "Enabled" } as const;
    await s3.client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
    await rules({ ID: "all", Filter: { Prefix: "" }, Expiration: { Days: 3 } });
    const { VersionId, Expiration } = await put("kept");
    expect(Expiration).toContain('rule-id="all"');
    await put("kept");
    expect(await head("kept", VersionId)).toBeUndefined();
  });
});
