import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runWords } from "../testing/served.ts";

/** What a coordinator says of its sites, keys and users came from somebody else, and a terminal must not take it for commands. */

const ESCAPE = "\u001b[2J\u009b1m\u202e";
const ANSWERS: Readonly<Record<string, unknown>> = {
  "/healthz": `DEGRADED\nlo${ESCAPE}cal: it answered ${ESCAPE}`,
  "/api/v1/sites": [],
  "/api/v1/info": {
    version: "1",
    cluster_name: "c",
    uptime_seconds: 1,
    sites: 0,
    sites_by_role: {},
    replication_queue_depth: 0,
    is_leader: true,
    health: { healthy: 0, unhealthy: 1 },
    access: "keys",
    jobs_paused: { since: "2026-01-01T00:00:00.000Z", by: `al${ESCAPE}ice`, reason: `be${ESCAPE}cause` },
  },
  "/api/v1/keys/GFSKABCDEFGHIJKLMNOP": {
    id: "GFSKABCDEFGHIJKLMNOP",
    user: `al${ESCAPE}ice`,
    grants: [{ path: `pa${ESCAPE}th/`, role: "admin" }],
    created_at: "2026-01-01T00:00:00.000Z",
    created_by: `bo${ESCAPE}b`,
    expired: false,
  },
};

let server: Server;
let env: Record<string, string>;
beforeAll(async () => {
  server = createServer((request, response) => {
    const answer = ANSWERS[request.url ?? ""];
    response.statusCode = answer === undefined ? 404 : typeof answer === "string" ? 503 : 200;
    response.setHeader("Content-Type", typeof answer === "string" ? "text/plain" : "application/json");
    response.end(typeof answer === "string" ? answer : JSON.stringify(answer ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  env = { GLOBALFS_COORDINATOR: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
});
afterAll(() => server.close());

test.each([
  ["status", ["DEGRADED", "it answered", "PAUSED", "al", "be"]],
  ["key show GFSKABCDEFGHIJKLMNOP", ["al", "pa", "bo"]],
])("`%s` shows what it is told without anything that a terminal obeys", async (line, words) => {
  const { out, err } = await runWords(line.split(" "), { env });
  expect(err).toBe("");
  for (const word of words) expect(out).toContain(word);
  expect(out).toContain("\\u{1b}[2J\\u{9b}1m\\u{202e}");
  for (const control of ["\u001b", "\u009b", "\u202e"]) expect(out).not.toContain(control);
});
