/**
 * Background jobs beside requests: how fast publishing goes, whether it keeps up with overwrites, and what a page of a listing takes while jobs drain.
 *
 *   npm run bench -- jobs [--objects 5000] [--jobs 20000] [--seconds 10] [--clients 16] [--only drain|publish|list]
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { forEachBounded } from "../src/core/async/for-each.ts";
import { generateLoad } from "./lib/load.ts";
import { freePort, type Server, startServer } from "./lib/process.ts";
import { median, printComparison } from "./lib/report.ts";
import { call, queueDepth } from "./lib/rest.ts";

const { values } = parseArgs({
  options: {
    objects: { type: "string", default: "5000" },
    jobs: { type: "string", default: "20000" },
    seconds: { type: "string", default: "10" },
    clients: { type: "string", default: "16" },
    only: { type: "string" },
  },
});
const objects = Number(values.objects);
const jobs = Number(values.jobs);
const durationMs = Number(values.seconds) * 1_000;
const clients = Number(values.clients);
const SMALL = 4_096;
const LISTED = 1_000;
/** Of a directory that no job touches, and of those into which the jobs bring objects at a site. */
const PREFIXES = ["listed/", "d"] as const;
const keyOf = (index: number): string => `d${index % 100}/object-${index}`;
const body = Buffer.alloc(SMALL, 7);
/** An overwrite brings other bytes than the write before. */
const others = Buffer.alloc(SMALL, 8);

const directory = await mkdtemp(path.join(os.tmpdir(), "globalfs-bench-"));
try {
  if (values.only === undefined || values.only === "publish" || values.only === "drain") await publishing();
  if (values.only === undefined || values.only === "list") await listings();
} finally {
  await rm(directory, { recursive: true, force: true });
}

async function start(name: string, sites: readonly string[]): Promise<Server> {
  const port = await freePort();
  const file = path.join(directory, `${name}.yaml`);
  const lines = sites.map(
    (site, index) =>
      `  - { name: ${site}, role: ${index === 0 ? "primary" : "backup"}, foreign: merge, store: { driver: file, path: ${directory}/${name}-${site} } }`,
  );
  await writeFile(
    file,
    `global: { log_level: WARN, metrics_enabled: false }
coordinator: { listen_addr: "127.0.0.1:${port}", data_dir: ${directory}/${name} }
sites:
${lines.join("\n")}
limits: { max_queued_jobs: ${Math.max(objects, jobs) * 2} }
`,
  );
  return await startServer(["bin/globalfs-coordinator.js", "--open", "--config", file], port);
}

/** Milliseconds until no job is left. */
async function drained(port: number): Promise<number> {
  const startedMs = performance.now();
  while ((await queueDepth(port)) > 0) await new Promise((resolve) => setTimeout(resolve, 20));
  return performance.now() - startedMs;
}

async function putAll(port: number, count: number, content = body): Promise<number> {
  const startedMs = performance.now();
  const indexes = Array.from({ length: count }, (_, index) => index);
  await forEachBounded(
    indexes,
    clients,
    async (index) => void (await call(port, "PUT", `/api/v1/objects/${keyOf(index)}`, content)),
  );
  return count / ((performance.now() - startedMs) / 1_000);
}

async function publishing(): Promise<void> {
  const { port, processorMs, stop } = await start("publish", ["disk"]);
  try {
    await putAll(port, objects);
    await call(port, "POST", "/api/v1/jobs/pause");
    const overwrites = await putAll(port, objects, others);
    const busyMs = processorMs();
    await call(port, "POST", "/api/v1/jobs/resume");
    const perSecond = objects / ((await drained(port)) / 1_000);
    const jobMs = (processorMs() - busyMs) / objects;
    printComparison({
      what: `publishing ${objects.toLocaleString("en")} overwritten objects of 4 KiB`,
      unit: "/s",
      ours: [perSecond],
      peer: "PUTs over them, jobs paused",
      theirs: [overwrites],
      goal: 1,
    });
    console.log(`  ${jobMs.toFixed(2)} ms of a processor for each`);
    if (values.only === "drain") return;
    const requestOf = (name: (sequence: number) => string) => (sequence: number) =>
      Buffer.concat([
        Buffer.from(
          `PUT /api/v1/objects/${name(sequence)} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${SMALL}\r\n\r\n`,
        ),
        Buffer.alloc(SMALL, sequence % 251),
      ]);
    const load = { port, connections: clients, durationMs, expectedStatus: 201 };
    const created = await generateLoad({
      ...load,
      request: requestOf((sequence) => `new/d${sequence % 100}/o${sequence}`),
    });
    const startedMs = performance.now();
    const over = await generateLoad({ ...load, request: requestOf((sequence) => keyOf(sequence % objects)) });
    const left = await queueDepth(port);
    await drained(port);
    const published = over.requests / ((performance.now() - startedMs) / 1_000);
    printComparison({
      what: `PUTs of 4 KiB over objects, ${clients} clients, published`,
      unit: "/s",
      ours: [published],
      peer: "PUTs of new objects",
      theirs: [created.perSecond],
      goal: 0.9,
    });
    console.log(
      `  of them acknowledged while the clients wrote: ${Math.round(over.perSecond).toLocaleString("en")}/s; ` +
        `left to publish when they ended: ${left.toLocaleString("en")} of ${over.requests.toLocaleString("en")}`,
    );
  } finally {
    await stop();
  }
}

/** Milliseconds that pages take, of each of the prefixes by turns. */
async function pages(port: number, goesOn: () => Promise<boolean>): Promise<readonly [number[], number[]]> {
  const took: readonly [number[], number[]] = [[], []];
  while (await goesOn()) {
    for (const [index, prefix] of PREFIXES.entries()) {
      const startedMs = performance.now();
      const page = await call(port, "GET", `/api/v1/objects?prefix=${prefix}&limit=${LISTED}`);
      took[index]?.push(performance.now() - startedMs);
      if ((JSON.parse(page) as unknown[]).length !== LISTED)
        throw new Error(`A page of ${prefix} has ${(JSON.parse(page) as unknown[]).length} objects.`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
  return took;
}

async function listings(): Promise<void> {
  const { port, stop } = await start("list", ["disk", "other"]);
  try {
    const names = Array.from({ length: LISTED }, (_, index) => `listed/object-${index}`);
    await forEachBounded(
      names,
      clients,
      async (name) => void (await call(port, "PUT", `/api/v1/objects/${name}`, body)),
    );
    await drained(port);
    await call(port, "POST", "/api/v1/jobs/pause");
    await putAll(port, jobs);
    let count = 0;
    // The first ones warm it up.
    await pages(port, async () => count++ < 25);
    count = 0;
    const idle = await pages(port, async () => count++ < 100);
    const startedMs = performance.now();
    await call(port, "POST", "/api/v1/jobs/resume");
    const busy = await pages(port, async () => (await queueDepth(port)) > 0);
    const perSecond = jobs / ((performance.now() - startedMs) / 1_000);
    const ninety = (list: readonly number[]): number =>
      list.toSorted((one, other) => one - other)[Math.floor(list.length * 0.9)] ?? Number.NaN;
    for (const index of [0, 1] as const) {
      const [beside, alone] = [busy[index], idle[index]];
      printComparison({
        what: `pages of ${LISTED} objects ${index === 0 ? "beside" : "among"} ${jobs.toLocaleString("en")} jobs`,
        unit: "/s",
        ours: [1_000 / median(beside)],
        peer: "the same, idle",
        theirs: [1_000 / median(alone)],
        goal: 0.5,
      });
      console.log(
        `  a page took ${median(beside).toFixed(1)} ms, nine of ten up to ${ninety(beside).toFixed(1)} ms; ` +
          `idle ${median(alone).toFixed(1)} and ${ninety(alone).toFixed(1)} ms; ${beside.length} pages`,
      );
    }
    console.log(`  ${Math.round(perSecond).toLocaleString("en")} jobs/s beside them`);
  } finally {
    await stop();
  }
}
