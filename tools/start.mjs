// npm start: installs and builds what is missing, then runs everything on this machine.
import { join } from "node:path";
import { ensureInstalled } from "./lib/install.mjs";
import { ROOT, runTool } from "./lib/run.mjs";
import { ensureBuilt } from "./lib/stale.mjs";

await ensureInstalled();
await ensureBuilt();
process.exitCode = await runTool(join(ROOT, "bin", "globalfs.js"), ["up", ...process.argv.slice(2)]);
