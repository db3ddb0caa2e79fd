import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ClientOptions, createClient } from "./index.ts";

/** What goes over the wire, in the headers that say what is meant. */

let server: Server;
let asked: IncomingHttpHeaders[];
beforeEach(async () => {
  asked = [];
  server = createServer((request, response) => {
    asked.push(request.headers);
    const status = request.headers.range === undefined ? 200 : 206;
    response.writeHead(status, { etag: '"e"', "content-length": 3, "content-range": "bytes 0-2/3" }).end("234");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(() => void server.close());

async function got(options: ClientOptions, range?: { start: number; end?: number } | { suffix: number }) {
  const { port } = server.address() as AddressInfo;
  const client = createClient({ endpoint: `http://127.0.0.1:${port}`, ...options });
  try {
    const download = await client.get("k", { verify: false, ...(range === undefined ? {} : { range }) });
    await download?.bytes();
  } finally {
    await client.close();
  }
  return asked.at(-1);
}

describe("a range", () => {
  test("ends before its end, goes on to the object's without one, or is the last bytes", async () => {
    expect((await got({}, { start: 2, end: 5 }))?.range).toBe("bytes=2-4");
    expect((await got({}, { start: 2 }))?.range).toBe("bytes=2-");
    expect((await got({}, { start: 0 }))?.range).toBe("bytes=0-");
    expect((await got({}, { suffix: 3 }))?.range).toBe("bytes=-3");
    expect((await got({}))?.range).toBeUndefined();
  });
});

describe("a request", () => {
  test("says who sends it, and brings a key only where there is one", async () => {
    expect(await got({ apiKey: "k" })).toMatchObject({
      "user-agent": "globalfs-client",
      "x-globalfs-client": "1",
      "x-globalfs-api-key": "k",
    });
    for (const options of [{}, { apiKey: "" }]) expect(await got(options)).not.toHaveProperty("x-globalfs-api-key");
    expect((await got({ userAgent: "own" }))?.["user-agent"]).toBe("own");
  });
});
