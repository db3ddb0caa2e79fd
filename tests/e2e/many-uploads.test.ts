import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { Agent, request } from "undici";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fileSite, writeConfiguration } from "./support/configuration.ts";
import { type ReadyDaemon, startDaemon } from "./support/daemon.ts";

/** Very many uploads at the same moment, each on a connection of its own. */

const isLong = process.env["GLOBALFS_LONG"] === "1";
const UPLOADS = isLong ? 1_000 : 150;
const MIB = 1024 ** 2;
/** What bodies may take, and as much again for buffers of connections and of the language. */
const ROOM_MIB = 64;
const WITHIN_MS = 60_000;

let directory: string;
let daemon: ReadyDaemon;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "globalfs-many-"));
  const config = await writeConfiguration(directory, [fileSite("onprem", "primary")]);
  daemon = await startDaemon({ directory, words: ["coordinator", "start", "--config", config] });
});
afterAll(async () => {
  await daemon?.stop();
  await rm(directory, { recursive: true, force: true });
});

/** Memory that is not files of the disk. */
async function residentMib(): Promise<number> {
  const status = await readFile(`/proc/${daemon.pid}/status`, "utf8");
  return Number(/RssAnon:\s+(\d+)/.exec(status)?.[1]) / 1_024;
}

/** Asks in a thread of its own, so that nothing that the test does delays it; each time on a new connection. */
const PROBE = `
const http = require("node:http");
const { parentPort, workerData } = require("node:worker_threads");
const took = [];
let isOver = false;
parentPort.once("message", () => { isOver = true; });
const ask = () => {
  const sinceMs = performance.now();
  const next = (status) => {
    took.push({ status, ms: performance.now() - sinceMs });
    if (isOver) parentPort.postMessage(took);
    else setTimeout(ask, 10);
  };
  http.get(workerData + "/readyz", { agent: false }, (answer) => answer.resume().on("end", () => next(answer.statusCode)))
    .on("error", () => next(0));
};
ask();
`;

interface Asked {
  readonly status: number;
  readonly ms: number;
}

test(`${UPLOADS} uploads at once all end, probes are answered meanwhile, and the memory comes back`, async () => {
  const beforeMib = await residentMib();
  const probe = new Worker(PROBE, { eval: true, workerData: daemon.url });
  const agent = new Agent({ connections: UPLOADS });
  const body = Buffer.alloc(MIB, "x");
  const sinceMs = performance.now();
  const answers = await Promise.all(
    Array.from({ length: UPLOADS }, async (_, index) => {
      const answer = await request(`${daemon.url}/api/v1/objects/many/${index}`, {
        method: "PUT",
        body,
        dispatcher: agent,
        headersTimeout: 0,
      });
      await answer.body.dump();
      return answer.statusCode;
    }),
  );
  const tookMs = performance.now() - sinceMs;
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
  probe.postMessage("over");
  const asked = await new Promise<Asked[]>((resolve) => probe.once("message", resolve));
  await agent.close();
  expect(new Set(answers)).toEqual(new Set([201]));
  expect(new Set(asked.map(({ status }) => status))).toEqual(new Set([200]));
  // However slow the machine is, a probe takes a small part of the time that the uploads take.
  const inOrder = asked.map(({ ms }) => ms).toSorted((one, other) => one - other);
  const medianMs = inOrder[Math.floor(inOrder.length / 2)] as number;
  expect(medianMs).toBeLessThan(Math.max(100, tookMs / 20));
  await expect.poll(residentMib, { timeout: WITHIN_MS, interval: 1_000 }).toBeLessThan(beforeMib + ROOM_MIB);
});
