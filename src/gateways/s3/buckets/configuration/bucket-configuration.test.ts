import {
  CreateBucketCommand,
  DeleteBucketCorsCommand,
  DeleteBucketEncryptionCommand,
  DeleteBucketLifecycleCommand,
  DeleteBucketOwnershipControlsCommand,
  DeletePublicAccessBlockCommand,
  GetBucketAccelerateConfigurationCommand,
  GetBucketCorsCommand,
  GetBucketEncryptionCommand,
  GetBucketInventoryConfigurationCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketLoggingCommand,
  GetBucketNotificationConfigurationCommand,
  GetBucketOwnershipControlsCommand,
  GetBucketPolicyCommand,
  GetBucketPolicyStatusCommand,
  GetBucketReplicationCommand,
  GetBucketRequestPaymentCommand,
  GetBucketVersioningCommand,
  GetBucketWebsiteCommand,
  GetPublicAccessBlockCommand,
  type LifecycleRule,
  ListBucketInventoryConfigurationsCommand,
  ListBucketMetricsConfigurationsCommand,
  PutBucketAclCommand,
  PutBucketCorsCommand,
  PutBucketEncryptionCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketLoggingCommand,
  PutBucketNotificationConfigurationCommand,
  PutBucketOwnershipControlsCommand,
  PutBucketPolicyCommand,
  PutBucketRequestPaymentCommand,
  PutBucketVersioningCommand,
  PutBucketWebsiteCommand,
  PutPublicAccessBlockCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
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
  const Bucket = `conf-${serial}`;
  await client.send(new CreateBucketCommand({ Bucket, ...more }));
  return Bucket;
}

async function refuses(work: Promise<unknown>, name: string, status?: number): Promise<void> {
  await expect(work).rejects.toMatchObject({
    name,
    ...(status === undefined ? {} : { $metadata: { httpStatusCode: status } }),
  });
}

describe("versioning", () => {
  it("is off, then enabled, then suspended", async () => {
    const Bucket = await newBucket();
    const status = async (): Promise<unknown> => (await client.send(new GetBucketVersioningCommand({ Bucket }))).Status;
    const change = async (Status: "Enabled" | "Suspended"): Promise<unknown> =>
      await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status } }));
    expect(await status()).toBeUndefined();
    await change("Enabled");
    expect(await status()).toBe("Enabled");
    await change("Suspended");
    expect(await status()).toBe("Suspended");
  });

  it("takes no second factor and no other status", async () => {
    const Bucket = await newBucket();
    const change = async (VersioningConfiguration: object): Promise<unknown> =>
      await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
    await refuses(change({ Status: "Enabled", MFADelete: "Enabled" }), "NotImplemented", 501);
    await refuses(change({ Status: "On" }), "MalformedXML", 400);
    await refuses(change({}), "MalformedXML", 400);
  });
});

describe("CORS", () => {
  const AllowedMethods = ["GET"];

  it("rules come back and answer browsers", async () => {
    const Bucket = await newBucket();
    await refuses(client.send(new GetBucketCorsCommand({ Bucket })), "NoSuchCORSConfiguration", 404);
    const CORSRules = [
      {
        AllowedMethods,
        AllowedOrigins: ["*suffix"],
        AllowedHeaders: ["x-*"],
        ExposeHeaders: ["x-seen"],
        MaxAgeSeconds: 60,
      },
      { AllowedMethods: ["PUT"], AllowedOrigins: ["start*end"] },
    ];
    await client.send(new PutBucketCorsCommand({ Bucket, CORSConfiguration: { CORSRules } }));
    expect(await client.send(new GetBucketCorsCommand({ Bucket }))).toMatchObject({ CORSRules });

    const ask = async (method: string, headers: Record<string, string>): Promise<Response> => {
      const answer = await fetch(`${rig.url}/${Bucket}/k`, { method, headers });
      await answer.arrayBuffer();
      return answer;
    };
    const plain = await ask("GET", { origin: "a.suffix" });
    expect(plain.status).toBe(403);
    expect(plain.headers.get("access-control-allow-origin")).toBe("a.suffix");
    expect(plain.headers.get("access-control-expose-headers")).toBe("x-seen");
    expect((await ask("GET", { origin: "suffix.a" })).headers.get("access-control-allow-origin")).toBeNull();
    const asked = { "access-control-request-method": "GET", "access-control-request-headers": "X-One, x-two" };
    const allowed = await ask("OPTIONS", { origin: "a.suffix", ...asked });
    expect(allowed.status).toBe(200);
    expect(allowed.headers.get("access-control-allow-headers")).toBe("x-one, x-two");
    expect(allowed.headers.get("access-control-max-age")).toBe("60");
    expect((await ask("OPTIONS", { origin: "startend", ...asked })).status).toBe(403);
    expect((await ask("OPTIONS", { origin: "startend", "access-control-request-method": "PUT" })).status).toBe(200);
    expect((await ask("OPTIONS", { origin: "starend", "access-control-request-method": "PUT" })).status).toBe(403);
    expect((await ask("OPTIONS", {})).status).toBe(400);
    expect((await ask("OPTIONS", { origin: "a.suffix" })).status).toBe(400);

    await client.send(new DeleteBucketCorsCommand({ Bucket }));
    expect((await ask("OPTIONS", { origin: "a.suffix", ...asked })).status).toBe(403);
    await refuses(client.send(new GetBucketCorsCommand({ Bucket })), "NoSuchCORSConfiguration");
  });

  it("rules that mean nothing are refused", async () => {
    const Bucket = await newBucket();
    const change = async (rule: object): Promise<unknown> =>
      await client.send(
        new PutBucketCorsCommand({
          Bucket,
          CORSConfiguration: { CORSRules: [{ AllowedMethods, AllowedOrigins: ["*"], ...rule }] },
        }),
      );
    await refuses(change({ AllowedMethods: ["PATCH"] }), "InvalidRequest");
    await refuses(change({ AllowedOrigins: ["a*b*"] }), "InvalidRequest");
    await refuses(change({ AllowedOrigins: [] }), "MalformedXML");
  });
});

describe("lifecycle", () => {
  const write = async (Bucket: string, ...Rules: object[]): Promise<unknown> =>
    await client.send(
      new PutBucketLifecycleConfigurationCommand({
        Bucket,
        LifecycleConfiguration: { Rules: Rules as LifecycleRule[] },
      }),
    );
  const base = { ID: "one", Status: "Enabled", Filter: { Prefix: "a/" } };

  it("rules come back as they were put", async () => {
    const Bucket = await newBucket();
    const read = async (): Promise<unknown> =>
      (await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket }))).Rules;
    await refuses(read(), "NoSuchLifecycleConfiguration", 404);
    const rules = [
      { ...base, Expiration: { Days: 3 } },
      { ID: "two", Status: "Disabled", Prefix: "b/", Expiration: { Date: new Date("2030-01-01") } },
      { ID: "three", Status: "Enabled", Filter: {}, Expiration: { ExpiredObjectDeleteMarker: true } },
      {
        ID: "four",
        Status: "Enabled",
        Filter: {
          And: { Prefix: "c", Tags: [{ Key: "k", Value: "v" }], ObjectSizeGreaterThan: 10, ObjectSizeLessThan: 20 },
        },
        NoncurrentVersionExpiration: { NoncurrentDays: 2, NewerNoncurrentVersions: 5 },
      },
      { ID: "five", Status: "Enabled", Filter: { ObjectSizeLessThan: 7 }, Expiration: { Days: 1 } },
      {
        ID: "six",
        Status: "Enabled",
        Filter: { Prefix: "d" },
        AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 },
      },
    ];
    await write(Bucket, ...rules);
    expect(await read()).toEqual(rules);
    await client.send(new DeleteBucketLifecycleCommand({ Bucket }));
    await refuses(read(), "NoSuchLifecycleConfiguration");
  });

  it("conditions hold together, with an And or without", async () => {
    const Bucket = await newBucket();
    const Tag = { Key: "k", Value: "v" };
    const Expiration = { Days: 1 };
    const both = { And: { Prefix: "a", Tags: [Tag] } };
    for (const Filter of [{ Prefix: "a", Tag }, { Prefix: "a", And: { Tags: [Tag] } }, both]) {
      await write(Bucket, { ID: "one", Status: "Enabled", Filter, Expiration });
      const { Rules } = await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket }));
      expect(Rules).toEqual([{ ID: "one", Status: "Enabled", Filter: both, Expiration }]);
    }
    const twice = (one: string, other: string): object => ({
      ID: "one",
      Status: "Enabled",
      Expiration,
      Filter: { Prefix: one, And: { Prefix: other, Tags: [Tag] } },
    });
    for (const [one, other] of [
      ["logs", "logs/a"],
      ["logs/a", "logs"],
      ["logs/a", "logs/a"],
    ] as const) {
      await write(Bucket, twice(one, other));
      const { Rules } = await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket }));
      expect(Rules?.[0]?.Filter).toEqual({ And: { Prefix: "logs/a", Tags: [Tag] } });
    }
    await refuses(write(Bucket, twice("logs/a", "logs/b")), "InvalidRequest");
  });

  it("rules without an id get one that stays", async () => {
    const Bucket = await newBucket();
    const rule = { Status: "Enabled", Filter: { Prefix: "a" }, Expiration: { Days: 1 } };
    await write(Bucket, rule);
    const id = async (): Promise<unknown> =>
      (await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket }))).Rules?.[0]?.ID;
    const first = await id();
    expect(first).toMatch(/^[0-9a-f]{32}$/);
    await write(Bucket, rule);
    expect(await id()).toBe(first);
  });

  it.each<[string, object, string]>([
    ["a transition", { Transitions: [{ Days: 1, StorageClass: "GLACIER" }] }, "NotImplemented"],
    ["no action", {}, "InvalidRequest"],
    ["zero days", { Expiration: { Days: 0 } }, "InvalidArgument"],
    ["a date in the middle of a day", { Expiration: { Date: new Date("2030-01-01T01:00:00Z") } }, "InvalidArgument"],
    ["days and a date", { Expiration: { Days: 1, Date: new Date("2030-01-01") } }, "MalformedXML"],
    ["a status in lower case", { Status: "enabled", Expiration: { Days: 1 } }, "MalformedXML"],
    ["an id that is too long", { ID: "a".repeat(256), Expiration: { Days: 1 } }, "InvalidArgument"],
    ["a prefix and a filter", { Prefix: "x", Expiration: { Days: 1 } }, "MalformedXML"],
    [
      "delete markers with tags",
      { Filter: { Tag: { Key: "a", Value: "b" } }, Expiration: { ExpiredObjectDeleteMarker: true } },
      "InvalidRequest",
    ],
  ])("a rule with %s is refused", async (_name, rule, code) => {
    const Bucket = await newBucket();
    await refuses(write(Bucket, { ...base, ...rule }), code);
    await refuses(client.send(new GetBucketLifecycleConfigurationCommand({ Bucket })), "NoSuchLifecycleConfiguration");
  });

  it("two rules of one id are refused", async () => {
    const Bucket = await newBucket();
    await refuses(
      write(Bucket, { ...base, Expiration: { Days: 1 } }, { ...base, Expiration: { Days: 2 } }),
      "InvalidArgument",
    );
  });
});

describe("policy", () => {
  it("comes back to the letter, and says whether it is public", async () => {
    const Bucket = await newBucket();
    const status = async (): Promise<unknown> =>
      (await client.send(new GetBucketPolicyStatusCommand({ Bucket }))).PolicyStatus?.IsPublic;
    await refuses(client.send(new GetBucketPolicyCommand({ Bucket })), "NoSuchBucketPolicy", 404);
    expect(await status()).toBe(false);
    const Policy = `{ "Statement": {"Effect":"Allow", "Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::${Bucket}/*"}}`;
    await client.send(new PutBucketPolicyCommand({ Bucket, Policy }));
    expect((await client.send(new GetBucketPolicyCommand({ Bucket }))).Policy).toBe(Policy);
    expect(await status()).toBe(true);
    await refuses(client.send(new PutBucketPolicyCommand({ Bucket, Policy: "{}" })), "MalformedPolicy", 400);
    const listed = await newBucket({ ACL: "public-read" });
    expect((await client.send(new GetBucketPolicyStatusCommand({ Bucket: listed }))).PolicyStatus?.IsPublic).toBe(true);
  });
});

describe("ownership controls and public access block", () => {
  it("come back and go", async () => {
    const Bucket = await newBucket();
    const ownership = async (): Promise<unknown> =>
      (await client.send(new GetBucketOwnershipControlsCommand({ Bucket }))).OwnershipControls;
    await refuses(ownership(), "OwnershipControlsNotFoundError", 404);
    const OwnershipControls = { Rules: [{ ObjectOwnership: "BucketOwnerPreferred" as const }] };
    await client.send(new PutBucketOwnershipControlsCommand({ Bucket, OwnershipControls }));
    expect(await ownership()).toEqual(OwnershipControls);
    await client.send(new DeleteBucketOwnershipControlsCommand({ Bucket }));
    await refuses(ownership(), "OwnershipControlsNotFoundError");

    const block = async (): Promise<unknown> =>
      (await client.send(new GetPublicAccessBlockCommand({ Bucket }))).PublicAccessBlockConfiguration;
    await refuses(block(), "NoSuchPublicAccessBlockConfiguration", 404);
    await client.send(
      new PutPublicAccessBlockCommand({ Bucket, PublicAccessBlockConfiguration: { BlockPublicAcls: true } }),
    );
    expect(await block()).toEqual({
      BlockPublicAcls: true,
      IgnorePublicAcls: false,
      BlockPublicPolicy: false,
      RestrictPublicBuckets: false,
    });
    await client.send(new DeletePublicAccessBlockCommand({ Bucket }));
    await refuses(block(), "NoSuchPublicAccessBlockConfiguration");
  });

  it("do not enforce the bucket's owner over a list that lets in others", async () => {
    const Bucket = await newBucket({ ACL: "public-read" });
    const OwnershipControls = { Rules: [{ ObjectOwnership: "BucketOwnerEnforced" as const }] };
    const enforce = async (): Promise<unknown> =>
      await client.send(new PutBucketOwnershipControlsCommand({ Bucket, OwnershipControls }));
    await refuses(enforce(), "InvalidBucketAclWithObjectOwnership", 400);
    await client.send(new PutBucketAclCommand({ Bucket, ACL: "private" }));
    await enforce();
  });
});

describe("notifications of events", () => {
  const QueueArn = "arn:globalfs:sqs:us-east-1::hook";
  const write = async (Bucket: string, configuration: object): Promise<unknown> =>
    await client.send(
      new PutBucketNotificationConfigurationCommand({ Bucket, NotificationConfiguration: configuration }),
    );

  it("come back and go", async () => {
    const Bucket = await newBucket();
    const read = async (): Promise<object> => {
      const { $metadata: _, ...rest } = await client.send(new GetBucketNotificationConfigurationCommand({ Bucket }));
      return rest;
    };
    expect(await read()).toEqual({});
    const QueueConfigurations = [
      {
        Id: "one",
        QueueArn,
        Events: ["s3:ObjectCreated:*", "s3:ObjectRemoved:Delete"],
        Filter: {
          Key: {
            FilterRules: [
              { Name: "prefix", Value: "in/" },
              { Name: "suffix", Value: ".jpg" },
            ],
          },
        },
      },
    ];
    await write(Bucket, { QueueConfigurations });
    expect(await read()).toEqual({ QueueConfigurations });
    await write(Bucket, {});
    expect(await read()).toEqual({});
  });

  it("go to webhooks that the operator named, and about events that are told", async () => {
    const Bucket = await newBucket();
    const Events = ["s3:ObjectCreated:*"];
    await refuses(write(Bucket, { QueueConfigurations: [{ QueueArn: `${QueueArn}s`, Events }] }), "InvalidArgument");
    await refuses(
      write(Bucket, { QueueConfigurations: [{ QueueArn: "arn:aws:sqs:us-east-1:1:q", Events }] }),
      "InvalidArgument",
    );
    await refuses(write(Bucket, { QueueConfigurations: [{ QueueArn, Events: ["s3:TestEvent"] }] }), "InvalidArgument");
    await refuses(write(Bucket, { TopicConfigurations: [{ TopicArn: QueueArn, Events }] }), "NotImplemented");
  });
});

describe("what is not kept here", () => {
  it("is said to be absent when it is read, and refused when it is put", async () => {
    const Bucket = await newBucket();
    await refuses(
      client.send(new GetBucketEncryptionCommand({ Bucket })),
      "ServerSideEncryptionConfigurationNotFoundError",
      404,
    );
    await refuses(client.send(new GetBucketWebsiteCommand({ Bucket })), "NoSuchWebsiteConfiguration", 404);
    await refuses(
      client.send(new GetBucketReplicationCommand({ Bucket })),
      "ReplicationConfigurationNotFoundError",
      404,
    );
    expect(await client.send(new GetBucketLoggingCommand({ Bucket }))).not.toHaveProperty("LoggingEnabled");
    expect(await client.send(new GetBucketAccelerateConfigurationCommand({ Bucket }))).not.toHaveProperty("Status");
    expect(await client.send(new GetBucketRequestPaymentCommand({ Bucket }))).toMatchObject({ Payer: "BucketOwner" });
    const none = { IsTruncated: false };
    expect(await client.send(new ListBucketInventoryConfigurationsCommand({ Bucket }))).toMatchObject(none);
    expect(await client.send(new ListBucketMetricsConfigurationsCommand({ Bucket }))).toMatchObject(none);
    await refuses(
      client.send(new GetBucketInventoryConfigurationCommand({ Bucket, Id: "x" })),
      "NoSuchConfiguration",
      404,
    );
    await client.send(new DeleteBucketEncryptionCommand({ Bucket }));

    const rules = { Rules: [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm: "AES256" as const } }] };
    await refuses(
      client.send(new PutBucketEncryptionCommand({ Bucket, ServerSideEncryptionConfiguration: rules })),
      "NotImplemented",
      501,
    );
    await refuses(client.send(new PutBucketLoggingCommand({ Bucket, BucketLoggingStatus: {} })), "NotImplemented");
    await refuses(client.send(new PutBucketWebsiteCommand({ Bucket, WebsiteConfiguration: {} })), "NotImplemented");
    const pay = async (Payer: "Requester" | "BucketOwner"): Promise<unknown> =>
      await client.send(new PutBucketRequestPaymentCommand({ Bucket, RequestPaymentConfiguration: { Payer } }));
    await pay("BucketOwner");
    await refuses(pay("Requester"), "NotImplemented");
  });
});

describe("where one bucket is the whole tree", () => {
  it("takes no configuration", async () => {
    const whole = await startS3Rig({ settings: { rootBucket: "everything" } });
    try {
      const root = whole.clientOf(await whole.key("root", [{ path: "", role: "admin" }]));
      const enabled = { Status: "Enabled" as const };
      const change = new PutBucketVersioningCommand({ Bucket: "everything", VersioningConfiguration: enabled });
      await refuses(root.send(change), "NotImplemented", 501);
    } finally {
      await whole.stop();
    }
  });
});
