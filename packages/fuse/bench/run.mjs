// node packages/fuse/bench/run.mjs [--short] [--json FILE]: as root, on a machine with /dev/fuse. Compares loopback with the local disk and with
// the loopbacks of Debian (apt-get install bindfs mergerfs fio), in one run; a peer that is not installed is missing from the table.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, release, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { isInstalled, NAMES, residentMib, startMemory, startTarget } from "./targets.mjs";
import { calls, fio, sequential } from "./workloads.mjs";

const { values: options } = parseArgs({ options: { short: { type: "boolean" }, json: { type: "string" } } });
const short = options.short === true;
const seconds = 0.4;
const rounds = short ? 1 : 5;
const LARGE_BYTES = 268_435_456;
const LISTED = 100_000;
const COLUMN = 22;

if (process.geteuid() !== 0 || !existsSync("/dev/fuse")) {
  process.stderr.write("The bench mounts file systems: run it as root, where there is a /dev/fuse.\n");
  process.exit(2);
}
if (!existsSync(fileURLToPath(new URL("../dist/loopback.js", import.meta.url)))) {
  process.stderr.write("The package has not been built: run `npm run build` in packages/fuse.\n");
  process.exit(2);
}

const fioRuns = short
  ? [
      ["sequential reads of 1 MiB, 1 thread (MiB/s)", (target) => sequential(target, { jobs: 1, seconds })],
      ["cached reads of 4 KiB, 1 thread (/s)", (target) => fio("randread", target, { jobs: 1, seconds, cold: false })],
    ]
  : [
      ["sequential reads of 1 MiB, 1 thread (MiB/s)", (target) => sequential(target, { jobs: 1, seconds })],
      ["sequential reads of 1 MiB, 4 threads (MiB/s)", (target) => sequential(target, { jobs: 4, seconds })],
      ["cached reads of 1 MiB, 1 thread (MiB/s)", (target) => fio("read", target, { jobs: 1, seconds, cold: false })],
      ["cached reads of 4 KiB, 1 thread (/s)", (target) => fio("randread", target, { jobs: 1, seconds, cold: false })],
      ["cached reads of 4 KiB, 4 threads (/s)", (target) => fio("randread", target, { jobs: 4, seconds, cold: false })],
      ["reads of a mapping, 4 KiB (/s)", (target) => fio("mmap-randread", target, { jobs: 1, seconds, cold: false })],
      ["buffered writes of 1 MiB (MiB/s)", (target) => fio("write", target, { jobs: 1, seconds, cold: false })],
    ];
const callRuns = [
  ["stat (/s)", "stat", 1],
  ["stat, 4 clients (/s)", "stat", 4],
  ["open + read + close (/s)", "open", 1],
  ["open + read + close, 4 clients (/s)", "open", 4],
  ["create + write + close + unlink (/s)", "create", 1],
  ["create + write + close + unlink, 4 clients (/s)", "create", 4],
].map(([title, workload, clients]) => [title, (target) => calls(workload, target, { clients, seconds })]);

const base = mkdtempSync(join(tmpdir(), "globalfs-fuse-bench-"));
const source = join(base, "source");
mkdirSync(source);
const started = [];
const table = [];
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    cleanUp();
    process.exit(1);
  });
}
try {
  await main();
} finally {
  cleanUp();
}

/** Nothing stays mounted, however this ends. */
function cleanUp() {
  for (const target of started.toReversed()) target.stop();
  rmSync(base, { recursive: true, force: true });
}

async function main() {
  writeFileSync(join(source, "small"), "x".repeat(4096));
  writeFileSync(join(source, "large"), Buffer.alloc(LARGE_BYTES, 1));
  const hasFio = isInstalled("fio");
  if (!hasFio) say("fio is not installed, so reads and writes are not measured: apt-get install fio");
  const targets = [];
  for (const name of ["local", ...NAMES]) {
    if (short && (name === "mergerfs" || name === "passthrough of writes")) continue;
    if (["bindfs", "mergerfs"].includes(name) && !isInstalled(name)) {
      say(`${name} is not installed, so its column is missing: apt-get install ${name}`);
      continue;
    }
    const target = await startTarget(name, { source, base });
    started.push(target);
    targets.push(target);
  }
  say(
    `Linux ${release()}, ${cpus().length} processors, load ${loadavg()[0].toFixed(1)}, ${rounds} rounds, the best of each`,
  );
  const names = targets.map(({ name }) => name);
  const runs = [...callRuns, ...(hasFio ? fioRuns : [])];
  const width = Math.max(...runs.map(([title]) => title.length));
  say("In parentheses: as a share of the local disk.\n");
  say(["".padEnd(width), ...names.map((name) => name.padStart(COLUMN))].join(" | "));
  for (const [title, measure] of runs) printRow(await compare(title, targets, measure), names, width);
  printDetails(names.slice(1));
  await inMemory();
  if (options.json !== undefined) writeFileSync(options.json, JSON.stringify(table, undefined, 2));
}

/**
 * Rounds go over all targets in turn, so that a busy moment of the machine hits all of them. Other work can only make a round slower, so the best one
 * says most about a target.
 */
async function compare(title, targets, measure) {
  const seen = new Map(targets.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const target of targets) seen.get(target.name).push(await measure(target));
  }
  const row = { title, results: {} };
  for (const [name, results] of seen) {
    row.results[name] = results.toSorted((left, right) => right.value - left.value)[0];
  }
  table.push(row);
  return row;
}

function printRow(row, names, width) {
  const cells = names.map((name) => {
    const { value } = row.results[name];
    const share = (value / row.results.local.value).toFixed(2);
    return `${Math.round(value).toLocaleString("en")} (${share})`.padStart(COLUMN);
  });
  say([row.title.padEnd(width), ...cells].join(" | "));
}

function printDetails(names) {
  say("");
  for (const row of table.filter(({ results }) => results.local.medianUs !== undefined)) {
    for (const name of names) {
      const { medianUs, p99Us, serverUs } = row.results[name];
      const [median, p99, server] = [medianUs, p99Us, serverUs].map((figure) => figure.toFixed(1));
      say(`${row.title}, ${name}: median ${median} us, p99 ${p99} us, ${server} us of the server's time each`);
    }
  }
}

/** What has no peer: the file systems in memory. */
async function inMemory() {
  const hello = await startMemory("hello", base);
  started.push(hello);
  say(
    `\nhello: ready ${Math.round(hello.startMs)} ms after its process was started, ${Math.round(residentMib(hello.pid))} MiB resident`,
  );
  const memory = await startMemory("memory", base);
  started.push(memory);
  const { value } = await calls("create", memory, { clients: 1, seconds });
  say(`memory: create + write + close + unlink ${Math.round(value).toLocaleString("en")}/s`);
  const many = join(memory.directory, "many");
  mkdirSync(many);
  const count = short ? LISTED / 10 : LISTED;
  for (let number = 0; number < count; number += 1) writeFileSync(join(many, `file-${number}`), "");
  const before = performance.now();
  const listed = readdirSync(many).length;
  say(`memory: ${listed.toLocaleString("en")} names listed in ${Math.round(performance.now() - before)} ms`);
}

function say(line) {
  process.stdout.write(`${line}\n`);
}
