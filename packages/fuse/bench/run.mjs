// node packages/fuse/bench/run.mjs [--short] [--only WORDS]... [--on TARGET]... [--json FILE]: as root, on a machine with /dev/fuse. Compares loopback with the local disk and with
// the loopbacks of Debian (apt-get install bindfs mergerfs fio), in one run; a peer that is not installed is missing from the table.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { cpus, loadavg, release, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { median, spread } from "./figures.mjs";
import { goals } from "./goals.mjs";
import { isInstalled, NAMES, residentMib, startMemory, startTarget } from "./targets.mjs";
import { keepAwake } from "./wakeful.mjs";
import { Clients, fio, sequential } from "./workloads.mjs";

const { values: options } = parseArgs({
  options: {
    short: { type: "boolean" },
    json: { type: "string" },
    only: { type: "string", multiple: true },
    on: { type: "string", multiple: true },
  },
});
const short = options.short === true;
/** What else the machine does comes and goes, so there are many short rounds instead of few long ones. */
const CALLS = { seconds: 0.12, rounds: short ? 3 : 15, warmSeconds: 0.5 };
const TRANSFERS = { seconds: 0.25, rounds: short ? 1 : 7, warmSeconds: 0 };
const { seconds } = TRANSFERS;
const LARGE_BYTES = 268_435_456;
const LISTED = 100_000;
const COLUMN = 24;

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
/** Each gives a function that measures one round of a target, and one that ends it. */
const callRuns = [
  ["stat (/s)", "stat", 1],
  ["stat, 4 clients (/s)", "stat", 4],
  ["open + read + close (/s)", "open", 1],
  ["open + read + close, 4 clients (/s)", "open", 4],
  ["create + write + close + unlink (/s)", "create", 1],
  ["create + write + close + unlink, 4 clients (/s)", "create", 4],
].map(([title, workload, count]) => ({ title, begin: (target) => new Clients(workload, target, count), ...CALLS }));
const transferRuns = fioRuns.map(([title, measure]) => ({
  title,
  begin: (target) => ({ round: () => measure(target), stop: () => undefined }),
  ...TRANSFERS,
}));

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
const wakeful = await keepAwake();
if (!wakeful.awake) console.log("There is no chrt: processors may sleep between calls, which makes figures differ.");
try {
  await main();
} finally {
  wakeful.end();
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
    if (options.on !== undefined && name !== "local" && !options.on.includes(name)) continue;
    if (["bindfs", "mergerfs"].includes(name) && !isInstalled(name)) {
      say(`${name} is not installed, so its column is missing: apt-get install ${name}`);
      continue;
    }
    const target = await startTarget(name, { source, base });
    started.push(target);
    targets.push(target);
  }
  say(
    `Linux ${release()}, ${cpus().length} processors, load ${loadavg()[0].toFixed(1)}, the medians of ${CALLS.rounds} rounds (${TRANSFERS.rounds} of reads and writes)`,
  );
  const names = targets.map(({ name }) => name);
  const runs = [...callRuns, ...(hasFio ? transferRuns : [])].filter(({ title }) => isWanted(title));
  const width = Math.max(...runs.map(({ title }) => title.length));
  say("Behind each: half of the rounds are so close to it. In parentheses: as a share of the local disk.\n");
  say(["".padEnd(width), ...names.map((name) => name.padStart(COLUMN))].join(" | "));
  for (const run of runs) printRow(await compare(run, targets), names, width);
  printDetails(names.slice(1));
  say(["", ...goals(table)].join("\n"));
  if (options.only === undefined) await inMemory();
  if (options.json !== undefined) writeFileSync(options.json, JSON.stringify(table, undefined, 2));
}

function isWanted(title) {
  return options.only === undefined || options.only.some((words) => title.includes(words));
}

/** Rounds go over all targets in turn, and each begins with another one, so that what else the machine does hits all of them. */
async function compare({ title, begin, seconds, rounds, warmSeconds }, targets) {
  const row = { title, results: Object.fromEntries(targets.map(({ name }) => [name, []])) };
  const running = targets.map((target) => ({ name: target.name, load: begin(target) }));
  try {
    if (warmSeconds > 0) for (const { load } of running) await load.round(warmSeconds);
    for (let round = 0; round < rounds; round += 1) {
      for (let turn = 0; turn < running.length; turn += 1) {
        const { name, load } = running[(round + turn) % running.length];
        row.results[name].push(await load.round(seconds));
      }
    }
  } finally {
    for (const { load } of running) load.stop();
  }
  table.push(row);
  return row;
}

function figureOf(results, key) {
  return median(results.map((result) => result[key]));
}

function printRow(row, names, width) {
  const local = figureOf(row.results.local, "value");
  const cells = names.map((name) => {
    const values = row.results[name].map(({ value }) => value);
    const figure = Math.round(median(values)).toLocaleString("en");
    const share = (median(values) / local).toFixed(2);
    return `${figure} ±${Math.round(spread(values) * 100)}% (${share})`.padStart(COLUMN);
  });
  say([row.title.padEnd(width), ...cells].join(" | "));
}

function printDetails(names) {
  say("");
  for (const { title, results } of table.filter(({ results }) => results.local[0].medianUs !== undefined)) {
    for (const name of names) {
      const figures = ["medianUs", "p99Us", "serverUs"].map((key) => figureOf(results[name], key).toFixed(1));
      const [middle, p99, server] = figures;
      say(`${title}, ${name}: median ${middle} us, p99 ${p99} us, ${server} us of the server's time each`);
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
  const clients = new Clients("create", memory, 1);
  await clients.round(CALLS.warmSeconds);
  const { value } = await clients.round(CALLS.warmSeconds);
  clients.stop();
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
