import { CreateBucketCommand, paginateListObjectsV2, type S3Client } from "@aws-sdk/client-s3";
import { Client } from "minio";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { forEachBounded } from "../../src/core/async/for-each.ts";
import { isMissing, type S3Endpoint, startS3Endpoint } from "./support/s3-endpoint.ts";

/** 10,000 keys, that is ten pages and more, as each client pages through them. */

const COUNT = 10_000;
let s3: S3Endpoint;
let sdk: S3Client;
let minio: Client;
const keys = Array.from(
  { length: COUNT },
  (_, index) => `d${index % 10}/key ${String(index).padStart(5, "0")}-ä`,
).toSorted();

beforeAll(async () => {
  s3 = await startS3Endpoint("many");
  sdk = s3.sdk();
  const { port, accessKeyId: accessKey, secretAccessKey: secretKey } = s3;
  minio = new Client({ endPoint: "127.0.0.1", port, useSSL: false, accessKey, secretKey });
  await sdk.send(new CreateBucketCommand({ Bucket: "many" }));
  await forEachBounded(keys, 32, async (key) => {
    await minio.putObject("many", key, "");
  });
}, 120_000);
afterAll(async () => {
  sdk?.destroy();
  await s3?.stop();
});

test("the AWS SDK lists them in order, each once", async () => {
  const listed: (string | undefined)[] = [];
  for await (const { Contents = [] } of paginateListObjectsV2({ client: sdk }, { Bucket: "many" })) {
    listed.push(...Contents.map(({ Key }) => Key));
  }
  expect(listed).toEqual(keys);
});

test("the MinIO client lists them with the older listing, each once", async () => {
  const listed: (string | undefined)[] = [];
  for await (const item of minio.listObjects("many", "", true)) listed.push((item as { name?: string }).name);
  expect(listed).toEqual(keys);
});

describe.skipIf(await isMissing("aws", "awscli"))("the AWS CLI", () => {
  test("lists them in order, each once", async () => {
    const words = ["--endpoint-url", s3.url, "s3", "ls", "--recursive", "s3://many"];
    const listed = (await s3.out("aws", words)).split("\n").filter(Boolean);
    expect(listed.map((line) => line.slice(31))).toEqual(keys);
  });
});

describe.skipIf(await isMissing("s3cmd"))("s3cmd", () => {
  test("lists them, each once", async () => {
    const host = `127.0.0.1:${s3.port}`;
    const words = ["--no-ssl", `--host=${host}`, `--host-bucket=${host}`, "ls", "-r", "s3://many"];
    const listed = (await s3.out("s3cmd", words)).split("\n").filter(Boolean);
    expect(listed.map((line) => line.slice(line.indexOf("s3://many/") + 10)).toSorted()).toEqual(keys);
  });
});

describe.skipIf(await isMissing("rclone"))("rclone", () => {
  test("lists them, each once", async () => {
    const remote = `:s3,provider=Other,env_auth=true,endpoint="${s3.url}":many`;
    const listed = (await s3.out("rclone", ["lsf", "-R", "--files-only", remote])).split("\n").filter(Boolean);
    expect(listed.toSorted()).toEqual(keys);
  });
});
