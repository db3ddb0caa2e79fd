import { CreateBucketCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type S3Rig, startS3Rig } from "../testing/s3-rig.ts";
import { signedHeaders } from "../testing/signed.ts";

/** What browsers make of objects whose links they open. */

let s3: S3Rig;
const Bucket = "pages";
beforeAll(async () => {
  s3 = await startS3Rig();
  await s3.client.send(new CreateBucketCommand({ Bucket }));
});
afterAll(async () => await s3.stop());

async function headersOf(ContentType: string, query = "", method = "GET"): Promise<Headers> {
  await s3.client.send(
    new PutObjectCommand({ Bucket, Key: "page", Body: "<p>", ContentType, ContentDisposition: "inline" }),
  );
  const key = await s3.key("alice");
  const target = `/${Bucket}/page${query}`;
  const { host, ...headers } = { ...signedHeaders({ method, target, host: `127.0.0.1:${s3.port}`, key }), host: "" };
  const answer = await fetch(`${s3.url}${target}`, { method, headers });
  await answer.arrayBuffer();
  expect([answer.status, host]).toEqual([200, ""]);
  return answer.headers;
}

it.each(["text/html", "image/svg+xml", "application/xhtml+xml; charset=utf-8"])(
  "A page of type %s works in an origin of its own, and is shown as its owner said",
  async (type) => {
    for (const method of ["GET", "HEAD"]) {
      const headers = await headersOf(type, "", method);
      expect(headers.get("content-security-policy")).toMatch(/^sandbox allow-scripts(?!.*allow-same-origin)/);
      expect(headers.get("content-disposition")).toBe("inline");
      expect(headers.get("x-content-type-options")).toBe("nosniff");
    }
  },
);

it("What is no page is not guessed to be one", async () => {
  const headers = await headersOf("text/plain");
  expect(headers.get("x-content-type-options")).toBe("nosniff");
  expect(headers.get("content-security-policy")).toBeNull();
});

it("An address that asks for another type gets what belongs to that type", async () => {
  const headers = await headersOf("text/plain", "?response-content-type=text%2Fhtml");
  expect(headers.get("content-type")).toBe("text/html");
  expect(headers.get("content-security-policy")).toContain("sandbox");
});
