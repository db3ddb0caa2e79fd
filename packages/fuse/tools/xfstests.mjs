// npm run test:xfstests -- DIR_OF_SUITE [--on WHAT] [--group G] [--load OPERATIONS] [--markdown FILE] [TESTS]: runs xfstests, built in that
// directory, as root. WHAT is "memory", or "loopback" with the options of its module behind it ('loopback {"passthrough":"off"}') over the
// directory for temporary files. TESTS are such as generic/001; without any, those of the group (quick) run. With --load, the suite's fsx and
// fsstress do so many operations each instead. Fails when a test fails that is not in xfstests-known.txt, or when one passes that is in it.
// What has to be installed for the suite is for it to say; the users fsgqa, 123456-fsgqa and fsgqa2 have to be there.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { runLoad } from "./xfstests-load.mjs";

const KNOWN = join(import.meta.dirname, "xfstests-known.txt");
const MOUNT = join(import.meta.dirname, "xfstests-mount.mjs");
/** A test that takes longer hangs, or is none for this machine. */
const TEST_LIMIT_MS = 600_000;
const LOOK_MS = 5000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    on: { type: "string", default: "loopback" },
    group: { type: "string", default: "quick" },
    load: { type: "string" },
    markdown: { type: "string" },
  },
});
const [suiteWord, ...words] = positionals;
const kind = values.on.split(" ")[0];
const moduleOptions = values.on.slice(kind.length).trim() || "{}";
if (suiteWord === undefined || !existsSync(join(suiteWord, "ltp", "fsx"))) {
  process.stderr.write(
    "Name the directory of a built xfstests: git clone https://git.kernel.org/pub/scm/fs/xfs/xfstests-dev.git && cd xfstests-dev && make\n",
  );
  process.exit(2);
}
if (process.geteuid() !== 0) {
  process.stderr.write("xfstests mounts and changes users, so it has to be run as root.\n");
  process.exit(2);
}
const suite = resolve(suiteWord);
const base = mkdtempSync(join(tmpdir(), "globalfs-xfstests-"));
const subtype = `globalfs${process.pid}`;
const helper = `/sbin/mount.fuse.${subtype}`;
const places = {};
for (const name of ["test", "scratch", "test-source", "scratch-source", "results"]) {
  places[name] = join(base, name);
  mkdirSync(places[name], { mode: 0o755 });
}
spawnSync("chmod", ["755", base]);
const environment = {
  ...process.env,
  XFSTESTS_KIND: kind,
  XFSTESTS_OPTIONS: moduleOptions,
  XFSTESTS_BASE: base,
  HOST_OPTIONS: join(base, "local.config"),
  RESULT_BASE: places.results,
};
let exitCode = 1;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => process.exit(1));
process.once("exit", cleanUp);
writeFileSync(helper, `#!/bin/sh\nulimit -n 1048576 2>/dev/null\nexec ${process.execPath} ${MOUNT} "$@"\n`, {
  mode: 0o755,
});
writeFileSync(
  environment.HOST_OPTIONS,
  [
    `export TEST_DEV=${subtype}-test`,
    `export TEST_DIR=${places.test}`,
    `export SCRATCH_DEV=${subtype}-scratch`,
    `export SCRATCH_MNT=${places.scratch}`,
    "export FSTYP=fuse",
    `export FUSE_SUBTYP=.${subtype}`,
    `export MOUNT_OPTIONS="-osource=${places["scratch-source"]},allow_other,default_permissions"`,
    `export TEST_FS_MOUNT_OPTS="-osource=${places["test-source"]},allow_other,default_permissions"`,
    "",
  ].join("\n"),
);
if (values.load !== undefined) exitCode = await runLoad({ suite, places, subtype, environment, count: values.load });
else exitCode = await runChecks();
process.exitCode = exitCode;

function cleanUp() {
  for (const place of [places.test, places.scratch]) spawnSync("umount", ["-l", place], { stdio: "ignore" });
  rmSync(helper, { force: true });
  // What went wrong is looked at there.
  if (exitCode === 0) rmSync(base, { recursive: true, force: true });
  else process.stdout.write(`Details are in ${base}\n`);
}

async function runChecks() {
  const chosen = words.length === 0 ? ["-g", values.group] : words;
  const excluded = kind === "memory" ? withoutStorage() : [];
  const check = spawn("bash", ["check", "-fuse", ...chosen, ...excluded.flatMap((name) => ["-e", name])], {
    cwd: suite,
    env: environment,
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  let output = "";
  let running = { name: "", since: performance.now() };
  check.stdout.setEncoding("utf8").on("data", (text) => {
    process.stdout.write(text);
    output += text;
    const name = /(generic\/\d+)[^\n]*\n?$/.exec(output)?.[1] ?? running.name;
    if (name !== running.name) running = { name, since: performance.now() };
  });
  const timer = setInterval(() => {
    if (performance.now() - running.since < TEST_LIMIT_MS) return;
    process.stdout.write(` (ended after ${TEST_LIMIT_MS / 60_000} minutes)`);
    endTest(check.pid, running.name);
    running.since = performance.now();
  }, LOOK_MS);
  await new Promise((done) => check.once("close", done));
  clearInterval(timer);
  return judge(output, excluded);
}

/** Ends the processes of a test that hangs, and not what runs the tests. */
function endTest(checkPid, name) {
  const rows = spawnSync("ps", ["-eo", "pid=,ppid=,args="], { encoding: "utf8" }).stdout.split("\n");
  const processes = rows.map((row) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(row)).filter((row) => row !== null);
  const below = new Set([String(checkPid)]);
  for (const [, pid, parent] of processes) if (below.has(parent)) below.add(pid);
  const first = processes.find(([, pid, , command]) => below.has(pid) && command.includes(`tests/${name}`));
  const doomed = new Set(first === undefined ? [] : [first[1]]);
  for (const [, pid, parent] of processes) if (doomed.has(parent)) doomed.add(pid);
  for (const pid of doomed) spawnSync("kill", ["-KILL", pid]);
}

/** What is in memory is gone with the mount, so tests that mount again and look for their files make no sense there. */
function withoutStorage() {
  const directory = join(suite, "tests", "generic");
  return readdirSync(directory)
    .filter((name) => /^\d+$/.test(name))
    .filter((name) =>
      /cycle_mount|_(test|scratch)_(re)?mount|_shutdown/.test(readFileSync(join(directory, name), "utf8")),
    )
    .map((name) => `generic/${name}`);
}

function judge(output, excluded) {
  const listed = (title) => new RegExp(`^${title}: (.*)$`, "m").exec(output)?.[1].trim().split(/\s+/) ?? [];
  const ran = listed("Ran");
  const failed = listed("Failures");
  const skipped = listed("Not run");
  const passed = ran.filter((name) => !failed.includes(name) && !skipped.includes(name));
  const known = knownFailures();
  const unexpected = failed.filter((name) => !known.has(name));
  const mended = passed.filter((name) => known.has(name));
  for (const name of unexpected) process.stdout.write(`FAILED ${name}\n`);
  for (const name of mended) process.stdout.write(`passes now, take it out of xfstests-known.txt: ${name}\n`);
  process.stdout.write(
    `${passed.length} passed, ${failed.length} failed, ${unexpected.length} of them unexpected, ${skipped.length} not run, ${excluded.length} not tried\n`,
  );
  if (values.markdown !== undefined) {
    writeFileSync(values.markdown, markdown({ passed, failed, skipped, excluded, known }));
  }
  return unexpected.length + mended.length === 0 && passed.length > 0 ? 0 : 1;
}

/** Lines of a test, what it fails on, and why. */
function knownFailures() {
  const known = new Map();
  for (const line of readFileSync(KNOWN, "utf8").split("\n")) {
    const [, name, place, reason] = /^(generic\/\d+) (\S+) (.*)$/.exec(line) ?? [];
    if (name !== undefined && (place === "all" || values.on.startsWith(place))) known.set(name, reason);
  }
  return known;
}

function markdown({ passed, failed, skipped, excluded, known }) {
  const reasons = new Map();
  for (const name of skipped) {
    const file = join(places.results, `${name}.notrun`);
    const reason = existsSync(file) ? readFileSync(file, "utf8").trim().replaceAll(base, "") : "no reason given";
    reasons.set(reason, [...(reasons.get(reason) ?? []), name]);
  }
  const rows = [...reasons].toSorted((left, right) => right[1].length - left[1].length);
  const numbers = (names) => names.map((name) => name.replace("generic/", "")).join(" ");
  return [
    `## xfstests \`-g ${values.group}\` on \`${values.on}\``,
    "",
    `${passed.length} passed, ${failed.length} failed, ${skipped.length} not run.`,
    excluded.length > 0
      ? `${excluded.length} of all groups were not tried, as they mount again and look for their files.\n`
      : "",
    ...(failed.length > 0 ? ["| Failed | Why |", "| --- | --- |"] : []),
    ...failed.map((name) => `| ${name} | ${known.get(name) ?? "not known"} |`),
    "",
    "| Not run, because the suite says | Tests |",
    "| --- | --- |",
    ...rows.map(([reason, names]) => `| ${reason.replaceAll("|", "\\|")} | ${numbers(names)} |`),
    "",
    `Passed: ${numbers(passed)}`,
    "",
  ].join("\n");
}
