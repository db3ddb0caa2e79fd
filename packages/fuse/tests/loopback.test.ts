import { execFile, execFileSync, spawn, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { reasonToSkip, Served } from "./support/served.ts";
import * as calls from "./support/system-calls.ts";

const run = promisify(execFile);
const NOBODY = 65_534;
const O_TMPFILE = 0o20200000;
const AT_EMPTY_PATH_FOLLOW = 0x400;

/** The same promises hold whatever the kernel does without us. */
const WAYS: readonly Readonly<Record<string, unknown>>[] = [
  { passthrough: "read" },
  { passthrough: "write" },
  { passthrough: "off" },
  { passthrough: "read", timeoutMs: 0 },
  { passthrough: "write", timeoutMs: 0, maxDescriptors: 3 },
];

/** As a command in a process of somebody else. */
async function asUser(uid: number, cwd: string, script: string): Promise<string> {
  const { stdout } = await run("sh", ["-c", script], { uid, gid: uid, cwd });
  return stdout;
}

describe.skipIf(reasonToSkip() !== undefined).each(WAYS)("loopback %j", (options) => {
  let served: Served;
  let source = "";
  let base = "";
  let behind = "";
  let count = 0;
  beforeAll(async () => {
    source = fs.mkdtempSync(join(tmpdir(), "globalfs-loopback-"));
    fs.chmodSync(source, 0o755);
    served = await Served.start("loopback", { words: [JSON.stringify({ ...options, source })] });
  });
  afterAll(async () => {
    await served.clean();
    fs.rmSync(source, { recursive: true, force: true });
  });
  beforeEach(() => {
    count += 1;
    base = join(served.directory, `test-${count}`);
    behind = join(source, `test-${count}`);
    fs.mkdirSync(base);
  });
  const at = (...names: string[]): string => join(base, ...names);
  const sourceOf = (...names: string[]): string => join(behind, ...names);
  const content = (name: string): string => fs.readFileSync(at(name), "utf8");

  test("shows what is there, with the inodes, owners and times of the source", () => {
    fs.writeFileSync(sourceOf("file"), "text");
    fs.chownSync(sourceOf("file"), 1234, 4321);
    fs.symlinkSync("file", sourceOf("link"));
    fs.linkSync(sourceOf("file"), sourceOf("other"));
    for (const name of ["file", "link", "other"]) {
      const shown = fs.lstatSync(at(name), { bigint: true });
      const real = fs.lstatSync(sourceOf(name), { bigint: true });
      const { ino, mode, nlink, uid, gid, size, blocks, mtimeNs, ctimeNs, birthtimeNs } = real;
      expect(shown).toMatchObject({ ino, mode, nlink, uid, gid, size, blocks, mtimeNs, ctimeNs, birthtimeNs });
    }
    expect([content("link"), fs.readlinkSync(at("link"))]).toEqual(["text", "file"]);
    expect(fs.readdirSync(base).toSorted()).toEqual(["file", "link", "other"]);
  });

  test("writes through: at offsets, appended by several, and cut off", () => {
    fs.writeFileSync(at("file"), "0123456789");
    const descriptor = fs.openSync(at("file"), "r+");
    fs.writeSync(descriptor, "ab", 4);
    fs.writeSync(descriptor, "end", 12);
    fs.ftruncateSync(descriptor, 14);
    fs.fsyncSync(descriptor);
    fs.closeSync(descriptor);
    expect([content("file"), fs.readFileSync(sourceOf("file"), "utf8")]).toEqual([
      "0123ab6789\0\0en",
      "0123ab6789\0\0en",
    ]);
    const logs = [at("log"), sourceOf("log"), at("log")].map((path) => fs.openSync(path, "a"));
    for (const [index, log] of logs.entries()) fs.writeSync(log, `${index},`);
    for (const [index, log] of logs.entries()) fs.writeSync(log, `${index},`);
    for (const log of logs) fs.closeSync(log);
    expect(fs.readFileSync(sourceOf("log"), "utf8")).toBe("0,1,2,0,1,2,");
    fs.writeFileSync(at("log"), "new");
    expect(fs.readFileSync(sourceOf("log"), "utf8")).toBe("new");
  });

  test("reads through one descriptor what was written through another, however both are open", () => {
    const reader = fs.openSync(at("file"), "w+");
    const readers = [reader, fs.openSync(at("file"), "r")];
    const writers = [fs.openSync(at("file"), "r+"), fs.openSync(at("file"), "a")];
    let expected = "";
    for (let step = 0; step < 6; step += 1) {
      fs.writeSync(writers[step % 2] as number, `${step}`, step % 2 === 0 ? step : undefined);
      expected += step;
      for (const descriptor of readers) {
        const into = Buffer.alloc(10);
        expect(into.toString("utf8", 0, fs.readSync(descriptor, into, 0, 10, 0))).toBe(expected);
      }
    }
    for (const descriptor of [...readers, ...writers]) fs.closeSync(descriptor);
  });

  test("keeps working below a directory that is moved in the source", () => {
    fs.mkdirSync(at("dir"));
    fs.writeFileSync(at("dir", "file"), "one");
    const descriptor = fs.openSync(at("dir", "file"), "r+");
    const directory = calls.openFile(at("dir"), 0o200000, 0);
    fs.renameSync(sourceOf("dir"), sourceOf("moved"));
    fs.writeSync(descriptor, "two", 0);
    fs.writeFileSync(`/proc/self/fd/${directory}/more`, "made after");
    expect(fs.readFileSync(sourceOf("moved", "file"), "utf8")).toBe("two");
    expect(fs.readFileSync(sourceOf("moved", "more"), "utf8")).toBe("made after");
    for (const open of [descriptor, directory]) fs.closeSync(open);
  });

  test("renames over what is there, not over what must not be, and exchanges", () => {
    const { renameat2, AT_FDCWD } = calls;
    fs.writeFileSync(at("a"), "a");
    fs.writeFileSync(at("b"), "b");
    expect(() => renameat2(AT_FDCWD, at("a"), AT_FDCWD, at("b"), 1)).toThrow("EEXIST");
    renameat2(AT_FDCWD, at("a"), AT_FDCWD, at("b"), 2);
    expect([content("a"), content("b")]).toEqual(["b", "a"]);
    fs.renameSync(at("a"), at("b"));
    expect([fs.readdirSync(behind), content("b")]).toEqual([["b"], "b"]);
  });

  test("keeps a file for those who have it open when its name is gone", () => {
    fs.writeFileSync(at("file"), "still here");
    const descriptor = fs.openSync(at("file"), "r+");
    fs.unlinkSync(at("file"));
    fs.writeSync(descriptor, "S", 0);
    expect(fs.fstatSync(descriptor)).toMatchObject({ nlink: 0, size: 10 });
    expect(fs.readFileSync(descriptor, "utf8")).toBe("Still here");
    fs.closeSync(descriptor);
  });

  test("makes pipes, devices, and files without a name that get one later", async () => {
    calls.mknod(at("device"), 0o020600, 0x0103);
    calls.mknod(at("pipe"), 0o010600, 0);
    expect(fs.lstatSync(sourceOf("device"))).toMatchObject({ rdev: 0x0103, mode: 0o020600 });
    expect(fs.lstatSync(at("pipe")).isFIFO()).toBe(true);
    const reader = spawn("cat", [at("pipe")], { stdio: ["ignore", "pipe", "ignore"] });
    fs.writeFileSync(at("pipe"), "through the pipe");
    let text = "";
    for await (const piece of reader.stdout) text += String(piece);
    expect(text).toBe("through the pipe");
    const descriptor = calls.openFile(base, O_TMPFILE | 2, 0o640);
    fs.writeSync(descriptor, "nameless");
    expect(fs.fstatSync(descriptor).nlink).toBe(0);
    calls.linkat(calls.AT_FDCWD, `/proc/self/fd/${descriptor}`, calls.AT_FDCWD, at("named"), AT_EMPTY_PATH_FOLLOW);
    fs.closeSync(descriptor);
    expect(fs.readFileSync(sourceOf("named"), "utf8")).toBe("nameless");
    expect(fs.statSync(sourceOf("named")).mode & 0o7777).toBe(0o640);
  });

  test("makes files in the name of who asks, with the group of a directory that says so, and with the umask", async () => {
    fs.chmodSync(base, 0o777);
    fs.mkdirSync(at("shared"));
    fs.chownSync(at("shared"), 0, 4321);
    fs.chmodSync(at("shared"), 0o2777);
    await asUser(
      NOBODY,
      base,
      "umask 027; touch file; mkdir dir; ln -s x link; mkfifo pipe; touch shared/file; mkdir shared/dir",
    );
    for (const name of ["file", "dir", "link", "pipe"]) {
      expect(fs.lstatSync(sourceOf(name))).toMatchObject({ uid: NOBODY, gid: NOBODY });
    }
    expect(fs.statSync(sourceOf("file")).mode & 0o7777).toBe(0o640);
    expect(fs.statSync(sourceOf("dir")).mode & 0o7777).toBe(0o750);
    expect(fs.statSync(sourceOf("shared", "file"))).toMatchObject({ uid: NOBODY, gid: 4321 });
    expect(fs.statSync(sourceOf("shared", "dir"))).toMatchObject({ uid: NOBODY, gid: 4321, mode: 0o042750 });
  });

  test("lets those in who belong to the group by way of a supplementary one, and nobody else", async () => {
    fs.mkdirSync(at("team"));
    fs.chownSync(at("team"), 0, 4321);
    fs.chmodSync(at("team"), 0o770);
    await run("setpriv", [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--groups=4321", "touch", at("team", "file")]);
    expect(fs.statSync(sourceOf("team", "file"))).toMatchObject({ uid: NOBODY, gid: NOBODY });
    await expect(asUser(NOBODY, "/", `touch ${at("team", "other")}`)).rejects.toThrow("Permission denied");
  });

  test("takes set-user-id from a file that somebody writes to, cuts off or gives away, and not when root writes", async () => {
    for (const name of ["written", "cut", "root"]) {
      fs.writeFileSync(at(name), "text");
      fs.chmodSync(at(name), 0o6777);
    }
    await asUser(NOBODY, base, "echo more >> written; truncate -s 2 cut");
    fs.appendFileSync(at("root"), "more");
    const modes = ["written", "cut", "root"].map((name) => fs.statSync(at(name)).mode & 0o7777);
    expect(modes).toEqual([0o777, 0o777, 0o6777]);
    fs.chownSync(at("root"), NOBODY, NOBODY);
    expect(fs.statSync(at("root")).mode & 0o7777).toBe(0o777);
  });

  test("keeps extended attributes", () => {
    fs.writeFileSync(at("file"), "");
    const value = Buffer.from("value");
    calls.setxattr(at("file"), "user.name", value, value.length, 0);
    const into = Buffer.alloc(20);
    expect(into.toString("utf8", 0, calls.getxattr(sourceOf("file"), "user.name", into, into.length))).toBe("value");
    expect(into.toString("utf8", 0, calls.getxattr(at("file"), "user.name", into, into.length))).toBe("value");
    expect(() => calls.setxattr(at("file"), "user.name", value, value.length, 1)).toThrow("EEXIST");
    expect(() => calls.getxattr(at("file"), "user.name", into, 2)).toThrow("ERANGE");
    calls.removexattr(at("file"), "user.name");
    expect(() => calls.getxattr(at("file"), "user.name", into, into.length)).toThrow("ENODATA");
    // More than what is looked for at first.
    const large = Buffer.alloc(2000, "large");
    calls.setxattr(at("file"), "user.large", large, large.length, 0);
    const found = Buffer.alloc(4096);
    const length = calls.getxattr(at("file"), "user.large", found, found.length);
    expect(found.subarray(0, length)).toEqual(large);
  });

  test("punches holes, finds them again, and copies ranges", () => {
    const descriptor = fs.openSync(at("file"), "w+");
    fs.writeSync(descriptor, Buffer.alloc(65_536, "x"), 0, 65_536, 0);
    fs.fsyncSync(descriptor);
    calls.fallocate(descriptor, 3, 16_384, 16_384);
    expect(calls.lseek(descriptor, 0, 4)).toBe(16_384);
    expect(calls.lseek(descriptor, 16_384, 3)).toBe(32_768);
    expect(() => calls.lseek(descriptor, 70_000, 3)).toThrow("ENXIO");
    calls.fallocate(descriptor, 0, 65_536, 4096);
    expect(fs.fstatSync(descriptor).size).toBe(69_632);
    const target = fs.openSync(at("copy"), "w+");
    expect(calls.copyFileRange(descriptor, null, target, null, 0, 0)).toBe(0);
    fs.closeSync(descriptor);
    fs.copyFileSync(at("file"), at("copy"));
    expect(fs.readFileSync(at("copy")).equals(fs.readFileSync(sourceOf("file")))).toBe(true);
    fs.closeSync(target);
  });

  test("sets times to the nanosecond, and leaves alone what it should", () => {
    fs.writeFileSync(at("file"), "");
    const times = Buffer.alloc(32);
    times.writeBigInt64LE(-5n, 0);
    times.writeBigInt64LE(123_456_789n, 8);
    times.writeBigInt64LE(0x3fff_fffen, 24);
    const before = fs.statSync(sourceOf("file"), { bigint: true }).mtimeNs;
    calls.utimensat(calls.AT_FDCWD, at("file"), times, 0);
    expect(fs.statSync(at("file"), { bigint: true })).toMatchObject({ atimeNs: -4_876_543_211n, mtimeNs: before });
  });

  test("sees what is written through a shared mapping, and the other way round", () => {
    fs.writeFileSync(at("file"), Buffer.alloc(8192, "."));
    const descriptor = fs.openSync(at("file"), "r+");
    const other = fs.openSync(at("file"), "r");
    const before = fs.statSync(at("file"), { bigint: true }).mtimeNs;
    calls.withMapping(descriptor, 8192, (bytes) => {
      bytes.write("mapped", 100);
      const into = Buffer.alloc(6);
      fs.readSync(other, into, 0, 6, 100);
      expect(into.toString()).toBe("mapped");
      fs.writeSync(descriptor, "written", 5000);
      expect(bytes.toString("utf8", 5000, 5007)).toBe("written");
      fs.fsyncSync(descriptor);
      expect(fs.statSync(at("file"), { bigint: true }).mtimeNs).toBeGreaterThan(before);
    });
    for (const open of [descriptor, other]) fs.closeSync(open);
    expect(fs.readFileSync(sourceOf("file"), "utf8").replaceAll(".", "")).toBe("mappedwritten");
  });

  test("lists each name once, also names that are not UTF-8, while others come and go", () => {
    const strange = Buffer.concat([Buffer.from(`${base}/`), Buffer.from([0xff, 0x61])]);
    fs.writeFileSync(strange, "");
    expect(fs.readdirSync(base, { encoding: "buffer" })).toEqual([Buffer.from([0xff, 0x61])]);
    fs.unlinkSync(strange);
    for (let number = 0; number < 3000; number += 1) fs.writeFileSync(sourceOf(`stays-${number}`), "");
    for (let number = 0; number < 500; number += 1) fs.writeFileSync(sourceOf(`goes-${number}`), "");
    const directory = fs.opendirSync(base, { bufferSize: 64 });
    const seen: string[] = [];
    for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
      seen.push(entry.name);
      const number = seen.length;
      if (number <= 500) fs.unlinkSync(sourceOf(`goes-${number - 1}`));
      if (number % 10 === 0) fs.writeFileSync(at(`comes-${number}`), "");
    }
    directory.closeSync();
    const stays = seen.filter((name) => name.startsWith("stays-"));
    expect([stays.length, new Set(stays).size, new Set(seen).size === seen.length]).toEqual([3000, 3000, true]);
  });

  test("finds every place of a listing again", () => {
    for (let number = 0; number < 2000; number += 1) fs.writeFileSync(sourceOf(`file-${number}`), "");
    const listing = new calls.Directory(base);
    const places: { place: number; next: string }[] = [];
    for (
      let place = listing.tell(), next = listing.read();
      next !== undefined;
      place = listing.tell(), next = listing.read()
    ) {
      places.push({ place, next });
    }
    expect(places).toHaveLength(2002);
    fs.writeFileSync(at("another"), "");
    for (const index of [1500, 3, 1999, 0, 700]) {
      const { place, next } = places[index] as { place: number; next: string };
      listing.seek(place);
      expect(listing.read()).toBe(next);
    }
    listing.close();
  });

  test("says how much room there is", () => {
    const shown = fs.statfsSync(base);
    const real = fs.statfsSync(behind);
    expect([shown.blocks, shown.bsize, shown.files]).toEqual([real.blocks, real.bsize, real.files]);
  });
});

describe.skipIf(reasonToSkip() !== undefined)("loopback, set up in other ways", () => {
  const started: Served[] = [];
  const sources: string[] = [];
  afterEach(async () => {
    for (const served of started.splice(0).toReversed()) await served.clean();
    for (const source of sources.splice(0)) {
      execFileSync("sh", ["-c", 'umount -l "$0" 2>/dev/null || true', source]);
      fs.rmSync(source, { recursive: true, force: true });
    }
  });
  const newSource = (): string => {
    const source = fs.mkdtempSync(join(tmpdir(), "globalfs-loopback-"));
    sources.push(source);
    return source;
  };
  const start = async (options: Record<string, unknown>, features: Record<string, unknown> = {}): Promise<Served> => {
    const served = await Served.start("loopback", { words: [JSON.stringify(options), JSON.stringify(features)] });
    started.push(served);
    return served;
  };
  const problems = (served: Served): string[] => served.lines.filter((line) => line.startsWith("problem"));
  const openDescriptors = (served: Served): number => fs.readdirSync(`/proc/${served.child.pid}/fd`).length;

  test("does without koffi, as far as that goes", async () => {
    const source = newSource();
    const served = await start({ source, systemCalls: "node", timeoutMs: 0 });
    const at = (name: string): string => join(served.directory, name);
    fs.writeFileSync(at("file"), "text");
    fs.mkdirSync(at("dir"));
    fs.symlinkSync("file", at("link"));
    fs.linkSync(at("file"), at("dir/second"));
    fs.renameSync(at("dir"), at("moved"));
    expect([fs.readFileSync(at("link"), "utf8"), fs.readlinkSync(at("link"))]).toEqual(["text", "file"]);
    expect(fs.readdirSync(served.directory).toSorted()).toEqual(["file", "link", "moved"]);
    expect(fs.statSync(at("moved/second")).nlink).toBe(2);
    fs.chmodSync(served.directory, 0o777);
    await asUser(NOBODY, served.directory, "umask 0; touch theirs; mkdir -m 1777 box; echo x > box/x");
    expect(fs.statSync(join(source, "theirs"))).toMatchObject({ uid: NOBODY, gid: NOBODY, mode: 0o100666 });
    expect(fs.statSync(join(source, "box"))).toMatchObject({ uid: NOBODY, mode: 0o041777 });
    expect(() => calls.mknod(at("device"), 0o020600, 0x0103)).toThrow("EPERM");
    expect(() => calls.renameat2(calls.AT_FDCWD, at("file"), calls.AT_FDCWD, at("link"), 2)).toThrow("EINVAL");
    expect(() => fs.readFileSync(at("nothing"))).toThrow("ENOENT");
  });

  test("says once that the kernel has no passthrough, and serves everything itself", async () => {
    const source = newSource();
    const served = await start({ source, passthrough: "read" }, { passthrough: false });
    for (const name of ["one", "two"]) {
      fs.writeFileSync(join(served.directory, name), name);
      expect(fs.readFileSync(join(served.directory, name), "utf8")).toBe(name);
    }
    await served.line(/needs Linux 6\.9/);
    expect(problems(served)).toHaveLength(1);
  });

  test("says once that the kernel does not stack on the source, and serves everything itself", async () => {
    const source = newSource();
    const lower = await start({ source, passthrough: "read" });
    const served = await start({ source: lower.directory, passthrough: "read", timeoutMs: 0 });
    for (const name of ["one", "two"]) {
      fs.writeFileSync(join(served.directory, name), name);
      expect(fs.readFileSync(join(served.directory, name), "utf8")).toBe(name);
    }
    await served.line(/does not pass reads through/);
    expect(problems(served)).toHaveLength(1);
  });

  test("holds locks at the source if it is asked to", async () => {
    const source = newSource();
    const served = await start({ source, locks: "source" });
    fs.writeFileSync(join(source, "file"), "");
    const lock = (path: string, words = "-n"): Promise<string> =>
      run("flock", [...words.split(" "), path, "true"]).then(
        () => "free",
        () => "taken",
      );
    const holder = spawn("flock", [join(served.directory, "file"), "sh", "-c", "echo locked; read line"]);
    await new Promise((resolve) => holder.stdout.once("data", resolve));
    expect(await lock(join(source, "file"))).toBe("taken");
    expect(await lock(join(served.directory, "file"))).toBe("taken");
    const waiting = lock(join(served.directory, "file"), "-w 20");
    holder.stdin.end("\n");
    expect(await waiting).toBe("free");
    expect(await lock(join(source, "file"))).toBe("free");
  });

  test("holds ranges of fcntl at the source, until their owner closes the file", async () => {
    const F_SETLK = 6;
    const F_OFD_GETLK = 36;
    const source = newSource();
    const served = await start({ source, locks: "source" });
    fs.writeFileSync(join(source, "file"), "");
    const ours = fs.openSync(join(served.directory, "file"), "r+");
    const direct = fs.openSync(join(source, "file"), "r+");
    // struct flock: type and whence in 16 bits each, start and length in 64.
    const lock = (start: bigint, lengthBytes: bigint): Buffer => {
      const bytes = Buffer.alloc(32);
      bytes.writeInt16LE(1, 0);
      bytes.writeBigInt64LE(start, 8);
      bytes.writeBigInt64LE(lengthBytes, 16);
      return bytes;
    };
    calls.fcntl(ours, F_SETLK, lock(100n, 50n));
    const found = lock(0n, 0n);
    calls.fcntl(direct, F_OFD_GETLK, found);
    expect([found.readInt16LE(0), found.readBigInt64LE(8), found.readBigInt64LE(16)]).toEqual([1, 100n, 50n]);
    const F_OFD_SETLK = 37;
    calls.fcntl(direct, F_OFD_SETLK, lock(500n, 0n));
    expect(() => calls.fcntl(ours, F_SETLK, lock(600n, 1n))).toThrow(/EAGAIN|EWOULDBLOCK/);
    fs.closeSync(ours);
    const gone = lock(0n, 400n);
    calls.fcntl(direct, F_OFD_GETLK, gone);
    expect(gone.readInt16LE(0)).toBe(2);
    fs.closeSync(direct);
  });

  test("is refused by the command below the directory that it would show", () => {
    const source = newSource();
    fs.mkdirSync(join(source, "inside"));
    const command = join(import.meta.dirname, "..", "bin", "globalfs-fuse.js");
    const result = spawnSync(process.execPath, [command, "loopback", source, join(source, "inside")]);
    expect([result.status, String(result.stderr)]).toEqual([2, expect.stringContaining("lies in")]);
  });

  test("keeps few descriptors of a large tree, and finds its files all the same", async () => {
    const source = newSource();
    for (let number = 0; number < 1000; number += 1) fs.writeFileSync(join(source, `file-${number}`), String(number));
    const served = await start({ source, maxDescriptors: 50 });
    execFileSync("ls", ["-l", served.directory]);
    const held = Array.from({ length: 1000 }, (_, number) => fs.statSync(join(served.directory, `file-${number}`)).ino);
    expect(new Set(held).size).toBe(1000);
    expect(openDescriptors(served)).toBeLessThan(120);
    for (const number of [0, 500, 999]) {
      fs.renameSync(join(source, `file-${number}`), join(source, `moved-${number}`));
      expect(fs.readFileSync(join(served.directory, `moved-${number}`), "utf8")).toBe(String(number));
      expect(fs.statSync(join(served.directory, `moved-${number}`)).ino).toBe(held[number]);
    }
  });

  test("leaks no backing id and no descriptor in 100,000 opens", async () => {
    const source = newSource();
    // In a file system of its own every inode that somebody still holds is counted.
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64m,nr_inodes=10000", "none", source]);
    const freeBefore = fs.statfsSync(source).ffree;
    const served = await start({ source, passthrough: "write" });
    const names = Array.from({ length: 2000 }, (_, number) => join(served.directory, `file-${number}`));
    for (const name of names) fs.writeFileSync(name, "x");
    const before = openDescriptors(served);
    for (let opened = 0; opened < 98_000; opened += 1) {
      fs.closeSync(fs.openSync(names[(opened * 7) % names.length] as string, opened % 3 === 0 ? "r+" : "r"));
    }
    for (const name of names) fs.unlinkSync(name);
    const deadline = performance.now() + 10_000;
    // Releases and forgets reach the server after those who caused them have gone on.
    while (fs.statfsSync(source).ffree !== freeBefore && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(fs.statfsSync(source).ffree).toBe(freeBefore);
    expect(openDescriptors(served)).toBeLessThan(before - 1900);
  });
});
