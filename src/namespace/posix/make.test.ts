import { beforeEach, describe, expect, it } from "vitest";
import { type Inode, ROOT_INODE } from "../../core/ids.ts";
import { momentOf } from "../../core/moment.ts";
import { codeOf, NOW, PosixCatalog } from "./testing/posix-catalog.ts";

let catalog: PosixCatalog;
beforeEach(async () => {
  catalog = await PosixCatalog.open();
});

describe("what is made in a directory", () => {
  it("is empty, has one name, and the moment in all its times", async () => {
    const made = await catalog.mknod("a", { mode: 0o100_640 });
    expect(made).toEqual({
      inode: made.inode,
      kind: "file",
      mode: 0o640,
      uid: 7,
      gid: 8,
      linkCount: 1,
      sizeBytes: 0,
      accessed: NOW,
      modified: NOW,
      changed: NOW,
      created: NOW,
      parent: { inode: ROOT_INODE, name: "a" },
    });
    expect(await catalog.stat("a")).toEqual(made);
    expect(await catalog.file("a")).toEqual(made);
    await catalog.noFaults();
  });

  it("is of any kind, and devices have a number", async () => {
    for (const kind of ["fifo", "socket"] as const) {
      expect(await catalog.mknod(kind, { kind, rdev: 9 })).toMatchObject({ kind, sizeBytes: 0 });
      expect(await catalog.stat(kind)).not.toHaveProperty("rdev");
    }
    for (const kind of ["characterDevice", "blockDevice"] as const)
      expect(await catalog.mknod(kind, { kind, rdev: 259 })).toMatchObject({ kind, rdev: 259 });
    expect(await catalog.mknod("null", { kind: "characterDevice" })).toMatchObject({ rdev: 0 });
    expect(await catalog.symlink("s", "../é")).toMatchObject({
      kind: "symlink",
      target: "../é",
      sizeBytes: 5,
      mode: 0o777,
    });
    await catalog.noFaults();
  });

  it("shows in the times of the directory, and a directory in its links", async () => {
    await catalog.mkdir("d");
    expect(await catalog.stat("d")).toMatchObject({ linkCount: 2, modified: NOW });
    catalog.now = { ms: 9_001, ns: 5 };
    await catalog.mknod("d/a");
    expect(await catalog.stat("d")).toMatchObject({
      linkCount: 2,
      modified: catalog.now,
      changed: catalog.now,
      created: NOW,
    });
    catalog.now = { ms: 9_001, ns: 6 };
    await catalog.mkdir("d/e");
    expect(await catalog.stat("d")).toMatchObject({ linkCount: 3, modified: catalog.now, accessed: NOW });
    await catalog.noFaults();
  });

  it("takes no name that anything has, and none that is none", async () => {
    await catalog.mknod("a");
    await catalog.mkdir("d");
    for (const name of ["a", "d"]) {
      expect(await codeOf(catalog.mknod(name))).toBe("EEXIST");
      expect(await codeOf(catalog.mkdir(name))).toBe("EEXIST");
      expect(await codeOf(catalog.symlink(name, "x"))).toBe("EEXIST");
      expect(await codeOf(catalog.link("a", name))).toBe("EEXIST");
    }
    for (const name of [".", "..", "", "a\0b", "x/y", "\ud800", "\udcc3\udca9", ".globalfs"])
      expect(await codeOf(catalog.mknod("z", { name }))).toBe("EINVAL");
    expect(await codeOf(catalog.mknod("z", { name: "é".repeat(128) }))).toBe("ENAMETOOLONG");
    expect(await catalog.mknod("z", { name: `x${"é".repeat(127)}` })).toMatchObject({ kind: "file" });
    await catalog.mkdir("d/.globalfs");
  });

  it("may have a name of any bytes, line breaks among them", async () => {
    const names = ["\udcff", "a\nb", "\t", "a\udc80", "\u{1f600}", "é"];
    await catalog.mkdir("d");
    for (const name of names) await catalog.mknod(`d/${name}`);
    expect(await catalog.names("d")).toEqual(["\t", "a\nb", "a\udc80", "é", "\u{1f600}", "\udcff"]);
    for (const name of names) expect((await catalog.stat(`d/${name}`)).parent?.name).toBe(name);
    await catalog.noFaults();
  });

  it("needs a directory that is there", async () => {
    await catalog.mknod("a");
    expect(await codeOf(catalog.mknod("x", { parent: (await catalog.stat("a")).inode }))).toBe("ENOTDIR");
    expect(await codeOf(catalog.mknod("x", { parent: 999_000_000_000 as Inode }))).toBe("ENOENT");
  });

  it("makes a directory that only objects needed one that stays", async () => {
    await catalog.put("d/e/x");
    const told = await catalog.told(async () => await catalog.mknod("d/e/y"));
    expect(told).toMatchObject([
      { kind: "created", path: "d/e", atMs: 9_000 },
      { kind: "created", path: "d/e/y" },
    ]);
    await catalog.remove("d/e/x");
    await catalog.remove("d/e/y");
    expect(await catalog.names("d/e")).toEqual([]);
    await catalog.noFaults();
  });

  it("has the group of a directory that hands it on, and directories hand it on, too", async () => {
    expect(await catalog.mkdir("d", { mode: 0o7775, gid: 99 })).toMatchObject({ mode: 0o1775 });
    await catalog.setattr("d", { mode: 0o2775 });
    expect(await catalog.mknod("d/a", { mode: 0o644 })).toMatchObject({ uid: 7, gid: 99, mode: 0o644 });
    expect(await catalog.mkdir("d/e", { mode: 0o700 })).toMatchObject({ uid: 7, gid: 99, mode: 0o2700 });
    expect(await catalog.symlink("d/s", "x")).toMatchObject({ gid: 99, mode: 0o777 });
    expect(await catalog.mkdir("f")).toMatchObject({ gid: 8, mode: 0o755 });
  });

  it("is the directory that had the name before, where there is a history in it", async () => {
    await catalog.writeBucket("b");
    await catalog.put("b/d/x");
    const before = await catalog.stat("b/d");
    await catalog.deleteKey("b/d/x");
    expect(await codeOf(catalog.mknod("y", { parent: before.inode }))).toBe("ENOENT");
    expect(await catalog.mkdir("b/d")).toMatchObject({ inode: before.inode, mode: 0o755, linkCount: 2, created: NOW });
    expect(await catalog.history("b/d/x")).toHaveLength(2);
    await catalog.noFaults();
  });

  it("has a target that is a path", async () => {
    for (const target of ["", "a\0b", "x".repeat(4_096), "\ud800"])
      expect(await codeOf(catalog.symlink("s", target))).toBe("EINVAL");
    expect(await catalog.symlink("s", "\udcff".repeat(4_095))).toMatchObject({ sizeBytes: 4_095 });
  });
});

describe("a directory beside a file of its name", () => {
  beforeEach(async () => {
    await catalog.put("d/a");
    await catalog.put("d/a/b");
    await catalog.put("d/a-c");
  });

  it("hides it, and shows it again when it goes", async () => {
    expect(await catalog.names("d")).toEqual(["a-c", "a"]);
    expect((await catalog.stat("d/a")).kind).toBe("directory");
    expect(await codeOf(catalog.mknod("d/a"))).toBe("EEXIST");
    await catalog.remove("d/a/b");
    expect(await catalog.names("d")).toEqual(["a", "a-c"]);
    expect((await catalog.stat("d/a")).kind).toBe("file");
    await catalog.noFaults();
  });

  it("hides it in whatever order they were made, and wherever it is moved", async () => {
    await catalog.put("d/x/y");
    await catalog.put("d/x");
    expect((await catalog.stat("d/x")).kind).toBe("directory");
    await catalog.move("d/x", "d/z", { directory: true });
    expect((await catalog.stat("d/x")).kind).toBe("file");
    await catalog.move("d/x", "d/z");
    expect((await catalog.stat("d/z")).kind).toBe("directory");
    expect(await catalog.names("d")).toEqual(["a-c", "a", "z"]);
    await catalog.noFaults();
  });
});

it("times before 1970 are kept to the nanosecond", async () => {
  await catalog.mknod("a");
  const accessed = { ms: -1, ns: 999_999 };
  expect(await catalog.setattr("a", { accessed, modified: momentOf(-5_000_000) })).toMatchObject({
    accessed,
    changed: NOW,
  });
  expect(await catalog.stat("a")).toMatchObject({ accessed, modified: momentOf(-5_000_000) });
});
