// npm test: installs, builds, checks and tests everything on a fresh clone. Words after `--` go to the test runner.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check } from "./check.mjs";
import { ensureInstalled } from "./lib/install.mjs";
import { ROOT, runTool } from "./lib/run.mjs";

await ensureInstalled();
const words = process.argv.slice(2);
// The tests run the built commands, so what they run must be what the sources say.
const built = (await runTool(join(ROOT, "tools", "build.mjs"), [])) === 0;
const failedChecks = words.length === 0 ? await check() : [];
if (!built) failedChecks.push("build");

const directory = mkdtempSync(join(tmpdir(), "globalfs-test-"));
const report = join(directory, "report.json");
let code;
let counts = { passed: 0, failed: 0, skipped: 0 };
try {
  const vitest = join(ROOT, "node_modules", "vitest", "vitest.mjs");
  code = await runTool(vitest, ["run", "--reporter=dot", "--reporter=json", `--outputFile.json=${report}`, ...words]);
  counts = countTests(JSON.parse(readFileSync(report, "utf8")));
} finally {
  rmSync(directory, { recursive: true, force: true });
}
if (failedChecks.length > 0) process.stdout.write(`\nFailed checks: ${failedChecks.join(", ")}\n`);
// An error outside of all tests fails the run, too.
const failed = Math.max(counts.failed + failedChecks.length, code === 0 ? 0 : 1);
process.stdout.write(`\n${counts.passed} passed, ${failed} failed, ${counts.skipped} skipped\n`);
process.exitCode = failed === 0 ? 0 : 1;

/** A file that could not even be loaded has no failed test, and is a failure all the same. */
function countTests({ numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults }) {
  const broken = testResults.filter(
    ({ status, assertionResults }) =>
      status === "failed" && assertionResults.every(({ status }) => status !== "failed"),
  ).length;
  return { passed: numPassedTests, failed: numFailedTests + broken, skipped: numPendingTests + numTodoTests };
}
