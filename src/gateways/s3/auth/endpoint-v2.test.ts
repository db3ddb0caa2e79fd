import { createHmac } from "node:crypto";
import { CreateBucketCommand, PutBucketPolicyCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { KnownAccessKey } from "../../../coordinator/index.ts";
import { type S3Rig, startS3Rig } from "../testing/s3-rig.ts";

/** The whole gateway with the older signature: routing, policies, and where it is switched off. */

let rig: S3Rig;
let alice: KnownAccessKey;
beforeAll(async () => {
  rig = await startS3Rig({ config: { domains: ["s3.test"] } });
  alice = await rig.key("alice");
  await rig.client.send(new CreateBucketCommand({ Bucket: "old" }));
  await rig.client.send(new PutObjectCommand({ Bucket: "old", Key: "k", Body: "content" }));
});
afterAll(async () => await rig.stop());

const sign = (lines: readonly string[], key = alice): string =>
  createHmac("sha1", key.secret).update(lines.join("\n")).digest("base64");
const soon = (): string => String(Math.floor(Date.now() / 1_000) + 60);

function presign(
  method: string,
  resource: string,
  more: { key?: KnownAccessKey; lines?: string[]; query?: string } = {},
) {
  const { key = alice, lines = ["", ""], query = "" } = more;
  const expires = soon();
  const signature = encodeURIComponent(sign([method, ...lines.slice(0, 2), expires, ...lines.slice(2), resource], key));
  const mark = resource.includes("?") ? "&" : "?";
  return `${resource}${mark}AWSAccessKeyId=${key.id}&Expires=${expires}&Signature=${signature}${query}`;
}

const call = async (address: string, init: RequestInit = {}): Promise<[status: number, text: string]> => {
  const answer = await fetch(rig.url + address, init);
  return [answer.status, await answer.text()];
};

describe("the endpoint with Signature Version 2", () => {
  it("serves presigned reads and writes, whose query has no meaning but that of the signature", async () => {
    expect(await call(presign("GET", "/old/k"))).toEqual([200, "content"]);
    expect(await call(presign("GET", "/old/k?tagging"))).toEqual([200, expect.stringContaining("<TagSet")]);
    const lines = ["", "text/x-own", "x-amz-meta-a:b"];
    const put = presign("PUT", "/old/put", { lines, query: "&content-type=text%2Fx-own&x-amz-meta-a=b" });
    expect(await call(put, { method: "PUT", body: new Uint8Array([97]) })).toEqual([200, ""]);
    const head = await fetch(rig.url + presign("HEAD", "/old/put"), { method: "HEAD" });
    expect([head.headers.get("content-type"), head.headers.get("x-amz-meta-a")]).toEqual(["text/x-own", "b"]);
    expect((await call(presign("DELETE", "/old/put"), { method: "DELETE" }))[0]).toBe(204);
    expect(await call(`${presign("PUT", "/old/x")}&other=1`, { method: "PUT", body: new Uint8Array() })).toEqual([
      501,
      expect.stringContaining("NotImplemented"),
    ]);
  });

  it("takes headers of the older kind, with the bucket in the host, too", async () => {
    const date = new Date().toUTCString();
    const lines = ["GET", "", "", "", `x-amz-date:${date}`];
    const request = (resource: string, host: string): string =>
      `GET /k HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nx-amz-date: ${date}\r\nAuthorization: AWS ${alice.id}:${sign([...lines, resource])}\r\n\r\n`;
    expect(await rig.raw(request("/old/k", "old.s3.test"))).toMatch(/^HTTP\/1\.1 200[^]*content$/);
    expect(await rig.raw(request("/k", "old.s3.test"))).toMatch(/^HTTP\/1\.1 403[^]*SignatureDoesNotMatch/);
    expect(await rig.raw(request("/old/k", "other.s3.test"))).toMatch(/^HTTP\/1\.1 403[^]*SignatureDoesNotMatch/);
  });

  it("tells policies which signature it was and where it stood", async () => {
    const bob = await rig.key("bob");
    await rig.client.send(new CreateBucketCommand({ Bucket: "told" }));
    await rig.client.send(new PutObjectCommand({ Bucket: "told", Key: "k", Body: "told" }));
    const allow = async (Condition: object): Promise<void> => {
      const Statement = [
        { Effect: "Allow", Principal: "*", Action: "s3:GetObject", Resource: "arn:aws:s3:::told/*", Condition },
      ];
      const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
      await rig.client.send(new PutBucketPolicyCommand({ Bucket: "told", Policy }));
    };
    const date = new Date().toUTCString();
    const authorization = `AWS ${bob.id}:${sign(["GET", "", "", date, "/told/k"], bob)}`;
    const statuses = async (): Promise<number[]> => [
      (await call(presign("GET", "/told/k", { key: bob })))[0],
      (await call("/told/k", { headers: { date, authorization } }))[0],
    ];
    for (const [condition, expected] of [
      [{ StringEquals: { "s3:signatureversion": "AWS" } }, [200, 200]],
      [{ StringEquals: { "s3:signatureversion": "AWS4-HMAC-SHA256" } }, [403, 403]],
      [{ StringEquals: { "s3:authType": "REST-QUERY-STRING" } }, [200, 403]],
      [{ StringEquals: { "s3:authType": "REST-HEADER" } }, [403, 200]],
      [{ NumericLessThan: { "s3:signatureAge": "600000" } }, [403, 403]],
    ] as const) {
      await allow(condition);
      expect([condition, await statuses()]).toEqual([condition, expected]);
    }
  });

  it("does not take an unsigned parameter for a header in a policy's condition", async () => {
    const bob = await rig.key("bob");
    await rig.client.send(new CreateBucketCommand({ Bucket: "headed" }));
    const Statement = [
      {
        Effect: "Allow",
        Principal: "*",
        Action: "s3:PutObject",
        Resource: "arn:aws:s3:::headed/*",
        Condition: { StringEquals: { "s3:x-amz-acl": "bucket-owner-full-control" } },
      },
    ];
    const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
    await rig.client.send(new PutBucketPolicyCommand({ Bucket: "headed", Policy }));
    const date = new Date().toUTCString();
    const put = async (amz: string[], query: string, headers: Record<string, string>): Promise<number> => {
      const authorization = `AWS ${bob.id}:${sign(["PUT", "", "", date, ...amz, "/headed/k"], bob)}`;
      return (await call(`/headed/k${query}`, { method: "PUT", headers: { date, authorization, ...headers } }))[0];
    };
    expect(await put([], "?x-amz-acl=bucket-owner-full-control", {})).toBe(403);
    const acl = { "x-amz-acl": "bucket-owner-full-control" };
    expect(await put(["x-amz-acl:bucket-owner-full-control"], "", acl)).toBe(200);
  });

  it("is refused in words, in forms too, unless the setting asks for it", async () => {
    const strict = await startS3Rig({ settings: { signatureV2: false } });
    try {
      const key = await strict.key("alice");
      const answer = await fetch(strict.url + presign("GET", "/old/k", { key }));
      expect([answer.status, await answer.text()]).toEqual([400, expect.stringContaining("Signature Version 4")]);
      const form = new FormData();
      const policy = Buffer.from(JSON.stringify({ expiration: "2999-01-01T00:00:00Z", conditions: [] })).toString(
        "base64",
      );
      for (const [name, value] of [
        ["AWSAccessKeyId", key.id],
        ["policy", policy],
        ["signature", createHmac("sha1", key.secret).update(policy).digest("base64")],
        ["key", "by-form"],
        ["file", "bytes"],
      ] as const)
        form.append(name, value);
      const posted = await fetch(`${strict.url}/old`, { method: "POST", body: form });
      expect([posted.status, await posted.text()]).toEqual([400, expect.stringContaining("Signature Version 4")]);
    } finally {
      await strict.stop();
    }
  });
});
