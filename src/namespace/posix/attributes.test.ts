import { beforeEach, describe, expect, it } from "vitest";
import type { Inode } from "../../core/ids.ts";
import type { Moment } from "../../core/moment.ts";
import { clearLeftExtended, extendedSpace, leftSpace } from "../extended-rows.ts";
import * as posix from "./index.ts";
import { codeOf, NOW, PosixCatalog } from "./testing/posix-catalog.ts";

let catalog: PosixCatalog;
beforeEach(async () => {
  catalog = await PosixCatalog.open();
  await catalog.mknod("a");
});
const LATER: Moment = { ms: 10_000, ns: 1 };
const absent = 999_000_000_000 as Inode;

describe("attributes that are set", () => {
  it("are those that are given, and the time of the change", async () => {
    const before = await catalog.stat("a");
    catalog.now = LATER;
    expect(await catalog.setattr("a", { mode: 0o100_6755 })).toEqual({ ...before, mode: 0o6755, changed: LATER });
    expect(await catalog.setattr("a", { accessed: "now", modified: { ms: -4, ns: 3 } })).toEqual({
      ...before,
      mode: 0o6755,
      accessed: LATER,
      modified: { ms: -4, ns: 3 },
      changed: LATER,
    });
    expect(await codeOf(catalog.run((tx) => posix.setattr(tx, { inode: absent, now: NOW })))).toBe("ENOENT");
  });

  it("of an owner or a group take away that the file runs as them", async () => {
    for (const [mode, after] of [
      [0o6755, 0o755],
      [0o6745, 0o2745],
      [0o2644, 0o2644],
      [0o1777, 0o1777],
    ] as const) {
      await catalog.setattr("a", { mode, uid: 7, gid: 8 });
      expect(await catalog.setattr("a", { uid: 1 })).toMatchObject({ uid: 1, gid: 8, mode: after });
      await catalog.setattr("a", { mode, uid: 7 });
      expect(await catalog.setattr("a", { gid: 2 })).toMatchObject({ uid: 7, gid: 2, mode: after });
    }
    expect(await catalog.setattr("a", { uid: 3, mode: 0o4755 })).toMatchObject({ uid: 3, mode: 0o4755 });
    await catalog.mkdir("d");
    await catalog.setattr("d", { mode: 0o2775 });
    expect(await catalog.setattr("d", { gid: 2 })).toMatchObject({ gid: 2, mode: 0o2775 });
  });

  it("of a directory hold until something comes or goes there", async () => {
    await catalog.mkdir("d");
    await catalog.mknod("d/x");
    const modified = { ms: 5, ns: 6 };
    await catalog.setattr("d", { modified });
    expect(await catalog.stat("d")).toMatchObject({ modified, changed: NOW });
    await catalog.setattr("d", { mode: 0o700 });
    expect(await catalog.stat("d")).toMatchObject({ modified, mode: 0o700 });
    catalog.now = LATER;
    await catalog.mknod("d/y");
    expect(await catalog.stat("d")).toMatchObject({ modified: LATER, changed: LATER, mode: 0o700 });
    await catalog.noFaults();
  });

  it("never meet what jobs say of copies", async () => {
    const { file } = await catalog.put("b");
    await catalog.setattr("b", { mode: 0o600 });
    expect((await catalog.file("b"))?.version).toEqual(file.version);
  });

  it("make a directory that only objects needed one that stays", async () => {
    await catalog.put("d/x");
    await catalog.setattr("d", { mode: 0o700 });
    await catalog.remove("d/x");
    expect(await catalog.stat("d")).toMatchObject({ mode: 0o700 });
    await catalog.noFaults();
  });
});

describe("a symbolic link", () => {
  it("tells its target, and nothing else does", async () => {
    await catalog.symlink("s", "x/\udcff");
    const inode = await catalog.inodeAt("s");
    expect(await catalog.view((tx) => posix.readlink(tx, inode))).toBe("x/\udcff");
    const file = await catalog.inodeAt("a");
    expect(await codeOf(catalog.view((tx) => posix.readlink(tx, file)))).toBe("EINVAL");
    expect(await codeOf(catalog.view((tx) => posix.readlink(tx, absent)))).toBe("ENOENT");
  });
});

describe("one more name", () => {
  it("leads to the same, also for links, and counts", async () => {
    await catalog.symlink("s", "x");
    for (const path of ["a", "s"]) {
      catalog.now = LATER;
      const linked = await catalog.link(path, `${path}2`);
      expect(linked).toMatchObject({ linkCount: 2, changed: LATER, modified: NOW });
      expect(await catalog.stat(`${path}2`)).toEqual(linked);
      catalog.now = NOW;
    }
    await catalog.noFaults();
  });

  it("is told with the version that it leads to", async () => {
    const { file } = await catalog.put("b");
    const told = await catalog.told(async () => await catalog.link("b", "c"));
    expect(told).toEqual([{ kind: "created", path: "c", inode: file.inode, versionId: file.version?.id, atMs: 9_000 }]);
  });

  it("is none for a directory, nor for what is not there or has no name", async () => {
    await catalog.mkdir("d");
    expect(await codeOf(catalog.link("d", "e"))).toBe("EPERM");
    const link = async (inode: Inode): Promise<unknown> =>
      await catalog.run((tx) => posix.link(tx, { inode, parent: 1 as Inode, name: "z", now: NOW }));
    expect(await codeOf(link(absent))).toBe("ENOENT");
    await catalog.writeBucket("b");
    await catalog.putApart("b/x");
    const { kept } = await catalog.putApart("b/x");
    expect(await codeOf(link(kept?.inode as Inode))).toBe("ENOENT");
  });

  it("is refused to a file that has as many as fit", async () => {
    const { inode } = await catalog.stat("a");
    await catalog.rewrite(inode, (file) => ({ ...file, linkCount: 65_000 }));
    expect(await codeOf(catalog.link("a", "b"))).toBe("EMLINK");
  });
});

describe("extended attributes", () => {
  it("are of the classes that something stands for: access lists of POSIX are refused", async () => {
    for (const name of ["system.posix_acl_access", "system.posix_acl_default", "a"])
      expect(await codeOf(set(name, "1")), name).toBe("ENOTSUP");
    expect(await list()).toEqual([]);
  });

  const set = async (name: string, value: string, only?: "create" | "replace"): Promise<void> => {
    const inode = await catalog.inodeAt("a");
    const request = { inode, name, value: Buffer.from(value), now: catalog.now };
    await catalog.run((tx) => posix.setxattr(tx, { ...request, ...(only === undefined ? {} : { only }) }));
  };
  const get = async (name: string): Promise<string> => {
    const inode = await catalog.inodeAt("a");
    return Buffer.from(await catalog.view((tx) => posix.getxattr(tx, inode, name))).toString();
  };
  const list = async (): Promise<readonly string[]> => {
    const inode = await catalog.inodeAt("a");
    return await catalog.view((tx) => posix.listxattr(tx, inode));
  };
  const remove = async (name: string): Promise<void> => {
    const inode = await catalog.inodeAt("a");
    await catalog.run((tx) => posix.removexattr(tx, { inode, name, now: catalog.now }));
  };

  it("are kept as they are, and change the time of the change", async () => {
    expect(await list()).toEqual([]);
    await set("user.b", "1");
    catalog.now = LATER;
    await set("user.a", "");
    await set("user.b", "22");
    expect([await list(), await get("user.a"), await get("user.b")]).toEqual([["user.a", "user.b"], "", "22"]);
    expect(await catalog.stat("a")).toMatchObject({
      changed: LATER,
      modified: NOW,
      extended: { count: 2, sizeBytes: 14 },
    });
    await catalog.noFaults();
    await remove("user.a");
    expect([await list(), (await catalog.stat("a")).extended]).toEqual([["user.b"], { count: 1, sizeBytes: 8 }]);
    await remove("user.b");
    expect(await catalog.stat("a")).not.toHaveProperty("extended");
    await catalog.noFaults();
  });

  it("are made or replaced only as asked", async () => {
    expect(await codeOf(set("user.a", "1", "replace"))).toBe("ENODATA");
    await set("user.a", "1", "create");
    expect(await codeOf(set("user.a", "2", "create"))).toBe("EEXIST");
    await set("user.a", "3", "replace");
    expect(await get("user.a")).toBe("3");
    expect(await codeOf(get("user.b"))).toBe("ENODATA");
    expect(await codeOf(remove("user.b"))).toBe("ENODATA");
    expect(await codeOf(catalog.view((tx) => posix.getxattr(tx, absent, "user.a")))).toBe("ENOENT");
    expect(await codeOf(catalog.view((tx) => posix.listxattr(tx, absent)))).toBe("ENOENT");
  });

  it("have bounds, each and all of them together", async () => {
    expect(await codeOf(set("", "1"))).toBe("EINVAL");
    expect(await codeOf(set("a\0b", "1"))).toBe("EINVAL");
    expect(await codeOf(set("\udcff".repeat(256), "1"))).toBe("ENAMETOOLONG");
    expect(await codeOf(set("user.a", "x".repeat(65_537)))).toBe("EFBIG");
    const large = "x".repeat(65_536);
    const longest = `user.${"\udcff".repeat(250)}`;
    for (const name of [longest, "user.b", "user.c"]) await set(name, large);
    expect(await codeOf(set("user.d", large))).toBe("EDQUOT");
    expect(await list()).toEqual(["user.b", "user.c", longest]);
    await set("user.d", "x".repeat(65_536 - 273));
    expect(await codeOf(set("user.e", ""))).toBe("EDQUOT");
    await set("user.b", "small");
    await set("user.e", "");
    await catalog.noFaults();
  });

  it("are 256 at most", async () => {
    for (let index = 0; index < 256; index++) await set(`user.${index}`, "");
    expect(await codeOf(set("user.x", ""))).toBe("EDQUOT");
    await set("user.7", "x");
    expect(await list()).toHaveLength(256);
    await catalog.noFaults();
  });

  it.each([3, 100])("go with the file, also when there are %i", async (count) => {
    for (let index = 0; index < count; index++) await set(`user.${index}`, "");
    await catalog.remove("a");
    await catalog.noFaults();
    let turns = 0;
    while (await catalog.run(clearLeftExtended)) turns += 1;
    expect(turns).toBe(count === 3 ? 0 : 2);
    expect([await catalog.rowsBelow(extendedSpace), await catalog.rowsBelow(leftSpace)]).toEqual([0, 0]);
  });

  it("stay with the inode when a version of it becomes an older one", async () => {
    await catalog.writeBucket("b");
    await catalog.putApart("b/x");
    const inode = await catalog.inodeAt("b/x");
    await catalog.run((tx) => posix.setxattr(tx, { inode, name: "user.a", value: Buffer.from("1"), now: NOW }));
    const { kept } = await catalog.putApart("b/x");
    expect(kept).not.toHaveProperty("extended");
    expect((await catalog.stat("b/x")).extended).toEqual({ count: 1, sizeBytes: 7 });
    await catalog.noFaults();
    await catalog.deleteKey("b/x");
    await catalog.noFaults();
  });

  it("make a directory that only objects needed one that stays", async () => {
    await catalog.put("d/x");
    const inode = await catalog.inodeAt("d");
    await catalog.run((tx) => posix.setxattr(tx, { inode, name: "user.a", value: Buffer.from("1"), now: NOW }));
    expect(await catalog.stat("d")).not.toHaveProperty("implicit");
    await catalog.noFaults();
  });
});
