import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Client, createClient } from "./index.ts";

/** What the calls of files ask, and what they make of the answers. */

interface Asked {
  readonly method: string | undefined;
  readonly address: string;
  readonly body: unknown;
}

interface Answer {
  readonly status?: number;
  readonly body?: unknown;
}

let server: Server;
let client: Client;
let asked: Asked[];
let answers: Answer[];
beforeEach(async () => {
  asked = [];
  answers = [];
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const text = Buffer.concat(chunks).toString();
      const body: unknown = text === "" ? undefined : JSON.parse(text);
      asked.push({ method: request.method, address: (request.url ?? "").replace("/api/v1/", ""), body });
      const answer = answers.shift() ?? {};
      response.writeHead(answer.status ?? 200, { "content-type": "application/json" });
      response.end(answer.status === 204 ? "" : JSON.stringify(answer.body ?? FILE));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  client = createClient({ endpoint: `http://127.0.0.1:${port}` });
});
afterEach(async () => {
  await client.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const MOMENT = "2026-01-31T00:00:00.000Z";
const FILE = {
  path: "d/a",
  inode: 7,
  kind: "file",
  mode: "4755",
  uid: 1,
  gid: 2,
  links: 1,
  size: 5,
  accessed_at: MOMENT,
  modified_at: "2026-01-31T00:00:00.000000001Z",
  changed_at: MOMENT,
  created_at: MOMENT,
};

async function named(entries: AsyncIterable<{ readonly path: string }>): Promise<string[]> {
  const paths: string[] = [];
  for await (const { path } of entries) paths.push(path);
  return paths;
}

describe("a file", () => {
  test("is told with its mode as a number and its times as dates, whatever bytes its name has", async () => {
    const file = await client.files.stat("odd\udcff/ü %");
    expect(file).toMatchObject({ path: "d/a", mode: 0o4755, links: 1, modifiedAt: new Date(MOMENT) });
    expect(asked).toEqual([{ method: "GET", address: "stat?path=odd%ff%2F%C3%BC%20%25", body: undefined }]);
  });

  test("is made, linked and changed with what was said, and nothing else", async () => {
    await client.files.mkdir("d", { mode: 0o750, parents: true });
    await client.files.mkdir("e");
    await client.files.symlink("../a", "d/l", { uid: 5 });
    await client.files.link("d/a", "d/b");
    await client.files.setAttributes("d/a", { mode: 0o600, gid: 7, accessedAt: "now", modifiedAt: new Date(MOMENT) });
    await client.files.setExtended("d/a", { name: "user.x", value: "text", only: "create" });
    answers = [{ status: 204 }];
    await client.files.removeExtended("d/a", { name: "user.ü" });
    expect(asked.map(({ method, address, body }) => [method, address, body])).toEqual([
      ["POST", "mkdir", { path: "d", mode: "750", parents: true }],
      ["POST", "mkdir", { path: "e" }],
      ["POST", "symlink", { path: "d/l", target: "../a", uid: 5 }],
      ["POST", "link", { from: "d/a", to: "d/b" }],
      ["POST", "attributes", { path: "d/a", mode: "600", gid: 7, accessed_at: "now", modified_at: MOMENT }],
      ["POST", "xattrs", { path: "d/a", name: "user.x", value: "dGV4dA==", only: "create" }],
      ["DELETE", "xattrs?path=d%2Fa&name=user.%C3%BC", undefined],
    ]);
  });

  test("has extended attributes of any bytes", async () => {
    answers = [{ body: { attributes: { "user.a": "AP8=", "user.b": "" } } }];
    expect(await client.files.extended("d/a")).toEqual({ "user.a": Buffer.from([0, 255]), "user.b": Buffer.alloc(0) });
  });

  test("that is not there is an error of its code", async () => {
    answers = [{ status: 404, body: { code: "NotFound", error: "There is no d/a." } }];
    await expect(client.files.stat("d/a")).rejects.toMatchObject({ code: "NotFound", message: "There is no d/a." });
  });
});

describe("the entries of a directory", () => {
  const page = (path: string, more: object = {}): Answer => ({
    body: { entries: [{ ...FILE, path }], failed_sites: [], ...more },
  });

  test("come page by page, from the cookie that the page before gave", async () => {
    answers = [page("d/a", { next: "a\udcff" }), page("d/b")];
    expect(await named(client.files.entries("d", { limit: 1 }))).toEqual(["d/a", "d/b"]);
    expect(asked.map(({ address }) => address)).toEqual([
      "entries?path=d&limit=1",
      "entries?path=d&limit=1&after=a%ff",
    ]);
  });

  test("end with an error when a site could not be asked, or whoever wants to hear of it does, once", async () => {
    const failed_sites = [{ site: "cloud", error: "It is away." }];
    const partial = (): Answer[] => [
      { status: 207, ...page("d/a", { failed_sites, next: "a" }) },
      { status: 207, ...page("d/b", { failed_sites }) },
    ];
    answers = partial();
    const seen: string[] = [];
    const reading = (async () => {
      for await (const { path } of client.files.entries("d")) seen.push(path);
    })();
    await expect(reading).rejects.toMatchObject({
      code: "Partial",
      message: expect.stringContaining("cloud: It is away.") as string,
    });
    expect(seen).toEqual(["d/a", "d/b"]);
    answers = partial();
    const told: unknown[] = [];
    expect(await named(client.files.entries("d", { onPartial: (site) => told.push(site) }))).toEqual(["d/a", "d/b"]);
    expect(told).toEqual(failed_sites);
  });
});
