/**
 * PUTs of 4 KiB for a long time, a fifth of them over earlier objects: whether the last are as fast as the first, and publishing keeps up with them.
 *
 *   npm run bench -- sustained [--objects 200000] [--clients 16] [--minutes 8] [--intake 0]
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { generateLoad } from "./lib/load.ts";
import { freePort, startServer } from "./lib/process.ts";
import { printComparison } from "./lib/report.ts";
import { queueDepth } from "./lib/rest.ts";

const { values } = parseArgs({
  options: {
    objects: { type: "string", default: "200000" },
    clients: { type: "string", default: "16" },
    minutes: { type: "string", default: "8" },
    intake: { type: "string", default: "0" },
  },
});
const objects = Number(values.objects);
const clients = Number(values.clients);
const endsMs = performance.now() + Number(values.minutes) * 60_000;
const TENTHS = 10;
const SMALL = 4_096;
const A_FIFTH = 5;
/** Overwrites are spread over all that was written before. */
const STRIDE = 7_919;

const keyOf = (index: number): string => `d${index % 100}/object-${index}`;

function isOverwrite(index: number): boolean {
  return index % A_FIFTH === A_FIFTH - 1;
}

/** Of an object that has been written for sure. */
function earlier(index: number): number {
  const found = (index * STRIDE) % Math.max(1, index - clients);
  return isOverwrite(found) ? found - 1 : found;
}

function requestFor(index: number): Buffer {
  const key = keyOf(isOverwrite(index) ? earlier(index) : index);
  const head = `PUT /api/v1/objects/${key} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${SMALL}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), Buffer.alloc(SMALL, index % 251)]);
}

const directory = await mkdtemp(path.join(os.tmpdir(), "globalfs-bench-"));
const port = await freePort();
const file = path.join(directory, "sustained.yaml");
await writeFile(
  file,
  `global: { log_level: WARN, metrics_enabled: false }
coordinator: { listen_addr: "127.0.0.1:${port}", data_dir: ${directory}/data }
sites:
  - { name: disk, role: primary, store: { driver: file, path: ${directory}/site, intake: ${values.intake} } }
`,
);
const server = await startServer(["bin/globalfs-coordinator.js", "--open", "--config", file], port);
try {
  const rates: number[] = [];
  const share = Math.floor(objects / TENTHS);
  for (let tenth = 0; tenth < TENTHS; tenth++) {
    const base = tenth * share;
    const busyMs = server.processorMs();
    const { requests, perSecond } = await generateLoad({
      port,
      connections: clients,
      requests: share,
      durationMs: endsMs - performance.now(),
      expectedStatus: 201,
      request: (sequence) => requestFor(base + sequence),
    });
    const left = await queueDepth(port);
    rates.push(perSecond);
    const { residentBytes, peakBytes } = server.memory();
    const mebibytes = (bytes: number): string => `${Math.round(bytes / 1024 ** 2)} MiB`;
    console.log(
      `objects ${(base + 1).toLocaleString("en")} to ${(base + requests).toLocaleString("en")}: ${Math.round(perSecond).toLocaleString("en")}/s; ` +
        `${left.toLocaleString("en")} unpublished at the end; ${((server.processorMs() - busyMs) / requests).toFixed(2)} ms of a processor each; ` +
        `memory ${mebibytes(residentBytes)}, at most ${mebibytes(peakBytes)}`,
    );
    if (performance.now() >= endsMs) break;
  }
  printComparison({
    what: `PUTs of 4 KiB, the last of ${rates.length} parts of ${share.toLocaleString("en")}`,
    unit: "/s",
    ours: [rates.at(-1) as number],
    peer: "the first",
    theirs: [rates[0] as number],
    goal: 0.9,
  });
} finally {
  await server.stop();
  await rm(directory, { recursive: true, force: true });
}
