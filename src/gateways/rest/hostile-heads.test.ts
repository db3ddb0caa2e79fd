import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { serveRest, type ServedRest } from "./testing/served-rest.ts";

/** Requests that mean harm, or only are broken. Each gets an answer, also when its client is still sending, and nobody else notices. */

let served: ServedRest;
beforeAll(async () => {
  served = await serveRest();
});
afterAll(async () => await served.close());

const PUT = "PUT /api/v1/objects/smuggled HTTP/1.1\r\nHost: localhost\r\n";
const SECOND = "PUT /api/v1/objects/inner HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx";

describe("heads", () => {
  it.each([
    ["a header of a megabyte", `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${"a".repeat(1_000_000)}\r\n\r\n`],
    ["ten thousand headers", `GET / HTTP/1.1\r\nHost: x\r\n${"X-Many: 1\r\n".repeat(10_000)}\r\n`],
    ["an address of a megabyte", `GET /${"a".repeat(1_000_000)} HTTP/1.1\r\nHost: x\r\n\r\n`],
    ["bytes that are no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
    ["two lengths", `${PUT}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`],
    ["a length and chunks", `${PUT}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SECOND}`],
    ["an encoding that is none", `${PUT}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${SECOND}`],
    ["a length that is no number", `${PUT}Content-Length: 1x\r\n\r\nab`],
    ["a space before the colon", `${PUT}Content-Length : 1\r\n\r\na`],
    ["a chunk whose size is no number", `${PUT}Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n`],
  ])("with %s are answered with 4xx, and nothing is stored", async (_what, bytes) => {
    const { ended } = served.talk(bytes);
    expect(await ended).toMatch(/^HTTP\/1\.1 4\d\d /);
    for (const key of ["smuggled", "inner"])
      expect((await served.call("GET", `/api/v1/objects/${key}`)).status).toBe(404);
  });

  it("that follow each other without waiting are answered in their order", async () => {
    const ask = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n`;
    const { ended } = served.talk(
      `${ask("/livez")}\r\n${ask("/api/v1/nothing")}\r\n${ask("/readyz")}Connection: close\r\n\r\n`,
    );
    expect([...(await ended).matchAll(/HTTP\/1\.1 (\d+) /g)].map((match) => match[1])).toEqual(["200", "404", "200"]);
  });
});

it("A body that nobody reads, of who is refused, is not waited for", async () => {
  const locked = await serveRest({ apiKey: "secret" });
  try {
    for (const method of ["PUT", "POST"]) {
      const path = method === "PUT" ? "/api/v1/objects/x" : "/api/v1/rename";
      const refused = locked.talk(
        `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nX-GlobalFS-API-Key: wrong\r\nContent-Type: application/json\r\nContent-Length: 90\r\nExpect: 100-continue\r\n\r\n`,
      );
      expect(await refused.heard(/request_id/)).toMatch(/^HTTP\/1\.1 401 /);
      refused.socket.destroy();
    }
  } finally {
    await locked.close();
  }
});
