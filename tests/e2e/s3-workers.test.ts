import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  NoSuchKey,
  PutBucketPolicyCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort } from "../servers/shared-server.ts";
import { fileSite, writeConfiguration } from "./support/configuration.ts";
import { startDaemon } from "./support/daemon.ts";
import { dealtClients } from "./support/dealt-clients.ts";
import { type S3Endpoint, startS3Endpoint } from "./support/s3-endpoint.ts";
import { until } from "./support/until.ts";

/** Three processes behind one port, and clients whose connections are dealt out among them. */

const Bucket = "shared";
const CLIENTS = 9;
let s3: S3Endpoint;
let clients: S3Client[];

beforeAll(async () => {
  s3 = await startS3Endpoint("workers", { workers: 3 }, { cache: { enabled: true } });
  clients = dealtClients(s3, CLIENTS, { maxAttempts: 3 });
  await one().send(new CreateBucketCommand({ Bucket }));
});
afterAll(async () => {
  for (const client of clients ?? []) client.destroy();
  await s3?.stop();
});

let turn = 0;
function one(): S3Client {
  turn = (turn + 1) % CLIENTS;
  return clients[turn] as S3Client;
}

async function textOf(client: S3Client, Key: string): Promise<string> {
  const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
  return (await Body?.transformToString()) ?? "";
}

/** Processes that it has started. */
function workersOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
  return children.filter((child) => readFileSync(`/proc/${child}/cmdline`, "utf8").includes("coordinator\0worker"));
}

function workers(): number[] {
  return workersOf(s3.daemon.pid);
}

test("what one process has acknowledged every process shows at once", async () => {
  expect(workers()).toHaveLength(2);
  for (let round = 0; round < 20; round++) {
    const Body = `round ${round}`;
    await one().send(new PutObjectCommand({ Bucket, Key: "changing", Body }));
    const seen = await Promise.all(clients.map(async (client) => await textOf(client, "changing")));
    expect(new Set(seen)).toEqual(new Set([Body]));
    await one().send(new PutObjectCommand({ Bucket, Key: `listed/${round}`, Body }));
    for (const client of clients) {
      const { KeyCount } = await client.send(new ListObjectsV2Command({ Bucket, Prefix: "listed/" }));
      expect(KeyCount).toBe(round + 1);
    }
  }
  await one().send(new DeleteObjectCommand({ Bucket, Key: "changing" }));
  for (const client of clients) await expect(textOf(client, "changing")).rejects.toBeInstanceOf(NoSuchKey);
});

test("writes, uploads in parts and refusals come the same from every process", async () => {
  const part = Buffer.alloc(5 * 1024 ** 2, "p");
  for (const [index, client] of clients.entries()) {
    const Key = `upload-${index}`;
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
    const place = { Bucket, Key, UploadId };
    const { ETag } = await client.send(new UploadPartCommand({ ...place, PartNumber: 1, Body: part }));
    if (index === 0) await client.send(new AbortMultipartUploadCommand(place));
    else {
      await client.send(
        new CompleteMultipartUploadCommand({ ...place, MultipartUpload: { Parts: [{ PartNumber: 1, ETag }] } }),
      );
      expect((await one().send(new HeadObjectCommand({ Bucket, Key }))).ContentLength).toBe(part.length);
    }
    await expect(
      client.send(new PutObjectCommand({ Bucket, Key: `upload-${CLIENTS - 1}-x`, Body: "1", IfMatch: '"none"' })),
    ).rejects.toMatchObject({ $metadata: { httpStatusCode: expect.toBeOneOf([404, 412]) as number } });
    const stranger = new S3Client({
      endpoint: s3.url,
      region: s3.region,
      forcePathStyle: true,
      credentials: { accessKeyId: s3.accessKeyId, secretAccessKey: "wrong-secret" },
    });
    await expect(stranger.send(new HeadObjectCommand({ Bucket, Key: "upload-1" }))).rejects.toMatchObject({
      $metadata: { httpStatusCode: 403 },
    });
    stranger.destroy();
  }
});

test("a policy about addresses sees the client's own, whichever process it reached", async () => {
  const Policy = JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Deny",
        Principal: "*",
        Action: "s3:PutObject",
        Resource: `arn:aws:s3:::${Bucket}/guarded/*`,
        Condition: { NotIpAddress: { "aws:SourceIp": "127.0.0.1/32" } },
      },
      {
        Effect: "Deny",
        Principal: "*",
        Action: "s3:PutObject",
        Resource: `arn:aws:s3:::${Bucket}/closed/*`,
        Condition: { IpAddress: { "aws:SourceIp": "127.0.0.1/32" } },
      },
    ],
  });
  await one().send(new PutBucketPolicyCommand({ Bucket, Policy }));
  for (const client of clients) {
    await client.send(new PutObjectCommand({ Bucket, Key: "guarded/x", Body: "1" }));
    await expect(client.send(new PutObjectCommand({ Bucket, Key: "closed/x", Body: "1" }))).rejects.toMatchObject({
      $metadata: { httpStatusCode: 403 },
    });
  }
  // A header of the client's own that looks like ours changes nothing.
  const address = await fetch(`${s3.url}/${Bucket}/guarded/x`, { headers: { "x-globalfs-origin": "- 127.0.0.1" } });
  expect(address.status).toBe(403);
});

test("the metrics are those of all processes together", async () => {
  const before = await getsCounted();
  await one().send(new PutObjectCommand({ Bucket, Key: "counted", Body: "1" }));
  for (const client of clients) await textOf(client, "counted");
  expect((await getsCounted()) - before).toBe(CLIENTS);
});

async function getsCounted(): Promise<number> {
  const text = await (await fetch(`${s3.daemon.url}/metrics`)).text();
  const line = /^globalfs_s3_requests_total\{operation="GetObject",status="200"\} (\d+)/m.exec(text);
  return Number(line?.[1] ?? 0);
}

test("a worker that is killed is replaced, and what is asked meanwhile is answered", async () => {
  await one().send(new PutObjectCommand({ Bucket, Key: "lasting", Body: "here" }));
  const [victim] = workers() as [number];
  process.kill(victim, "SIGKILL");
  // The SDK asks again where its connection broke.
  for (const client of clients) expect(await textOf(client, "lasting")).toBe("here");
  await until("there are two workers again", async () => workers().length === 2 && !workers().includes(victim));
  for (const client of clients) expect(await textOf(client, "lasting")).toBe("here");
});

test("the other command of the coordinator has workers, too", async () => {
  const directory = await mkdtemp(join(tmpdir(), "globalfs-workers-"));
  const port = await freePort();
  const config = await writeConfiguration(directory, [fileSite("onprem", "primary")], {
    s3: { listen_addr: `127.0.0.1:${port}`, workers: 2 },
  });
  const daemon = await startDaemon({ directory, binary: "globalfs-coordinator", words: ["--config", config] });
  expect(workersOf(daemon.pid)).not.toEqual([]);
  expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(403);
  await daemon.stop();
  await rm(directory, { recursive: true });
});

test("no worker outlives its coordinator", async () => {
  const pids = workers();
  await s3.daemon.stop("SIGKILL");
  await until("the workers have ended", async () => pids.every((pid) => !isAlive(pid)));
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
