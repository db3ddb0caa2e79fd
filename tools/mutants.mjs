// npm run mutants -- ROOM...: makes small changes to the code of a room, one at a time, and says which of them no test notices.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureInstalled } from "./lib/install.mjs";
import { choose } from "./mutants/choose.mjs";
import { copyTree } from "./mutants/copy.mjs";
import { findReached } from "./mutants/coverage.mjs";
import { Judge } from "./mutants/judge.mjs";
import { mutationsOf } from "./mutants/mutations.mjs";
import { printMutant, printSummary } from "./mutants/report.mjs";
import { ROOMS, sourcesOf, startsPrograms, testsOf } from "./mutants/rooms.mjs";
import { keyOf, readSamePrograms } from "./mutants/same-programs.mjs";
import { Session } from "./mutants/session.mjs";

const USAGE = `npm run mutants -- ROOM... [FLAGS]

Rooms: ${ROOMS.join(", ")}, or a directory in one, as stores/layers.

  --sample N       So many mutants, chosen by the seed (40)
  --all            All of them
  --seed N         Repeats a choice
  --file PATH[:L]  Only mutants of this file, or of this line of it
  --again PATH     Only those that survived in this report
  --minutes N      Ends so long after the first run, with what is known by then
  --own            Only the tests of the room, which is quick; what survives is held against all with --again
  --slow           Also the tests that take a minute each
  --json PATH      Writes a report
`;

const { values, positionals: rooms } = readWords();
await ensureInstalled();
const seed = values.seed === undefined ? Date.now() % 1_000_000 : Number(values.seed);
const known = readSamePrograms();
const again = values.again === undefined ? undefined : survivorsOf(values.again);
const copy = copyTree();
let session;
process.on("SIGINT", () => void cleanUp().then(() => process.exit(130)));
process.on("SIGTERM", () => void cleanUp().then(() => process.exit(143)));
try {
  process.exitCode = await run();
} finally {
  await cleanUp();
}

async function run() {
  const sources = [...new Set(rooms.flatMap((room) => sourcesOf(copy.root, room)))];
  const all = sources.flatMap((file) => {
    const text = readFileSync(join(copy.root, file), "utf8");
    return mutationsOf(file, text).map((mutation) => ({ ...mutation, text }));
  });
  const wanted = all.filter(isWanted);
  const same = wanted.filter((mutation) => known.has(keyOf(mutation)));
  const candidates = wanted.filter((mutation) => !known.has(keyOf(mutation)));
  const count = values.all || values.file || values.again ? candidates.length : Number(values.sample);
  const chosen = choose(candidates, { seed, count });
  const chosenFiles = new Set(chosen.map(({ file }) => file));
  const tests = rooms.map((room) => testsOf(copy.root, room, { slow: values.slow }));
  const own = [...new Set(tests.flatMap((test) => test.own))];
  const others = values.own
    ? []
    : [...new Set(tests.flatMap((test) => test.others))].filter((file) => !own.includes(file));
  const programs = [...own, ...others].filter((file) => startsPrograms(copy.root, file));
  process.stdout.write(
    `${all.length} mutants of ${sources.length} files; ${chosen.length} are tried (seed ${seed}). First all tests run once, to see what they reach.\n`,
  );
  if (chosen.length === 0) return 0;

  const { reached, probes, failed, ran } = await findReached({
    copy,
    sources: sources.filter((file) => chosenFiles.has(file)),
    tests: [...own, ...others],
  });
  process.stdout.write(`${ran} tests ran.\n`);
  for (const { test, reason } of failed)
    process.stdout.write(`Fails without a mutant, and is left out: ${test}: ${reason}\n`);
  session = new Session({ root: copy.root, include: [...own, ...others], temporary: copy.temporary });
  const judge = new Judge({
    root: copy.root,
    session,
    covered: reached,
    stages: [
      { files: own.filter((file) => !programs.includes(file)) },
      { files: others.filter((file) => !programs.includes(file)) },
      { files: programs, always: true },
    ],
  });
  const results = [];
  const startedMs = Date.now();
  const endsAtMs =
    values.minutes === undefined ? Number.POSITIVE_INFINITY : startedMs + Number(values.minutes) * 60_000;
  for (const mutation of chosen) {
    if (Date.now() > endsAtMs) break;
    const module = probes.get(mutation.file);
    const probe = module.probeAt(mutation.start, mutation.end);
    const beganMs = Date.now();
    const verdict = await judge.judge({ ...mutation, probe, module });
    const { text: _, ...described } = mutation;
    const result = { ...described, ...verdict, ms: Date.now() - beganMs };
    results.push(result);
    printMutant(result, results.length, chosen.length);
    if (values.json !== undefined) {
      writeFileSync(values.json, JSON.stringify({ rooms, seed, mutants: all.length, results }, undefined, 2));
    }
  }
  printSummary({ results, chosen, same, known, seed, ms: Date.now() - startedMs });
  return 0;
}

function isWanted(mutation) {
  if (values.file !== undefined) {
    const [, path, line] = /^(.*?)(?::(\d+))?$/.exec(values.file);
    if (mutation.file !== path || (line !== undefined && mutation.line !== Number(line))) return false;
  }
  return again === undefined || again.has(keyOf(mutation));
}

function survivorsOf(path) {
  const { results } = JSON.parse(readFileSync(path, "utf8"));
  return new Set(results.filter(({ killed }) => !killed).map(keyOf));
}

function readWords() {
  const options = {
    sample: { type: "string", default: "40" },
    all: { type: "boolean" },
    seed: { type: "string" },
    file: { type: "string" },
    again: { type: "string" },
    minutes: { type: "string" },
    own: { type: "boolean" },
    slow: { type: "boolean" },
    json: { type: "string" },
  };
  try {
    const words = parseArgs({ options, allowPositionals: true });
    const odd = words.positionals.filter((room) => !ROOMS.includes(room.split("/")[0]));
    if (odd.length > 0) throw new Error(`There is no room ${odd.join(", ")}.`);
    for (const name of ["sample", "seed", "minutes"]) {
      if (words.values[name] !== undefined && !(Number(words.values[name]) >= 0))
        throw new Error(`--${name} is a number.`);
    }
    if (words.positionals.length > 0) return words;
    process.stdout.write(USAGE);
    process.exit(0);
  } catch (error) {
    process.stderr.write(`${error.message}\n\n${USAGE}`);
    process.exit(2);
  }
}

async function cleanUp() {
  await session?.end();
  copy.remove();
}
