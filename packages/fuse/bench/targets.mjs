// What is measured: the local disk, this package, and two loopbacks from Debian.
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const COMMAND = fileURLToPath(new URL("../bin/globalfs-fuse.js", import.meta.url));
const MOUNT_LIMIT_MS = 10_000;

const UNCACHED = "attr_timeout=0,entry_timeout=0,negative_timeout=0";
const ours = (passthrough) => (source, directory) => [
  process.execPath,
  [COMMAND, "loopback", "--allow-other", "--timeout-ms", "0", "--passthrough", passthrough, source, directory],
];

/** Nothing is cached but pages, so that each call reaches the server, in all of them. */
const SERVERS = {
  passthrough: ours("read"),
  "passthrough of writes": ours("write"),
  "without passthrough": ours("off"),
  bindfs: (source, directory) => ["bindfs", ["-f", "-o", UNCACHED, source, directory]],
  mergerfs: (source, directory) => [
    "mergerfs",
    [
      "-f",
      "-o",
      "cache.files=auto-full,cache.attr=0,cache.entry=0,cache.negative_entry=0,category.create=ff",
      source,
      directory,
    ],
  ],
};

export const NAMES = Object.keys(SERVERS);

export function isInstalled(program) {
  return spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
}

/** Starts a server and resolves when it can be used. */
export async function startTarget(name, { source, base }) {
  if (name === "local") return { name, directory: source, pid: undefined, stop: () => undefined };
  const directory = join(base, name.replaceAll(" ", "-"));
  mkdirSync(directory);
  const [program, words] = SERVERS[name](source, directory);
  return mountTarget({ name, directory, program, words });
}

export async function startMemory(kind, base) {
  const directory = join(base, kind);
  mkdirSync(directory);
  return mountTarget({ name: kind, directory, program: process.execPath, words: [COMMAND, kind, directory] });
}

async function mountTarget({ name, directory, program, words }) {
  const started = performance.now();
  const child = spawn(program, words, { stdio: ["ignore", "ignore", "inherit"] });
  const stop = () => {
    spawnSync("umount", ["-l", directory], { stdio: "ignore" });
    child.kill("SIGTERM");
  };
  while (!isMounted(directory)) {
    if (child.exitCode !== null || performance.now() - started > MOUNT_LIMIT_MS) {
      stop();
      throw new Error(`${name} could not be mounted.`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return { name, directory, pid: child.pid, stop, startMs: performance.now() - started };
}

function isMounted(directory) {
  return readFileSync("/proc/self/mountinfo", "utf8").includes(` ${directory} `);
}

/** Processor time of all threads of a server so far, in microseconds. */
export function processorUs(pid) {
  if (pid === undefined) return 0;
  let nanoseconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
  }
  return nanoseconds / 1000;
}

export function residentMib(pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1]) / 1024;
}
