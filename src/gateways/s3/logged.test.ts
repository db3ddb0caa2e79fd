import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { afterEach, describe, expect, it } from "vitest";
import { recordingLogger } from "../../core/testing/recording-logger.ts";
import { type S3Rig, type S3RigOptions, startS3Rig } from "./testing/s3-rig.ts";
import { signedHead } from "./testing/signed.ts";

/** What the log tells of requests, so that a line, an answer and a user can be brought together. */

let s3: S3Rig;
afterEach(async () => await s3.stop());

async function start(options: Omit<S3RigOptions, "log"> = {}): Promise<ReturnType<typeof recordingLogger>> {
  const log = recordingLogger();
  s3 = await startS3Rig({ ...options, log });
  return log;
}

const requestIdIn = (answer: string): string | undefined => /<RequestId>(\w+)<\/RequestId>/.exec(answer)?.[1];

describe("the line of a request of S3", () => {
  it("has the id that the answer has, the user and its key", async () => {
    const log = await start();
    await s3.client.send(new CreateBucketCommand({ Bucket: "team" }));
    const key = await s3.key("alice");
    const host = `127.0.0.1:${s3.port}`;
    const answer = await s3.raw(
      signedHead({ method: "GET", target: "/team/absent", host, key }, { Connection: "close" }),
    );
    const requestId = requestIdIn(answer);
    expect(requestId).toBeDefined();
    await expect
      .poll(() => log.lines.find(({ fields }) => fields["requestId"] === requestId))
      .toMatchObject({
        event: "s3_request",
        fields: {
          operation: "GetObject",
          method: "GET",
          path: "/team/absent",
          key: key.id,
          user: "alice",
          status: 404,
        },
      });
  });

  it("that could not be passed on to the process that writes has the id that the answer has", async () => {
    const log = await start({ config: { passOnTo: "/nowhere/at/all.sock" } });
    const answer = await s3.raw("PUT /team/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    expect(answer).toMatch(/^HTTP\/1\.1 503 /);
    expect(log.lines.find(({ event }) => event === "s3_request_not_passed_on")?.fields).toEqual({
      requestId: requestIdIn(answer),
      method: "PUT",
      path: "/team/x",
      error: expect.any(String),
    });
  });
});
