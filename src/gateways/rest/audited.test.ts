import { openSync, writeSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { systemClock } from "../../core/ports/clock.ts";
import { silentLogger } from "../../core/ports/log.ts";
import { noMetrics } from "../../core/ports/metrics.ts";
import { type FileTrail, openAuditTrail } from "../../security/index.ts";
import { serveRest, type ServedRest } from "./testing/served-rest.ts";

let directory: string;
let trail: FileTrail;
let served: ServedRest;
let full = false;
const json = { "Content-Type": "application/json" };

beforeEach(async () => {
  full = false;
  directory = await mkdtemp(join(tmpdir(), "globalfs-audited-"));
  const disk = {
    open: (path: string) => openSync(path, "a", 0o600),
    write(descriptor: number, bytes: Uint8Array) {
      if (full) throw Object.assign(new Error("EIO: i/o error"), { code: "EIO" });
      return writeSync(descriptor, bytes);
    },
  };
  trail = await openAuditTrail(
    { clock: systemClock, log: silentLogger, metrics: noMetrics, disk },
    { directory, maxBytes: 1e9, onFailure: "refuse" },
  );
  served = await serveRest({ audit: trail });
});
afterEach(async () => {
  await served.close();
  trail.close();
  await rm(directory, { recursive: true });
});

const put = async (path: string): Promise<number> =>
  (await served.call("PUT", `/api/v1/objects/${path}`, { body: "x" })).status;

it("while the trail cannot be written nothing is changed, and reads go on", async () => {
  expect(await put("a/1")).toBe(201);
  full = true;
  // The first one finds out: it was done, and its line waits.
  expect(await put("a/2")).toBe(201);
  const refused = await served.call("PUT", "/api/v1/objects/a/3", { body: "x" });
  expect(refused.status).toBe(503);
  expect(refused.json()).toMatchObject({ error: expect.stringContaining("audit trail cannot be written") });
  expect((await served.call("DELETE", "/api/v1/objects/a/1")).status).toBe(503);
  expect((await served.call("POST", "/api/v1/rename", { body: "{}", headers: json })).status).toBe(503);
  expect((await served.call("GET", "/api/v1/objects/a/1")).status).toBe(200);
  expect((await served.call("GET", "/api/v1/objects/a/3")).status).toBe(404);
  full = false;
  expect(await put("a/3")).toBe(201);
  const { lines } = await trail.query({ limit: 100, path: "a" });
  expect(lines.map(({ path, status }) => [path, status])).toEqual([
    ["a/1", 201],
    ["a/2", 201],
    ["a/3", 201],
  ]);
});

it("a change has its line when its answer comes, one that was refused for what it said has none", async () => {
  expect(await put("a/1")).toBe(201);
  expect((await trail.query({ limit: 1 })).lines).toMatchObject([{ kind: "change", path: "a/1", status: 201 }]);
  const headers = { "If-None-Match": "*" };
  expect((await served.call("PUT", "/api/v1/objects/a/1", { body: "y", headers })).status).toBe(412);
  expect((await served.call("DELETE", "/api/v1/objects/a%2F%2Fb")).status).toBe(400);
  expect((await trail.query({ limit: 100, path: "a" })).lines.length).toBe(1);
});
