import {
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type S3Endpoint, startS3Endpoint } from "./support/s3-endpoint.ts";

/** Keys of 500 levels through both doors, on disks. */

const Bucket = "deep";
const LEVELS = "a/".repeat(500);
let s3: S3Endpoint;

beforeAll(async () => {
  s3 = await startS3Endpoint("deep");
}, 60_000);
afterAll(async () => await s3?.stop());

test("are written, in parts too, listed, read and deleted, and nothing is left", { timeout: 60_000 }, async () => {
  const client = s3.sdk();
  await client.send(new CreateBucketCommand({ Bucket }));
  for (const Body of ["1", "2"]) await client.send(new PutObjectCommand({ Bucket, Key: `p/${LEVELS}x`, Body }));
  const Key = `u/${LEVELS}x`;
  const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
  const part = await client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body: "parts" }));
  const MultipartUpload = { Parts: [{ PartNumber: 1, ETag: part.ETag }] };
  await client.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload }));
  const address = `${s3.daemon.url}/api/v1/objects/${Bucket}/r/${LEVELS}x`;
  expect((await fetch(address, { method: "PUT", body: "rest" })).status).toBe(201);
  expect(await (await fetch(address)).text()).toBe("rest");
  const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: `p/${LEVELS}x` }));
  expect(await Body?.transformToString()).toBe("2");
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket }));
  const keys = ["p", "r", "u"].map((top) => `${top}/${LEVELS}x`);
  expect(Contents.map((each) => each.Key)).toEqual(keys);
  expect((await fetch(address, { method: "DELETE" })).status).toBe(204);
  const Objects = keys.map((each) => ({ Key: each }));
  const { Errors } = await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
  expect(Errors).toBeUndefined();
  const { CommonPrefixes } = await client.send(new ListObjectsV2Command({ Bucket, Delimiter: "/" }));
  expect(CommonPrefixes).toBeUndefined();
  await client.send(new DeleteBucketCommand({ Bucket }));
  client.destroy();
});
