import { rm } from "node:fs/promises";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { expect, test } from "vitest";
import { type Conversation, talkTo } from "../../src/gateways/http/testing/conversation.ts";
import { signedHead } from "../../src/gateways/s3/testing/signed.ts";
import { startS3Endpoint } from "./support/s3-endpoint.ts";

test("a graceful stop lets every upload end that has begun, whichever process has its connection", async () => {
  const s3 = await startS3Endpoint("stop", { workers: 2 });
  const sdk = s3.sdk();
  await sdk.send(new CreateBucketCommand({ Bucket: "stop" }));
  sdk.destroy();
  const key = { id: s3.accessKeyId, secret: s3.secretAccessKey };
  const begin = (index: number): Conversation =>
    talkTo(
      s3.port,
      signedHead(
        { method: "PUT", target: `/stop/${index}`, host: `127.0.0.1:${s3.port}`, key },
        { "Content-Length": "8", Expect: "100-continue" },
      ),
    );
  const uploads = Array.from({ length: 6 }, (_, index) => begin(index));
  for (const { heard, socket } of uploads) {
    // The body is read from here on.
    await heard(/^HTTP\/1\.1 100 /);
    socket.write("half");
  }
  const ended = s3.daemon.stop("SIGTERM");
  await expect.poll(() => s3.daemon.events("coordinator_stopping")).toHaveLength(1);
  // Nobody new is let in, and those who are in are let out.
  await expect.poll(async () => await talkTo(s3.port, "GET / HTTP/1.1\r\n").ended).toBe("");
  for (const { socket } of uploads) socket.write("done");
  for (const { heard } of uploads) await heard(/HTTP\/1\.1 200 OK[^]*ETag/i);
  expect(await ended).toEqual({ code: 0, signal: null });
  await rm(s3.directory, { recursive: true, force: true });
});
