import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { type Client, createClient, type GlobalFsError } from "./index.ts";

type Handler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

const open: { server: Server; client: Client }[] = [];
afterEach(async () => {
  for (const { server, client } of open.splice(0)) {
    await client.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

/** A server that answers as the test says: what the network can do to a client, a real coordinator does not do on demand. */
async function serve(handler: Handler, options: Parameters<typeof createClient>[0] = {}): Promise<Client> {
  const server = createServer((request, response) => void handler(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const client = createClient({ endpoint: `http://127.0.0.1:${port}`, apiKey: "k", ...options });
  open.push({ server, client });
  return client;
}

function json(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
}

async function failure(promise: Promise<unknown>): Promise<GlobalFsError> {
  return (await promise.then(
    () => {
      throw new Error("It did not fail.");
    },
    (error: unknown) => error,
  )) as GlobalFsError;
}

describe("a download", () => {
  const content = Buffer.alloc(300_000, "0123456789");
  const sha256 = createHash("sha256").update(content).digest("hex");

  test("goes on where the connection broke, with the same version", async () => {
    const asked: (string | undefined)[][] = [];
    const client = await serve((request, response) => {
      asked.push([request.headers.range, request.headers["if-match"]]);
      const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
      const headers = {
        etag: '"e1"',
        "content-length": content.length - start,
        "x-globalfs-checksum": `sha256:${sha256}`,
      };
      if (start > 0) {
        response.writeHead(206, {
          ...headers,
          "content-range": `bytes ${start}-${content.length - 1}/${content.length}`,
        });
      } else response.writeHead(200, headers);
      if (asked.length === 3) response.end(content.subarray(start));
      else response.write(content.subarray(start, start + 100_000), () => response.destroy());
    });
    const download = await client.get("a b/ü");
    expect(download?.info).toMatchObject({ key: "a b/ü", size: 300_000, etag: "e1", sha256 });
    expect((await download?.bytes())?.equals(content)).toBe(true);
    expect(asked).toHaveLength(3);
    expect(asked[0]).toEqual([undefined, undefined]);
    for (const [range, ifMatch] of asked.slice(1)) {
      expect(range).toMatch(/^bytes=\d+-299999$/);
      expect(ifMatch).toBe('"e1"');
    }
  });

  test("fails when the object is another one by then", async () => {
    let asked = 0;
    const client = await serve((_request, response) => {
      asked += 1;
      if (asked > 1) return json(response, 412, { error: "The object changed.", code: "PreconditionFailed" });
      response.writeHead(200, { etag: '"e1"', "content-length": content.length });
      response.write(content.subarray(0, 1_000), () => response.destroy());
    });
    const download = await client.get("k");
    expect(await failure(download.bytes())).toMatchObject({
      code: "PreconditionFailed",
      status: 412,
    });
  });

  test("fails when the bytes are not the announced ones", async () => {
    const client = await serve((_request, response) => {
      response
        .writeHead(200, { etag: '"e"', "content-length": 3, "x-globalfs-checksum": `sha256:${sha256}` })
        .end("abc");
    });
    expect((await failure((await client.get("k")).bytes())).code).toBe("ChecksumMismatch");
    expect(await (await client.get("k", { verify: false })).text()).toBe("abc");
  });

  test("of a range says which bytes came", async () => {
    const client = await serve((request, response) => {
      expect(request.headers.range).toBe("bytes=2-4");
      response.writeHead(206, { etag: '"e"', "content-length": 3, "content-range": "bytes 2-4/10" }).end("234");
    });
    const download = await client.get("k", { range: { start: 2, end: 5 } });
    expect([download?.start, download?.end, download?.info.size, await download?.text()]).toEqual([2, 5, 10, "234"]);
  });

  test("of what the caller has already is undefined", async () => {
    const client = await serve((request, response) => {
      expect(request.headers["if-none-match"]).toBe('"e1"');
      response.writeHead(304, { etag: '"e1"' }).end();
    });
    expect(await client.get("k", { ifNoneMatch: "e1" })).toBeUndefined();
  });
});

describe("an upload", () => {
  test("takes bytes, text, streams and files, and says what is pending", async () => {
    const directory = await mkdtemp(join(tmpdir(), "globalfs-client-"));
    const seen: unknown[] = [];
    const client = await serve(async (request, response) => {
      const pieces: Buffer[] = [];
      for await (const piece of request) pieces.push(piece as Buffer);
      const { "content-length": length, "x-globalfs-meta-owner": owner, "content-type": type } = request.headers;
      seen.push([Buffer.concat(pieces).toString(), length, owner, type]);
      if (seen.length === 1) json(response, 202, { pending_sites: ["cloud"] }, { "x-globalfs-replication": "pending" });
      else response.writeHead(201, { etag: '"e9"' }).end();
    });
    try {
      const file = join(directory, "file");
      await writeFile(file, "from a file");
      async function* stream() {
        yield Buffer.from("str");
        yield Buffer.from("eam");
      }
      expect((await client.put("k", "text", { metadata: { owner: "mü" } })).pendingSites).toEqual(["cloud"]);
      expect(await client.put("k", Buffer.from("bytes"))).toMatchObject({ etag: "e9", pendingSites: [] });
      await client.put("k", stream(), { contentType: "text/plain" });
      await client.put("k", { file });
      await writeFile(file, "");
      await client.put("k", { file });
      expect(seen).toEqual([
        ["text", "4", Buffer.from("mü").toString("latin1"), "application/octet-stream"],
        ["bytes", "5", undefined, "application/octet-stream"],
        ["stream", undefined, undefined, "text/plain"],
        ["from a file", "11", undefined, "application/octet-stream"],
        ["", "0", undefined, "application/octet-stream"],
      ]);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  test("that nobody takes ends after the time limit", async () => {
    const client = await serve(() => undefined, { timeoutMs: 50 });
    async function* endless() {
      for (;;) yield Buffer.alloc(65_536);
    }
    expect((await failure(client.put("k", endless()))).code).toBe("Timeout");
  });

  test("that may have begun is never sent twice", async () => {
    let asked = 0;
    const client = await serve((_request, response) => {
      asked += 1;
      json(response, 503, { error: "Busy.", code: "Unavailable", request_id: "r1" }, { "retry-after": "3" });
    });
    const error = await failure(client.put("k", "x"));
    expect(error).toMatchObject({
      code: "Unavailable",
      status: 503,
      requestId: "r1",
      retryAfterMs: 3_000,
      message: "Busy.",
    });
    expect(asked).toBe(1);
  });
});

describe("a listing", () => {
  test("goes through all pages and ends with an error when a site is missing", async () => {
    const asked: string[] = [];
    const client = await serve((request, response) => {
      asked.push(request.url ?? "");
      const first = asked.length % 2 === 1;
      const object = { key: first ? "p/a" : "p/b", size: 1, etag: "e", last_modified: "2026-02-22T10:00:00Z" };
      json(response, first ? 200 : 207, {
        objects: [object],
        prefixes: [],
        ...(first ? { continuation: "c&1" } : {}),
        failed_sites: first ? [] : [{ site: "cloud", error: "down" }],
      });
    });
    const keys: string[] = [];
    const walk = async (): Promise<void> => {
      for await (const { key, lastModified } of client.list({ prefix: "p/", limit: 1 })) {
        keys.push(key);
        expect(lastModified.toISOString()).toBe("2026-02-22T10:00:00.000Z");
      }
    };
    expect(await failure(walk())).toMatchObject({ code: "Partial", message: expect.stringContaining("cloud: down") });
    expect(keys).toEqual(["p/a", "p/b"]);
    expect(asked[1]).toBe("/api/v1/objects?envelope=true&prefix=p%2F&continuation=c%261&limit=1");
    const partial: string[] = [];
    for await (const page of client.pages({ onPartial: ({ site }) => partial.push(site) }))
      expect(page.objects).toHaveLength(1);
    expect(partial).toEqual(["cloud"]);
  });
});

describe("a request", () => {
  test("leaves keys with dots as they are, and carries the API key", async () => {
    const client = await serve((request, response) => {
      expect(request.headers["x-globalfs-api-key"]).toBe("k");
      json(response, 400, { error: request.url, code: "InvalidKey" });
    });
    expect((await failure(client.delete("a/../../sites/x%2F?"))).message).toBe(
      "/api/v1/objects/a/../../sites/x%252F%3F",
    );
    expect((await failure(client.head("\ud800"))).code).toBe("InvalidKey");
  });

  test("to read is sent again when the server asks for it", async () => {
    let asked = 0;
    const client = await serve((_request, response) => {
      asked += 1;
      if (asked < 3) json(response, 503, { error: "Busy." }, { "retry-after": "0" });
      else
        json(response, 200, {
          version: "1",
          uptime_seconds: 2.5,
          sites_by_role: { primary: 1 },
          health: { healthy: 1, last_checked_at: "2026-02-22T10:00:00Z" },
        });
    });
    const info = await client.info();
    expect(info).toMatchObject({ version: "1", uptimeSeconds: 2.5, sitesByRole: { primary: 1 } });
    expect(info.health.lastCheckedAt?.getUTCFullYear()).toBe(2026);
  });

  test("stops when it is told to", async () => {
    const client = await serve(() => undefined);
    const controller = new AbortController();
    const pending = failure(client.info({ signal: controller.signal }));
    controller.abort();
    expect((await pending).code).toBe("Canceled");
  });

  test("to a place where nobody listens says so", async () => {
    const client = createClient({ endpoint: "http://127.0.0.1:1" });
    expect((await failure(client.info())).code).toBe("Unreachable");
    await client.close();
    expect(() => createClient({ endpoint: "localhost:8090" })).toThrow(/is not the address of a coordinator/);
  });

  test("for health reads which primaries are not well", async () => {
    const client = await serve(
      (_request, response) => void response.writeHead(503).end("DEGRADED\nonprem: no route: at all\n"),
    );
    expect(await client.health()).toEqual({
      healthy: false,
      problems: [{ site: "onprem", error: "no route: at all" }],
    });
  });

  test("to import yields each line and ends with the error that the last one holds", async () => {
    const client = await serve((_request, response) => {
      response.writeHead(200, { "content-type": "application/x-ndjson" });
      response.write('{"scanned":1,"adopted":1,"position":"a","done":false}\n{"scan');
      response.end('ned":2,"refused_example":"x","done":false}\n{"error":"The site is down.","code":"Unavailable"}\n');
    });
    const seen: unknown[] = [];
    const walk = async (): Promise<void> => {
      for await (const progress of client.sites.import("cloud")) seen.push(progress);
    };
    expect(await failure(walk())).toMatchObject({ code: "Unavailable", message: "The site is down." });
    expect(seen).toMatchObject([
      { scanned: 1, position: "a" },
      { scanned: 2, refusedExample: "x" },
    ]);
  });
});

describe("an upload", () => {
  /** Answers with 503 as often as it is told, and keeps what came. */
  async function busy(times: number): Promise<{ readonly client: Client; readonly bodies: string[] }> {
    const bodies: string[] = [];
    const client = await serve(async (request, response) => {
      let body = "";
      for await (const piece of request) body += String(piece);
      bodies.push(body);
      if (bodies.length <= times) json(response, 503, { error: "Later.", code: "Overloaded" }, { "retry-after": "0" });
      else json(response, 201, {}, { etag: '"e"' });
    });
    return { client, bodies };
  }

  test("that can be read again is sent again, whole, when the coordinator could not take it", async () => {
    const file = join(await mkdtemp(join(tmpdir(), "globalfs-client-")), "f");
    await writeFile(file, "file");
    async function* made(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("ma");
      yield Buffer.from("de");
    }
    for (const [body, sent] of [
      ["text", "text"],
      [Buffer.from("bytes"), "bytes"],
      [{ file }, "file"],
      [made, "made"],
    ] as const) {
      const { client, bodies } = await busy(2);
      expect(await client.put("k", body)).toMatchObject({ etag: "e" });
      expect(bodies).toEqual([sent, sent, sent]);
    }
    await rm(join(file, ".."), { recursive: true });
    const { client, bodies } = await busy(3);
    expect(await failure(client.put("k", "text"))).toMatchObject({ code: "Overloaded", status: 503 });
    expect(bodies).toHaveLength(3);
  });

  test("of a stream is sent once, and any other once where nobody knows whether it was stored", async () => {
    const { client, bodies } = await busy(1);
    async function* stream(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("once");
    }
    expect(await failure(client.put("k", stream()))).toMatchObject({ code: "Overloaded" });
    expect(bodies).toEqual(["once"]);
    let asked = 0;
    const broken = await serve((request) => {
      asked += 1;
      request.socket.destroy();
    });
    expect(await failure(broken.put("k", "text"))).toMatchObject({ code: "BrokenStream" });
    expect(asked).toBe(1);
    for (const status of [500, 504]) {
      let calls = 0;
      const failing = await serve((_request, response) => {
        calls += 1;
        json(response, status, { error: "x", code: "Internal" });
      });
      expect(await failure(failing.put("k", "text"))).toMatchObject({ status });
      expect(calls).toBe(1);
    }
  });

  test("a delete says whether there was something, and is sent once", async () => {
    let asked = 0;
    const client = await serve((_request, response) => {
      asked += 1;
      if (asked === 3) response.writeHead(503).end();
      else
        response
          .writeHead(204, { "x-globalfs-deleted": asked === 1 ? "1" : "0", "x-globalfs-pending-sites": "a, b" })
          .end();
    });
    expect(await client.delete("k")).toEqual({ deleted: true, pendingSites: ["a", "b"] });
    expect(await client.delete("k")).toMatchObject({ deleted: false });
    expect(await failure(client.delete("k"))).toMatchObject({ status: 503 });
    expect(asked).toBe(3);
  });
});
