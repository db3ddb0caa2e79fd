// npm run test:pjd -- DIR_OF_SUITE [--on WHAT] [WORDS]: runs pjdfstest, built in that directory, on a mounted file system, as root.
// WHAT is "memory", "loopback" with options of the command behind it ("loopback --passthrough write") over the directory for temporary
// files, or "source" for that directory itself, without us. WORDS are directories or files below the suite's `tests`; without any, all
// of them run. Fails when a case fails that is not in known-failures.txt, or when one passes that is in it.
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const KNOWN = join(PACKAGE, "tools", "known-failures.txt");
/** Many cases sleep for a second, so more of them run at the same time than there are processors. */
const AT_ONCE = cpus().length * 3;
const MOUNT_LIMIT_MS = 10_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { on: { type: "string", default: "memory" } },
});
const [suite, ...words] = positionals;
const [kind, ...kindWords] = values.on.split(" ");
if (suite === undefined || !existsSync(join(suite, "pjdfstest"))) {
  process.stderr.write(
    "Name the directory of a built pjdfstest: git clone https://github.com/pjd/pjdfstest && cd pjdfstest && autoreconf -ifs && ./configure && make pjdfstest\n",
  );
  process.exit(2);
}
if (process.geteuid() !== 0) {
  process.stderr.write("pjdfstest changes users, so it has to be run as root.\n");
  process.exit(2);
}

const tests = resolve(suite, "tests");
const known = new Set(
  readFileSync(KNOWN, "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#")),
);
const directory = mkdtempSync(join(tmpdir(), "globalfs-pjd-"));
const source = mkdtempSync(join(tmpdir(), "globalfs-pjd-source-"));
// Other users have to get into both.
for (const path of [directory, source]) chmodSync(path, 0o755);
const shown = kind === "loopback" ? [source] : [];
const serverWords = [
  join(PACKAGE, "bin", "globalfs-fuse.js"),
  kind,
  ...kindWords,
  "--allow-other",
  ...shown,
  directory,
];
const server =
  kind === "source" ? undefined : spawn(process.execPath, serverWords, { stdio: ["ignore", "pipe", "inherit"] });
let exitCode = 1;
try {
  if (server !== undefined) await mounted();
  exitCode = await runAll(words.length === 0 ? [tests] : words.map((word) => resolve(tests, word)));
} finally {
  if (server !== undefined) {
    server.kill("SIGTERM");
    await new Promise((done) => (server.exitCode === null ? server.once("exit", done) : done()));
    spawnSync("umount", ["-l", directory], { stdio: "ignore" });
  }
  rmSync(directory, { recursive: true, force: true });
  rmSync(source, { recursive: true, force: true });
}
process.exitCode = exitCode;

function mounted() {
  return new Promise((done, fail) => {
    const timer = setTimeout(() => fail(new Error("The file system was not mounted in time.")), MOUNT_LIMIT_MS);
    server.once("exit", () => fail(new Error("The file system could not be mounted.")));
    server.stdout.on("data", (text) => {
      if (!String(text).includes("Mounted")) return;
      clearTimeout(timer);
      done();
    });
  });
}

function filesBelow(path) {
  if (path.endsWith(".t")) return [path];
  return readdirSync(path, { recursive: true })
    .map((name) => join(path, name))
    .filter((name) => name.endsWith(".t"))
    .toSorted();
}

async function runAll(paths) {
  const files = paths.flatMap(filesBelow);
  const failed = [];
  let cases = 0;
  let next = 0;
  const worker = async (number) => {
    const place = join(directory, `place-${number}`);
    mkdirSync(place, { mode: 0o755 });
    for (let file = files[next++]; file !== undefined; file = files[next++]) {
      const name = relative(tests, file);
      const result = await runFile(file, place);
      cases += result.cases;
      for (const number of result.failed) failed.push(`${name} ${number}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, (_, number) => worker(number)));
  const unexpected = failed.filter((name) => !known.has(name));
  const mended = words.length === 0 ? [...known].filter((name) => !failed.includes(name)) : [];
  for (const name of unexpected) process.stdout.write(`FAILED ${name}\n`);
  for (const name of mended) process.stdout.write(`passes now, take it out of known-failures.txt: ${name}\n`);
  process.stdout.write(
    `${files.length} files, ${cases} cases, ${failed.length} failed, ${unexpected.length} of them unexpected\n`,
  );
  return unexpected.length + mended.length === 0 && cases > 0 ? 0 : 1;
}

/** A file speaks TAP: a plan, and a line for each case. Cases that the plan has and nobody saw have failed. */
function runFile(file, cwd) {
  return new Promise((done, fail) => {
    const child = spawn("sh", [file], { cwd, stdio: ["ignore", "pipe", "ignore"] });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text) => (output += text));
    child.once("error", fail);
    child.once("close", () => {
      const planned = Number(/^1\.\.(\d+)/m.exec(output)?.[1] ?? 0);
      const passed = new Set();
      for (const [, number] of output.matchAll(/^ok (\d+)/gm)) passed.add(Number(number));
      // What follows a hash is the suite's own note that the case is not expected to pass anywhere.
      const expected = [...output.matchAll(/^not ok (\d+)[^#\n]*#/gm)].map(([, number]) => Number(number));
      const failed = [...output.matchAll(/^not ok (\d+)[^#\n]*$/gm)].map(([, number]) => Number(number));
      const seen = new Set([...passed, ...failed, ...expected]);
      for (let number = 1; number <= planned; number += 1) if (!seen.has(number)) failed.push(number);
      done({ cases: planned, failed });
    });
  });
}
