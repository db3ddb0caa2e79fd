import { execFile, execFileSync, spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";
import { afterEach, describe, expect, test } from "vitest";
import { isMissing } from "./support/programs.ts";
import { reasonToSkip, Served } from "./support/served.ts";

const run = promisify(execFile);
const LONG = process.env["GLOBALFS_LONG"] === "1";
/** What is lost with each round shows in seconds; what is lost now and then needs the longer run of the full machine. */
const STRESS_MS = LONG ? 600_000 : process.env["GLOBALFS_REQUIRE_SERVERS"] === "1" ? 30_000 : 9_000;
/** Of all processes together, also where the machine has other work. */
const FEWEST_ROUNDS = STRESS_MS < 30_000 ? 1_000 : 5_000;
const PROCESSES = 64;
/** How many processes are at work when their server is killed. */
const KILLED_UNDER = LONG ? 64 : 4;
const TAR_FILES = LONG ? 20_000 : 2000;
const STRESSOR = join(import.meta.dirname, "support", "stressor.mjs");
const SCRIPT_LIMIT_MS = LONG ? 600_000 : 90_000;

describe.skipIf(reasonToSkip() !== undefined)("under load", () => {
  const started: Served[] = [];
  const directories: string[] = [];
  afterEach(async () => {
    for (const served of started.splice(0).toReversed()) await served.clean();
    for (const directory of directories.splice(0)) {
      spawnSync("umount", ["-l", directory], { stdio: "ignore" });
      fs.rmSync(directory, { recursive: true, force: true });
    }
  });
  const newDirectory = (): string => {
    const directory = fs.mkdtempSync(join(tmpdir(), "globalfs-stress-"));
    directories.push(directory);
    return directory;
  };
  const startLoopback = async (options: Record<string, unknown>, directory?: string): Promise<Served> => {
    const words = [JSON.stringify({ source: newDirectory(), ...options })];
    const served = await Served.start("loopback", directory === undefined ? { words } : { words, directory });
    started.push(served);
    return served;
  };
  const startMemory = async (): Promise<Served> => {
    const served = await Served.start("memory");
    started.push(served);
    return served;
  };
  const start = {
    memory: startMemory,
    loopback: () => startLoopback({}),
    "loopback, writes passed through": () => startLoopback({ passthrough: "write" }),
  };

  const scripts: Readonly<Record<string, { readonly programs: readonly string[]; readonly script: string }>> = {
    "git clones a repository, packs it and finds nothing wrong": {
      programs: ["git"],
      script: `
        git init -q origin && cd origin && git config user.email a@b && git config user.name n
        for n in 1 2 3 4 5 6; do seq $n 2000 > file-$n; git add -A; git commit -q -m "change $n"; done
        cd .. && git clone -q --no-hardlinks origin copy && cd copy && git gc -q --aggressive --prune=now && git fsck --strict
        git status --porcelain | wc -l | grep -qx 0`,
    },
    "tar packs and unpacks many files": {
      programs: ["tar", "diff"],
      script: `
        mkdir in out && cd in && for d in $(seq 20); do mkdir d$d; for f in $(seq ${TAR_FILES / 20}); do echo "$d $f" > d$d/f$f; done; done
        cd .. && tar cf all.tar -C in . && tar xf all.tar -C out && diff -r in out && rm -r in && ls out | wc -l | grep -qx 20`,
    },
    "make builds a project, and builds nothing twice": {
      programs: ["make", "cc"],
      script: `
        for n in 1 2 3 4 5 6; do echo "int f$n(void) { return $n; }" > f$n.c; done
        echo 'int f1(void); int f6(void); int main(void) { return f1() + f6() - 7; }' > main.c
        printf 'OBJECTS = main.o f1.o f2.o f3.o f4.o f5.o f6.o\\nall: $(OBJECTS)\\n\\tcc -o all $(OBJECTS)\\n' > Makefile
        make -s -j4 && ./all && make -q`,
    },
    "rsync copies, and then finds nothing to do": {
      programs: ["rsync"],
      script: `
        mkdir -p in/deep && seq 50000 > in/large && echo x > in/deep/small && ln -s large in/link && ln in/large in/deep/hard && chmod 751 in/deep
        rsync -aH in/ out/ && rsync -aHi --checksum in/ out/ | wc -l | grep -qx 0 && seq 50001 > in/large && rsync -aH --inplace in/ out/ && cmp in/large out/large`,
    },
    "sqlite keeps what it has committed when it is killed, with a journal and with a log": {
      programs: ["sqlite3", "stdbuf"],
      script: `
        for mode in wal delete; do
          sqlite3 $mode.db "pragma journal_mode=$mode; create table t(n integer primary key, text)" > /dev/null
          for n in $(seq 40); do echo "insert into t values($n, 'text'); select $n;"; sleep 0.01; done | stdbuf -oL sqlite3 $mode.db > said.$mode &
          killed=$!; sleep 0.3; kill -9 $killed; wait
          test "$(sqlite3 $mode.db 'pragma integrity_check')" = ok
          said=$(tail -1 said.$mode); test -n "$said"; test "$(sqlite3 $mode.db 'select max(n) from t')" -ge "$said"
        done`,
    },
  };

  for (const [title, { programs, script }] of Object.entries(scripts)) {
    for (const [kind, startIt] of Object.entries(start)) {
      test.skipIf(isMissing(...programs))(`${title} (${kind})`, { timeout: SCRIPT_LIMIT_MS + 20_000 }, async () => {
        const served = await startIt();
        await run("sh", ["-e", "-c", script], { cwd: served.directory, timeout: SCRIPT_LIMIT_MS });
      });
    }
  }

  /** What could leak, but for files. */
  const figuresOf = (served: Served): { readonly descriptors: number; readonly residentKib: number } => ({
    descriptors: fs.readdirSync(`/proc/${served.child.pid}/fd`).length,
    residentKib: Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${served.child.pid}/status`, "latin1"))?.[1]),
  });

  /** Resolves with how often they went through what they do, all together. */
  const stress = async (served: Served, ms: number): Promise<number> => {
    const stressors = Array.from({ length: PROCESSES }, (_, index) =>
      run(process.execPath, [STRESSOR, served.directory, String(ms), String(index)], { timeout: ms + 60_000 }),
    );
    const results = await Promise.all(stressors);
    return results.reduce((sum, { stdout }) => sum + Number(stdout), 0);
  };

  const stressed: Readonly<Record<string, (source: string) => Promise<Served>>> = {
    memory: startMemory,
    loopback: (source) => startLoopback({ source, passthrough: "write" }),
  };
  for (const [kind, startIt] of Object.entries(stressed)) {
    test(
      `${PROCESSES} processes leave nothing behind in the server (${kind})`,
      { timeout: STRESS_MS + 120_000 },
      async () => {
        const source = newDirectory();
        execFileSync("mount", ["-t", "tmpfs", "-o", "size=256m,nr_inodes=20000", "none", source]);
        const served = await startIt(source);
        const freeFiles = (): number => fs.statfsSync(kind === "memory" ? served.directory : source).ffree;
        const freeBefore = freeFiles();
        const before = figuresOf(served);
        const warmDone = await stress(served, STRESS_MS / 3);
        const warm = figuresOf(served);
        const done = warmDone + (await stress(served, (STRESS_MS * 2) / 3));
        // What is freed late is given a moment.
        const deadline = performance.now() + 10_000;
        while (freeFiles() !== freeBefore && performance.now() < deadline) await setTimeout(50);
        const after = figuresOf(served);
        const told = JSON.stringify({ rounds: done, before, warm, after, filesLeft: freeBefore - freeFiles() });
        process.stderr.write(`${PROCESSES} processes on ${kind} for ${STRESS_MS / 1000} s: ${told}\n`);
        expect(done).toBeGreaterThan(FEWEST_ROUNDS);
        expect(freeFiles()).toBe(freeBefore);
        expect(after.descriptors - before.descriptors).toBeLessThan(10);
        expect(after.residentKib - warm.residentKib).toBeLessThan(40_000);
      },
    );
  }

  for (const kind of ["memory", "loopback"]) {
    test(`a server that is killed in the middle leaves a directory that can be mounted again at once (${kind})`, async () => {
      const source = newDirectory();
      const words = kind === "memory" ? [] : [JSON.stringify({ source, passthrough: "write" })];
      const served = await Served.start(kind, { words });
      started.push(served);
      const stressors = Array.from({ length: KILLED_UNDER }, (_, index) =>
        spawn(process.execPath, [STRESSOR, served.directory, "20000", String(index)], { stdio: "ignore" }),
      );
      const ended = stressors.map((stressor) => new Promise((resolve) => stressor.once("exit", resolve)));
      await setTimeout(LONG ? 5000 : 500);
      served.kill("SIGKILL");
      await served.exited;
      const again = await Served.start(kind, { words, directory: served.directory });
      started.push(again);
      const path = join(again.directory, "after");
      fs.writeFileSync(path, "works");
      expect(fs.readFileSync(path, "utf8")).toBe("works");
      if (kind === "loopback") expect(fs.readFileSync(join(source, "after"), "utf8")).toBe("works");
      for (const stressor of stressors) stressor.kill("SIGKILL");
      await Promise.all(ended);
    });
  }

  const standing: Readonly<Record<string, () => Promise<Served>>> = {
    memory: startMemory,
    loopback: () => startLoopback({ timeoutMs: 0 }),
  };
  for (const [kind, startIt] of Object.entries(standing)) {
    test(`a server that stands still for ${LONG ? 5 : 1} s loses nothing (${kind})`, async () => {
      const served = await startIt();
      const script = "i=0; while [ $i -lt 400 ]; do echo line-$i >> log; i=$((i + 1)); done";
      const writer = run("sh", ["-c", script], { cwd: served.directory });
      await setTimeout(20);
      served.kill("SIGSTOP");
      await setTimeout(LONG ? 5000 : 1000);
      served.kill("SIGCONT");
      await writer;
      const lines = fs.readFileSync(join(served.directory, "log"), "utf8").trimEnd().split("\n");
      expect(lines).toEqual(Array.from({ length: 400 }, (_, index) => `line-${index}`));
    });
  }

  test("what is passed through needs no server: it may even stand still", async () => {
    const served = await startLoopback({ passthrough: "write" });
    const path = join(served.directory, "file");
    fs.writeFileSync(path, Buffer.alloc(1_048_576, "x"));
    const file = await fs.promises.open(path, "r+");
    served.kill("SIGSTOP");
    try {
      const into = Buffer.alloc(1_048_576);
      const work = async (): Promise<string> => {
        await file.write("written", 500_000);
        const { bytesRead } = await file.read(into, 0, into.length, 0);
        return `${bytesRead} ${into.toString("utf8", 499_999, 500_008)}`;
      };
      const limit = setTimeout(5000, "it waited for the server", { ref: false });
      expect(await Promise.race([work(), limit])).toBe("1048576 xwrittenx");
    } finally {
      served.kill("SIGCONT");
      await file.close();
    }
  });
});
