/**
 * The REST gateway beside a bare node:http server that does the same.
 *
 *   npm run bench -- rest [--rounds 5] [--seconds 3] [--only gets|puts|streams]
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { backgroundCtx } from "../src/core/context.ts";
import { openLmdbKv } from "../src/kv/index.ts";
import { openFileStore, type Store } from "../src/stores/index.ts";
import { generateLoad } from "./lib/load.ts";
import { freePort, type Server, startServer } from "./lib/process.ts";
import { printComparison } from "./lib/report.ts";
import { measureTransfers } from "./lib/transfer.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "3" },
    megabytes: { type: "string", default: "1024" },
    only: { type: "string" },
  },
});
const rounds = Number(values.rounds);
const durationMs = Number(values.seconds) * 1_000;
const sizeBytes = Number(values.megabytes) * 1024 ** 2;
const CONNECTIONS = 16;
const SMALL = 4_096;

const directory = await mkdtemp(path.join(os.tmpdir(), "globalfs-bench-"));
const servers: Server[] = [];
try {
  const wants = (part: string): boolean => values.only === undefined || values.only === part;
  if (wants("gets")) await smallGets();
  if (wants("puts")) for (const connections of [1, CONNECTIONS]) await smallPuts(connections);
  if (wants("streams")) await streams();
} finally {
  for (const server of servers) await server.stop();
  await rm(directory, { recursive: true, force: true });
}

async function startGlobalFs(name: string, intake = "0"): Promise<Server> {
  const port = await freePort();
  const file = path.join(directory, `${name}.yaml`);
  await writeFile(
    file,
    `global: { log_level: WARN, metrics_enabled: false }
coordinator: { listen_addr: "127.0.0.1:${port}", data_dir: ${directory}/${name} }
sites:
  - { name: disk, role: primary, foreign: ignore, store: { driver: file, path: ${directory}/${name}-site, intake: ${intake} } }
cache: { enabled: true }
`,
  );
  const server = await startServer(["bin/globalfs-coordinator.js", "--open", "--config", file], port);
  servers.push(server);
  return server;
}

async function startBare(mode: "bytes" | "files", argument: string): Promise<Server> {
  const port = await freePort();
  const server = await startServer(
    [path.join(import.meta.dirname, "lib/bare-http-server.mjs"), String(port), mode, argument],
    port,
  );
  servers.push(server);
  return server;
}

function getRequest(target: string): () => Uint8Array {
  const bytes = Buffer.from(`GET ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  return () => bytes;
}

async function smallGets(): Promise<void> {
  const ours = await startGlobalFs("small");
  const bare = await startBare("bytes", String(SMALL));
  const put = await fetch(`http://127.0.0.1:${ours.port}/api/v1/objects/small`, {
    method: "PUT",
    body: Buffer.alloc(SMALL, 7),
  });
  if (put.status !== 201) throw new Error(`PUT answered ${put.status}: ${await put.text()}`);
  const figures = { ours: [] as number[], theirs: [] as number[] };
  for (let round = 0; round <= rounds; round++) {
    const load = { connections: CONNECTIONS, durationMs, expectedStatus: 200 };
    const mine = await generateLoad({ ...load, port: ours.port, request: getRequest("/api/v1/objects/small") });
    const other = await generateLoad({ ...load, port: bare.port, request: getRequest("/") });
    // The first round warms both up.
    if (round === 0) continue;
    figures.ours.push(mine.perSecond);
    figures.theirs.push(other.perSecond);
  }
  printComparison({ what: "GET of a cached 4 KiB object", unit: "/s", peer: "bare node:http", goal: 0.5, ...figures });
}

/**
 * A PUT makes three things durable: the file, its place in its directory, and its record in the catalog. The peer does the same with the
 * bare parts in its own process: the file driver and one transaction of the embedded KV, without HTTP, checksums or policy.
 */
async function smallPuts(connections: number): Promise<void> {
  const name = `puts-${connections}`;
  const noted = await startGlobalFs(`${name}-noted`, "64KiB");
  const flushed = await startGlobalFs(`${name}-flushed`);
  const driver = await openFileStore({ root: path.join(directory, `${name}-driver`), intakeBytes: 0 });
  const kv = await openLmdbKv({ path: path.join(directory, `${name}-kv`) });
  const body = Buffer.alloc(SMALL, 7);
  const figures = {
    noted: [] as number[],
    flushed: [] as number[],
    withRecord: [] as number[],
    without: [] as number[],
  };
  let offset = 0;
  const puts = async ({ port }: Server): Promise<number> => {
    const base = offset;
    const { requests, perSecond } = await generateLoad({
      port,
      connections,
      durationMs,
      expectedStatus: 201,
      request: (sequence) => Buffer.concat([Buffer.from(headOf(base + sequence)), body]),
    });
    offset += requests + connections;
    return perSecond;
  };
  const record = async (key: string): Promise<void> => {
    await kv.transact(function* (tx) {
      tx.put(Buffer.from(key), body.subarray(0, 300));
    });
  };
  const nothing = async (): Promise<void> => undefined;
  for (let round = 0; round <= rounds; round++) {
    const found = {
      noted: await puts(noted),
      flushed: await puts(flushed),
      withRecord: await bareWrites(driver, { name: `${round}a`, body, connections, record }),
      without: await bareWrites(driver, { name: `${round}b`, body, connections, record: nothing }),
    };
    if (round === 0) continue;
    for (const [which, perSecond] of Object.entries(found)) figures[which as keyof typeof found].push(perSecond);
  }
  await kv.close();
  await driver.close();
  const clients = `${connections} client${connections === 1 ? "" : "s"}`;
  const peer = "bare driver, same fsyncs";
  const goal = connections === 1 ? 1.5 : 1;
  const cell = { unit: "/s", peer, theirs: figures.withRecord };
  printComparison({ ...cell, what: `PUT of 4 KiB with an intake, ${clients}`, goal, ours: figures.noted });
  printComparison({ ...cell, what: `PUT of 4 KiB, ${clients}`, goal: 0.5, ours: figures.flushed });
  printComparison({
    ...cell,
    what: `PUT of 4 KiB, ${clients}`,
    peer: "bare driver, no record",
    ours: figures.flushed,
    theirs: figures.without,
  });
}

function headOf(sequence: number): string {
  return `PUT /api/v1/objects/d${sequence % 100}/o${sequence} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${SMALL}\r\n\r\n`;
}

interface BareWrites {
  readonly name: string;
  readonly body: Buffer;
  readonly connections: number;
  readonly record: (key: string) => Promise<void>;
}

async function bareWrites(driver: Store, { name, body, connections, record }: BareWrites): Promise<number> {
  const ctx = backgroundCtx();
  const startedMs = performance.now();
  let written = 0;
  const writer = async (): Promise<void> => {
    while (performance.now() - startedMs < durationMs) {
      const key = `d${written % 100}/o${name}-${written++}`;
      const staged = await driver.stage(ctx, key, { sizeBytes: SMALL });
      await staged.write(body);
      await staged.seal();
      await staged.commit(ctx);
      await record(key);
    }
  };
  await Promise.all(Array.from({ length: connections }, writer));
  return written / ((performance.now() - startedMs) / 1_000);
}

async function streams(): Promise<void> {
  const ours = await startGlobalFs("stream");
  const bare = await startBare("files", directory);
  const put = { ours: [] as number[], theirs: [] as number[] };
  const get = { ours: [] as number[], theirs: [] as number[] };
  for (let round = 0; round < Math.max(2, Math.min(rounds, 3)); round++) {
    const mine = await measureTransfers({
      url: `http://127.0.0.1:${ours.port}/api/v1/objects/large`,
      sizeBytes,
      parallel: 1,
    });
    const other = await measureTransfers({ url: `http://127.0.0.1:${bare.port}/large`, sizeBytes, parallel: 1 });
    put.ours.push(mine.putMegabytesPerSecond);
    put.theirs.push(other.putMegabytesPerSecond);
    get.ours.push(mine.getMegabytesPerSecond);
    get.theirs.push(other.getMegabytesPerSecond);
  }
  printComparison({ what: "PUT of 1 GiB, streamed", unit: "MB/s", peer: "bare node:http to disk", goal: 0.6, ...put });
  printComparison({
    what: "GET of 1 GiB, streamed",
    unit: "MB/s",
    peer: "bare node:http from disk",
    goal: 0.6,
    ...get,
  });

  const before = ours.memory().residentBytes;
  await measureTransfers({
    url: `http://127.0.0.1:${ours.port}/api/v1/objects/large`,
    sizeBytes: Math.floor(sizeBytes / 4),
    parallel: 8,
  });
  const grownMiB = (ours.memory().peakBytes - before) / 1024 ** 2;
  console.log(
    `resident memory with 8 transfers at once: grew by ${grownMiB.toFixed(0)} MiB at its peak  goal 128 MiB ${grownMiB < 128 ? "met" : "MISSED"}`,
  );
}
