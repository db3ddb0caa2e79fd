import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, it } from "vitest";
import { request as send } from "undici";
import { backgroundCtx } from "../../../core/context.ts";
import { GfsError } from "../../../core/errors.ts";
import { createFakeClock } from "../../../core/testing/fake-clock.ts";
import { answerLong, type LongAnswer } from "./long-answer.ts";
import { sendFailure } from "./error-answer.ts";
import type { S3Deps, S3Request } from "./request.ts";

let server: http.Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** A server that answers with work which ends when the test says so. */
async function serve(work: () => Promise<LongAnswer>) {
  const clock = createFakeClock();
  let started: () => void = () => undefined;
  const running = new Promise<void>((resolve) => (started = resolve));
  server = http.createServer((request, response) => {
    const ctx = backgroundCtx({ requestId: "R1" });
    const target = { method: "POST", bucket: "b", key: "k", query: new Map<string, string>() };
    const asked = { ...target, ctx, http: request, response, told: {} } as unknown as S3Request;
    void answerLong(asked, { clock } as unknown as S3Deps, work).catch((error: unknown) =>
      sendFailure(response, { ctx, http: request, target }, error),
    );
    started();
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { clock, running, answer: send(`http://127.0.0.1:${port}/b/k`, { method: "POST" }) };
}

const DONE: LongAnswer = { document: "<Done/>", headers: ["x-amz-version-id", "v1"] };

it("work that ends soon is answered as ever", async () => {
  const { answer } = await serve(() => Promise.resolve(DONE));
  const { statusCode, headers, body } = await answer;
  expect([statusCode, headers["x-amz-version-id"]]).toEqual([200, "v1"]);
  expect(await body.text()).toBe('<?xml version="1.0" encoding="UTF-8"?>\n<Done/>');
});

it("work that fails soon has the status of its error", async () => {
  const { answer } = await serve(() => Promise.reject(new GfsError("PreconditionFailed", "It did not hold.")));
  const { statusCode, body } = await answer;
  expect(statusCode).toBe(412);
  expect(await body.text()).toContain("<Code>PreconditionFailed</Code>");
});

it.each([
  ["its result", false, "<Done/>"],
  ["its error", true, "<Code>Conflict"],
])("work that takes long begins with 200 and white space, then %s", async (_what, fails, shown) => {
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));
  const { clock, running, answer } = await serve(async () => {
    await ended;
    if (fails) throw new GfsError("Conflict", "Another one won.", { context: { s3: "Conflict" } });
    return DONE;
  });
  await running;
  await clock.advance(10_000);
  const { statusCode, body } = await answer;
  expect(statusCode).toBe(200);
  await clock.advance(10_000);
  await clock.advance(10_000);
  end();
  const text = await body.text();
  expect(text).toMatch(/^<\?xml version="1\.0" encoding="UTF-8"\?>\n {2}<\w/);
  expect(text).toContain(shown);
});
