import { beforeEach, describe, expect, it } from "vitest";
import * as posix from "./index.ts";
import { codeOf, PosixCatalog } from "./testing/posix-catalog.ts";

let catalog: PosixCatalog;
beforeEach(async () => {
  catalog = await PosixCatalog.open();
  await catalog.mkdir("d");
  await catalog.mkdir("d/e");
  await catalog.mknod("d/e/a");
});
const walk = async (path: string, more: Partial<posix.Walk> = {}): Promise<posix.Walked> =>
  await catalog.view((tx) => posix.walk(tx, { path, last: "follow", ...more }));
const found = async (path: string, more: Partial<posix.Walk> = {}): Promise<number | undefined> =>
  (await walk(path, more)).file?.inode;

describe("a path", () => {
  it("leads from the root, or from a directory, over dots and slashes", async () => {
    const [d, e, a] = [await catalog.inodeAt("d"), await catalog.inodeAt("d/e"), await catalog.inodeAt("d/e/a")];
    for (const path of ["d/e/a", "/d/e/a", "d//e/./a", "./d/e/../e/a", "/"])
      expect(await found(path)).toBe(path === "/" ? 1 : a);
    expect([
      await found("e/a", { from: d }),
      await found("/d/e/a", { from: e }),
      await found("..", { from: e }),
    ]).toEqual([a, a, d]);
    expect(await walk("d/e/a")).toMatchObject({ child: { parent: e, name: "a" }, slash: false });
    expect(await walk("d/e/..")).not.toHaveProperty("child");
    expect(await walk("d/e/")).toMatchObject({ child: { parent: d, name: "e" }, slash: true });
  });

  it("tells where a name hangs that is not there, if only the last is missing", async () => {
    const e = await catalog.inodeAt("d/e");
    expect(await walk("d/e/z")).toEqual({ child: { parent: e, name: "z" }, slash: false });
    expect(await walk("d/e/z/")).toEqual({ child: { parent: e, name: "z" }, slash: true });
    expect(await walk("d/e/a", { last: "name" })).toEqual({ child: { parent: e, name: "a" }, slash: false });
    for (const path of ["d/z/a", "d/z/.", "z/..", ""]) expect(await codeOf(walk(path))).toBe("ENOENT");
    for (const path of ["d/e/a/", "d/e/a/x", "d/e/a/.", "d/e/a/.."]) expect(await codeOf(walk(path))).toBe("ENOTDIR");
    expect(await codeOf(walk("x".repeat(4_096)))).toBe("ENAMETOOLONG");
    expect(await codeOf(walk("x".repeat(256)))).toBe("ENAMETOOLONG");
  });

  it("goes through links on the way, and through the last one only where that is asked", async () => {
    await catalog.symlink("d/up", "../d/e/");
    await catalog.symlink("s", "d/up/a");
    await catalog.symlink("lost", "d/z");
    const a = await catalog.inodeAt("d/e/a");
    expect([await found("d/up/a"), await found("s")]).toEqual([a, a]);
    expect((await walk("s", { last: "itself" })).file?.kind).toBe("symlink");
    expect((await walk("d/up", { last: "itself" })).file?.kind).toBe("symlink");
    expect((await walk("d/up/", { last: "itself" })).file?.inode).toBe(await catalog.inodeAt("d/e"));
    expect(await walk("lost")).toEqual({ child: { parent: await catalog.inodeAt("d"), name: "z" }, slash: false });
  });

  it("leads nowhere out of the tree, and not in circles", async () => {
    await catalog.symlink("out", "../x");
    await catalog.symlink("far", "/etc");
    await catalog.symlink("loop", "loop");
    for (const path of ["out", "far", "..", "d/../.."]) expect(await codeOf(walk(path))).toBe("ENOENT");
    expect(await codeOf(walk("loop"))).toBe("ELOOP");
    for (let index = 0; index < 41; index++)
      await catalog.symlink(`l${index}`, index === 0 ? "d/e/a" : `l${index - 1}`);
    expect(await found("l39")).toBe(await catalog.inodeAt("d/e/a"));
    expect(await codeOf(walk("l40"))).toBe("ELOOP");
  });

  it("is open to who may search each directory on it", async () => {
    const who = { uid: 7, gid: 8, groups: [] };
    const other = { uid: 9, gid: 9, groups: [] };
    await catalog.setattr("d", { mode: 0o700 });
    expect(await found("d/e/a", { who })).toBe(await catalog.inodeAt("d/e/a"));
    expect(await codeOf(walk("d/e/a", { who: other }))).toBe("EACCES");
    expect(await codeOf(walk("d/..", { who: other }))).toBe("EACCES");
    expect(await found("d", { who: other })).toBe(await catalog.inodeAt("d"));
  });
});

describe("rights", () => {
  const file = { kind: "file" as const, mode: 0o640, uid: 1, gid: 2 };
  const who = (uid: number, gid: number, ...groups: number[]): posix.Credentials => ({ uid, gid, groups });

  it.each([
    ["the owner's for the owner", who(1, 9), 0o640, [6, 4, 2], [1]],
    ["the owner's also where others have more", who(1, 2), 0o077, [0], [1, 2, 4]],
    ["the group's for its members", who(9, 2), 0o640, [4], [2, 1]],
    ["the group's also for those who have it beside theirs", who(9, 9, 3, 2), 0o640, [4], [2, 1]],
    ["the group's also where others have more", who(9, 2), 0o607, [0], [1, 2, 4]],
    ["those of others for all others", who(9, 9, 3), 0o604, [4], [6, 1]],
    ["all for root, but to run what nobody may", who(0, 9), 0o000, [6], [1, 7]],
    ["all for root", who(0, 9), 0o010, [7], []],
  ])("are %s", (_what, caller, mode, granted, refused) => {
    for (const wanted of granted) expect(posix.mayAccess(caller, { ...file, mode }, wanted)).toBe(true);
    for (const wanted of refused) expect(posix.mayAccess(caller, { ...file, mode }, wanted)).toBe(false);
  });

  it("of root let him search any directory", () => {
    expect(posix.mayAccess(who(0, 0), { ...file, kind: "directory", mode: 0 }, 7)).toBe(true);
  });

  it("of a lookup are those to search the directory, and of a page those to read it", async () => {
    const caller = who(9, 9);
    const [d, a] = [await catalog.inodeAt("d"), await catalog.inodeAt("d/e/a")];
    await catalog.setattr("d", { mode: 0o704 });
    const { checked } = posix;
    expect(await codeOf(catalog.view((tx) => checked.lookup(tx, caller, { parent: d, name: "e" })))).toBe("EACCES");
    expect((await catalog.view((tx) => checked.readdir(tx, caller, { inode: d, limit: 9 }))).entries).toHaveLength(1);
    expect(await codeOf(catalog.view((tx) => checked.readdirplus(tx, caller, { inode: d, limit: 9 })))).toBe("EACCES");
    await catalog.setattr("d", { mode: 0o705 });
    expect(await catalog.view((tx) => checked.lookup(tx, caller, { parent: d, name: "e" }))).toMatchObject({
      kind: "directory",
    });
    expect((await catalog.view((tx) => checked.readdirplus(tx, caller, { inode: d, limit: 9 }))).entries).toHaveLength(
      1,
    );
    expect(await codeOf(catalog.view((tx) => checked.access(tx, caller, a, posix.WRITE)))).toBe("EACCES");
    expect(await catalog.view((tx) => checked.access(tx, caller, a, posix.READ))).toMatchObject({ inode: a });
  });

  it("to extended attributes of a file system's own classes are nobody's but root's, and unknown classes nobody's", async () => {
    const caller = who(7, 8);
    const inode = await catalog.inodeAt("d/e/a");
    const set = async (by: posix.Credentials, name: string): Promise<string> =>
      await codeOf(
        catalog.run((tx) => posix.checked.setxattr(tx, by, { inode, name, value: Buffer.from("1"), now: catalog.now })),
      );
    expect([await set(caller, "security.a"), await set(who(0, 0), "security.a")]).toEqual(["EPERM", "none"]);
    expect([await set(caller, "system.posix_acl_access"), await set(who(0, 0), "else")]).toEqual([
      "ENOTSUP",
      "ENOTSUP",
    ]);
    expect(
      Buffer.from(await catalog.view((tx) => posix.checked.getxattr(tx, caller, inode, "security.a"))).toString(),
    ).toBe("1");
  });
});
