import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
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
const WARM_UP = 16;
const MIB = 1024 ** 2;
/** What bodies may take, and as much again for buffers of connections and of the language. */
const ROOM_MIB = 64;
const WITHIN_MS = 60_000;
const PROBE_MS = 100;

let directory: string;
let daemon: ReadyDaemon;
let bystander: Bystander;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "globalfs-many-"));
  const config = await writeConfiguration(directory, [fileSite("onprem", "primary")], {
    coordinator: { listen_addr: "127.0.0.1:0", health_listen_addr: "127.0.0.1:0", data_dir: "catalog" },
  });
  daemon = await startDaemon({ directory, words: ["coordinator", "start", "--config", config] });
  bystander = await startBystander();
});
afterAll(async () => {
  bystander?.process.kill();
  await daemon?.stop();
  await rm(directory, { recursive: true, force: true });
});

/** Memory that is not files of the disk. */
async function residentMib(): Promise<number> {
  const status = await readFile(`/proc/${daemon.pid}/status`, "utf8");
  return Number(/RssAnon:\s+(\d+)/.exec(status)?.[1]) / 1_024;
}

interface Bystander {
  readonly process: ChildProcess;
  readonly url: string;
}

/** A server that does nothing else, under the same load of the machine: what its slowest answer takes is the machine's share. */
async function startBystander(): Promise<Bystander> {
  const source = `const server = require("node:http").createServer((request, response) => response.end("OK"));
server.listen(0, "127.0.0.1", () => process.stdout.write(String(server.address().port)));`;
  const child = spawn(process.execPath, ["-e", source], { stdio: ["ignore", "pipe", "inherit"] });
  const [port] = (await once(child.stdout, "data")) as [Buffer];
  return { process: child, url: `http://127.0.0.1:${port.toString()}` };
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

/** Returns how to stop, and learn what was answered, the fastest first. */
function probe(url: string): () => Promise<readonly Asked[]> {
  const thread = new Worker(PROBE, { eval: true, workerData: url });
  return async () => {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, no window
    thread.postMessage("over");
    const [asked] = (await once(thread, "message")) as [Asked[]];
    await thread.terminate();
    return asked.toSorted((one, other) => one.ms - other.ms);
  };
}

/** So many at once, each on a connection of its own. */
async function upload(prefix: string, count: number): Promise<ReadonlySet<number>> {
  const agent = new Agent({ connections: count });
  const body = Buffer.alloc(MIB, "x");
  const answers = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const answer = await request(`${daemon.url}/api/v1/objects/${prefix}/${index}`, {
        method: "PUT",
        body,
        dispatcher: agent,
        headersTimeout: 0,
      });
      await answer.body.dump();
      return answer.statusCode;
    }),
  );
  await agent.close();
  return new Set(answers);
}

const slowestMs = (asked: readonly Asked[]): number => asked.at(-1)?.ms as number;
const medianMs = (asked: readonly Asked[]): number => asked[Math.floor(asked.length / 2)]?.ms as number;

test(`${UPLOADS} uploads at once all end, probes are answered meanwhile, and the memory comes back`, async () => {
  // What is loaded and started for a first upload stays.
  expect(await upload("first", WARM_UP)).toEqual(new Set([201]));
  const beforeMib = await residentMib();
  const healthUrl = String(daemon.events("coordinator_ready")[0]?.["healthUrl"]).replace("localhost", "127.0.0.1");
  const stops = [bystander.url, healthUrl, daemon.url].map(probe);
  const sinceMs = performance.now();
  expect(await upload("many", UPLOADS)).toEqual(new Set([201]));
  const tookMs = performance.now() - sinceMs;
  const [beside, health, api] = (await Promise.all(stops.map(async (stop) => await stop()))) as [
    Asked[],
    Asked[],
    Asked[],
  ];
  expect(new Set([...health, ...api].map(({ status }) => status))).toEqual(new Set([200]));
  // The port for probes answers at once.
  expect(slowestMs(health)).toBeLessThan(PROBE_MS + slowestMs(beside));
  // At the door where everybody comes a probe is behind those who came before it, but not behind their uploads.
  expect(medianMs(api)).toBeLessThan(Math.max(PROBE_MS, tookMs / 20));
  expect(slowestMs(api)).toBeLessThan(PROBE_MS + slowestMs(beside) + tookMs / 5);
  await expect.poll(residentMib, { timeout: WITHIN_MS, interval: 1_000 }).toBeLessThan(beforeMib + ROOM_MIB);
});
