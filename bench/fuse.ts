// The file systems of packages/fuse beside the local disk and other people's loopbacks. The flags are those of packages/fuse/bench/run.mjs.
import { spawn } from "node:child_process";
import { join } from "node:path";

const RUN = join(import.meta.dirname, "..", "packages", "fuse", "bench", "run.mjs");

const child = spawn(process.execPath, [RUN, ...process.argv.slice(2)], { stdio: "inherit" });
child.once("error", (error) => {
  throw error;
});
child.once("exit", (code) => {
  process.exitCode = code ?? 1;
});
