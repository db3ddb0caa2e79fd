import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { ROOT, runTool } from "./run.mjs";

const SOURCES = ["src", "packages", "tools", "package-lock.json"];

/** Builds when a source is newer than what was built of it. */
export async function ensureBuilt() {
  const built = modifiedMs(join(ROOT, "dist", "globalfs.js"));
  if (built > 0 && SOURCES.every((name) => newestMs(join(ROOT, name)) <= built)) return;
  process.stderr.write("Building...\n");
  const code = await runTool(join(ROOT, "tools", "build.mjs"), []);
  if (code !== 0) process.exit(code);
}

function newestMs(path) {
  const info = statSync(path);
  if (!info.isDirectory()) return info.mtimeMs;
  let newest = info.mtimeMs;
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    // What was built is no source, and a package may be packed later than all was built.
    if (entry.name !== "node_modules" && entry.name !== "dist")
      newest = Math.max(newest, newestMs(join(path, entry.name)));
  }
  return newest;
}

function modifiedMs(path) {
  try {
    return statSync(path).mtimeMs;
  } catch {
    return 0;
  }
}
