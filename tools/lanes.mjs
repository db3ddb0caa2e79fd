// What .ci/run runs, one after the other: each lane says how many tests passed and failed in it, and the last line sums them up.
import { join } from "node:path";
import { ensureInstalled } from "./lib/install.mjs";
import { ROOT, run, runTool } from "./lib/run.mjs";
import { closingLine } from "./lib/vitest.mjs";
import { test } from "./test.mjs";
import { testOnNewerNode } from "./test-newer-node.mjs";

const NOTHING = { passed: 0, failed: 0, skipped: 0 };
const BENCH_LIMIT_SECONDS = 300;
const MUTANT_MINUTES = 2;
const MUTANT_ROOMS = ["kv", "namespace", "stores", "cache", "mover", "coordinator"];

/** Name, and what it does: it resolves with its counts. */
const LANES = /** @type {const} */ ([
  // Its figures are for people; that it mounts everything and comes to its end is a test.
  ["the short bench of mounts", benchMounts],
  ["all tests", async () => await test([])],
  ["unit and conformance tests on the newer Node", async () => await testOnNewerNode([])],
  ["a sample of mutants, which fails nothing", sampleMutants],
]);

await ensureInstalled();
const said = [];
let sum = NOTHING;
for (const [name, lane] of LANES) {
  const startedMs = Date.now();
  process.stdout.write(`\n== ${name}\n`);
  const counts = await lane().catch((error) => {
    process.stderr.write(`${error.message}\n`);
    return { ...NOTHING, failed: 1 };
  });
  sum = {
    passed: sum.passed + counts.passed,
    failed: sum.failed + counts.failed,
    skipped: sum.skipped + counts.skipped,
  };
  said.push(`${name}: ${closingLine(counts)} (${Math.round((Date.now() - startedMs) / 1000)} s)`);
}
process.stdout.write(`\n${said.join("\n")}\n\n${closingLine(sum)}\n`);
process.exitCode = sum.failed === 0 && sum.passed > 0 ? 0 : 1;

async function benchMounts() {
  const words = [`${BENCH_LIMIT_SECONDS}`, process.execPath, join(ROOT, "tools", "bench.mjs"), "fuse", "--short"];
  return (await run("timeout", words)) === 0 ? { ...NOTHING, passed: 1 } : { ...NOTHING, failed: 1 };
}

async function sampleMutants() {
  await runTool(join(ROOT, "tools", "mutants.mjs"), [
    ...MUTANT_ROOMS,
    "--sample",
    "60",
    "--minutes",
    `${MUTANT_MINUTES}`,
  ]);
  return NOTHING;
}
