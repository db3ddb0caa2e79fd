import { createHash, createHmac } from "node:crypto";
import {
  CreateBucketCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  PutBucketPolicyCommand,
} from "@aws-sdk/client-s3";
import { request as send } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { KnownAccessKey } from "../../../coordinator/service/access-keys.ts";
import { startS3Rig, type S3Rig } from "../testing/s3-rig.ts";
import { signedHeaders } from "../testing/signed.ts";

/** Forms as a browser sends them, through the whole endpoint. */
let s3: S3Rig;
let bob: KnownAccessKey;
beforeAll(async () => {
  s3 = await startS3Rig({ settings: { allowAnonymous: true } });
  bob = await s3.key("bob");
  await s3.clientOf(bob).send(new CreateBucketCommand({ Bucket: "pictures" }));
});
afterAll(async () => await s3.stop());

type Fields = Record<string, string>;

function signed(fields: Fields, key: KnownAccessKey = bob): Fields {
  const now = new Date();
  const date = now.toISOString().replaceAll(/[:-]|\.\d{3}/g, "");
  const day = date.slice(0, 8);
  const all: Fields = {
    ...fields,
    "x-amz-algorithm": "AWS4-HMAC-SHA256",
    "x-amz-credential": `${key.id}/${day}/us-east-1/s3/aws4_request`,
    "x-amz-date": date,
  };
  const policy = Buffer.from(
    JSON.stringify({
      expiration: new Date(now.getTime() + 60_000).toISOString(),
      conditions: [
        { bucket: "pictures" },
        ["content-length-range", 0, 1_000],
        ...Object.keys(all).map((name) => ["starts-with", `$${name}`, ""]),
      ],
    }),
  ).toString("base64");
  const hmac = (by: string | Buffer, text: string): Buffer => createHmac("sha256", by).update(text).digest();
  const signing = hmac(hmac(hmac(hmac(`AWS4${key.secret}`, day), "us-east-1"), "s3"), "aws4_request");
  return { ...all, policy, "x-amz-signature": hmac(signing, policy).toString("hex") };
}

async function post(fields: Fields, file = "the picture", bucket = "pictures") {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("file", new Blob([file]), "cat.jpg");
  const { headers, body } = new Request("http://host", { method: "POST", body: form });
  const answer = await send(`${s3.url}/${bucket}`, {
    method: "POST",
    headers: { "content-type": headers.get("content-type") as string },
    body: body as never,
  });
  return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() };
}
const get = async (key: string) => await s3.clientOf(bob).send(new GetObjectCommand({ Bucket: "pictures", Key: key }));

describe("a form", () => {
  it("stores its file with all that its fields say", async () => {
    const tagging = "<Tagging><TagSet><Tag><Key>kind</Key><Value>a cat</Value></Tag></TagSet></Tagging>";
    const fields = signed({
      key: ["dir/$", "{filename}"].join(""),
      "Content-Type": "image/jpeg",
      "Cache-Control": "no-cache",
      "x-amz-meta-colour": "grün",
      tagging,
    });
    const { status, headers, text } = await post(fields);
    expect([status, text]).toEqual([204, ""]);
    const etag = `"${createHash("md5").update("the picture").digest("hex")}"`;
    expect(headers).toMatchObject({
      etag,
      location: expect.stringMatching(/^http:\/\/[^/]+\/pictures\/dir\/cat\.jpg$/),
    });
    const got = await get("dir/cat.jpg");
    expect(await got.Body?.transformToString()).toBe("the picture");
    expect(got).toMatchObject({ ContentType: "image/jpeg", CacheControl: "no-cache", ETag: etag });
    expect(Buffer.from(got.Metadata?.["colour"] ?? "", "latin1").toString()).toBe("grün");
    const tags = await s3.clientOf(bob).send(new GetObjectTaggingCommand({ Bucket: "pictures", Key: "dir/cat.jpg" }));
    expect(tags.TagSet).toEqual([{ Key: "kind", Value: "a cat" }]);
  });

  it("is answered as it asks", async () => {
    const made = await post(signed({ key: "a&b", success_action_status: "201" }));
    expect([made.status, made.text]).toEqual([
      201,
      expect.stringContaining("<Bucket>pictures</Bucket><Key>a&#38;b</Key>"),
    ]);
    expect((await post(signed({ key: "a", success_action_status: "200" }))).status).toBe(200);
    expect((await post(signed({ key: "a", success_action_status: "404" }))).status).toBe(204);
    const sent = await post(signed({ key: "a b", success_action_redirect: "https://example.org/done?x=1" }));
    expect(sent.status).toBe(303);
    expect(sent.headers["location"]).toMatch(
      /^https:\/\/example\.org\/done\?x=1&bucket=pictures&key=a\+b&etag=%22[0-9a-f]{32}%22$/,
    );
    expect((await post(signed({ key: "a", success_action_redirect: "javascript:alert(1)" }))).status).toBe(400);
  });

  it("that is refused at its end leaves what was there", async () => {
    await post(signed({ key: "kept" }), "old");
    const refused = await post(signed({ key: "kept" }), "x".repeat(1_001));
    expect([refused.status, refused.text]).toEqual([400, expect.stringContaining("EntityTooLarge")]);
    const wrong = await post(signed({ key: "kept", "x-amz-checksum-crc32": "AAAAAA==" }), "new");
    expect([wrong.status, wrong.text]).toEqual([400, expect.stringContaining("BadDigest")]);
    expect(await (await get("kept")).Body?.transformToString()).toBe("old");
  });

  it("may do what its signer may, and no more", async () => {
    const mallory = await s3.key("mallory");
    expect((await post(signed({ key: "k" }, mallory))).status).toBe(403);
    const writer = await s3.key("wanda", [{ path: "pictures/wanda", role: "writer" }]);
    expect((await post(signed({ key: "wanda/k" }, writer))).status).toBe(204);
    expect((await post(signed({ key: "other/k" }, writer))).status).toBe(403);
    expect((await post({ key: "k" })).status).toBe(403);
    expect((await post(signed({ key: "k" }), "x", "nowhere")).text).toMatch(/AccessDenied|NoSuchBucket/);
  });

  it("without a signature may do what the bucket's policy lets anybody do, and not what it forbids", async () => {
    const allow = {
      Effect: "Allow",
      Principal: "*",
      Action: "s3:PutObject",
      Resource: "arn:aws:s3:::pictures/inbox/*",
    };
    const forbid = { ...allow, Effect: "Deny", Action: "s3:PutObjectTagging" };
    const Policy = JSON.stringify({ Version: "2012-10-17", Statement: [allow, forbid] });
    await s3.clientOf(bob).send(new PutBucketPolicyCommand({ Bucket: "pictures", Policy }));
    expect((await post({ key: "inbox/k" })).status).toBe(204);
    expect((await post({ key: "elsewhere/k" })).status).toBe(403);
    const tagging = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
    expect((await post({ key: "inbox/k", tagging })).status).toBe(403);
  });

  it("is the only thing that can be posted to a bucket", async () => {
    const host = `127.0.0.1:${s3.port}`;
    const headers = signedHeaders({ method: "POST", target: "/pictures", host, key: bob });
    const answer = await send(`${s3.url}/pictures`, { method: "POST", headers: { host, ...headers }, body: "x" });
    expect([answer.statusCode, await answer.body.text()]).toEqual([405, expect.stringContaining("MethodNotAllowed")]);
  });
});
