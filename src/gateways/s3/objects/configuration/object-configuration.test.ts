import {
  CreateBucketCommand,
  DeleteBucketTaggingCommand,
  DeleteObjectTaggingCommand,
  GetBucketAclCommand,
  GetBucketTaggingCommand,
  GetObjectAclCommand,
  GetObjectLegalHoldCommand,
  GetObjectLockConfigurationCommand,
  GetObjectRetentionCommand,
  GetObjectTaggingCommand,
  PutBucketAclCommand,
  PutBucketTaggingCommand,
  PutBucketVersioningCommand,
  PutObjectAclCommand,
  PutObjectCommand,
  PutObjectLegalHoldCommand,
  PutObjectLockConfigurationCommand,
  PutObjectRetentionCommand,
  PutObjectTaggingCommand,
  type S3Client,
  type Tag,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { canonicalUserId } from "../../../../security/index.ts";
import { type S3Rig, startS3Rig } from "../../testing/s3-rig.ts";

let rig: S3Rig;
let client: S3Client;
let serial = 0;

beforeAll(async () => {
  rig = await startS3Rig({ settings: { webhooks: { hook: "http://127.0.0.1:9/" } } });
  ({ client } = rig);
  await rig.key("bob");
});
afterAll(async () => {
  await rig.stop();
});

async function newBucket(more: object = {}): Promise<string> {
  serial += 1;
  const Bucket = `labels-${serial}`;
  await client.send(new CreateBucketCommand({ Bucket, ...more }));
  return Bucket;
}

async function put(Bucket: string, Key: string, more: object = {}): Promise<string | undefined> {
  return (await client.send(new PutObjectCommand({ Bucket, Key, Body: "body", ...more }))).VersionId;
}

async function refuses(work: Promise<unknown>, name: string, status?: number): Promise<void> {
  await expect(work).rejects.toMatchObject({
    name,
    ...(status === undefined ? {} : { $metadata: { httpStatusCode: status } }),
  });
}

describe("object lock", () => {
  const lock = async (Bucket: string, DefaultRetention: object, ObjectLockEnabled = "Enabled"): Promise<unknown> =>
    await client.send(
      new PutObjectLockConfigurationCommand({
        Bucket,
        ObjectLockConfiguration: { ObjectLockEnabled: ObjectLockEnabled as "Enabled", Rule: { DefaultRetention } },
      }),
    );

  it("comes back as it was put, in days or years", async () => {
    const Bucket = await newBucket({ ObjectLockEnabledForBucket: true });
    const read = async (): Promise<unknown> =>
      (await client.send(new GetObjectLockConfigurationCommand({ Bucket }))).ObjectLockConfiguration;
    expect(await read()).toEqual({ ObjectLockEnabled: "Enabled" });
    await lock(Bucket, { Mode: "GOVERNANCE", Days: 365 });
    expect(await read()).toMatchObject({ Rule: { DefaultRetention: { Mode: "GOVERNANCE", Days: 365 } } });
    await lock(Bucket, { Mode: "COMPLIANCE", Years: 2 });
    expect(await read()).toMatchObject({ Rule: { DefaultRetention: { Mode: "COMPLIANCE", Years: 2 } } });
  });

  it("needs enabled versions, and keeps them", async () => {
    const plain = await newBucket();
    await refuses(
      client.send(new GetObjectLockConfigurationCommand({ Bucket: plain })),
      "ObjectLockConfigurationNotFoundError",
      404,
    );
    await refuses(lock(plain, { Mode: "GOVERNANCE", Days: 1 }), "InvalidBucketState", 409);
    const enabled = { Status: "Enabled" as const };
    await client.send(new PutBucketVersioningCommand({ Bucket: plain, VersioningConfiguration: enabled }));
    await lock(plain, { Mode: "GOVERNANCE", Days: 1 });
    const suspended = { Status: "Suspended" as const };
    await refuses(
      client.send(new PutBucketVersioningCommand({ Bucket: plain, VersioningConfiguration: suspended })),
      "InvalidBucketState",
      409,
    );
  });

  it("refuses periods and modes that are none", async () => {
    const Bucket = await newBucket({ ObjectLockEnabledForBucket: true });
    await refuses(lock(Bucket, { Mode: "GOVERNANCE", Days: 1, Years: 1 }), "MalformedXML");
    await refuses(lock(Bucket, { Mode: "GOVERNANCE", Days: 0 }), "InvalidRetentionPeriod");
    await refuses(lock(Bucket, { Mode: "GOVERNANCE", Years: -1 }), "InvalidRetentionPeriod");
    await refuses(lock(Bucket, { Mode: "governance", Days: 1 }), "MalformedXML");
    await refuses(lock(Bucket, { Mode: "GOVERNANCE", Days: 1 }, "Disabled"), "MalformedXML");
  });

  it("holds versions until a date, or until told otherwise", async () => {
    const Bucket = await newBucket({ ObjectLockEnabledForBucket: true });
    await put(Bucket, "a");
    const RetainUntilDate = new Date(Date.now() + 86_400_000);
    const retain = async (Retention: object, more: object = {}): Promise<unknown> =>
      await client.send(new PutObjectRetentionCommand({ Bucket, Key: "a", Retention, ...more }));
    await refuses(
      client.send(new GetObjectRetentionCommand({ Bucket, Key: "a" })),
      "NoSuchObjectLockConfiguration",
      404,
    );
    await refuses(retain({ Mode: "GOVERNANCE", RetainUntilDate: new Date(0) }), "InvalidArgument");
    await refuses(retain({ Mode: "abc", RetainUntilDate }), "MalformedXML");
    await retain({ Mode: "GOVERNANCE", RetainUntilDate });
    const read = await client.send(new GetObjectRetentionCommand({ Bucket, Key: "a" }));
    expect(read.Retention?.Mode).toBe("GOVERNANCE");
    // The SDK sends whole seconds.
    expect(Math.floor((read.Retention?.RetainUntilDate?.getTime() ?? 0) / 1_000)).toBe(
      Math.floor(RetainUntilDate.getTime() / 1_000),
    );
    const sooner = { Mode: "GOVERNANCE", RetainUntilDate: new Date(Date.now() + 3_600_000) };
    await refuses(retain(sooner), "AccessDenied", 403);
    await retain(sooner, { BypassGovernanceRetention: true });

    const hold = async (Status: string): Promise<unknown> =>
      await client.send(new PutObjectLegalHoldCommand({ Bucket, Key: "a", LegalHold: { Status: Status as "ON" } }));
    const held = async (): Promise<unknown> =>
      (await client.send(new GetObjectLegalHoldCommand({ Bucket, Key: "a" }))).LegalHold?.Status;
    expect(await held()).toBe("OFF");
    await hold("ON");
    expect(await held()).toBe("ON");
    await hold("OFF");
    expect(await held()).toBe("OFF");
    await refuses(hold("abc"), "MalformedXML");
  });

  it("is asked for in vain where the bucket has none", async () => {
    const Bucket = await newBucket();
    await put(Bucket, "a");
    await refuses(client.send(new GetObjectRetentionCommand({ Bucket, Key: "a" })), "InvalidRequest", 400);
    await refuses(client.send(new GetObjectLegalHoldCommand({ Bucket, Key: "a" })), "InvalidRequest", 400);
  });
});

describe("tags", () => {
  const many = (count: number, name = 3, value = 3): Tag[] =>
    Array.from({ length: count }, (_, index) => ({
      Key: String(index).padStart(name, "k"),
      Value: "v".repeat(value),
    }));

  it("of objects come back, change and go", async () => {
    const Bucket = await newBucket();
    await put(Bucket, "a");
    const write = async (TagSet: Tag[]): Promise<unknown> =>
      await client.send(new PutObjectTaggingCommand({ Bucket, Key: "a", Tagging: { TagSet } }));
    const read = async (): Promise<unknown> =>
      (await client.send(new GetObjectTaggingCommand({ Bucket, Key: "a" }))).TagSet;
    expect(await read()).toEqual([]);
    await write(many(10, 128, 256));
    expect(await read()).toEqual(many(10, 128, 256));
    await refuses(write(many(11)), "InvalidTag");
    await refuses(write(many(1, 129)), "InvalidTag");
    await refuses(write(many(1, 3, 257)), "InvalidTag");
    await refuses(write([...many(1), ...many(1)]), "InvalidTag");
    await refuses(write([{ Key: "aws:x", Value: "" }]), "InvalidTag");
    await refuses(write([{ Key: "a & b", Value: "" }]), "InvalidTag");
    await client.send(new DeleteObjectTaggingCommand({ Bucket, Key: "a" }));
    expect(await read()).toEqual([]);
    await refuses(client.send(new GetObjectTaggingCommand({ Bucket, Key: "missing" })), "NoSuchKey");
  });

  it("of buckets come back and go", async () => {
    const Bucket = await newBucket();
    await refuses(client.send(new GetBucketTaggingCommand({ Bucket })), "NoSuchTagSet", 404);
    await client.send(new PutBucketTaggingCommand({ Bucket, Tagging: { TagSet: [{ Key: "team", Value: "blue" }] } }));
    expect(await client.send(new GetBucketTaggingCommand({ Bucket }))).toMatchObject({
      TagSet: [{ Key: "team", Value: "blue" }],
    });
    await client.send(new DeleteBucketTaggingCommand({ Bucket }));
    await refuses(client.send(new GetBucketTaggingCommand({ Bucket })), "NoSuchTagSet");
  });
});

describe("access lists as documents", () => {
  const aliceId = canonicalUserId("alice");
  const bobId = canonicalUserId("bob");

  it("show the owner, groups first, and names", async () => {
    const Bucket = await newBucket();
    const read = async (): Promise<unknown> => await client.send(new GetBucketAclCommand({ Bucket }));
    const owner = { ID: aliceId, DisplayName: "alice" };
    const everything = { Grantee: { ...owner, Type: "CanonicalUser" }, Permission: "FULL_CONTROL" };
    expect(await read()).toMatchObject({ Owner: owner, Grants: [everything] });
    const Grants = [
      { Grantee: { ID: aliceId, Type: "CanonicalUser" as const }, Permission: "FULL_CONTROL" as const },
      { Grantee: { ID: bobId, Type: "CanonicalUser" as const }, Permission: "READ_ACP" as const },
      {
        Grantee: { URI: "http://acs.amazonaws.com/groups/global/AllUsers", Type: "Group" as const },
        Permission: "READ" as const,
      },
    ];
    await client.send(new PutBucketAclCommand({ Bucket, AccessControlPolicy: { Owner: owner, Grants } }));
    expect(await read()).toMatchObject({
      Grants: [
        { Grantee: { URI: "http://acs.amazonaws.com/groups/global/AllUsers", Type: "Group" }, Permission: "READ" },
        everything,
        { Grantee: { ID: bobId, DisplayName: "bob" }, Permission: "READ_ACP" },
      ],
    });
    await client.send(new PutBucketAclCommand({ Bucket, AccessControlPolicy: { Owner: owner, Grants: [] } }));
    expect((await client.send(new GetBucketAclCommand({ Bucket }))).Grants ?? []).toEqual([]);
  });

  it("of objects change without the object, and never the owner", async () => {
    const Bucket = await newBucket();
    await put(Bucket, "a", { ACL: "public-read" });
    const read = await client.send(new GetObjectAclCommand({ Bucket, Key: "a" }));
    expect(read.Grants?.map(({ Permission }) => Permission)).toEqual(["READ", "FULL_CONTROL"]);
    const change = async (Owner: object): Promise<unknown> =>
      await client.send(
        new PutObjectAclCommand({ Bucket, Key: "a", AccessControlPolicy: { Owner, Grants: read.Grants ?? [] } }),
      );
    await change({ ID: aliceId });
    await refuses(change({ ID: bobId }), "AccessDenied", 403);
    await refuses(client.send(new PutObjectAclCommand({ Bucket, Key: "missing", ACL: "private" })), "NoSuchKey");
  });
});
