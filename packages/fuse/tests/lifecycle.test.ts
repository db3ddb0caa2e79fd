import { execFile, spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { mayRun } from "./support/programs.ts";
import { reasonToSkip, Served } from "./support/served.ts";

const run = promisify(execFile);
const NOBODY = 65_534;

/** Waits for something that another process brings about. */
async function until(what: () => boolean, limitMs = 10_000): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!what()) {
    if (performance.now() > deadline) throw new Error("It did not come about in time.");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const isMounted = (directory: string): boolean =>
  readFileSync("/proc/self/mountinfo", "utf8").includes(` ${directory} `);

describe.skipIf(reasonToSkip() !== undefined)("a mounted file system", () => {
  const started: Served[] = [];
  const start = async (kind: string, options: { directory?: string; words?: string[] } = {}): Promise<Served> => {
    const served = await Served.start(kind, options);
    started.push(served);
    return served;
  };
  const launch = (kind: string, options: { directory?: string; uid?: number } = {}): Served => {
    const served = Served.launch(kind, options);
    started.push(served);
    return served;
  };
  afterEach(async () => {
    for (const served of started.splice(0)) await served.clean();
  });

  test("is mounted within 150 ms, as a file system of its own", async () => {
    const served = await start("memory");
    const [line = ""] = served.lines;
    // A busy machine is granted more, as the figure is measured by the bench and not here.
    expect(Number(/\d+/.exec(line)?.[0])).toBeLessThan(1500);
    expect(statSync(served.directory).dev).not.toBe(statSync(tmpdir()).dev);
  });

  test("is gone once it is unmounted, and its process ends by itself", async () => {
    const served = await start("main");
    expect(await served.command("unmount")).toBe("unmounted");
    await served.line(/^closed/);
    expect(served.lines).toContain("destroyed");
    expect(isMounted(served.directory)).toBe(false);
    expect(await served.exited).toBe(0);
  });

  test("ends when somebody else unmounts it", async () => {
    const served = await start("memory");
    await run("umount", [served.directory]);
    await served.line(/^closed/);
    expect(await served.exited).toBe(0);
  });

  test("is taken away from those who do not let go of it", async () => {
    const served = await start("memory");
    writeFileSync(join(served.directory, "held"), "data");
    const held = openSync(join(served.directory, "held"), "r");
    try {
      expect(await served.command("unmount")).toBe("unmounted");
      expect(() => readFileSync(held)).toThrow(/ENOTCONN|ECONNABORTED|ENODEV|EIO/);
    } finally {
      // Closing flushes, and there is nobody left to flush to.
      expect(() => closeSync(held)).toThrow("ENOTCONN");
    }
    expect(await served.exited).toBe(0);
  });

  test("goes with its process when that is killed", async () => {
    const served = await start("memory");
    writeFileSync(join(served.directory, "file"), "data");
    served.kill("SIGKILL");
    await served.exited;
    await until(() => !isMounted(served.directory));
    expect(await readdir(served.directory)).toEqual([]);
  });

  test("does not keep its process from exiting", async () => {
    const served = await start("exits");
    served.child.stdin?.write("exit\n");
    expect(await served.exited).toBe(7);
    expect(isMounted(served.directory)).toBe(false);
  });

  test("that a killed server left behind is replaced by the next mount", async () => {
    const dead = await start("memory-unwatched");
    dead.kill("SIGKILL");
    await dead.exited;
    await expect(readdir(dead.directory)).rejects.toThrow("ENOTCONN");
    const next = await start("memory", { directory: dead.directory });
    writeFileSync(join(next.directory, "file"), "works");
    expect(readFileSync(join(next.directory, "file"), "utf8")).toBe("works");
    // Only one is there: beneath it is the plain directory again.
    await next.command("unmount");
    expect(await readdir(next.directory)).toEqual([]);
  });

  test("loses nothing when its process stands still for a while", async () => {
    const served = await start("memory");
    served.kill("SIGSTOP");
    const writing = writeFile(join(served.directory, "file"), "patience");
    await new Promise((resolve) => setTimeout(resolve, 200));
    served.kill("SIGCONT");
    await writing;
    expect(readFileSync(join(served.directory, "file"), "utf8")).toBe("patience");
  });

  test("is refused with a sentence where there is no directory, or a file", async () => {
    const base = mkdtempSync(join(tmpdir(), "globalfs-fuse-"));
    try {
      const missing = join(base, "missing");
      expect(await launch("memory", { directory: missing }).line(/Error/)).toBe(
        `FuseError NoDirectory: There is no directory ${missing}: make it with \`mkdir -p ${missing}\`.`,
      );
      const file = join(base, "file");
      writeFileSync(file, "");
      expect(await launch("memory", { directory: file }).line(/Error/)).toContain("is not a directory");
    } finally {
      rmSync(base, { recursive: true, force: true });
    }
  });

  test("leaves nothing mounted when its file system cannot be created", async () => {
    const served = launch("no-file-system");
    expect(await served.line(/Error|^Mounted/)).toContain("exports no function createFileSystem(options): add it.");
    expect(await served.exited).toBe(1);
    expect(isMounted(served.directory)).toBe(false);
    expect(await readdir(served.directory)).toEqual([]);
  });

  const asUserToo = reasonToSkip() === undefined && existsSync("/usr/bin/fusermount3") && mayRun(NOBODY);
  describe.runIf(asUserToo)("as a user", () => {
    const directories: string[] = [];
    afterAll(() => {
      for (const directory of directories) rmSync(directory, { recursive: true, force: true });
    });
    const asUser = (kind: string): Served => {
      const directory = mkdtempSync(join(tmpdir(), "globalfs-fuse-"));
      directories.push(directory);
      chmodSync(directory, 0o755);
      mkdirSync(join(directory, "own"));
      chownSync(join(directory, "own"), NOBODY, NOBODY);
      return launch(kind, { directory: join(directory, "own"), uid: NOBODY });
    };

    const everybody = asUserToo && (statSync("/dev/fuse").mode & 0o006) === 0o006;

    test.runIf(everybody)("is mounted by fusermount3, and belongs to nobody else", async () => {
      const served = asUser("memory-as-user");
      await served.line(/^Mounted/);
      await expect(readdir(served.directory)).rejects.toThrow("EACCES");
      expect(await served.command("unmount")).toBe("unmounted");
      expect(await served.exited).toBe(0);
    });

    test.runIf(everybody)("goes with its process when that is killed", async () => {
      const served = asUser("memory-as-user");
      await served.line(/^Mounted/);
      served.kill("SIGKILL");
      await served.exited;
      await until(() => !isMounted(served.directory));
    });

    test.runIf(!everybody)("is refused where the device is not for everybody", async () => {
      const served = asUser("memory-as-user");
      expect(await served.line(/Error|^Mounted/)).toContain("chmod 666 /dev/fuse");
    });

    test("does not let others in unless that is allowed", async () => {
      const served = asUser("allow-other");
      expect(await served.line(/Error|^Mounted/)).toContain("user_allow_other");
    });
  });
});

describe.skipIf(reasonToSkip() !== undefined)("a file system in the main thread", () => {
  let served: Served | undefined;
  afterEach(async () => {
    await served?.clean();
  });

  test("answers at once, later, and with the memory of the reply", async () => {
    served = await Served.start("main");
    const read = (name: string): Promise<string> => readFile(join((served as Served).directory, name), "utf8");
    expect(await read("fast")).toBe("from the main thread");
    expect(await read("later")).toBe("later");
    expect(await read("filled")).toBe("filled in");
  });

  test("has its errors passed on, and its mistakes told", async () => {
    served = await Served.start("main");
    await expect(readFile(join(served.directory, "refuses"))).rejects.toThrow("ENOSPC");
    await expect(readFile(join(served.directory, "broken"))).rejects.toThrow("EIO");
    expect(await served.line(/^problem/)).toContain("failed in read, so the caller got EIO: a mistake");
    await expect(readFile(join(served.directory, "nothing"))).rejects.toThrow("ENOENT");
  });

  test("gets whole writes that it takes its time for", async () => {
    served = await Served.start("main");
    const data = Buffer.alloc(1_048_576, "0123456789abcdef");
    await writeFile(join(served.directory, "store"), data);
    expect((await readFile(join(served.directory, "store"))).equals(data)).toBe(true);
  });

  test("hears that the one who waits was interrupted", async () => {
    served = await Served.start("main");
    const reader = spawn("cat", [join(served.directory, "hangs")], { stdio: "ignore" });
    const exited = new Promise((resolve) => reader.once("exit", (_code, signal) => resolve(signal)));
    await new Promise((resolve) => setTimeout(resolve, 100));
    reader.kill("SIGTERM");
    await served.line(/^interrupted/);
    expect(await exited).toBe("SIGTERM");
  });

  test("ends with operations still pending", async () => {
    served = await Served.start("main");
    const reader = spawn("cat", [join(served.directory, "hangs")], { stdio: "ignore" });
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await served.command("unmount")).toBe("unmounted");
    reader.kill("SIGKILL");
    expect(await served.exited).toBe(0);
  });

  test("goes on when more is asked for than it takes on at once", async () => {
    served = await Served.start("main-narrow");
    const { directory } = served;
    const reads = Array.from({ length: 20 }, () => run("cat", [join(directory, "later")]));
    expect(new Set((await Promise.all(reads)).map(({ stdout }) => stdout))).toEqual(new Set(["later"]));
  });

  for (const words of [[], ["clone"]]) {
    test(`is read by two workers${words.length > 0 ? " with queues of their own" : ""}`, async () => {
      served = await Served.start("memory-two-workers", { words });
      const { directory } = served;
      const reads = Array.from({ length: 30 }, () => run("cat", [join(directory, "later"), join(directory, "fast")]));
      expect(new Set((await Promise.all(reads)).map(({ stdout }) => stdout))).toEqual(
        new Set(["laterfrom the main thread"]),
      );
      expect(await served.command("unmount")).toBe("unmounted");
      expect(await served.exited).toBe(0);
    });
  }

  test("takes what the worker's file system leaves to it", async () => {
    served = await Served.start("hybrid");
    expect(await readFile(join(served.directory, "fast"), "utf8")).toBe("from the worker");
    expect(await readFile(join(served.directory, "later"), "utf8")).toBe("later");
    const reader = spawn("cat", [join(served.directory, "hangs")], { stdio: "ignore" });
    await new Promise((resolve) => setTimeout(resolve, 100));
    reader.kill("SIGTERM");
    await served.line(/^interrupted/);
  });
});
