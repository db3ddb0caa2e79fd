/**
 * Runs one server for as long as the test run lives, and cleans up behind it, also when the run is killed.
 * usage: node keeper.mjs OWNER_PID DIRECTORY COMMAND [ARGUMENT...]
 */
import { spawn } from "node:child_process";
import { openSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [owner, directory, command, ...commandArguments] = process.argv.slice(2);
const ownerPid = Number(owner);
const out = openSync(join(directory, "server.log"), "a");
const server = spawn(command, commandArguments, { cwd: directory, detached: true, stdio: ["ignore", out, out] });

let ending = false;
function end() {
  if (ending) return;
  ending = true;
  signalGroup("SIGTERM");
  setTimeout(() => {
    signalGroup("SIGKILL");
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
    process.exit(0);
  }, 1_000);
}

function signalGroup(signal) {
  if (server.pid === undefined) return;
  try {
    process.kill(-server.pid, signal);
  } catch (error) {
    if (error.code !== "ESRCH") throw error;
  }
}

function ownerLives() {
  try {
    process.kill(ownerPid, 0);
    return true;
  } catch {
    return false;
  }
}

server.on("exit", (code) => {
  if (!ending && code !== 0) writeFileSync(join(directory, "failed"), `the server ended with code ${code}`);
});
server.on("error", (error) => writeFileSync(join(directory, "failed"), String(error)));
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, end);
setInterval(() => {
  if (!ownerLives()) end();
}, 500);
