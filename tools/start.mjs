// npm start: installs and builds what is missing, then runs everything on this machine.
import { ensureInstalled } from "./lib/install.mjs";
import { ensureBuilt } from "./lib/stale.mjs";

await ensureInstalled();
await ensureBuilt();

// npm ends on SIGTERM without telling the shell between it and this process: whoever is left alone ends, too.
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) process.kill(process.pid, "SIGTERM");
}, 500).unref();

const { launch } = await import("../bin/launch.js");
await launch(["up", ...process.argv.slice(2)]);
