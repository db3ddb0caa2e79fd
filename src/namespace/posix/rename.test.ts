import { beforeEach, describe, expect, it } from "vitest";
import type { VersionId } from "../../core/ids.ts";
import { findTombstone } from "../tombstones.ts";
import { at } from "../testing/catalog.ts";
import { codeOf, PosixCatalog } from "./testing/posix-catalog.ts";

let catalog: PosixCatalog;
beforeEach(async () => {
  catalog = await PosixCatalog.open();
});
const LATER = { ms: 10_000, ns: 7 };
const id = (text: string): VersionId => text as VersionId;

describe("a rename", () => {
  it("takes the file along, and shows in the times of it and of both directories", async () => {
    const { file } = await catalog.putApart("d/a", { id: id("1") });
    await catalog.mkdir("e");
    catalog.now = LATER;
    const told = await catalog.told(async () => {
      const { moved, orphans } = await catalog.rename("d/a", "e/b", { tombstoneVersionId: id("9") });
      expect([moved, orphans]).toMatchObject([{ inode: file.inode, changed: LATER, version: { id: "1" } }, []]);
    });
    expect(told.at(-1)).toEqual({
      kind: "renamed",
      path: "e/b",
      from: "d/a",
      inode: file.inode,
      versionId: "1",
      atMs: 10_000,
    });
    const { modified } = file;
    expect(await catalog.stat("e/b")).toMatchObject({ inode: file.inode, changed: LATER, modified });
    for (const path of ["d", "e"]) expect(await catalog.stat(path)).toMatchObject({ modified: LATER, changed: LATER });
    expect((await catalog.view((tx) => findTombstone(tx, at("d/a"))))?.versionId).toBe("9");
    await catalog.noFaults();
  });

  it("leaves the directory that it goes out of, and makes that one stay", async () => {
    await catalog.put("d/a");
    await catalog.put("e/x");
    await catalog.rename("d/a", "e/a");
    expect(await catalog.names("d")).toEqual([]);
    await catalog.remove("e/x");
    await catalog.remove("e/a");
    expect(await catalog.names("")).toEqual(["d", "e"]);
    await catalog.noFaults();
  });

  it("gives up the objects of what it takes the place of, and what was to be published under the old name", async () => {
    const copy = { site: "local" as never, key: "objects/1", home: "a", state: "present" as const, changedMs: 1 };
    const { version } = (await catalog.putApart("x", { id: id("0") })).file;
    await catalog.put("a", { version: { ...version, id: id("1"), copies: [copy] } as never });
    await catalog.putApart("b", { id: id("2") });
    const { moved, orphans } = await catalog.rename("a", "b");
    expect(orphans.map(({ key }) => key)).toEqual(["objects/2", "a"]);
    expect(moved.version?.copies[0]).not.toHaveProperty("home");
    await catalog.noFaults();
  });

  it("keeps settings of buckets, and histories, as a rename by path does", async () => {
    await catalog.writeBucket("b");
    await catalog.putApart("b/x", { id: id("1") });
    await catalog.putApart("b/x", { id: id("2") });
    await catalog.rename("b/x", "b/y", { tombstoneVersionId: id("3") });
    expect([await catalog.history("b/x"), await catalog.history("b/y")]).toEqual([["3!", "1"], []]);
    await catalog.rename("b", "c");
    expect(await catalog.history("c/x")).toEqual(["3!", "1"]);
    await catalog.noFaults();
  });

  it("to a name that has a hidden file is one to the directory that hides it", async () => {
    await catalog.put("d/a");
    await catalog.put("d/a/x");
    await catalog.mknod("d/b");
    await catalog.mkdir("d/e");
    expect(await codeOf(catalog.rename("d/b", "d/a"))).toBe("EISDIR");
    expect(await codeOf(catalog.rename("d/e", "d/a"))).toBe("ENOTEMPTY");
    await catalog.rename("d/a", "d/f");
    expect((await catalog.stat("d/a")).kind).toBe("file");
    expect(await catalog.names("d/f")).toEqual(["x"]);
    await catalog.noFaults();
  });

  it("to itself is none, also by another name of the file", async () => {
    const before = await catalog.mknod("a");
    await catalog.link("a", "b");
    catalog.now = LATER;
    expect((await catalog.rename("a", "a")).orphans).toEqual([]);
    expect((await catalog.rename("a", "b")).moved.inode).toBe(before.inode);
    expect(await catalog.names("")).toEqual(["a", "b"]);
    expect(await codeOf(catalog.rename("a", "b", { noReplace: true }))).toBe("EEXIST");
    expect(await codeOf(catalog.rename("a", "z", { to: { parent: 1 as never, name: ".globalfs" } }))).toBe("EINVAL");
  });
});

describe("an exchange of names", () => {
  it("makes each lead to what the other led to, of whatever kinds", async () => {
    await catalog.mkdir("d");
    await catalog.mkdir("e");
    const file = await catalog.mknod("d/a");
    const directory = await catalog.mkdir("e/b");
    await catalog.mknod("e/b/x");
    await catalog.link("d/a", "d/z");
    catalog.now = LATER;
    const told = await catalog.told(async () => {
      const { one, other, orphans } = await catalog.exchange("d/a", "e/b");
      expect([one.inode, other.inode, orphans]).toEqual([directory.inode, file.inode, []]);
    });
    expect(told.map(({ kind, path, from, inode }) => [kind, path, from, inode])).toEqual([
      ["renamed", "d/a", "e/b", directory.inode],
      ["renamed", "e/b", "d/a", file.inode],
    ]);
    expect(await catalog.names("d/a")).toEqual(["x"]);
    expect(await catalog.stat("e/b")).toMatchObject({ inode: file.inode, changed: LATER, linkCount: 2 });
    expect([(await catalog.stat("d")).linkCount, (await catalog.stat("e")).linkCount]).toEqual([3, 2]);
    await catalog.noFaults();
  });

  it("in one directory changes nothing but what the names lead to", async () => {
    const [a, b] = [await catalog.mkdir("a"), await catalog.mkdir("b")];
    await catalog.exchange("a", "b");
    expect([await catalog.inodeAt("a"), await catalog.inodeAt("b")]).toEqual([b.inode, a.inode]);
    await catalog.exchange("a", "a");
    await catalog.noFaults();
  });

  it("publishes nothing under a name that is another's now", async () => {
    const { version } = (await catalog.putApart("x", { id: id("0") })).file;
    for (const path of ["a", "b"]) {
      const copy = {
        site: "local" as never,
        key: `objects/${path}`,
        home: path,
        state: "present" as const,
        changedMs: 1,
      };
      await catalog.put(path, { version: { ...version, id: id(path), copies: [copy] } as never });
    }
    const { one, other, orphans } = await catalog.exchange("a", "b");
    expect(orphans.map(({ key }) => key).sort()).toEqual(["a", "b"]);
    for (const file of [one, other]) expect(file.version?.copies[0]).not.toHaveProperty("home");
    expect((await catalog.file("a"))?.version?.copies).toMatchObject([{ key: "objects/b" }]);
    await catalog.noFaults();
  });

  it("needs both, and neither may lie in the other", async () => {
    await catalog.mkdir("d");
    await catalog.mknod("d/a");
    expect(await codeOf(catalog.exchange("d", "z"))).toBe("ENOENT");
    expect(await codeOf(catalog.exchange("z", "d"))).toBe("ENOENT");
    expect(await codeOf(catalog.exchange("d", "d/a"))).toBe("EINVAL");
    expect(await codeOf(catalog.exchange("d/a", "d"))).toBe("EINVAL");
  });

  it("is refused where settings or histories hang at the names", async () => {
    await catalog.writeBucket("b");
    await catalog.mkdir("d");
    for (const path of ["b/x", "b/y", "d/x"]) await catalog.putApart(path);
    expect(await codeOf(catalog.exchange("b", "d"))).toBe("EINVAL");
    expect(await codeOf(catalog.exchange("b/x", "b/y"))).toBe("EINVAL");
    expect(await codeOf(catalog.exchange("d/x", "b/y"))).toBe("EINVAL");
    await catalog.mkdir("b/e");
    expect(await codeOf(catalog.exchange("b/e", "b/y"))).toBe("EINVAL");
    await catalog.mkdir("d/e");
    await expect(catalog.exchange("b/e", "d/e")).rejects.toMatchObject({ code: "Conflict" });
  });

  it("takes histories along with directories, also of those that were there before", async () => {
    await catalog.writeBucket("b");
    await catalog.putApart("b/p/d/x", { id: id("1") });
    await catalog.deleteKey("b/p/d/x", { tombstoneVersionId: id("2") });
    await catalog.putApart("b/q/d/x", { id: id("3") });
    await catalog.rename("b/q", "b/p");
    await catalog.putApart("b/e/x", { id: id("4") });
    expect(await catalog.history("b/p/d/x")).toEqual(["2!", "1"]);
    await catalog.exchange("b/p/d", "b/e");
    expect([(await catalog.file("b/e/x"))?.version?.id, await catalog.history("b/e/x")]).toEqual(["3", ["2!", "1"]]);
    expect([(await catalog.file("b/p/d/x"))?.version?.id, await catalog.history("b/p/d/x")]).toEqual(["4", []]);
    await catalog.noFaults();
  });

  it("makes directories that only objects needed stay", async () => {
    await catalog.put("d/a");
    await catalog.put("e/b");
    await catalog.exchange("d/a", "e/b");
    await catalog.remove("d/a");
    await catalog.remove("e/b");
    expect(await catalog.names("")).toEqual(["d", "e"]);
    await catalog.noFaults();
  });
});
