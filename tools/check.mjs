// npm run check: types, lint, format and unused code. Says all that is wrong, then fails.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ensureInstalled } from "./lib/install.mjs";
import { ROOT, runTool } from "./lib/run.mjs";

const FORMATTED = ["src", "tests", "packages", "bench", "tools", "bin"];
/** Name, script below node_modules, arguments. */
const CHECKS = /** @type {const} */ ([
  ["types", "typescript/bin/tsc", ["-p", "."]],
  ["lint", "oxlint/bin/oxlint", ["--type-aware", ...FORMATTED]],
  ["format", "oxfmt/bin/oxfmt", ["--check", ...FORMATTED]],
  ["unused code", "knip/bin/knip.js", ["--no-progress"]],
]);

/** The names of the checks that failed. */
export async function check() {
  const failed = [];
  for (const [name, script, args] of CHECKS) {
    const code = await runTool(join(ROOT, "node_modules", script), args);
    process.stdout.write(`check: ${name} ${code === 0 ? "passed" : "FAILED"}\n`);
    if (code !== 0) failed.push(name);
  }
  return failed;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await ensureInstalled();
  process.exitCode = (await check()).length === 0 ? 0 : 1;
}
