// node tools/docs.mjs: writes the reference pages that are made from the code anew, then says where the others are out of step.
import { join } from "node:path";
import { ensureInstalled } from "./lib/install.mjs";
import { ROOT, runTool } from "./lib/run.mjs";

await ensureInstalled();
const vitest = join(ROOT, "node_modules", "vitest", "vitest.mjs");
const tests = ["reference", "docs", "documents"].map((name) => `tests/tidy/${name}.test.ts`);
process.exitCode = await runTool(vitest, ["run", "--project", "unit", ...tests, "--update"]);
