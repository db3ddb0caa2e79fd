import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteBucketPolicyCommand,
  DeleteObjectsCommand,
  GetBucketPolicyCommand,
  GetObjectAclCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  PutBucketAclCommand,
  PutBucketOwnershipControlsCommand,
  PutBucketPolicyCommand,
  PutObjectAclCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  PutPublicAccessBlockCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AccessRole } from "../../../coordinator/service/service.ts";
import { rigCtx } from "../../../coordinator/testing/rig.ts";
import { canonicalUserId } from "../../../security/index.ts";
import { type S3Rig, startS3Rig } from "../testing/s3-rig.ts";

let rig: S3Rig;
let alice: S3Client;
let bob: S3Client;
let root: S3Client;
let serial = 0;

beforeAll(async () => {
  rig = await startS3Rig({ settings: { allowAnonymous: true } });
  alice = rig.client;
  bob = rig.clientOf(await rig.key("bob"));
  root = await scoped("root", "admin", "");
});
afterAll(async () => {
  await rig.stop();
});

async function scoped(user: string, role: AccessRole, path: string): Promise<S3Client> {
  return rig.clientOf(await rig.key(user, [{ path, role }]));
}

/** Of alice. */
async function newBucket(): Promise<string> {
  serial += 1;
  const Bucket = `box-${serial}`;
  await alice.send(new CreateBucketCommand({ Bucket }));
  return Bucket;
}

async function put(client: S3Client, Bucket: string, Key: string, more: object = {}): Promise<void> {
  await client.send(new PutObjectCommand({ Bucket, Key, Body: "body", ...more }));
}

const get = async (client: S3Client, Bucket: string, Key: string): Promise<unknown> =>
  await client.send(new GetObjectCommand({ Bucket, Key }));

async function allow(Bucket: string, statement: object): Promise<void> {
  const Policy = JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", ...EVERYONE(Bucket), ...statement }],
  });
  await alice.send(new PutBucketPolicyCommand({ Bucket, Policy }));
}

const EVERYONE = (Bucket: string): object => ({ Principal: "*", Resource: `arn:aws:s3:::${Bucket}/*` });

async function refuses(work: Promise<unknown>, name = "AccessDenied"): Promise<void> {
  await expect(work).rejects.toMatchObject({ name });
}

async function anonymous(method: string, path: string, body?: string): Promise<number> {
  const answer = await fetch(`${rig.url}/${path}`, { method, ...(body === undefined ? {} : { body }) });
  await answer.arrayBuffer();
  return answer.status;
}

describe("what a user owns", () => {
  it("is the user's alone", async () => {
    const Bucket = await newBucket();
    await put(alice, Bucket, "a");
    await get(alice, Bucket, "a");
    await refuses(get(bob, Bucket, "a"));
    await refuses(put(bob, Bucket, "b"));
    await refuses(bob.send(new ListObjectsV2Command({ Bucket })));
    await refuses(bob.send(new GetBucketPolicyCommand({ Bucket })));
    expect(await anonymous("GET", `${Bucket}/a`)).toBe(403);
    expect(await anonymous("PUT", `${Bucket}/a`, "x")).toBe(403);
  });

  it("does not tell others whether an object is there", async () => {
    const Bucket = await newBucket();
    await put(alice, Bucket, "a");
    const there = await bob.send(new HeadObjectCommand({ Bucket, Key: "a" })).catch((error: unknown) => error);
    const missing = await bob.send(new HeadObjectCommand({ Bucket, Key: "b" })).catch((error: unknown) => error);
    expect(there).toMatchObject({ $metadata: { httpStatusCode: 403 } });
    expect(missing).toMatchObject({ $metadata: { httpStatusCode: 403 } });
    await refuses(get(alice, Bucket, "b"), "NoSuchKey");
  });

  it("shows in the user's list of buckets and in nobody else's", async () => {
    const Bucket = await newBucket();
    const names = async (client: S3Client): Promise<(string | undefined)[]> =>
      ((await client.send(new ListBucketsCommand({}))).Buckets ?? []).map(({ Name }) => Name);
    expect(await names(alice)).toContain(Bucket);
    expect(await names(bob)).not.toContain(Bucket);
    expect(await names(root)).toContain(Bucket);
  });

  it("is not a directory that came by another way", async () => {
    await rig.rig.put("plain/file", "x");
    await refuses(get(alice, "plain", "file"));
    await get(root, "plain", "file");
  });

  it("does not become so of what lies there already, by making a bucket of its name", async () => {
    await rig.rig.put("taken/file", "x");
    await refuses(alice.send(new CreateBucketCommand({ Bucket: "taken" })), "BucketAlreadyExists");
    await refuses(get(alice, "taken", "file"));
    await root.send(new CreateBucketCommand({ Bucket: "taken" }));
    await refuses(get(alice, "taken", "file"));
  });
});

describe("a key with a role on a path", () => {
  it("reads and lists below it, and no further", async () => {
    const Bucket = await newBucket();
    await put(alice, Bucket, "team/a");
    await put(alice, Bucket, "teams/a");
    const reader = await scoped("rita", "reader", `${Bucket}/team`);
    await get(reader, Bucket, "team/a");
    await refuses(get(reader, Bucket, "teams/a"));
    await refuses(put(reader, Bucket, "team/b"));
    await reader.send(new HeadBucketCommand({ Bucket }));
    await reader.send(new ListObjectsV2Command({ Bucket, Prefix: "team/" }));
    await refuses(reader.send(new ListObjectsV2Command({ Bucket, Prefix: "team" })));
    await refuses(reader.send(new ListObjectsV2Command({ Bucket })));
    await refuses(get(reader, Bucket, "team/missing"), "NoSuchKey");
    await refuses(get(reader, Bucket, "teams/missing"));
  });

  it("writes and deletes as a writer, and decides nothing about others", async () => {
    const Bucket = await newBucket();
    const writer = await scoped("will", "writer", Bucket);
    await put(writer, Bucket, "a");
    await get(writer, Bucket, "a");
    await refuses(writer.send(new PutBucketAclCommand({ Bucket, ACL: "private" })));
    await refuses(writer.send(new GetBucketPolicyCommand({ Bucket })));
    await refuses(put(writer, "elsewhere-bucket", "a"), "NoSuchBucket");
  });

  it("gains nothing from what its user owns through another key", async () => {
    const Bucket = await newBucket();
    await put(alice, Bucket, "a");
    const narrow = await scoped("alice", "reader", "some-other-bucket");
    await refuses(get(narrow, Bucket, "a"));
    const Grantee = { ID: canonicalUserId("alice"), Type: "CanonicalUser" as const };
    const Grants = [
      { Grantee, Permission: "FULL_CONTROL" as const },
      { Grantee, Permission: "READ" as const },
    ];
    await alice.send(new PutBucketAclCommand({ Bucket, AccessControlPolicy: { Owner: { ID: Grantee.ID }, Grants } }));
    await refuses(get(narrow, Bucket, "a"));
    await refuses(narrow.send(new ListObjectsV2Command({ Bucket })));
  });
});

describe("a bucket policy", () => {
  it("opens to others what it allows, and only that", async () => {
    const Bucket = await newBucket();
    await put(alice, Bucket, "a");
    await allow(Bucket, { Action: "s3:GetObject", Principal: { AWS: "arn:aws:iam:::user/bob" } });
    await get(bob, Bucket, "a");
    await refuses(bob.send(new GetObjectTaggingCommand({ Bucket, Key: "a" })));
    await refuses(put(bob, Bucket, "a"));
    expect(await anonymous("GET", `${Bucket}/a`)).toBe(403);
    await refuses(get(bob, Bucket, "missing"));
    await allow(Bucket, { Action: "s3:GetObject" });
    expect(await anonymous("GET", `${Bucket}/a`)).toBe(200);
    expect(await anonymous("GET", `${Bucket}/missing`)).toBe(403);
  });

  it("tells of missing objects below a prefix that may be listed", async () => {
    const Bucket = await newBucket();
    await allow(Bucket, {
      Action: "s3:ListBucket",
      Resource: `arn:aws:s3:::${Bucket}`,
      Condition: { StringLike: { "s3:prefix": "public/*" } },
    });
    await refuses(get(bob, Bucket, "public/missing"), "NoSuchKey");
    await refuses(get(bob, Bucket, "private/missing"));
  });

  it("denies the owner and administrators, too, who can still take it away", async () => {
    const Bucket = await newBucket();
    await put(alice, Bucket, "a");
    await allow(Bucket, {
      Effect: "Deny",
      Action: "s3:*",
      Resource: [`arn:aws:s3:::${Bucket}`, `arn:aws:s3:::${Bucket}/*`],
    });
    await refuses(get(alice, Bucket, "a"));
    await refuses(get(root, Bucket, "a"));
    await refuses(alice.send(new DeleteBucketPolicyCommand({ Bucket })));
    await root.send(new GetBucketPolicyCommand({ Bucket }));
    await root.send(new DeleteBucketPolicyCommand({ Bucket }));
    await get(alice, Bucket, "a");
  });

  it("asks for tags that the object has", async () => {
    const Bucket = await newBucket();
    await put(alice, Bucket, "open", { Tagging: "class=open" });
    await put(alice, Bucket, "closed", { Tagging: "class=closed" });
    await allow(Bucket, {
      Action: "s3:GetObject",
      Condition: { StringEquals: { "s3:ExistingObjectTag/class": "open" } },
    });
    await get(bob, Bucket, "open");
    await refuses(get(bob, Bucket, "closed"));
  });

  it("asks for tags that a request brings in its body", async () => {
    const Bucket = await newBucket();
    await put(alice, Bucket, "a");
    await allow(Bucket, {
      Action: "s3:PutObjectTagging",
      Condition: { StringEquals: { "s3:RequestObjectTag/class": "open" } },
    });
    const tag = async (Value: string): Promise<unknown> =>
      await bob.send(new PutObjectTaggingCommand({ Bucket, Key: "a", Tagging: { TagSet: [{ Key: "class", Value }] } }));
    await tag("open");
    await refuses(tag("closed"));
  });

  it("can forbid tags and lists along with an object, which whoever writes it may otherwise bring", async () => {
    const Bucket = await newBucket();
    const write = { Action: "s3:PutObject" };
    await allow(Bucket, write);
    await put(bob, Bucket, "a", { Tagging: "a=1", ACL: "public-read" });
    const Statement = ["s3:PutObjectTagging", "s3:PutObjectAcl"].map((Action) => ({
      ...EVERYONE(Bucket),
      Effect: "Deny",
      Action,
    }));
    const Policy = JSON.stringify({ Statement: [{ ...EVERYONE(Bucket), Effect: "Allow", ...write }, ...Statement] });
    await alice.send(new PutBucketPolicyCommand({ Bucket, Policy }));
    await put(bob, Bucket, "a");
    await refuses(put(bob, Bucket, "a", { Tagging: "a=1" }));
    await refuses(put(bob, Bucket, "a", { ACL: "public-read" }));
  });

  it("decides about each key of a batch by itself", async () => {
    const Bucket = await newBucket();
    await put(alice, Bucket, "own/a");
    await put(alice, Bucket, "other/a");
    await allow(Bucket, { Action: "s3:DeleteObject", Resource: `arn:aws:s3:::${Bucket}/own/*` });
    const answer = await bob.send(
      new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: "own/a" }, { Key: "other/a" }] } }),
    );
    expect(answer.Deleted?.map(({ Key }) => Key)).toEqual(["own/a"]);
    expect(answer.Errors?.map(({ Key, Code }) => [Key, Code])).toEqual([["other/a", "AccessDenied"]]);
  });

  it("that another program left unreadable opens nothing", async () => {
    const Bucket = await newBucket();
    await put(alice, Bucket, "a");
    await rig.rig.coordinator.changeBucket(rigCtx, Bucket, { documents: { policy: '{"Statement":"?"}' } });
    await refuses(get(alice, Bucket, "a"));
    await root.send(new DeleteBucketPolicyCommand({ Bucket }));
    await get(alice, Bucket, "a");
  });
});

describe("one bucket as the whole tree", () => {
  it("leads past no policy of the directories at its top", async () => {
    const whole = await startS3Rig({ settings: { rootBucket: "tree" } });
    try {
      const { coordinator } = whole.rig;
      await whole.rig.put("team/open/a", "x");
      await whole.rig.put("team/secret/a", "x");
      await coordinator.createBucket(rigCtx, { name: "team", owner: "alice" });
      const Statement = [
        {
          ...EVERYONE("team"),
          Effect: "Deny",
          Action: ["s3:GetObject", "s3:DeleteObject"],
          Resource: "arn:aws:s3:::team/secret/*",
        },
        {
          Effect: "Deny",
          Principal: "*",
          Action: "s3:ListBucket",
          Resource: "arn:aws:s3:::team",
          Condition: { StringLike: { "s3:prefix": "secret/*" } },
        },
      ];
      await coordinator.changeBucket(rigCtx, "team", { documents: { policy: JSON.stringify({ Statement }) } });
      const admin = whole.clientOf(await whole.key("root", [{ path: "", role: "admin" }]));
      await get(admin, "tree", "team/open/a");
      await refuses(get(admin, "tree", "team/secret/a"));
      await refuses(admin.send(new ListObjectsV2Command({ Bucket: "tree", Prefix: "team/secret/" })));
      await admin.send(new ListObjectsV2Command({ Bucket: "tree", Prefix: "team/open/" }));
      const copy = { Bucket: "tree", Key: "copy", CopySource: "tree/team/secret/a" };
      await refuses(admin.send(new CopyObjectCommand(copy)));
      const answer = await admin.send(
        new DeleteObjectsCommand({
          Bucket: "tree",
          Delete: { Objects: [{ Key: "team/secret/a" }, { Key: "team/open/a" }] },
        }),
      );
      expect(answer.Errors?.map(({ Key, Code }) => [Key, Code])).toEqual([["team/secret/a", "AccessDenied"]]);
    } finally {
      await whole.stop();
    }
  });
});

describe("a copy", () => {
  it("needs to read its source", async () => {
    const from = await newBucket();
    const to = await newBucket();
    await put(alice, from, "a");
    await allow(to, { Action: "s3:PutObject" });
    const copy = async (source: string): Promise<unknown> =>
      await bob.send(new CopyObjectCommand({ Bucket: to, Key: "copy", CopySource: source }));
    await refuses(copy(`${from}/a`));
    await allow(from, { Action: "s3:GetObject" });
    await copy(`${from}/a`);
    await refuses(copy("no-such-bucket/a"), "NoSuchBucket");
  });
});

describe("access lists", () => {
  it("open buckets to everybody, canned", async () => {
    const Bucket = await newBucket();
    await put(alice, Bucket, "a");
    await alice.send(new PutBucketAclCommand({ Bucket, ACL: "public-read" }));
    expect(await anonymous("GET", Bucket)).toBe(200);
    expect(await anonymous("GET", `${Bucket}/a`)).toBe(403);
    expect(await anonymous("GET", `${Bucket}/missing`)).toBe(404);
    expect(await anonymous("PUT", `${Bucket}/b`, "x")).toBe(403);
    await alice.send(new PutBucketAclCommand({ Bucket, ACL: "public-read-write" }));
    expect(await anonymous("PUT", `${Bucket}/b`, "x")).toBe(200);
    await alice.send(new PutBucketAclCommand({ Bucket, ACL: "authenticated-read" }));
    expect(await anonymous("GET", Bucket)).toBe(403);
    await bob.send(new ListObjectsV2Command({ Bucket }));
  });

  it("open objects by themselves", async () => {
    const Bucket = await newBucket();
    await put(alice, Bucket, "a", { ACL: "public-read" });
    await put(alice, Bucket, "b");
    expect(await anonymous("GET", `${Bucket}/a`)).toBe(200);
    expect(await anonymous("GET", `${Bucket}/b`)).toBe(403);
    await alice.send(new PutObjectAclCommand({ Bucket, Key: "a", ACL: "private" }));
    expect(await anonymous("GET", `${Bucket}/a`)).toBe(403);
  });

  it("give single users single rights", async () => {
    const Bucket = await newBucket();
    await put(alice, Bucket, "a", { GrantRead: `id="${canonicalUserId("bob")}"` });
    await get(bob, Bucket, "a");
    await refuses(bob.send(new GetObjectAclCommand({ Bucket, Key: "a" })));
    await alice.send(new PutObjectAclCommand({ Bucket, Key: "a", GrantReadACP: `id="${canonicalUserId("bob")}"` }));
    await refuses(get(bob, Bucket, "a"));
    await bob.send(new GetObjectAclCommand({ Bucket, Key: "a" }));
    await get(alice, Bucket, "a");
  });

  it("leave what others wrote to those who wrote it", async () => {
    const Bucket = await newBucket();
    await alice.send(new PutBucketAclCommand({ Bucket, ACL: "public-read-write" }));
    await put(bob, Bucket, "of-bob");
    await get(bob, Bucket, "of-bob");
    await refuses(get(alice, Bucket, "of-bob"));
    await put(bob, Bucket, "shared", { ACL: "bucket-owner-read" });
    await get(alice, Bucket, "shared");
    await alice.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: "of-bob" }] } }));
  });

  it("name known users only", async () => {
    const Bucket = await newBucket();
    const unknown = canonicalUserId("nobody-at-all");
    await refuses(put(alice, Bucket, "a", { GrantRead: `id="${unknown}"` }), "InvalidArgument");
    await refuses(put(alice, Bucket, "a", { GrantRead: 'id="_foo"' }), "InvalidArgument");
    await refuses(put(alice, Bucket, "a", { GrantRead: 'emailAddress="a@b.c"' }), "UnresolvableGrantByEmailAddress");
    await refuses(
      put(alice, Bucket, "a", { ACL: "private", GrantRead: `id="${canonicalUserId("bob")}"` }),
      "InvalidRequest",
    );
    await refuses(put(alice, Bucket, "a", { ACL: "log-delivery-write" }), "NotImplemented");
  });
});

describe("ownership and public access", () => {
  it("lists are off where the bucket's owner owns everything", async () => {
    const Bucket = await newBucket();
    await put(alice, Bucket, "a", { ACL: "public-read" });
    await alice.send(
      new PutBucketOwnershipControlsCommand({
        Bucket,
        OwnershipControls: { Rules: [{ ObjectOwnership: "BucketOwnerEnforced" }] },
      }),
    );
    expect(await anonymous("GET", `${Bucket}/a`)).toBe(403);
    await refuses(put(alice, Bucket, "a", { ACL: "private" }), "AccessControlListNotSupported");
    await allow(Bucket, { Action: "s3:PutObject" });
    await put(bob, Bucket, "b", { ACL: "bucket-owner-full-control" });
    await get(alice, Bucket, "b");
    await refuses(get(bob, Bucket, "b"));
  });

  it("a block takes back what lists and policies give to everybody", async () => {
    const Bucket = await newBucket();
    await put(alice, Bucket, "a", { ACL: "public-read" });
    await allow(Bucket, { Action: "s3:GetObjectTagging" });
    const block = async (field: string): Promise<unknown> =>
      await alice.send(new PutPublicAccessBlockCommand({ Bucket, PublicAccessBlockConfiguration: { [field]: true } }));
    expect(await anonymous("GET", `${Bucket}/a`)).toBe(200);
    await block("IgnorePublicAcls");
    expect(await anonymous("GET", `${Bucket}/a`)).toBe(403);
    expect(await anonymous("GET", `${Bucket}/a?tagging`)).toBe(200);
    await block("RestrictPublicBuckets");
    expect(await anonymous("GET", `${Bucket}/a?tagging`)).toBe(403);
    await block("BlockPublicAcls");
    await refuses(put(alice, Bucket, "b", { ACL: "public-read" }));
    await refuses(alice.send(new PutBucketAclCommand({ Bucket, ACL: "public-read" })));
    await block("BlockPublicPolicy");
    await refuses(allow(Bucket, { Action: "s3:GetObject" }));
    await allow(Bucket, { Action: "s3:GetObject", Principal: { AWS: "arn:aws:iam:::user/bob" } });
  });
});

describe("without a setting that lets them in", () => {
  it("those who do not sign are refused whatever policies say", async () => {
    const closed = await startS3Rig();
    try {
      await closed.client.send(new CreateBucketCommand({ Bucket: "shut" }));
      await closed.client.send(new PutObjectCommand({ Bucket: "shut", Key: "a", Body: "x", ACL: "public-read" }));
      const answer = await fetch(`${closed.url}/shut/a`);
      expect(answer.status).toBe(403);
      expect(await answer.text()).toContain("<Code>AccessDenied</Code>");
      // Nobody looks up for them, at the sites even, whether there is such a bucket.
      const missing = await fetch(`${closed.url}/not-there/a`);
      expect(missing.status).toBe(403);
      expect(await missing.text()).toContain("<Code>AccessDenied</Code>");
    } finally {
      await closed.stop();
    }
  });
});
