import { execFile, execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { isMissing } from "./support/programs.ts";
import { reasonToSkip, Served } from "./support/served.ts";
import * as calls from "./support/system-calls.ts";

const run = promisify(execFile);
const NOBODY = 65_534;
const O_TMPFILE = 0o20200000;
const LOCK_EXCLUSIVE = 2;
const LOCK_UNLOCK = 8;
const LOCK_NO_WAIT = 4;

/** The same promises hold however the file system is mounted. */
const WAYS = ["memory", "memory-uncached", "memory-no-open"];

describe.skipIf(reasonToSkip() !== undefined).each(WAYS)("a mounted file system in memory (%s)", (way) => {
  let served: Served;
  let base = "";
  let count = 0;
  beforeAll(async () => {
    served = await Served.start(way);
  });
  afterAll(async () => {
    await served.clean();
  });
  beforeEach(() => {
    count += 1;
    base = join(served.directory, `test-${count}`);
    fs.mkdirSync(base);
  });
  const at = (...names: string[]): string => join(base, ...names);
  const content = (name: string): string => fs.readFileSync(at(name), "utf8");

  test("keeps what is written: at offsets, appended, and cut off", () => {
    fs.writeFileSync(at("file"), "0123456789");
    const descriptor = fs.openSync(at("file"), "r+");
    fs.writeSync(descriptor, "ab", 4);
    fs.writeSync(descriptor, "end", 12);
    fs.ftruncateSync(descriptor, 14);
    fs.closeSync(descriptor);
    expect(content("file")).toBe("0123ab6789\0\0en");
    const first = fs.openSync(at("log"), "a");
    const second = fs.openSync(at("log"), "a");
    fs.writeSync(first, "one,");
    fs.writeSync(second, "two,");
    fs.writeSync(first, "three");
    fs.closeSync(first);
    fs.closeSync(second);
    expect(content("log")).toBe("one,two,three");
    fs.truncateSync(at("log"), 3);
    expect(content("log")).toBe("one");
    fs.writeFileSync(at("log"), "new");
    expect(content("log")).toBe("new");
  });

  test("moves large files unharmed", () => {
    const data = Buffer.alloc(3_000_001, "some bytes that repeat every now and then, ");
    fs.writeFileSync(at("large"), data);
    expect(fs.readFileSync(at("large")).equals(data)).toBe(true);
    expect(fs.statSync(at("large")).size).toBe(data.length);
  });

  test("gives a file several names", () => {
    fs.writeFileSync(at("one"), "text");
    fs.linkSync(at("one"), at("two"));
    expect(fs.statSync(at("two"))).toMatchObject({ nlink: 2, ino: fs.statSync(at("one")).ino });
    fs.appendFileSync(at("two"), " more");
    fs.unlinkSync(at("one"));
    expect(content("two")).toBe("text more");
    expect(fs.statSync(at("two")).nlink).toBe(1);
    expect(() => fs.linkSync(base, at("loop"))).toThrow("EPERM");
  });

  test("follows symbolic links", () => {
    fs.writeFileSync(at("target"), "text");
    fs.symlinkSync("target", at("link"));
    expect(fs.readlinkSync(at("link"))).toBe("target");
    expect(fs.lstatSync(at("link")).size).toBe(6);
    expect(content("link")).toBe("text");
    fs.symlinkSync("circle", at("circle"));
    expect(() => content("circle")).toThrow("ELOOP");
  });

  test("renames over what is there, not over what must not be, and exchanges", () => {
    const { renameat2, AT_FDCWD } = calls;
    fs.writeFileSync(at("a"), "a");
    fs.writeFileSync(at("b"), "b");
    expect(() => renameat2(AT_FDCWD, at("a"), AT_FDCWD, at("b"), 1)).toThrow("EEXIST");
    renameat2(AT_FDCWD, at("a"), AT_FDCWD, at("b"), 2);
    expect([content("a"), content("b")]).toEqual(["b", "a"]);
    fs.renameSync(at("a"), at("b"));
    expect([fs.readdirSync(base), content("b")]).toEqual([["b"], "b"]);
    fs.mkdirSync(at("full"));
    fs.writeFileSync(at("full", "file"), "");
    fs.mkdirSync(at("empty"));
    expect(() => fs.renameSync(at("empty"), at("full"))).toThrow("ENOTEMPTY");
    expect(() => fs.renameSync(at("full"), at("full", "inside"))).toThrow("EINVAL");
    fs.renameSync(at("full"), at("empty"));
    expect(fs.readdirSync(at("empty"))).toEqual(["file"]);
    expect(fs.statSync(base).nlink).toBe(3);
    expect(() => fs.rmdirSync(at("empty"))).toThrow("ENOTEMPTY");
  });

  test("keeps a file for those who have it open when its name is gone", () => {
    fs.writeFileSync(at("file"), "still here");
    const descriptor = fs.openSync(at("file"), "r+");
    fs.unlinkSync(at("file"));
    expect(fs.existsSync(at("file"))).toBe(false);
    fs.writeSync(descriptor, "S", 0);
    expect(fs.readFileSync(descriptor, "utf8")).toBe("Still here");
    expect(fs.fstatSync(descriptor)).toMatchObject({ nlink: 0, size: 10 });
    fs.closeSync(descriptor);
  });

  test("makes files without a name, and gives them one", () => {
    const descriptor = calls.openFile(base, O_TMPFILE | 2, 0o600);
    fs.writeSync(descriptor, "nameless");
    expect(fs.readdirSync(base)).toEqual([]);
    const AT_SYMLINK_FOLLOW = 0x400;
    calls.linkat(calls.AT_FDCWD, `/proc/self/fd/${descriptor}`, calls.AT_FDCWD, at("named"), AT_SYMLINK_FOLLOW);
    fs.closeSync(descriptor);
    expect(content("named")).toBe("nameless");
    expect(fs.statSync(at("named")).nlink).toBe(1);
  });

  test("has holes, makes them, and fills them", () => {
    const descriptor = fs.openSync(at("sparse"), "w+");
    fs.writeSync(descriptor, "data", 1_000_000);
    expect(fs.fstatSync(descriptor).blocks * 512).toBeLessThan(200_000);
    const SEEK_DATA = 3;
    const SEEK_HOLE = 4;
    const found = calls.lseek(descriptor, 0, SEEK_DATA);
    expect(found).toBeGreaterThan(900_000);
    expect(calls.lseek(descriptor, 0, SEEK_HOLE)).toBe(0);
    expect(() => calls.lseek(descriptor, 2_000_000, SEEK_DATA)).toThrow("ENXIO");
    const PUNCH_KEEP_SIZE = 3;
    calls.fallocate(descriptor, PUNCH_KEEP_SIZE, 1_000_001, 2);
    expect(fs.readFileSync(at("sparse")).subarray(1_000_000).toString()).toBe("d\0\0a");
    calls.fallocate(descriptor, 0, 0, 1_500_000);
    expect(fs.fstatSync(descriptor).size).toBe(1_500_000);
    expect(fs.fstatSync(descriptor).blocks * 512).toBeGreaterThanOrEqual(1_500_000);
    const KEEP_SIZE = 1;
    calls.fallocate(descriptor, KEEP_SIZE, 1_500_000, 100_000);
    expect(fs.fstatSync(descriptor).size).toBe(1_500_000);
    const ZERO_RANGE = 16;
    calls.fallocate(descriptor, ZERO_RANGE, 1_000_000, 1);
    expect(fs.readFileSync(at("sparse"))[1_000_000]).toBe(0);
    expect(() => calls.fallocate(descriptor, 0, 0, 1e13)).toThrow("ENOSPC");
    fs.closeSync(descriptor);
  });

  test("keeps times to the nanosecond, before 1970, too", () => {
    fs.writeFileSync(at("file"), "");
    const times = Buffer.alloc(32);
    times.writeBigInt64LE(-2n, 0);
    times.writeBigInt64LE(123_456_789n, 8);
    times.writeBigInt64LE(5_000_000_000n, 16);
    times.writeBigInt64LE(987_654_321n, 24);
    calls.utimensat(calls.AT_FDCWD, at("file"), times, 0);
    const { atimeNs, mtimeNs } = fs.statSync(at("file"), { bigint: true });
    expect([atimeNs, mtimeNs]).toEqual([-1_876_543_211n, 5_000_000_000_987_654_321n]);
  });

  test("tells times of change as they happen", () => {
    fs.writeFileSync(at("file"), "");
    const before = fs.statSync(at("file"), { bigint: true });
    fs.chmodSync(at("file"), 0o600);
    const changed = fs.statSync(at("file"), { bigint: true });
    expect(changed.ctimeNs > before.ctimeNs && changed.mtimeNs === before.mtimeNs).toBe(true);
    const directory = fs.statSync(base, { bigint: true });
    fs.unlinkSync(at("file"));
    expect(fs.statSync(base, { bigint: true }).mtimeNs > directory.mtimeNs).toBe(true);
    expect(before.birthtimeNs > 0n && before.birthtimeNs <= before.ctimeNs).toBe(true);
  });

  test("has extended attributes", () => {
    fs.writeFileSync(at("file"), "");
    const CREATE = 1;
    const REPLACE = 2;
    expect(() => calls.setxattr(at("file"), "user.name", Buffer.from("x"), 1, REPLACE)).toThrow("ENODATA");
    calls.setxattr(at("file"), "user.name", Buffer.from("value"), 5, CREATE);
    expect(() => calls.setxattr(at("file"), "user.name", Buffer.from("x"), 1, CREATE)).toThrow("EEXIST");
    const room = Buffer.alloc(64);
    expect(calls.getxattr(at("file"), "user.name", room, 0)).toBe(5);
    expect(calls.getxattr(at("file"), "user.name", room, 64)).toBe(5);
    expect(room.toString("utf8", 0, 5)).toBe("value");
    expect(() => calls.getxattr(at("file"), "user.name", room, 3)).toThrow("ERANGE");
    expect(room.toString("utf8", 0, calls.listxattr(at("file"), room, 64))).toBe("user.name\0");
    calls.removexattr(at("file"), "user.name");
    expect(() => calls.getxattr(at("file"), "user.name", room, 64)).toThrow("ENODATA");
    expect(() => calls.setxattr(at("file"), "system.other", room, 1, 0)).toThrow("ENOTSUP");
  });

  test("lists large directories whole, also while names come and go", () => {
    const names = Array.from({ length: 3000 }, (_, index) => `name-${index}`);
    for (const name of names) fs.writeFileSync(at(name), "");
    expect(fs.readdirSync(base).toSorted()).toEqual(names.toSorted());
    const directory = fs.opendirSync(base, { bufferSize: 1 });
    const seen: string[] = [];
    for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
      seen.push(entry.name);
      // What has been listed goes, and something new comes.
      fs.unlinkSync(at(entry.name));
      if (seen.length <= 10) fs.writeFileSync(at(`new-${seen.length}`), "");
    }
    directory.closeSync();
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.filter((name) => name.startsWith("name-")).length).toBe(names.length);
  });

  test("shares a mapped file with those who read and write it", () => {
    fs.writeFileSync(at("file"), "0123456789");
    const descriptor = fs.openSync(at("file"), "r+");
    calls.withMapping(descriptor, 10, (bytes) => {
      expect(bytes.toString()).toBe("0123456789");
      bytes.write("AB", 2);
      fs.writeSync(descriptor, "Z", 9);
      expect(bytes.toString()).toBe("01AB45678Z");
    });
    fs.fsyncSync(descriptor);
    fs.closeSync(descriptor);
    expect(content("file")).toBe("01AB45678Z");
  });

  test("copies ranges on its own side", () => {
    fs.writeFileSync(at("from"), "0123456789");
    fs.writeFileSync(at("to"), "..........");
    const [from, to] = [fs.openSync(at("from"), "r"), fs.openSync(at("to"), "r+")];
    const [fromOffset, toOffset] = [Buffer.alloc(8), Buffer.alloc(8)];
    fromOffset.writeBigInt64LE(2n);
    toOffset.writeBigInt64LE(8n);
    expect(calls.copyFileRange(from, fromOffset, to, toOffset, 5, 0)).toBe(5);
    fs.closeSync(from);
    fs.closeSync(to);
    expect(content("to")).toBe("........23456");
  });

  test("has special files, and remembers which", () => {
    calls.mknod(at("pipe"), 0o010644, 0);
    calls.mknod(at("device"), 0o020644, (1 << 8) | 3);
    expect(fs.statSync(at("pipe")).isFIFO()).toBe(true);
    expect(fs.readFileSync(at("device"), "utf8")).toBe("");
    expect(fs.statSync(at("device")).rdev).toBe((1 << 8) | 3);
  });

  test("takes names that are not UTF-8, and refuses those that are too long", () => {
    const name = Buffer.concat([Buffer.from(`${base}/`), Buffer.from([0x66, 0xff, 0xfe])]);
    fs.writeFileSync(name, "odd");
    expect(fs.readdirSync(base, { encoding: "buffer" })[0]).toEqual(Buffer.from([0x66, 0xff, 0xfe]));
    expect(fs.readFileSync(name, "utf8")).toBe("odd");
    fs.writeFileSync(at("n".repeat(255)), "");
    expect(() => fs.writeFileSync(at("n".repeat(256)), "")).toThrow("ENAMETOOLONG");
  });

  test("locks whole files and ranges, between processes", async () => {
    fs.writeFileSync(at("file"), "");
    const descriptor = fs.openSync(at("file"), "r+");
    calls.flock(descriptor, LOCK_EXCLUSIVE);
    await expect(run("flock", ["-n", at("file"), "true"])).rejects.toThrow("Command failed");
    const waiting = run("flock", [at("file"), "true"]);
    const interrupted = spawn("flock", [at("file"), "true"], { stdio: "ignore" });
    const signal = new Promise((resolve) => interrupted.once("exit", (_code, by) => resolve(by)));
    await new Promise((resolve) => setTimeout(resolve, 100));
    interrupted.kill("SIGTERM");
    expect(await signal).toBe("SIGTERM");
    calls.flock(descriptor, LOCK_UNLOCK);
    await waiting;
    calls.flock(descriptor, LOCK_EXCLUSIVE | LOCK_NO_WAIT);
    fs.closeSync(descriptor);
    await run("flock", ["-n", at("file"), "true"]);
  });

  test.skipIf(isMissing("python3"))("lets POSIX locks of a range go when its owner closes the file", () => {
    fs.writeFileSync(at("file"), "0123456789");
    const descriptor = fs.openSync(at("file"), "r+");
    const lock = Buffer.alloc(32);
    lock.writeInt16LE(1, 0);
    lock.writeBigInt64LE(2n, 8);
    lock.writeBigInt64LE(3n, 16);
    const F_SETLK = 6;
    calls.fcntl(descriptor, F_SETLK, lock);
    const probe = `import fcntl,sys
f=open(sys.argv[1],'r+')
fcntl.lockf(f, fcntl.LOCK_EX|fcntl.LOCK_NB, 1, int(sys.argv[2]))`;
    const locked = (offset: number): boolean => {
      try {
        execFileSync("python3", ["-c", probe, at("file"), String(offset)], { stdio: "ignore" });
        return false;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") throw error;
        return true;
      }
    };
    expect([1, 2, 4, 5].map(locked)).toEqual([false, true, true, false]);
    fs.closeSync(descriptor);
    expect(locked(2)).toBe(false);
  });

  test("says how much room there is", () => {
    const before = fs.statfsSync(base);
    fs.writeFileSync(at("file"), Buffer.alloc(1_048_576, 1));
    const after = fs.statfsSync(base);
    expect((before.bfree - after.bfree) * after.bsize).toBe(1_048_576);
    fs.unlinkSync(at("file"));
    expect(after.blocks * after.bsize).toBe(1_073_741_824);
  });

  // Only this one is mounted for all users.
  test.runIf(way === "memory")(
    "drops set-user-id for all to see when somebody else writes directly or allocates",
    () => {
      fs.writeFileSync(at("privileged"), "x".repeat(4096));
      for (const script of [
        "dd if=/dev/zero of=privileged bs=4096 count=1 conv=notrunc oflag=direct status=none",
        "fallocate -l 8192 privileged",
      ]) {
        fs.chmodSync(at("privileged"), 0o6777);
        expect(fs.statSync(at("privileged")).mode & 0o7777).toBe(0o6777);
        execFileSync("sh", ["-c", script], { cwd: base, uid: NOBODY, gid: NOBODY });
        expect(fs.statSync(at("privileged")).mode & 0o7777).toBe(0o777);
      }
    },
  );

  test("drops set-user-id when somebody else writes, and when the owner changes", () => {
    fs.writeFileSync(at("program"), "x");
    fs.chmodSync(at("program"), 0o6777);
    fs.chmodSync(base, 0o777);
    if (way === "memory") {
      execFileSync("sh", ["-c", `echo y > ${at("program")}`], { uid: NOBODY, gid: NOBODY });
      expect(fs.statSync(at("program")).mode & 0o7777).toBe(0o777);
    }
    fs.chmodSync(at("program"), 0o6777);
    fs.chownSync(at("program"), 1, 1);
    expect(fs.statSync(at("program")).mode & 0o7777).toBe(0o777);
  });

  test("gives new files the group of a directory that wants it so", () => {
    fs.chownSync(base, 0, 4321);
    fs.chmodSync(base, 0o2755);
    fs.mkdirSync(at("directory"));
    fs.writeFileSync(at("file"), "");
    expect(fs.statSync(at("directory"))).toMatchObject({ gid: 4321, mode: 0o042755 });
    expect(fs.statSync(at("file")).gid).toBe(4321);
  });

  test.runIf(way === "memory")(
    "has its permissions checked by the kernel, and sticky directories respected",
    async () => {
      fs.writeFileSync(at("secret"), "x", { mode: 0o600 });
      const asNobody = (command: string): Promise<unknown> => run("sh", ["-c", command], { uid: NOBODY, gid: NOBODY });
      await expect(asNobody(`cat ${at("secret")}`)).rejects.toThrow("Permission denied");
      fs.chmodSync(base, 0o1777);
      await expect(asNobody(`rm -f ${at("secret")}`)).rejects.toThrow("Operation not permitted");
      fs.chmodSync(base, 0o777);
      await asNobody(`rm -f ${at("secret")}`);
      expect(fs.existsSync(at("secret"))).toBe(false);
    },
  );
});
