import {
  CopyObjectCommand,
  CreateBucketCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type S3Rig, startS3Rig } from "../testing/s3-rig.ts";
import { signedHeaders } from "../testing/signed.ts";

let s3: S3Rig;
const Bucket = "names";
beforeAll(async () => {
  s3 = await startS3Rig();
  await s3.client.send(new CreateBucketCommand({ Bucket }));
});
afterAll(async () => await s3.stop());

const NAMES = ["__proto__", "constructor", "tostring", "hasownproperty"];

/** As they are on the wire: clients have their own ideas of such names. */
async function headersOf(target: string): Promise<Record<string, string>> {
  const key = await s3.key("alice");
  const headers = signedHeaders({ method: "HEAD", target, host: `127.0.0.1:${s3.port}`, key });
  const answer = await fetch(`${s3.url}${target}`, { method: "HEAD", headers });
  return Object.fromEntries([...answer.headers].filter(([name]) => name.startsWith("x-amz-meta-")));
}

it.each(NAMES)("Metadata may be called %s, and comes back, also from a copy", async (name) => {
  const Metadata = Object.fromEntries([[name, "kept"]]);
  await s3.client.send(new PutObjectCommand({ Bucket, Key: name, Body: "x", Metadata }));
  expect(Object.entries(await headersOf(`/${Bucket}/${name}`))).toEqual([[`x-amz-meta-${name}`, "kept"]]);
  await s3.client.send(new CopyObjectCommand({ Bucket, Key: `${name}-copy`, CopySource: `${Bucket}/${name}` }));
  expect(Object.entries(await headersOf(`/${Bucket}/${name}-copy`))).toEqual([[`x-amz-meta-${name}`, "kept"]]);
});

it.each(NAMES)("A tag may be called %s, whether it comes in a header or in a document", async (name) => {
  const TagSet = [{ Key: name, Value: "1" }];
  await s3.client.send(new PutObjectCommand({ Bucket, Key: "tagged", Body: "x", Tagging: `${name}=1` }));
  expect((await s3.client.send(new GetObjectTaggingCommand({ Bucket, Key: "tagged" }))).TagSet).toEqual(TagSet);
  await s3.client.send(new PutObjectCommand({ Bucket, Key: "tagged", Body: "x" }));
  await s3.client.send(new PutObjectTaggingCommand({ Bucket, Key: "tagged", Tagging: { TagSet } }));
  expect((await s3.client.send(new GetObjectTaggingCommand({ Bucket, Key: "tagged" }))).TagSet).toEqual(TagSet);
  expect((await s3.client.send(new HeadObjectCommand({ Bucket, Key: "tagged" }))).ContentLength).toBe(1);
});

it.each(NAMES)("A body's hash that is called %s is none", async (name) => {
  const key = await s3.key("alice");
  const target = `/${Bucket}/hashed`;
  const headers = signedHeaders({ method: "PUT", target, host: `127.0.0.1:${s3.port}`, key });
  const answer = await fetch(`${s3.url}${target}`, {
    method: "PUT",
    body: "x",
    headers: { ...headers, "x-amz-content-sha256": name },
  });
  expect([400, 403]).toContain(answer.status);
});

it.each(NAMES)("A trailer that is called %s names no checksum", async (name) => {
  const key = await s3.key("alice");
  const target = `/${Bucket}/trailing`;
  const host = `127.0.0.1:${s3.port}`;
  const headers = signedHeaders({ method: "PUT", target, host, key, headers: { "x-amz-trailer": name } });
  const answer = await fetch(`${s3.url}${target}`, { method: "PUT", body: "x", headers });
  expect(answer.status).toBe(400);
});
