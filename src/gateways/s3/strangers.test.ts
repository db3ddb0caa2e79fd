import {
  CreateBucketCommand,
  GetObjectCommand,
  ListBucketsCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { afterEach, describe, expect, it } from "vitest";
import { type Conversation, talkTo } from "../http/testing/conversation.ts";
import { type S3Rig, type S3RigOptions, startS3Rig } from "./testing/s3-rig.ts";
import { signedHead } from "./testing/signed.ts";

/** Who has not proved who it is takes no place of those who have, however many come and however slow they are. */

const Bucket = "open";
const rigs: S3Rig[] = [];
const talks: Conversation[] = [];
afterEach(async () => {
  for (const { socket } of talks.splice(0)) socket.destroy();
  for (const rig of rigs.splice(0)) await rig.stop();
});

async function start(options: S3RigOptions = {}): Promise<S3Rig> {
  const s3 = await startS3Rig(options);
  rigs.push(s3);
  await s3.client.send(new CreateBucketCommand({ Bucket }));
  return s3;
}

function say(s3: S3Rig, text: string): Conversation {
  const talk = talkTo(s3.port, text);
  talks.push(talk);
  return talk;
}

const FORM = `POST /${Bucket} HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 100000\r\n\r\n--b\r\n`;

describe("forms whose fields do not come", () => {
  it("keep nobody out who signs, and few of their own kind run at once", async () => {
    const s3 = await start({
      config: { maxConcurrentRequests: 2, maxStrangers: 3 },
      settings: { formHeadMs: 60_000, bodyIdleMs: 60_000 },
    });
    const slow = Array.from({ length: 20 }, () => say(s3, FORM));
    // Those that found no place are told so, and the others still wait.
    await expect.poll(() => slow.filter(({ said }) => /^HTTP\/1\.1 503 .*SlowDown/s.test(said())).length).toBe(17);
    expect(slow.filter(({ said }) => said() === "")).toHaveLength(3);
    for (let turn = 0; turn < 5; turn++) await s3.client.send(new ListBucketsCommand({}));
  });

  it("are given up after a while, also when a byte comes now and then", async () => {
    const s3 = await start({ settings: { formHeadMs: 300, bodyIdleMs: 60_000 } });
    const silent = say(s3, FORM);
    const dripping = say(s3, FORM);
    const timer = setInterval(() => dripping.socket.write("C"), 20);
    try {
      for (const { heard } of [silent, dripping])
        expect(await heard(/<\/Error>/)).toMatch(/^HTTP\/1\.1 400 .*RequestTimeout/s);
    } finally {
      clearInterval(timer);
    }
  });
});

describe("clients that do not sign", () => {
  const policy = (action: string): string =>
    JSON.stringify({
      Version: "2012-10-17",
      Statement: [{ Effect: "Allow", Principal: "*", Action: action, Resource: `arn:aws:s3:::${Bucket}/*` }],
    });

  it("that read slowly what is open to them keep nobody out who signs", async () => {
    const s3 = await start({
      config: { maxConcurrentRequests: 2, maxStrangers: 3 },
      settings: { allowAnonymous: true },
    });
    await s3.client.send(new PutBucketPolicyCommand({ Bucket, Policy: policy("s3:GetObject") }));
    const Body = Buffer.alloc(16 * 1024 ** 2, "x");
    await s3.client.send(new PutObjectCommand({ Bucket, Key: "large", Body }));
    const lazy = Array.from({ length: 6 }, () => {
      const talk = say(s3, `GET /${Bucket}/large HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      talk.socket.once("data", () => talk.socket.pause());
      return talk;
    });
    await expect.poll(() => lazy.filter(({ said }) => said().startsWith("HTTP/1.1 503 ")).length).toBe(3);
    const { ContentLength } = await s3.client.send(new GetObjectCommand({ Bucket, Key: "large", Range: "bytes=0-9" }));
    expect(ContentLength).toBe(10);
  });

  it("have a time within which their bodies come as a whole", async () => {
    const s3 = await start({
      settings: { allowAnonymous: true, strangerBodyMs: 300, bodyIdleMs: 60_000 },
    });
    await s3.client.send(new PutBucketPolicyCommand({ Bucket, Policy: policy("s3:PutObject") }));
    const slow = say(s3, `PUT /${Bucket}/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n`);
    const timer = setInterval(() => slow.socket.write("x"), 20);
    expect(await slow.heard(/<\/Error>/)).toMatch(/^HTTP\/1\.1 400 .*RequestTimeout/s);
    clearInterval(timer);
    const quick = say(s3, `PUT /${Bucket}/quick HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx`);
    await quick.heard(/^HTTP\/1\.1 200 /);
  });
});

describe("pages that gave a name of their own the address of this machine", () => {
  const open = JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      {
        Effect: "Allow",
        Principal: "*",
        Action: "s3:*",
        Resource: [`arn:aws:s3:::${Bucket}`, `arn:aws:s3:::${Bucket}/*`],
      },
    ],
  });
  const settings = { allowAnonymous: true, ownNames: { listensOn: "127.0.0.1", names: ["Proxy.example.org"] } };
  const domains = ["s3.lab.example"];
  const ask = async (s3: S3Rig, host: string, line = `GET /${Bucket}/plan`): Promise<string> =>
    await s3.raw(`${line} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);

  it("see and change nothing of what is open to everybody", async () => {
    const s3 = await start({ settings, config: { domains } });
    await s3.client.send(new PutObjectCommand({ Bucket, Key: "plan", Body: "a plan" }));
    await s3.client.send(new PutBucketPolicyCommand({ Bucket, Policy: open }));
    for (const line of [`GET /${Bucket}/plan`, `GET /${Bucket}`, `PUT /${Bucket}/new`, `DELETE /${Bucket}/plan`])
      for (const host of ["evil.example:8091", "127.0.0.1.evil.example", "s3.lab.example.evil.example"])
        expect(await ask(s3, host, line)).toMatch(/^HTTP\/1\.1 403 .*AccessDenied.*cannot call this endpoint/s);
    for (const host of [
      "localhost:8091",
      "127.0.0.1",
      "[::1]:8091",
      "proxy.example.org",
      "s3.lab.example",
      "S3.lab.example:80",
    ])
      expect(await ask(s3, host), host).toMatch(/^HTTP\/1\.1 200 .*a plan$/s);
    expect(await ask(s3, `${Bucket}.s3.lab.example`, "GET /plan")).toMatch(/^HTTP\/1\.1 200 .*a plan$/s);
  });

  it("are nobody who signs, by whatever name", async () => {
    const s3 = await start({ settings });
    await s3.client.send(new PutObjectCommand({ Bucket, Key: "plan", Body: "a plan" }));
    const host = "any.example:1234";
    const head = signedHead(
      { method: "GET", target: `/${Bucket}/plan`, host, key: await s3.key("alice", [{ path: "", role: "admin" }]) },
      { Connection: "close" },
    );
    expect(await s3.raw(head)).toMatch(/^HTTP\/1\.1 200 .*a plan$/s);
  });
});

it("A body that comes too slowly to end is given up, whoever sends it", async () => {
  const s3 = await start({ settings: { bodyIdleMs: 1_500, minBytesPerSecond: 1_000 } });
  const key = await s3.key("alice");
  const slow = say(
    s3,
    signedHead(
      { method: "PUT", target: `/${Bucket}/slow`, host: `127.0.0.1:${s3.port}`, key },
      { "Content-Length": "100000" },
    ),
  );
  const timer = setInterval(() => slow.socket.write("x"), 20);
  expect(await slow.heard(/<\/Error>/)).toMatch(/^HTTP\/1\.1 400 .*RequestTimeout.*fewer than 1000 bytes a second/s);
  clearInterval(timer);
});
