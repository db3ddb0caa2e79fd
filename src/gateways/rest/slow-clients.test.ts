import { afterEach, describe, expect, it } from "vitest";
import { flakyStore } from "../../coordinator/testing/flaky-store.ts";
import { recordingLogger } from "../../core/testing/recording-logger.ts";
import { createMemoryStore } from "../../stores/index.ts";
import { type Conversation, talkTo } from "../http/testing/conversation.ts";
import { serveRest, type ServedRest, type ServeOptions } from "./testing/served-rest.ts";

/** Clients that take their time, on purpose or not: the others are served, and a watcher hears the truth. */

const opened: ServedRest[] = [];
afterEach(async () => {
  for (const served of opened.splice(0)) await served.close();
});

async function serve(options: ServeOptions = {}): Promise<ServedRest> {
  const served = await serveRest(options);
  opened.push(served);
  return served;
}

const JSON_HEAD =
  "POST /api/v1/rename HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n";
const PUT_HEAD = "PUT /api/v1/objects/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n";

/** A line again and again until the other side has had enough. */
async function drip({ socket, ended }: Conversation, everyMs: number): Promise<string> {
  const timer = setInterval(() => socket.write("X-Slow: 1\r\n"), everyMs);
  const said = await ended;
  clearInterval(timer);
  return said;
}

describe("bodies of JSON", () => {
  it("that never come hold their places for a while only", async () => {
    const served = await serve({ config: { maxConcurrentRequests: 8, headTimeoutMs: 300, bodyIdleMs: 60_000 } });
    const slow = Array.from({ length: 8 }, () => served.talk(JSON_HEAD));
    await expect.poll(async () => (await served.call("GET", "/api/v1/info")).status).toBe(503);
    for (const { heard } of slow) expect(await heard(/request_id/)).toMatch(/^HTTP\/1\.1 400 /);
    expect((await served.call("GET", "/api/v1/info")).status).toBe(200);
    for (const { socket } of slow) socket.destroy();
  });

  it("that come a byte at a time have to be whole by the same time", async () => {
    const served = await serve({ config: { headTimeoutMs: 300, bodyIdleMs: 60_000 } });
    const slow = served.talk(JSON_HEAD);
    const said = slow.heard(/request_id/);
    const timer = setInterval(() => slow.socket.write(" "), 20);
    expect(await said).toMatch(/^HTTP\/1\.1 400 .*IncompleteBody/s);
    clearInterval(timer);
    slow.socket.destroy();
  });

  it("whose client leaves are no failure of ours", async () => {
    const log = recordingLogger();
    const served = await serve({ log });
    const leaving = served.talk(`${JSON_HEAD}{"from":`);
    await expect
      .poll(async () => (await served.call("GET", "/metrics")).bytes.toString())
      .toMatch(/globalfs_http_requests_in_flight 2/);
    leaving.socket.destroy();
    await expect.poll(() => log.lines.some(({ fields }) => fields["status"] === 499)).toBe(true);
    expect(log.lines.filter(({ level }) => level === "error" || level === "warn")).toEqual([]);
  });
});

describe("bodies of objects", () => {
  it("that come too slowly to end are given up, and nothing is stored", async () => {
    const served = await serve({ config: { bodyIdleMs: 1_500, minBytesPerSecond: 1_000 } });
    const slow = served.talk(PUT_HEAD);
    const timer = setInterval(() => slow.socket.write("x"), 20);
    expect(await slow.heard(/request_id/)).toMatch(/^HTTP\/1\.1 400 .*fewer than 1000 bytes a second/s);
    clearInterval(timer);
    slow.socket.destroy();
    expect((await served.call("GET", "/api/v1/objects/slow")).status).toBe(404);
  });

  it("that keep to the rate may take as long as they do", async () => {
    const served = await serve({ config: { bodyIdleMs: 400, minBytesPerSecond: 50 } });
    const steady = served.talk(PUT_HEAD.replace("100000", "3000"));
    let sent = 0;
    const timer = setInterval(() => {
      if (sent === 3_000) clearInterval(timer);
      else steady.socket.write("x".repeat(100));
      sent = Math.min(3_000, sent + 100);
    }, 25);
    expect(await steady.heard(/request_id|version_id/)).toMatch(/^HTTP\/1\.1 201 /);
    steady.socket.destroy();
  });
});

describe("answers", () => {
  const body = Buffer.alloc(64 * 1024 ** 2, "x");

  it("that nobody takes are given up, and their places with them", async () => {
    const served = await serve({
      rig: { sites: [{ name: "local", role: "primary", store: createMemoryStore({ maxBytes: 2 ** 30 }) }] },
      config: { maxConcurrentRequests: 2, bodyIdleMs: 300, headTimeoutMs: 100, minBytesPerSecond: 1_000 },
    });
    expect((await served.call("PUT", "/api/v1/objects/large", { body })).status).toBe(201);
    const lazy = Array.from({ length: 2 }, () => {
      const conversation = talkTo(served.port, "GET /api/v1/objects/large HTTP/1.1\r\nHost: localhost\r\n\r\n");
      conversation.socket.pause();
      return conversation;
    });
    await expect.poll(async () => (await served.call("GET", "/api/v1/info")).status).toBe(503);
    await expect.poll(async () => (await served.call("GET", "/api/v1/info")).status, { timeout: 5_000 }).toBe(200);
    for (const { socket } of lazy) socket.destroy();
  });
});

describe("connections", () => {
  it("on which nobody says who it is make room for new ones, and those of the known stay", async () => {
    const served = await serve({ apiKey: "secret", config: { maxConnections: 3 } });
    const request = "GET /api/v1/info HTTP/1.1\r\nHost: localhost\r\nX-GlobalFS-API-Key: secret\r\n\r\n";
    const known = served.talk(request);
    await known.heard(/cluster_name/);
    const idle = Array.from({ length: 10 }, () => served.talk("GET /livez"));
    await Promise.all(idle.slice(0, 8).map(async ({ ended }) => await ended));
    known.socket.write(request);
    await known.heard(/cluster_name[^]*cluster_name/);
    const late = served.talk(request);
    await late.heard(/cluster_name/);
    for (const { socket } of [known, late, ...idle]) socket.destroy();
  });

  it("that are all of the known take no further ones", async () => {
    const served = await serve({ config: { maxConnections: 1 } });
    const known = served.talk("GET /api/v1/info HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await known.heard(/cluster_name/);
    expect(await served.talk("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").ended).toBe("");
    known.socket.destroy();
  });

  it("whose head does not come are closed with 408", async () => {
    const served = await serve({ config: { headTimeoutMs: 200 } });
    expect(await drip(served.talk("GET /livez HTTP/1.1\r\nHost: x\r\n"), 30)).toMatch(/^HTTP\/1\.1 408 /);
  });
});

describe("whoever watches the coordinator", () => {
  it("is answered while every place is taken", async () => {
    const served = await serve({ apiKey: "secret", config: { maxConcurrentRequests: 1, bodyIdleMs: 5_000 } });
    const busy = served.talk(PUT_HEAD.replace("\r\n\r\n", "\r\nX-GlobalFS-API-Key: secret\r\n\r\n"));
    const key = { headers: { "x-globalfs-api-key": "secret" } };
    await expect.poll(async () => (await served.call("GET", "/api/v1/info", key)).status).toBe(503);
    for (const path of ["/livez", "/readyz", "/healthz"]) {
      const answer = await served.call("GET", path);
      expect([path, answer.status, answer.bytes.toString()]).toEqual([path, 200, "OK"]);
    }
    busy.socket.destroy();
  });

  it("hears what sites are called, and what ails them, only with a key", async () => {
    const store = flakyStore(createMemoryStore());
    const overrides = { health: { intervalMs: 20, timeoutMs: 1_000 } };
    const sites = [{ name: "hidden", role: "primary" as const, store }];
    const served = await serve({ apiKey: "secret", rig: { sites, overrides } });
    store.failing.add("*");
    await expect.poll(async () => (await served.call("GET", "/healthz")).status).toBe(503);
    const stranger = await served.call("GET", "/healthz");
    expect([stranger.status, stranger.bytes.toString()]).toEqual([503, "DEGRADED"]);
    const known = await served.call("GET", "/healthz", { headers: { "x-globalfs-api-key": "secret" } });
    expect([known.status, known.bytes.toString()]).toEqual([503, expect.stringMatching(/^DEGRADED\nhidden: /)]);
    expect((await served.call("GET", "/livez")).status).toBe(200);
    expect((await served.call("GET", "/readyz")).status).toBe(200);
  });
});
