import { spawn } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";

/** In slices, so that it hears of the end of who started it, however that came. */
const SPINNER = `
process.stdin.on("end", () => process.exit()).resume();
const spin = () => {
  const endMs = Date.now() + 20;
  while (Date.now() < endMs);
  setImmediate(spin);
};
spin();`;

/**
 * Keeps all processors from sleeping, with work that anything else goes before: waking a processor of a virtual machine takes longer than a call
 * that is measured, and how long is the host's affair. Resolves with what ends it; without `chrt` of util-linux nothing is done.
 */
export async function keepAwake() {
  const spinners = Array.from({ length: availableParallelism() }, () =>
    spawn("chrt", ["--idle", "0", process.execPath, "-e", SPINNER], { stdio: ["pipe", "ignore", "ignore"] }),
  );
  const started = await Promise.all(
    spinners.map(async (spinner) => {
      try {
        await once(spinner, "spawn");
        return true;
      } catch {
        return false;
      }
    }),
  );
  return {
    awake: started.every(Boolean),
    end: () => {
      for (const spinner of spinners) spinner.kill("SIGKILL");
    },
  };
}
