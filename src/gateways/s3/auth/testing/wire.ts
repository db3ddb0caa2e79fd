import { expect } from "vitest";
import { type Clock, systemClock } from "../../../../core/ports/clock.ts";
import { accessKey, type Passed, sendRaw } from "./gate-server.ts";
import { signRequest } from "./signing.ts";

/** Requests of one user at one moment, as they go over the wire. */
export const nowMs = Date.UTC(2026, 5, 7, 8, 9, 10);
export const amzDate = "20260607T080910Z";
export const clock: Clock = { ...systemClock, nowMs: () => nowMs };
export const key = accessKey({ id: "AKIDGATE", secret: "gate-secret", user: "gwen" });
export const host = "h";

export type Headers = Record<string, string>;

export const usual = (payload = "UNSIGNED-PAYLOAD", more: Headers = {}): Headers => ({
  host,
  "x-amz-date": amzDate,
  "x-amz-content-sha256": payload,
  ...more,
});

export function sign(
  headers: Headers,
  more: Partial<Parameters<typeof signRequest>[0]> = {},
): ReturnType<typeof signRequest> {
  return signRequest({ headers, secret: key.secret, accessKeyId: key.id, amzDate, ...more });
}

export interface Wire {
  readonly method?: string;
  readonly url?: string;
  readonly headers: Headers;
  readonly body?: Buffer | string;
}

/** Exactly these headers and bytes, on a connection of their own. */
export async function send(
  port: number,
  { method = "PUT", url = "/bucket/key", headers, body = "" }: Wire,
): Promise<string> {
  const isFramed = "content-length" in headers || "transfer-encoding" in headers;
  const length = isFramed ? {} : { "content-length": String(Buffer.byteLength(body)) };
  const fields = { ...headers, ...length, connection: "close" };
  return await sendRaw(port, [`${method} ${url} HTTP/1.1\r\n${headerText(fields)}\r\n`, body]);
}

export function headerText(headers: Headers): string {
  return Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("");
}

export function resultOf(answer: string): Passed {
  expect(answer).toMatch(/^HTTP\/1\.1 200/);
  return JSON.parse(answer.slice(answer.indexOf("{"), answer.lastIndexOf("}") + 1)) as Passed;
}

/** S3's code, or the whole answer when it is no error. */
export function codeOf(answer: string): string {
  return /<Code>(\w+)<\/Code>/.exec(answer)?.[1] ?? answer;
}
