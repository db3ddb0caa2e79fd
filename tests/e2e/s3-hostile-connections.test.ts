import { readFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/core/ports/clock.ts";
import { SigV4 } from "../../src/stores/drivers/s3/sigv4.ts";
import { type S3Endpoint, startS3Endpoint } from "./support/s3-endpoint.ts";
import { until } from "./support/until.ts";

/** Connections that mean harm, or only are broken: each gets an answer or an end, and nobody else notices. */

const Bucket = "hostile";
let s3: S3Endpoint;

beforeAll(async () => {
  s3 = await startS3Endpoint(
    "hostile",
    {},
    { global: { metrics_port: 0, log_level: "DEBUG" }, limits: { body_idle_timeout: "1s", head_timeout: "2s" } },
  );
  const sdk = s3.sdk();
  await sdk.send(new CreateBucketCommand({ Bucket }));
  sdk.destroy();
});
afterAll(async () => await s3?.stop());

interface Conversation {
  readonly socket: Socket;
  said(): string;
  readonly ended: Promise<string>;
}

function talk(bytes: string): Conversation {
  const socket = connect({ port: s3.port, host: "127.0.0.1" });
  let said = "";
  socket.on("data", (piece: Buffer) => (said += piece.toString("latin1")));
  const ended = new Promise<string>((resolve) => {
    socket.once("close", () => resolve(said));
    // A reset ends a conversation as well as a close.
    socket.on("error", () => undefined);
  });
  socket.write(bytes, "latin1");
  return { socket, said: () => said, ended };
}

/** The head of a signed PUT whose body comes in chunks without signatures of their own. */
function chunkedHead(key: string, decodedBytes: number, extra: Readonly<Record<string, string>> = {}): string {
  const { accessKeyId, secretAccessKey, region, port } = s3;
  const headers: Record<string, string> = {
    host: `127.0.0.1:${port}`,
    "content-encoding": "aws-chunked",
    "x-amz-decoded-content-length": String(decodedBytes),
    "x-amz-trailer": "x-amz-checksum-crc32",
    ...extra,
  };
  const path = `/${Bucket}/${key}`;
  const added = new SigV4().sign(
    { region, credentials: { accessKeyId, secretAccessKey } },
    { method: "PUT", path, query: "", headers, payloadHash: "STREAMING-UNSIGNED-PAYLOAD-TRAILER" },
    systemClock.nowMs(),
  );
  const lines = Object.entries({ ...headers, ...added }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `PUT ${path} HTTP/1.1\r\n${lines.join("")}`;
}

/** Whoever is still sending may see the reset before the answer, but not time and again. */
async function answerTo(bytes: string): Promise<string> {
  const mayBeReset = bytes.length > 16_384;
  for (let left = mayBeReset ? 20 : 1; left > 0; left--) {
    const said = await talk(bytes).ended;
    if (said !== "") return said;
  }
  return "";
}

async function isServed(): Promise<void> {
  const sdk = s3.sdk();
  try {
    await sdk.send(new PutObjectCommand({ Bucket, Key: "served", Body: "still here" }));
    const { Body } = await sdk.send(new GetObjectCommand({ Bucket, Key: "served" }));
    expect(await Body?.transformToString()).toBe("still here");
  } finally {
    sdk.destroy();
  }
}

describe("malformed chunk framing", () => {
  const CRC32_OF_HELLO = "NhCmhg==";
  const trailer = `x-amz-checksum-crc32:${CRC32_OF_HELLO}\r\n\r\n`;

  test.each([
    ["a size that is no number", `zz\r\nhello\r\n0\r\n${trailer}`],
    ["a negative size", `-5\r\nhello\r\n0\r\n${trailer}`],
    ["a size beyond all bounds", `fffffffffffffffff\r\nhello\r\n0\r\n${trailer}`],
    ["no line break behind the chunk", `5\r\nhelloXX0\r\n${trailer}`],
    ["a size line without an end", "5".repeat(20_000)],
    ["more bytes than were announced", `6\r\nhello!\r\n0\r\n${trailer}`],
    ["fewer bytes than were announced", `4\r\nhell\r\n0\r\n${trailer}`],
    ["a checksum of other bytes", "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"],
    ["no checksum where one was announced", "5\r\nhello\r\n0\r\n\r\n"],
    ["a trailer of endless length", `5\r\nhello\r\n0\r\nx-amz-checksum-crc32:${"A".repeat(100_000)}\r\n\r\n`],
  ])("with %s is refused, and stores nothing", async (_what, body) => {
    const key = "framing";
    const { ended, socket, said } = talk(`${chunkedHead(key, 5)}content-length: ${body.length}\r\n\r\n${body}`);
    await until("there is an answer", async () => said().includes("\r\n\r\n") && /<\/Error>|\r\n\r\n$/.test(said()));
    socket.destroy();
    expect(await ended).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect(said()).toMatch(/<Code>\w+<\/Code><Message>[^<]+<\/Message>/);
    const requestId = /<RequestId>(\w+)<\/RequestId>/.exec(said())?.[1];
    await until("the log has a line of it", async () =>
      s3.daemon.events("s3_request").some((line) => line["requestId"] === requestId && Number(line["status"]) >= 400),
    );
    const sdk = s3.sdk();
    await expect(sdk.send(new GetObjectCommand({ Bucket, Key: key }))).rejects.toMatchObject({ name: "NoSuchKey" });
    sdk.destroy();
  });

  test("as it should be is taken", async () => {
    const body = `5\r\nhello\r\n0\r\n${trailer}`;
    const { said, socket } = talk(`${chunkedHead("well-framed", 5)}content-length: ${body.length}\r\n\r\n${body}`);
    await until("there is an answer", async () => said().includes("\r\n\r\n"));
    socket.destroy();
    expect(said()).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe("heads", () => {
  test.each([
    ["a header of a megabyte", `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${"a".repeat(1_000_000)}\r\n\r\n`],
    ["ten thousand headers", `GET / HTTP/1.1\r\nHost: x\r\n${"X-Many: 1\r\n".repeat(10_000)}\r\n`],
    ["an address of a megabyte", `GET /${"a".repeat(1_000_000)} HTTP/1.1\r\nHost: x\r\n\r\n`],
    ["bytes that are no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
    ["two lengths", "PUT /hostile/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"],
    [
      "a length and chunks",
      "PUT /hostile/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
  ])("with %s are answered with 4xx and the connection ends", async (_what, bytes) => {
    expect(await answerTo(bytes)).toMatch(/^HTTP\/1\.1 4\d\d /);
    await isServed();
  });
});

describe("clients that are slow on purpose", () => {
  test("lose their connection when their head takes too long", async () => {
    const { ended, socket } = talk("GET / HTTP/1.1\r\nHost: x\r\n");
    const drip = setInterval(() => socket.write("X-Slow: 1\r\n"), 250);
    const said = await ended;
    clearInterval(drip);
    expect(said).toMatch(/^HTTP\/1\.1 408 /);
  });

  test("lose their connection once no bytes of the body have come for the idle time, and nothing is stored", async () => {
    const head = chunkedHead("stopped", 1_000_000);
    const { ended } = talk(`${head}content-length: 1000100\r\n\r\nf4240\r\nbeginning`);
    expect(await ended).toMatch(/^HTTP\/1\.1 4\d\d [^]*<Code>RequestTimeout<\/Code>/);
    const sdk = s3.sdk();
    const missing = sdk.send(new GetObjectCommand({ Bucket, Key: "stopped" }));
    await expect(missing).rejects.toMatchObject({ name: "NoSuchKey" });
    sdk.destroy();
  });

  test("that end in the midst of a body leave nothing, and no upload", async () => {
    const { socket } = talk(`${chunkedHead("broken", 1_000_000)}content-length: 1000100\r\n\r\nf4240\r\nbeginning`);
    await new Promise((resolve) => socket.once("connect", resolve));
    socket.end();
    await isServed();
    const sdk = s3.sdk();
    const missing = sdk.send(new GetObjectCommand({ Bucket, Key: "broken" }));
    await expect(missing).rejects.toMatchObject({ name: "NoSuchKey" });
    sdk.destroy();
  });
});

test("two thousand idle connections keep nobody from being served, and cost little memory", async () => {
  const before = await residentMiB();
  const idle = await Promise.all(
    Array.from(
      { length: 2_000 },
      async () =>
        await new Promise<Socket>((resolve, reject) => {
          const socket = connect({ port: s3.port, host: "127.0.0.1" });
          socket.once("connect", () => resolve(socket));
          socket.once("error", reject);
        }),
    ),
  );
  // Some begin a request and do not go on.
  for (const socket of idle.slice(0, 500)) {
    socket.on("error", () => undefined);
    socket.write("GET / HTTP/1.1\r\nHost: ");
  }
  await isServed();
  expect((await residentMiB()) - before).toBeLessThan(200);
  for (const socket of idle) socket.destroy();
  await isServed();
});

async function residentMiB(): Promise<number> {
  const status = await readFile(`/proc/${s3.daemon.pid}/status`, "utf8");
  return Number(/RssAnon:\s+(\d+)/.exec(status)?.[1]) / 1_024;
}
