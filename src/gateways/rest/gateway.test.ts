import { createHash, randomBytes } from "node:crypto";
import net from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { request as send } from "undici";
import { systemClock } from "../../core/ports/clock.ts";
import { silentLogger } from "../../core/ports/log.ts";
import { flakyStore, type FlakyStore } from "../../coordinator/testing/flaky-store.ts";
import { putForeign, type Rig, startRig } from "../../coordinator/testing/rig.ts";
import { createKeyring } from "../../security/index.ts";
import { createMemoryStore } from "../../stores/index.ts";
import { createMetrics } from "../../telemetry/index.ts";
import { createRestGateway, type RestGateway } from "./index.ts";
import { ROUTES } from "./routes.ts";

let rig: Rig;
let gateway: RestGateway;
let cloud: FlakyStore;
let base: string;
let port: number;

beforeAll(async () => {
  cloud = flakyStore(createMemoryStore());
  rig = await startRig({
    sites: [
      { name: "local", role: "primary" },
      { name: "cloud", role: "burst", store: cloud },
    ],
  });
  const metrics = createMetrics({ processMetrics: false });
  gateway = await createRestGateway(
    {
      service: rig.coordinator,
      keyring: createKeyring([]),
      clock: systemClock,
      log: silentLogger,
      metrics,
      renderMetrics: () => metrics.render(),
    },
    { version: "1.2.3", maxConcurrentRequests: 100, bodyIdleMs: 500 },
  );
  ({ port } = await gateway.listen({ host: "127.0.0.1", port: 0 }));
  base = `http://127.0.0.1:${port}`;
});
afterAll(async () => {
  await gateway.close({ drainMs: 100 });
  await rig.stop();
});

type Headers = Record<string, string>;
interface Got {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  bytes: Buffer;
  json: () => any; // oxlint-disable-line typescript/no-explicit-any -- tests look into answers
}

async function call(
  method: string,
  path: string,
  options: { headers?: Headers; body?: string | Buffer } = {},
): Promise<Got> {
  const { statusCode, headers, body } = await send(`${base}${path}`, {
    method: method as "GET",
    headers: { "x-globalfs-client": "test", ...options.headers },
    ...(options.body === undefined ? {} : { body: options.body }),
  });
  const bytes = Buffer.from(await body.arrayBuffer());
  return { status: statusCode, headers, bytes, json: () => JSON.parse(bytes.toString()) };
}

const put = async (key: string, body: string | Buffer, headers: Headers = {}): Promise<Got> =>
  await call("PUT", `/api/v1/objects/${key}`, { body, headers });
const get = async (key: string, headers: Headers = {}): Promise<Got> =>
  await call("GET", `/api/v1/objects/${key}`, { headers });
const postJson = async (path: string, body: unknown): Promise<Got> =>
  await call("POST", path, { body: JSON.stringify(body), headers: { "content-type": "application/json" } });

/** Sends bytes as they are and reads until the other side closes, or for a while. */
async function raw(text: string | Buffer, options: { keepOpenMs?: number } = {}): Promise<string> {
  return await new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1", () => socket.write(text));
    let received = "";
    const finish = (): void => {
      socket.destroy();
      resolve(received);
    };
    socket.on("data", (chunk: Buffer) => {
      received += chunk.toString("latin1");
    });
    socket.on("error", finish);
    socket.on("close", finish);
    setTimeout(finish, options.keepOpenMs ?? 300);
  });
}

describe("objects", () => {
  it("are stored, described, read and deleted, with all that belongs to them", async () => {
    const body = randomBytes(100_000);
    const sha256 = createHash("sha256").update(body).digest("hex");
    const stored = await put("dir/a%20b.bin", body, {
      "content-type": "application/x-test",
      "x-globalfs-meta-colour": Buffer.from("grün").toString("latin1"),
      "x-globalfs-checksum": `sha256:${sha256}`,
      "content-md5": createHash("md5").update(body).digest("base64"),
      "content-digest": `sha-256=:${createHash("sha256").update(body).digest("base64")}:`,
    });
    expect(stored.status).toBe(201);
    expect(stored.json()).toMatchObject({ key: "dir/a b.bin", size: 100_000, checksum: `sha256:${sha256}` });
    const head = await call("HEAD", "/api/v1/objects/dir/a%20b.bin");
    expect(head.status).toBe(200);
    expect(head.headers).toMatchObject({
      "content-length": "100000",
      "content-type": "application/x-test",
      "accept-ranges": "bytes",
      "x-globalfs-checksum": `sha256:${sha256}`,
      etag: stored.headers["etag"],
    });
    expect(Date.parse(head.headers["last-modified"] as string)).toBeGreaterThan(Date.now() - 60_000);
    const read = await get("dir/a%20b.bin");
    expect(read.bytes.equals(body)).toBe(true);
    expect(Buffer.from(read.headers["x-globalfs-meta-colour"] as string, "latin1").toString()).toBe("grün");
    expect((await get("dir/a%20b.bin")).headers["x-globalfs-source"]).toBe("cache");
    const deleted = await call("DELETE", "/api/v1/objects/dir/a%20b.bin");
    expect([deleted.status, deleted.headers["x-globalfs-deleted"]]).toEqual([204, "1"]);
    const gone = await get("dir/a%20b.bin");
    expect([gone.status, gone.json().code]).toEqual([404, "NotFound"]);
    const again = await call("DELETE", "/api/v1/objects/dir/a%20b.bin");
    expect([again.status, again.headers["x-globalfs-deleted"]]).toEqual([204, "0"]);
  });

  it.each([
    "a%00b",
    "..%2Fx",
    "../x",
    "a/../b",
    "a//b",
    "%2Flead",
    "%ff",
    "%zz",
    "a%0ab",
    ".globalfs/x",
    "x".repeat(1_025),
    "",
  ])("refuse the key %j and change nothing", async (key) => {
    const revision = await rig.kv.revision();
    for (const method of ["GET", "PUT", "DELETE", "HEAD"]) {
      const answer = await raw(
        `${method} /api/v1/objects/${key} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
      );
      expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    }
    expect(await rig.kv.revision()).toBe(revision);
  });

  it("never replay a delete on another route", async () => {
    await put("keep", "x");
    const answer = await raw(
      "DELETE /api/v1/objects/../sites/local HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect((await call("GET", "/api/v1/sites")).json()).toHaveLength(2);
  });

  it("hold their conditions", async () => {
    const first = await put("cond", "one", { "if-none-match": "*" });
    expect(first.status).toBe(201);
    const etag = first.headers["etag"] as string;
    expect((await put("cond", "two", { "if-none-match": "*" })).status).toBe(412);
    expect((await put("cond", "two", { "if-match": '"other"' })).status).toBe(412);
    expect((await get("cond", { "if-none-match": etag })).status).toBe(304);
    expect((await get("cond", { "if-none-match": `W/${etag}` })).status).toBe(304);
    expect((await get("cond", { "if-match": '"no"' })).status).toBe(412);
    const modified = (await get("cond")).headers["last-modified"] as string;
    expect((await get("cond", { "if-modified-since": modified })).status).toBe(304);
    expect((await get("cond", { "if-unmodified-since": "Mon, 01 Jan 2001 00:00:00 GMT" })).status).toBe(412);
    expect((await call("DELETE", "/api/v1/objects/cond", { headers: { "if-match": '"no"' } })).status).toBe(412);
    expect((await put("cond", "two", { "if-match": `"x", ${etag}` })).status).toBe(201);
    expect((await get("cond")).bytes.toString()).toBe("two");
  });
});

describe("ranges", () => {
  const body = Buffer.from(Array.from({ length: 1_000 }, (_, index) => index % 256));
  beforeAll(async () => {
    await put("ranged", body);
  });

  it.each([
    ["bytes=0-0", 206, "bytes 0-0/1000", [0, 1]],
    ["bytes=990-", 206, "bytes 990-999/1000", [990, 1_000]],
    ["bytes=-5", 206, "bytes 995-999/1000", [995, 1_000]],
    ["bytes=-5000", 206, "bytes 0-999/1000", [0, 1_000]],
    ["bytes=500-99999999999999999999", 206, "bytes 500-999/1000", [500, 1_000]],
    ["bytes=10-19,15-29", 206, "bytes 10-29/1000", [10, 30]],
    ["bytes=1-0", 200, undefined, [0, 1_000]],
    ["bytes=a-b", 200, undefined, [0, 1_000]],
    ["items=0-1", 200, undefined, [0, 1_000]],
    ["bytes=--5", 200, undefined, [0, 1_000]],
  ])("%s gives %i", async (range, status, contentRange, [start, end]) => {
    const answer = await get("ranged", { range });
    expect([answer.status, answer.headers["content-range"]]).toEqual([status, contentRange]);
    expect(answer.bytes.equals(body.subarray(start, end))).toBe(true);
  });

  it("past the end are 416 with the size", async () => {
    for (const range of ["bytes=1000-", "bytes=-0", "bytes=5000-6000, 7000-"]) {
      const answer = await get("ranged", { range });
      expect([answer.status, answer.headers["content-range"]]).toEqual([416, "bytes */1000"]);
    }
    expect(
      (
        await get("ranged", {
          range: `bytes=${Array.from({ length: 40 }, (_, index) => `${index * 10}-${index * 10 + 1}`).join(",")}`,
        })
      ).status,
    ).toBe(400);
  });

  it("may be several, in one answer of parts", async () => {
    const answer = await get("ranged", { range: "bytes=0-9, 100-109, -3" });
    expect(answer.status).toBe(206);
    expect(answer.headers["content-length"]).toBe(String(answer.bytes.length));
    const boundary = /boundary=(.+)$/.exec(answer.headers["content-type"] as string)?.[1] as string;
    const parts = answer.bytes.toString("latin1").split(`\r\n--${boundary}`).slice(1, -1);
    expect(
      parts.map((part) => [/Content-Range: (.*)\r/.exec(part)?.[1], part.slice(part.indexOf("\r\n\r\n") + 4)]),
    ).toEqual([
      ["bytes 0-9/1000", body.subarray(0, 10).toString("latin1")],
      ["bytes 100-109/1000", body.subarray(100, 110).toString("latin1")],
      ["bytes 997-999/1000", body.subarray(997).toString("latin1")],
    ]);
  });

  it("hold only while If-Range does", async () => {
    const { headers } = await get("ranged");
    expect((await get("ranged", { range: "bytes=0-1", "if-range": headers["etag"] as string })).status).toBe(206);
    expect((await get("ranged", { range: "bytes=0-1", "if-range": '"other"' })).status).toBe(200);
    expect((await get("ranged", { range: "bytes=0-1", "if-range": headers["last-modified"] as string })).status).toBe(
      206,
    );
  });
});

describe("bodies", () => {
  it("that are cut off leave the old version", async () => {
    await put("cut", "old");
    await raw("PUT /api/v1/objects/cut HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nonly this", {
      keepOpenMs: 50,
    });
    await raw(
      "PUT /api/v1/objects/cut HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
      { keepOpenMs: 50 },
    );
    await expect.poll(async () => (await get("cut")).bytes.toString()).toBe("old");
  });

  it("that never go on are given up", async () => {
    const answer = await raw("PUT /api/v1/objects/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx", {
      keepOpenMs: 2_000,
    });
    expect(answer === "" || answer.startsWith("HTTP/1.1 400")).toBe(true);
    expect((await get("slow")).status).toBe(404);
  });

  it("with a wrong checksum are refused", async () => {
    await put("sum", "old");
    for (const headers of [
      { "content-md5": createHash("md5").update("x").digest("base64") },
      { "x-globalfs-checksum": `sha256:${"0".repeat(64)}` },
      { digest: `SHA-256=${createHash("sha256").update("x").digest("base64")}` },
    ] as Headers[]) {
      const answer = await put("sum", "new", headers);
      expect([answer.status, answer.json().code]).toEqual([400, "ChecksumMismatch"]);
    }
    expect((await put("sum", "new", { "content-md5": "!!" })).json().code).toBe("InvalidArgument");
    expect((await put("sum", "new", { "content-encoding": "gzip" })).status).toBe(501);
    expect((await get("sum")).bytes.toString()).toBe("old");
  });

  it("are asked for only once the request is known to be good", async () => {
    const good = await raw(
      "PUT /api/v1/objects/expect HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",
      { keepOpenMs: 100 },
    );
    expect(good).toContain("HTTP/1.1 100 Continue");
    const bad = await raw(
      "PUT /api/v1/objects/a//b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",
      { keepOpenMs: 100 },
    );
    expect(bad).toMatch(/^HTTP\/1\.1 400 /);
  });

  it("that are too large for JSON, no JSON, or no object are refused with the field's name", async () => {
    expect((await postJson("/api/v1/rename", { from: "a", to: "b", extra: 1 })).json()).toMatchObject({
      code: "InvalidArgument",
      error: expect.stringContaining('"extra"'),
    });
    expect((await postJson("/api/v1/rename", { from: 5, to: "b" })).json().error).toContain("from");
    expect((await postJson("/api/v1/rename", { from: "a" })).status).toBe(400);
    expect(
      (await call("POST", "/api/v1/rename", { body: "{", headers: { "content-type": "application/json" } })).status,
    ).toBe(400);
    expect(
      (await call("POST", "/api/v1/rename", { body: "{}", headers: { "content-type": "text/plain" } })).status,
    ).toBe(400);
    expect(
      (
        await call("POST", "/api/v1/rename", {
          body: `{"from":"${"x".repeat(300_000)}"}`,
          headers: { "content-type": "application/json" },
        })
      ).status,
    ).toBe(413);
    expect((await call("GET", "/api/v1/objects?limit=0")).status).toBe(400);
    expect((await call("GET", "/api/v1/objects?nope=1")).json().error).toContain('"nope"');
  });
});

describe("listings", () => {
  it("are an array, and an object for those who page or fold", async () => {
    for (const key of ["l/1", "l/2", "l/d/3"]) await put(key, key);
    const plain = await call("GET", "/api/v1/objects?prefix=l/&limit=2");
    expect(plain.status).toBe(200);
    expect(plain.json().map(({ key, size }: { key: string; size: number }) => [key, size])).toEqual([
      ["l/1", 3],
      ["l/2", 3],
    ]);
    const next = await call(
      "GET",
      `/api/v1/objects?prefix=l/&limit=2&continuation=${plain.headers["x-globalfs-continuation"] as string}`,
    );
    expect(next.json().objects.map(({ key }: { key: string }) => key)).toEqual(["l/d/3"]);
    expect((await call("GET", "/api/v1/objects?prefix=l/&delimiter=/")).json()).toMatchObject({
      prefixes: ["l/d/"],
      failed_sites: [],
    });
    expect((await call("GET", "/api/v1/objects?continuation=nonsense")).status).toBe(400);
  });

  it("that miss a site are 207 and say so", async () => {
    cloud.failing.add("list");
    const answer = await call("GET", "/api/v1/objects");
    cloud.failing.clear();
    expect([answer.status, answer.headers["x-globalfs-partial"], answer.headers["x-globalfs-failed-sites"]]).toEqual([
      207,
      "true",
      "cloud",
    ]);
    expect(Array.isArray(answer.json())).toBe(true);
  });
});

describe("the other routes", () => {
  it("rename, replicate, explain and count", async () => {
    await put("from", "x");
    expect((await postJson("/api/v1/rename", { from: "from", to: "to" })).status).toBe(204);
    expect((await get("to")).bytes.toString()).toBe("x");
    expect((await postJson("/api/v1/rename", { from: "none", to: "x" })).status).toBe(404);
    const job = await postJson("/api/v1/replicate", { key: "to", from: "local", to: "cloud" });
    expect([job.status, job.json().kind]).toEqual([202, "replicate"]);
    expect((await call("GET", `/api/v1/jobs/${job.json().id}`)).json().key).toBe("to");
    expect((await call("GET", "/api/v1/jobs?state=failed")).json().jobs).toEqual([]);
    expect((await call("POST", "/api/v1/jobs/pause")).status).toBe(204);
    expect((await call("POST", "/api/v1/jobs/resume")).status).toBe(204);
    expect((await call("GET", "/api/v1/jobs/none")).status).toBe(404);
    expect((await call("GET", "/api/v1/explain/to")).json()).toMatchObject({
      key: "to",
      exists: true,
      write: { required: ["local"], following: ["cloud"] },
    });
    expect((await call("GET", "/api/v1/usage?prefix=to")).json()).toMatchObject({ objects: 1, bytes: 1 });
  });

  it("import with lines of progress, or fail before the first", async () => {
    await putForeign(rig.stores["cloud"] as never, "imported/x", "1");
    const lines = (await postJson("/api/v1/sites/cloud/import", { prefix: "imported/" })).bytes
      .toString()
      .trim()
      .split("\n");
    expect(JSON.parse(lines.at(-1) as string)).toMatchObject({ adopted: 1, done: true });
    expect((await postJson("/api/v1/sites/none/import", {})).status).toBe(404);
  });

  it("tell health, readiness, info and metrics", async () => {
    expect((await call("GET", "/healthz")).bytes.toString()).toBe("OK");
    expect((await call("GET", "/readyz")).status).toBe(200);
    const info = (await call("GET", "/api/v1/info")).json();
    expect(info).toMatchObject({
      version: "0.0.0-test",
      sites: 2,
      is_leader: true,
      sites_by_role: { primary: 1, burst: 1 },
      health: { healthy: 2, unhealthy: 0 },
    });
    expect((await call("GET", "/api/v1/sites")).json()[0]).toMatchObject({
      name: "local",
      role: "primary",
      healthy: true,
    });
    expect((await call("GET", "/metrics")).bytes.toString()).toContain(
      'globalfs_http_requests_total{route="objects",method="PUT",status="201"}',
    );
  });

  it("answer what is not there with 404 and what is not meant with 405", async () => {
    expect((await call("GET", "/api/v1/nothing")).json()).toMatchObject({ code: "NotFound" });
    const wrong = await call("DELETE", "/api/v1/info");
    expect([wrong.status, wrong.headers["allow"]]).toEqual([405, "GET"]);
    const object = await call("POST", "/api/v1/objects/x");
    expect([object.status, object.headers["allow"]]).toEqual([405, "GET, HEAD, PUT, DELETE"]);
  });

  it("echo a request id that is one, and make one otherwise", async () => {
    expect((await call("GET", "/readyz", { headers: { "x-request-id": "abc-1" } })).headers["x-request-id"]).toBe(
      "abc-1",
    );
    expect((await get("none", { "x-request-id": "bad id" })).json().request_id).toMatch(/^[0-9A-Z]{20}$/);
  });

  it("are all described, and answer as described", async () => {
    const document = (await call("GET", "/api/v1/openapi.json")).json();
    for (const route of ROUTES)
      expect(document.paths[route.path.replace("{key...}", "{key}")]?.[route.method.toLowerCase()]).toBeDefined();
    // They have no end; `events.test.ts` reads them.
    const endless = new Set(ROUTES.filter(({ follow }) => follow !== undefined).map(({ path }) => path));
    for (const route of ROUTES) {
      if (route.method !== "GET" || route.path.includes("{id}") || endless.has(route.path)) continue;
      const answer = await call("GET", route.path.replace("{key...}", "to"));
      const schema = route.answers[answer.status];
      expect(schema?.safeParse(answer.json()).error).toBeUndefined();
    }
    for (const [path, operations] of Object.entries(document.paths as Record<string, object>)) {
      if (endless.has(path)) continue;
      for (const method of Object.keys(operations).filter((name) => name !== "parameters")) {
        const answer = await call(
          method.toUpperCase(),
          path.replace(/\{\w+\}/g, "absent"),
          method === "post" ? { body: "{}", headers: { "content-type": "application/json" } } : {},
        );
        expect([404, 405].includes(answer.status) && answer.bytes.toString().includes("There is nothing at")).toBe(
          false,
        );
      }
    }
  });

  it("are described with what has to be said in a query", async () => {
    const { paths } = (await call("GET", "/api/v1/openapi.json")).json();
    const required = (path: string): string[] =>
      (paths[path].get.parameters as { in: string; name: string; required: boolean }[])
        .filter((parameter) => parameter.in === "query" && parameter.required)
        .map(({ name }) => name);
    expect(required("/api/v1/keys/{id}/permissions")).toEqual(["path"]);
    expect(required("/api/v1/objects")).toEqual([]);
  });

  it("do not answer to foreign names while there is no key", async () => {
    const answer = await raw("GET /api/v1/info HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    expect(answer).toMatch(/^HTTP\/1\.1 403 /);
  });

  it("say so when the request is no HTTP", async () => {
    expect(await raw("NONSENSE\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 /);
    expect(await raw(`GET / HTTP/1.1\r\nHost: x\r\nX: ${"y".repeat(40_000)}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431 /);
  });
});
