import { afterEach, expect, it } from "vitest";
import { systemClock } from "../../core/ports/clock.ts";
import { silentLogger } from "../../core/ports/log.ts";
import { createHttpServer, type HttpServer, type HttpServerOptions } from "./server.ts";
import { type Conversation, talkTo } from "./testing/conversation.ts";

/** Requests that come together: which of them begins first. */

const MANY = 100;
let served: HttpServer | undefined;
let clients: Conversation[] = [];
afterEach(async () => {
  for (const { socket } of clients) socket.destroy();
  clients = [];
  await served?.close({ drainMs: 0, running: () => 0, clock: systemClock, log: silentLogger });
  served = undefined;
});

async function serve(onRequest: HttpServerOptions["onRequest"]): Promise<{ readonly http: HttpServer; port: number }> {
  const http = createHttpServer({ onRequest, malformed: { contentType: "text/plain", body: "" } });
  served = http;
  const { port } = await http.listen({ host: "127.0.0.1", port: 0, setting: "port" });
  return { http, port };
}

function ask(port: number, method: string, body = ""): Conversation {
  const head = `${method} / HTTP/1.1\r\nHost: localhost\r\n`;
  const length = body === "" ? "" : `Content-Length: ${body.length}\r\n`;
  const conversation = talkTo(port, `${head}${length}\r\n${body}`);
  clients.push(conversation);
  return conversation;
}

it("Who sends no body does not wait for all who send one", async () => {
  const begun: string[] = [];
  const { port } = await serve(({ method = "" }, response) => {
    begun.push(method);
    response.end();
  });
  for (let index = 0; index < MANY; index++) ask(port, "PUT", "x");
  const probe = ask(port, "GET");
  await probe.heard(/200 OK/);
  await Promise.all(clients.map(async ({ heard }) => await heard(/200 OK/)));
  expect(begun).toHaveLength(MANY + 1);
  expect(begun.indexOf("GET")).toBeLessThan(MANY - 1);
});

it("Who leaves before its request has begun makes no work", async () => {
  const begun: string[] = [];
  const { port } = await serve(({ headers }, response) => {
    begun.push(headers["content-length"] ?? "");
    if (begun.length === 1) for (const { socket } of clients.slice(1)) socket.resetAndDestroy();
    // Those that left are heard of before the next ones begin.
    const sinceMs = performance.now();
    while (performance.now() - sinceMs < 2);
    response.end();
  });
  for (let index = 0; index < MANY; index++) ask(port, "PUT", "x");
  await (clients[0] as Conversation).heard(/200 OK/);
  await ask(port, "GET").heard(/200 OK/);
  expect(begun.length).toBeLessThan(MANY / 2);
});

it("A server that closes lets those begin that have come", async () => {
  let begun = 0;
  let running = 0;
  const { http, port } = await serve((_request, response) => {
    begun += 1;
    running += 1;
    response.once("close", () => (running -= 1)).end();
    // The first of those that had to wait.
    if (begun !== 9) return;
    served = undefined;
    void http.close({ drainMs: 10_000, running: () => running, clock: systemClock, log: silentLogger });
  });
  for (let index = 0; index < MANY; index++) ask(port, "PUT", "x");
  await Promise.all(clients.map(async ({ ended }) => await ended));
  expect(clients.filter(({ said }) => said().includes("200 OK"))).toHaveLength(begun);
  expect(begun).toBeGreaterThan(17);
});
