import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";
import { type Clock, systemClock } from "../../../../core/ports/clock.ts";
import type { Store } from "../../../store.ts";
import type { S3StoreConfig } from "../config.ts";
import { createS3Store } from "../index.ts";

/** An endpoint that says what the test wants said: faults that no healthy server produces. */
export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}
export type Answer = (request: Received, response: ServerResponse) => void;

export const LATE = new Date("2013-05-24T00:00:00Z");

export async function endpoint(answer: Answer): Promise<{ readonly url: string; readonly seen: Received[] }> {
  const seen: Received[] = [];
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("error", () => undefined);
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const received = {
        method: request.method ?? "",
        url: request.url ?? "",
        headers: request.headers,
        body: Buffer.concat(chunks),
      };
      seen.push(received);
      answer(received, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

export async function storeAt(
  answer: Answer,
  config: Partial<S3StoreConfig> = {},
  clock: Clock = impatientClock,
): Promise<{ store: Store; seen: Received[] }> {
  const { url, seen } = await endpoint(answer);
  const credentials = { accessKeyId: "key", secretAccessKey: "secret" };
  const store = createS3Store(
    { bucket: "bucket", region: "us-east-1", endpoint: url, credentials, ...config },
    { clock },
  );
  onTestFinished(async () => await store.close());
  return { store, seen };
}

/** Waits for nothing, so that retries are quick. */
export const impatientClock: Clock = { ...systemClock, sleep: () => Promise.resolve() };

export function fail(
  response: ServerResponse,
  status: number,
  code: string,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "content-type": "application/xml", ...headers });
  response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>so it is</Message></Error>`);
}

export function object(response: ServerResponse, body: string, headers: Record<string, string> = {}): void {
  const etag = `"${createHash("md5").update(body).digest("hex")}"`;
  response.writeHead(200, {
    etag,
    "last-modified": LATE.toUTCString(),
    "content-length": Buffer.byteLength(body),
    ...headers,
  });
  response.end(body);
}
