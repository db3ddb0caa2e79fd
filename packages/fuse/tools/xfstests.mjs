// npm run test:xfstests -- DIR_OF_SUITE [--on WHAT] [--group G] [--lanes N] [--load OPERATIONS] [--markdown FILE] [TESTS]: runs xfstests, built in
// that directory, as root. WHAT is "memory", or "loopback" with the options of its module behind it ('loopback {"passthrough":"off"}') over
// ext4 in a file. TESTS are such as generic/001; without any, those of the group (quick) run, in several lanes at the same time.
// With --load, the suite's fsx and fsstress do so many operations each instead. Fails when a test fails that is not in xfstests-known.txt, or
// when one passes that is in it. What has to be installed for the suite is for it to say; it needs the users fsgqa, 123456-fsgqa and fsgqa2.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Lane } from "./xfstests-lane.mjs";
import { runLoad } from "./xfstests-load.mjs";
import { judge } from "./xfstests-report.mjs";

const MOUNT = join(import.meta.dirname, "xfstests-mount.mjs");

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    on: { type: "string", default: "loopback" },
    group: { type: "string", default: "quick" },
    lanes: { type: "string", default: String(cpus().length * 2) },
    load: { type: "string" },
    markdown: { type: "string" },
  },
});
const [suiteWord, ...words] = positionals;
const kind = values.on.split(" ")[0];
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
chmodSync(base, 0o755);
const subtype = `globalfs${process.pid}`;
const helper = `/sbin/mount.fuse.${subtype}`;
const lanes = [];
let exitCode = 1;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => process.exit(1));
process.once("exit", cleanUp);
writeFileSync(helper, `#!/bin/sh\nulimit -n 1048576 2>/dev/null\nexec ${process.execPath} ${MOUNT} "$@"\n`, {
  mode: 0o755,
});
const moduleOptions = values.on.slice(kind.length).trim() || "{}";
const newLane = () => {
  const lane = new Lane({ suite, base, subtype, kind, moduleOptions, number: lanes.length });
  lanes.push(lane);
  return lane;
};
exitCode = values.load === undefined ? await runChecks() : await runLoad(newLane(), values.load);
process.exitCode = exitCode;

async function runChecks() {
  const all = words.length === 0 ? testsOfGroup(values.group) : words;
  const tests = kind === "memory" ? all.filter(needsNoStorage) : all;
  const count = Math.min(Math.max(Number(values.lanes), 1), tests.length);
  const results = await Promise.all(
    Array.from({ length: count }, (_, number) =>
      newLane().check(tests.filter((_test, index) => index % count === number)),
    ),
  );
  const untried = all.filter((name) => !tests.includes(name));
  const { text, failed } = judge(results.flat(), {
    on: values.on,
    group: values.group,
    untried,
    file: values.markdown,
  });
  process.stdout.write(text);
  return failed ? 1 : 0;
}

function testsOfGroup(group) {
  const pattern = new RegExp(`^_begin_fstest\\b.*\\b${group}\\b`, "m");
  return genericTests().filter((name) => pattern.test(textOf(name)));
}

function genericTests() {
  return readdirSync(join(suite, "tests", "generic"))
    .filter((name) => /^\d+$/.test(name))
    .toSorted()
    .map((name) => `generic/${name}`);
}

function textOf(name) {
  return readFileSync(join(suite, "tests", name), "utf8");
}

/** What is in memory is gone with the mount, so tests that mount again and look for their files make no sense there. */
function needsNoStorage(name) {
  return !/cycle_mount|remount|unmount|_test_mount|_shutdown/.test(textOf(name));
}

function cleanUp() {
  for (const lane of lanes) lane.end();
  rmSync(helper, { force: true });
  // What went wrong is looked at there.
  if (exitCode === 0) spawnSync("rm", ["-rf", base]);
  else process.stdout.write(`Details are in ${base}\n`);
}
