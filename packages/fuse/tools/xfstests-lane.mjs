// One run of the suite's `check`, with file systems of its own. Several may run beside each other.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A test that takes longer hangs, or is none for this machine. */
const TEST_LIMIT_MS = 600_000;
const LOOK_MS = 5000;
/** Some tests fill the disk, so what loopback shows is on one of its own, in a sparse file. */
const DISK_BYTES = 4 * 2 ** 30;

export class Lane {
  constructor({ suite, base, subtype, kind, moduleOptions, number }) {
    this.suite = suite;
    this.subtype = subtype;
    this.source = `${subtype}-${number}`;
    this.base = join(base, String(number));
    this.places = {};
    mkdirSync(this.base, { mode: 0o755 });
    for (const name of ["test", "scratch", "test-source", "scratch-source", "results"]) {
      this.places[name] = join(this.base, name);
      mkdirSync(this.places[name], { mode: 0o755 });
      if (kind === "loopback" && name.endsWith("-source")) this.#mountDisk(name);
    }
    this.environment = {
      ...process.env,
      XFSTESTS_KIND: kind,
      XFSTESTS_OPTIONS: moduleOptions,
      XFSTESTS_BASE: this.base,
      HOST_OPTIONS: join(this.base, "local.config"),
      RESULT_BASE: this.places.results,
    };
    writeFileSync(this.environment.HOST_OPTIONS, this.#configuration());
  }

  #mountDisk(name) {
    const image = join(this.base, `${name}.img`);
    writeFileSync(image, "");
    truncateSync(image, DISK_BYTES);
    for (const [program, ...words] of [
      ["mkfs.ext4", "-q", image],
      ["mount", "-o", "loop", image, this.places[name]],
    ]) {
      const { status, stderr } = spawnSync(program, words, { encoding: "utf8" });
      if (status !== 0) throw new Error(`${program} ${words.join(" ")} failed: ${stderr}`);
    }
  }

  #configuration() {
    const { test, scratch } = this.places;
    const settings = {
      TEST_DEV: `${this.source}-test`,
      TEST_DIR: test,
      SCRATCH_DEV: `${this.source}-scratch`,
      SCRATCH_MNT: scratch,
      FSTYP: "fuse",
      FUSE_SUBTYP: `.${this.subtype}`,
      MOUNT_OPTIONS: `-osource=${scratch}-source,allow_other,default_permissions`,
      TEST_FS_MOUNT_OPTS: `-osource=${test}-source,allow_other,default_permissions`,
    };
    return Object.entries(settings)
      .map(([name, value]) => `export ${name}="${value}"\n`)
      .join("");
  }

  /** Runs tests, and resolves with what came of each: "passed", "failed" or "skipped", and why. */
  async check(tests) {
    const child = spawn("bash", ["check", "-fuse", ...tests], {
      cwd: this.suite,
      env: this.environment,
      stdio: ["ignore", "pipe", "ignore"],
      detached: true,
    });
    this.child = child;
    let output = "";
    let running = { name: "", since: performance.now() };
    child.stdout.setEncoding("utf8").on("data", (text) => {
      const from = output.lastIndexOf("\n") + 1;
      output += text;
      const name = /(generic\/\d+)[^\n]*\n?$/.exec(output)?.[1] ?? running.name;
      if (name !== running.name) running = { name, since: performance.now() };
      for (const [line] of output.slice(from).matchAll(/^generic.*\n/gm)) process.stdout.write(line);
    });
    const timer = setInterval(() => {
      if (performance.now() - running.since < TEST_LIMIT_MS) return;
      process.stdout.write(`${running.name} is ended after ${TEST_LIMIT_MS / 60_000} minutes\n`);
      endBelow(child.pid, `tests/${running.name}`);
      running.since = performance.now();
    }, LOOK_MS);
    await new Promise((done) => child.once("close", done));
    clearInterval(timer);
    this.child = undefined;
    return tests.map((name) => this.#resultOf(name, output));
  }

  #resultOf(name, output) {
    const listed = (title) => new RegExp(`^${title}: (.*)$`, "m").exec(output)?.[1].trim().split(/\s+/) ?? [];
    if (listed("Not run").includes(name)) {
      const file = join(this.places.results, `${name}.notrun`);
      const reason = existsSync(file) ? readFileSync(file, "utf8").trim() : "no reason given";
      return { name, state: "skipped", reason: reason.replaceAll(this.source, "").replaceAll(this.base, "") };
    }
    const bad = join(this.places.results, `${name}.out.bad`);
    if (existsSync(bad) && /ulimit: .*Operation not permitted/.test(readFileSync(bad, "utf8"))) {
      return { name, state: "skipped", reason: "nothing, but root may not raise limits here (CAP_SYS_RESOURCE)" };
    }
    if (listed("Failures").includes(name) || !listed("Ran").includes(name)) return { name, state: "failed" };
    return { name, state: "passed" };
  }

  end() {
    if (this.child !== undefined) endBelow(this.child.pid, "");
    const { test, scratch } = this.places;
    // The disks come last, as what is shown of them holds on to them.
    for (const place of [test, scratch, this.places["test-source"], this.places["scratch-source"]]) {
      spawnSync("umount", ["-l", place], { stdio: "ignore" });
    }
  }
}

/** Ends the processes below one of ours, from the first on whose command has `words` in it. */
function endBelow(root, words) {
  const rows = spawnSync("ps", ["-eo", "pid=,ppid=,args="], { encoding: "utf8" }).stdout.split("\n");
  const processes = rows.map((row) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(row)).filter((row) => row !== null);
  const descendants = (pids) => {
    for (let size = -1; size !== pids.size;) {
      size = pids.size;
      for (const [, pid, parent] of processes) if (pids.has(parent)) pids.add(pid);
    }
    return pids;
  };
  const below = descendants(new Set([String(root)]));
  const first = processes.find(([, pid, , command]) => below.has(pid) && command.includes(words));
  if (first === undefined) return;
  for (const pid of descendants(new Set([first[1]]))) spawnSync("kill", ["-KILL", pid]);
}
