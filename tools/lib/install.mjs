import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT, run } from "./run.mjs";

/** Installs what the lockfile says, unless it is there already. Nothing that a package brings is run. */
export async function ensureInstalled() {
  if (matchesLockfile()) return;
  process.stderr.write("Installing packages...\n");
  const npm = process.env.npm_execpath;
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
  const code = npm === undefined ? await run("npm", args) : await run(process.execPath, [npm, ...args]);
  if (code === 0) return;
  process.stderr.write("The packages could not be installed; see what npm says above.\n");
  process.exit(code);
}

function matchesLockfile() {
  const installed = join(ROOT, "node_modules", ".package-lock.json");
  if (!existsSync(installed)) return false;
  const wanted = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")).packages;
  const present = JSON.parse(readFileSync(installed, "utf8")).packages;
  return Object.entries(wanted).every(([path, entry]) => {
    if (!path.startsWith("node_modules/") || entry.link === true) return true;
    const found = present[path];
    // Optional ones are for other processors and systems.
    if (found === undefined) return entry.optional === true;
    return found.version === entry.version && existsSync(join(ROOT, path));
  });
}
