import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { ROOT } from "./tree.ts";

const VITEST = join(ROOT, "node_modules/vitest/vitest.mjs");
/** One small file of each project. */
const FILES = ["src/core/units.test.ts", "tests/semantics/complete.test.ts", "tests/e2e/s3-workers-stop.test.ts"];

// What the runner refuses, it refuses only when it deals files out to as many workers as there are cores.
test.each([1, 8])(
  "the runner takes the tests of every project together on %s cores",
  { timeout: 60_000 },
  async (cores) => {
    const pretend = `import os from "node:os"; import { syncBuiltinESMExports } from "node:module";
    os.availableParallelism = () => ${cores}; syncBuiltinESMExports();`;
    const words = ["--import", `data:text/javascript,${encodeURIComponent(pretend)}`, VITEST, "list", ...FILES];
    const { stdout } = await promisify(execFile)(process.execPath, words, { cwd: ROOT });
    for (const project of ["unit", "conformance", "e2e"]) expect(stdout).toContain(`[${project}]`);
  },
);
