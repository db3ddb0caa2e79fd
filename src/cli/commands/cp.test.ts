import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { rigCtx } from "../../coordinator/testing/rig.ts";
import { type Served, serveInProcess } from "../testing/served.ts";

let served: Served;
let directory: string;
beforeAll(async () => {
  served = await serveInProcess();
});
afterAll(async () => served.stop());
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "globalfs-cp-"));
  await served.run(["rm", "-rf", "--all"]);
  return () => rm(directory, { recursive: true });
});

async function keys(): Promise<string[]> {
  const { out } = await served.run(["object", "list", "--json"]);
  return (JSON.parse(out) as { key: string }[]).map(({ key }) => key);
}

async function namesBelow(path: string): Promise<string[]> {
  return (await readdir(path, { recursive: true })).sort();
}

describe("cp -r to GlobalFS", () => {
  test("says how many files it copied, and how large they are", async () => {
    await mkdir(join(directory, "a/deep"), { recursive: true });
    await writeFile(join(directory, "a/one"), "1");
    await writeFile(join(directory, "a/deep/two"), "22");
    expect(await served.run(["cp", "-r", join(directory, "a"), "gfs:t"])).toMatchObject({
      exit: 0,
      out: "",
      err: "Copied 2 files (3 B).\n",
    });
    const { exit, out, err } = await served.run(["cp", "-r", join(directory, "a"), "gfs:t", "--json"]);
    expect([exit, err, JSON.parse(out)]).toEqual([
      0,
      "",
      {
        files: 2,
        bytes: 3,
        failed: 0,
        failures: [],
        left_out: 0,
        omissions: [],
        pending_sites: [],
        failed_sites: [],
      },
    ]);
    expect((await served.run(["cp", "-r", join(directory, "a/one"), "gfs:t"])).err).toContain("leave -r away");
  });

  test("goes on after a file that cannot be copied, names it, and gives exit code 7", async () => {
    await writeFile(join(directory, "good-1"), "1");
    await writeFile(join(directory, "good-2"), "2");
    await writeFile(join(directory, "in-the-way"), "3");
    await served.rig.coordinator.createBucket(rigCtx, { name: "b" });
    // A name of 255 bytes is a file's, but this key is longer than keys may be.
    const deep = join(directory, ...Array.from({ length: 4 }, () => "d".repeat(250)));
    await mkdir(deep, { recursive: true });
    await writeFile(join(deep, "f".repeat(100)), "x");
    const { exit, err } = await served.run(["cp", "-r", directory, "gfs:b"]);
    expect(exit).toBe(7);
    expect(err).toContain(`${deep}/${"f".repeat(100)}: `);
    expect(err).toMatch(/^Copied 3 files \(3 B\), 1 failed\.$/m);
    expect(await keys()).toEqual(["b/", "b/good-1", "b/good-2", "b/in-the-way"]);
  });

  test("leaves out what cannot be named, escaped, and copies the others", async () => {
    const odd = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0x6f, 0xff, 0x1b])]);
    await writeFile(odd, "odd");
    await mkdir(Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0x64, 0xfe])]));
    await writeFile(join(directory, "good"), "good");
    await writeFile(join(directory, "line\n"), "line");
    await symlink("good", join(directory, "link"));
    spawnSync("mkfifo", [join(directory, "pipe")]);
    const { exit, err } = await served.run(["cp", "-r", directory, "gfs:t"]);
    expect(exit).toBe(7);
    expect(err).toContain(`${directory}/o\\xff\\u{1b} was left out: its name is not UTF-8, which keys must be.\n`);
    expect(err).toContain(`${directory}/d\\xfe was left out: its name is not UTF-8`);
    expect(err).toContain(`${directory}/link was left out: it is a symbolic link.\n`);
    expect(err).toContain(`${directory}/pipe was left out: it is no regular file.\n`);
    expect(err).toContain(`${directory}/line\\u{a}: The key "t/line\\n" holds a control character`);
    expect(err).toMatch(/^Copied 1 file \(4 B\), 4 left out, 1 failed\.$/m);
    expect(await keys()).toEqual(["t/good"]);
  });

  // Permissions stop everybody but root.
  test.skipIf(process.getuid?.() === 0)("goes on after a directory that cannot be read", async () => {
    await mkdir(join(directory, "closed/inner"), { recursive: true });
    await writeFile(join(directory, "kept"), "1");
    await chmod(join(directory, "closed"), 0o000);
    const { exit, err } = await served.run(["cp", "-r", directory, "gfs:t"]);
    await chmod(join(directory, "closed"), 0o755);
    expect([exit, err]).toEqual([7, expect.stringContaining(`${directory}/closed: you may not touch it.\n`)]);
    expect(await keys()).toEqual(["t/kept"]);
  });

  test("ends when the coordinator is gone, and says what was done till then", async () => {
    for (let index = 0; index < 30; index++) await writeFile(join(directory, `f${index}`), "1");
    const { exit, err } = await served.run(["cp", "-r", directory, "gfs:t"], {
      env: { GLOBALFS_COORDINATOR: "http://127.0.0.1:1" },
    });
    expect(exit).toBe(3);
    expect(err.match(/cannot be reached/g)).toHaveLength(1);
  });
});

describe("cp -r from GlobalFS", () => {
  test("makes directories and files, and says how many", async () => {
    await served.rig.coordinator.createBucket(rigCtx, { name: "photos" });
    for (const key of ["photos/a", "photos/d/b", "photos/d.txt"]) await served.rig.put(key, "12");
    const target = join(directory, "new/place");
    expect(await served.run(["cp", "-r", "gfs:photos", target])).toMatchObject({
      exit: 0,
      err: "Copied 3 files (6 B).\n",
    });
    expect(await namesBelow(target)).toEqual(["a", "d", "d.txt", "d/b"]);
  });

  test("leaves out a key that cannot be a local name, and what has no room, and goes on", async () => {
    for (const key of ["t/a", "t/a/b", "t/a/c", "t/z", `t/${"n".repeat(255)}`]) await served.rig.put(key, "1");
    const { exit, err } = await served.run(["cp", "-r", "gfs:t", directory]);
    expect(exit).toBe(7);
    expect(err).toMatch(/t\/a(\/b)?: .*(is a file; there is no room for a directory|it is a directory)/);
    expect(err).toMatch(/^Copied \d files \(\d B\), \d failed\.$/m);
    expect(await readFile(join(directory, "z"), "utf8")).toBe("1");
    expect(await readFile(join(directory, "n".repeat(255)), "utf8")).toBe("1");
    expect((await namesBelow(directory)).filter((name) => name.includes(".part"))).toEqual([]);
  });

  test("never writes through a link that leads out of the target", async () => {
    await mkdir(join(directory, "outside"));
    await mkdir(join(directory, "target/inside"), { recursive: true });
    await symlink("../outside", join(directory, "target/leak"));
    await symlink("inside", join(directory, "target/within"));
    await symlink(join(directory, "outside/file"), join(directory, "target/file"));
    await symlink("../nowhere", join(directory, "target/broken"));
    for (const key of ["t/leak/x", "t/leak/y/z", "t/within/x", "t/file", "t/broken/x"]) await served.rig.put(key, "1");
    const { exit, err } = await served.run(["cp", "-r", "gfs:t", join(directory, "target")]);
    expect(exit).toBe(7);
    expect(err).toContain("is a link that leads out of");
    expect(await namesBelow(join(directory, "outside"))).toEqual([]);
    expect(await readFile(join(directory, "target/inside/x"), "utf8")).toBe("1");
    expect(await readFile(join(directory, "target/file"), "utf8")).toBe("1");
    expect(err).toMatch(/^Copied 2 files \(2 B\), 3 failed\.$/m);
  });

  test("warns of nothing, however many files are under way", async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error): unknown => warnings.push(warning);
    process.on("warning", onWarning);
    const content = randomBytes(1_000_000);
    for (let index = 0; index < 24; index++) await served.rig.put(`t/${index}`, content);
    expect(await served.run(["cp", "-r", "gfs:t", directory])).toMatchObject({ exit: 0 });
    await new Promise((resolve) => setImmediate(resolve));
    process.off("warning", onWarning);
    expect(warnings.map(({ message }) => message)).toEqual([]);
  });

  test("of what is not there, or no directory, fails with the reason", async () => {
    await served.rig.put("runs/one", "1");
    expect(await served.run(["cp", "-r", "gfs:rums", directory])).toMatchObject({
      exit: 4,
      err: "globalfs: There is no object rums; did you mean runs?\n",
    });
    expect(await served.run(["cp", "-r", "gfs:runs/one", directory])).toMatchObject({
      exit: 6,
      err: "globalfs: runs/one is an object and no directory; leave -r away.\n",
    });
    expect((await served.run(["cp", "gfs:runs", directory])).err).toContain("runs is a directory");
    expect(await readdir(directory)).toEqual([]);
  });
});

describe("cp within GlobalFS", () => {
  test("copies a tree, and never into itself", async () => {
    for (const key of ["t/a", "t/d/b"]) await served.rig.put(key, "12");
    expect(await served.run(["cp", "-r", "gfs:t", "gfs:u"])).toMatchObject({ exit: 0, err: "Copied 2 files (4 B).\n" });
    for (const target of ["gfs:t", "gfs:t/", "gfs:t/inner"]) {
      const { exit, err } = await served.run(["cp", "-r", "gfs:t", target]);
      expect([exit, err]).toEqual([2, "globalfs: The target lies in the source; copying would never end.\n"]);
    }
    expect((await served.run(["cp", "-r", "--all", "gfs:", "gfs:x"])).exit).toBe(2);
    expect(await keys()).toEqual(["t/a", "t/d/b", "u/a", "u/d/b"]);
    expect((await served.run(["cp", "-r", "--all", "gfs:", directory])).err).toBe("Copied 4 files (8 B).\n");
  });
});

describe("cp of one object", () => {
  test("says what it copied", async () => {
    await writeFile(join(directory, "one"), "123");
    expect(await served.run(["cp", join(directory, "one"), "gfs:x"])).toMatchObject({
      exit: 0,
      err: "Copied 1 file (3 B).\n",
    });
    expect(await served.run(["cp", "gfs:x", "-"])).toMatchObject({ exit: 0, out: "123", err: "" });
    expect(await served.run(["cp", "gfs:y", "-", "--json"])).toMatchObject({ exit: 4, out: "" });
  });

  test("reads a pipe, and writes into one without taking its place", async () => {
    const pipe = join(directory, "pipe");
    spawnSync("mkfifo", [pipe]);
    const [read, copied] = await Promise.all([
      readFile(pipe, "utf8"),
      served.rig.put("x", "through").then(() => served.run(["cp", "gfs:x", pipe])),
    ]);
    expect([read, copied.exit]).toEqual(["through", 0]);
    const [stored] = await Promise.all([served.run(["cp", pipe, "gfs:y"]), writeFile(pipe, "back")]);
    expect(stored).toMatchObject({ exit: 0, err: "Copied 1 file (4 B).\n" });
    expect(await served.rig.read("y")).toBe("back");
  });
});
