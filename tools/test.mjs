// npm test: installs, builds, checks and tests everything on a fresh clone. Words after `--` go to the test runner.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { check } from "./check.mjs";
import { ensureInstalled } from "./lib/install.mjs";
import { ROOT, runTool } from "./lib/run.mjs";
import { closingLine, runVitest } from "./lib/vitest.mjs";

export async function test(words) {
  await ensureInstalled();
  // The tests run the built commands, so what they run must be what the sources say.
  const built = (await runTool(join(ROOT, "tools", "build.mjs"), [])) === 0;
  const failedChecks = words.length === 0 ? await check() : [];
  if (!built) failedChecks.push("build");
  const counts = await runVitest(words);
  if (failedChecks.length > 0) process.stdout.write(`\nFailed checks: ${failedChecks.join(", ")}\n`);
  return { ...counts, failed: counts.failed + failedChecks.length };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const counts = await test(process.argv.slice(2));
  process.stdout.write(`\n${closingLine(counts)}\n`);
  process.exitCode = counts.failed === 0 ? 0 : 1;
}
