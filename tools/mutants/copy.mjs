// Mutants live in a copy of the tree: the tree somebody works in is never touched.
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ROOT } from "../lib/run.mjs";

const COPIED = ["src", "tests", "packages", "docs", "package.json", "tsconfig.json"];

export function copyTree() {
  const root = mkdtempSync(join(tmpdir(), "gfs-mutants-"));
  const names = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard", ...COPIED], {
    cwd: ROOT,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  for (const name of new Set(names.split("\0"))) {
    if (name === "" || !existsSync(join(ROOT, name))) continue;
    mkdirSync(dirname(join(root, name)), { recursive: true });
    cpSync(join(ROOT, name), join(root, name));
  }
  linkPackages(root);
  mkdirSync(join(root, "tmp"));
  return {
    root,
    temporary: join(root, "tmp"),
    remove() {
      unmountBelow(root);
      rmSync(root, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

/** Packages are those of the tree; our own are those of the copy. */
function linkPackages(root) {
  const from = join(ROOT, "node_modules");
  const to = join(root, "node_modules");
  mkdirSync(join(to, "@globalfs"), { recursive: true });
  for (const name of readdirSync(from)) {
    if (name !== "@globalfs" && !name.startsWith(".vite")) symlinkSync(join(from, name), join(to, name));
  }
  for (const name of readdirSync(join(root, "packages"))) {
    symlinkSync(join(root, "packages", name), join(to, "@globalfs", name));
  }
}

/** Tests that were ended could not take away the small disks that they had mounted. */
function unmountBelow(root) {
  if (!existsSync("/proc/self/mounts")) return;
  for (const line of readFileSync("/proc/self/mounts", "utf8").split("\n")) {
    const [, place = ""] = line.split(" ");
    if (place.startsWith(`${root}/`)) spawnSync("umount", ["-l", place], { stdio: "ignore" });
  }
}
