import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, delimiter, join } from "node:path";
import { ROOT, run } from "./run.mjs";

const VITEST = join(ROOT, "node_modules", "vitest", "vitest.mjs");

/** Runs the tests that `words` choose with this Node or another, and resolves with how many passed, failed and were skipped. */
export async function runVitest(words, node = process.execPath) {
  const directory = mkdtempSync(join(tmpdir(), "globalfs-test-"));
  const report = join(directory, "report.json");
  try {
    const reporters = ["--reporter=dot", "--reporter=json", `--outputFile.json=${report}`];
    // What the tests start as `node` is the same one.
    const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` };
    const code = await run(node, [VITEST, "run", ...reporters, ...words], { env });
    const counts = countTests(JSON.parse(readFileSync(report, "utf8")));
    // An error outside of all tests fails the run, too.
    return { ...counts, failed: Math.max(counts.failed, code === 0 ? 0 : 1) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

export function closingLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

/** A file that could not even be loaded has no failed test, and is a failure all the same. */
function countTests({ numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults }) {
  const broken = testResults.filter(
    ({ status, assertionResults }) =>
      status === "failed" && assertionResults.every(({ status }) => status !== "failed"),
  ).length;
  return { passed: numPassedTests, failed: numFailedTests + broken, skipped: numPendingTests + numTodoTests };
}
