import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Runs a program in the project's directory and resolves with its exit code. Ctrl-C reaches it through the terminal. */
export function run(program, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: ROOT, stdio: "inherit", ...options });
    const pass = (signal) => child.kill(signal);
    process.on("SIGTERM", pass);
    const ignore = () => undefined;
    process.on("SIGINT", ignore);
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      process.off("SIGTERM", pass);
      process.off("SIGINT", ignore);
      resolve(code ?? (signal === "SIGINT" ? 130 : 1));
    });
  });
}

/** A program of node_modules, started with this very Node. */
export function runTool(script, args, options) {
  return run(process.execPath, [script, ...args], options);
}
