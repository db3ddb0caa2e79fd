import { beforeEach, describe, expect, it } from "vitest";
import type { FilePath, Inode } from "../core/ids.ts";
import { momentOf } from "../core/moment.ts";
import {
  checkPath,
  findByInode,
  findFollowing,
  keyOf,
  link,
  makeSymlink,
  type MakeSymlink,
  parseKey,
  pathOf,
  type SetAttributes,
  setAttributes,
} from "./index.ts";
import { encodeAttributes } from "./attributes-codec.ts";
import { attributesKey, encodeEntry, entryKey, namesOf } from "./rows.ts";
import { at, TestCatalog } from "./testing/catalog.ts";
import type { FileRecord } from "./types.ts";

let catalog: TestCatalog;
beforeEach(async () => {
  catalog = await TestCatalog.open();
});

const linkTo = async (from: string, to: string): Promise<FileRecord> =>
  await catalog.run((tx) => link(tx, { from: at(from), to: at(to), nowMs: 8_000, nextInode: catalog.nextInode }));
const symlink = async (path: string, target: string, more: Partial<MakeSymlink> = {}): Promise<FileRecord> =>
  await catalog.run((tx) =>
    makeSymlink(tx, { path: at(path), target, uid: 5, gid: 6, nowMs: 8_000, nextInode: catalog.nextInode, ...more }),
  );
const follow = async (path: string): Promise<string | undefined> =>
  (await catalog.view((tx) => findFollowing(tx, at(path))))?.path;

describe("a hard link", () => {
  it("is a second name for the same file, in directories that are made for it", async () => {
    const { file } = await catalog.put("a");
    expect(await linkTo("a", "x/b")).toEqual({ ...file, linkCount: 2, changed: momentOf(8_000) });
    expect(await catalog.file("a")).toEqual(await catalog.file("x/b"));
    expect(await catalog.directory("x")).toMatchObject({ implicit: true });
    expect((await catalog.check()).faults).toEqual([]);
  });

  it("leaves a file that hangs at one of the names that it still has, whichever go", async () => {
    const { file } = await catalog.put("a/x");
    for (const name of ["b/y", "a/z", "c"]) await linkTo("a/x", name);
    const path = async (): Promise<string | undefined> => await catalog.view((tx) => pathOf(tx, file.inode));
    const look = async (): Promise<[string | undefined, number]> => [
      await path(),
      await catalog.rowsBelow(namesOf(file.inode)),
    ];
    expect(await look()).toEqual(["a/x", 4]);
    await catalog.remove("b/y");
    expect(await look()).toEqual(["a/x", 3]);
    await catalog.move("a/x", "d");
    expect(await look()).toEqual(["d", 3]);
    await catalog.move("c", "e");
    expect(await look()).toEqual(["d", 3]);
    await catalog.remove("d");
    expect(await look()).toEqual(["e", 2]);
    expect((await catalog.check()).faults).toEqual([]);
    await catalog.remove("e");
    expect(await look()).toEqual(["a/z", 0]);
    expect((await catalog.check()).faults).toEqual([]);
  });

  it("is refused to a file that is not there, and under a name that is taken", async () => {
    await catalog.put("a");
    await catalog.put("b");
    await expect(linkTo("none", "c")).rejects.toMatchObject({ code: "NotFound" });
    await expect(linkTo("a", "b")).rejects.toMatchObject({ code: "AlreadyExists" });
    expect((await catalog.file("a"))?.linkCount).toBe(1);
  });

  it("is the last that fits when a file has 64,999 names", async () => {
    const { file } = await catalog.put("a");
    await setLinks(file, 64_999);
    expect((await linkTo("a", "b")).linkCount).toBe(65_000);
    await expect(linkTo("a", "c")).rejects.toMatchObject({ code: "TooManyLinks" });
  });

  async function setLinks(file: FileRecord, linkCount: number): Promise<void> {
    await catalog.write([[attributesKey(file.inode), encodeAttributes({ ...file, linkCount })]]);
  }
});

describe("a symbolic link", () => {
  it("keeps its target as it is, and who made it", async () => {
    const made = await symlink("x/s", "../nowhere//./");
    expect(made).toEqual({
      inode: made.inode,
      kind: "symlink",
      mode: 0o777,
      uid: 5,
      gid: 6,
      linkCount: 1,
      sizeBytes: 14,
      accessed: momentOf(8_000),
      modified: momentOf(8_000),
      changed: momentOf(8_000),
      created: momentOf(8_000),
      parent: { inode: (await catalog.directory("x"))?.inode, name: "s" },
      target: "../nowhere//./",
    });
    expect(await catalog.file("x/s")).toEqual(made);
    expect((await catalog.check()).faults).toEqual([]);
    await expect(symlink("x/s", "a")).rejects.toMatchObject({ code: "AlreadyExists" });
  });

  it("points to 1 to 4,095 bytes without NUL", async () => {
    for (const target of ["", "a\0b", "x".repeat(4_096), "é".repeat(2_048)])
      await expect(symlink("s", target)).rejects.toMatchObject({ code: "InvalidArgument" });
    expect((await symlink("s", "é".repeat(2_047) + "x")).target).toHaveLength(2_048);
  });
});

describe("following a path", () => {
  beforeEach(async () => {
    await catalog.put("data/sub/real");
    await catalog.put("top");
  });

  it("ends at a file or a directory, and nowhere when nothing is there", async () => {
    expect(await follow("data/sub/real")).toBe("data/sub/real");
    expect(await follow("data/sub")).toBe("data/sub");
    expect(await follow("top")).toBe("top");
    expect(await follow("none")).toBeUndefined();
    expect(await follow("none/deeper")).toBeUndefined();
    expect(await follow("top/below")).toBeUndefined();
    expect(await follow("data/none/real")).toBeUndefined();
  });

  it("goes through links in the middle and at the end, relative to where they lie", async () => {
    await symlink("to-data", "data");
    await symlink("data/back", "sub/../../top");
    await symlink("data/sub/here", ".//real");
    await symlink("chain", "to-data/sub/here");
    expect(await follow("to-data/sub/real")).toBe("data/sub/real");
    expect(await follow("to-data")).toBe("data");
    expect(await follow("to-data/back")).toBe("top");
    expect(await follow("data/sub/here")).toBe("data/sub/real");
    expect(await follow("chain")).toBe("data/sub/real");
  });

  it("leads nowhere through a link that leads out of the tree, to its root, or to an absolute path", async () => {
    await symlink("out", "../top");
    await symlink("data/out", "../../top");
    await symlink("root", ".");
    await symlink("data/root", "..");
    await symlink("absolute", "/top");
    for (const path of ["out", "data/out", "root", "data/root", "absolute"]) expect(await follow(path)).toBeUndefined();
    expect(await follow("root/top")).toBe("top");
  });

  it("takes a directory before a link of the same name, on the way and not at the end", async () => {
    await symlink("data", "elsewhere");
    expect(await follow("data/sub/real")).toBe("data/sub/real");
    expect(await follow("data")).toBeUndefined();
  });

  it("is done for forty links, and refused for more", async () => {
    await symlink("l40", "top");
    for (let index = 39; index > 0; index--) await symlink(`l${index}`, `l${index + 1}`);
    expect(await follow("l1")).toBe("top");
    await symlink("l0", "l1");
    await expect(follow("l0")).rejects.toMatchObject({ code: "LoopDetected" });
  });

  it("is refused when a link makes a path that cannot be", async () => {
    await symlink("bad", "x".repeat(300));
    await expect(follow("bad")).rejects.toMatchObject({ code: "KeyTooLong" });
  });
});

describe("attributes", () => {
  const set = async (path: string, more: Partial<SetAttributes>): Promise<FileRecord> =>
    await catalog.run((tx) => setAttributes(tx, { path: at(path), directory: false, nowMs: 9_000, ...more }));

  it("that are not given stay, each of them", async () => {
    const { file } = await catalog.put("a");
    expect(await set("a", {})).toEqual({ ...file, changed: momentOf(9_000) });
    const all = { mode: 0, uid: 1, gid: 2, modifiedMs: 3 };
    const changed = { ...file, mode: 0, uid: 1, gid: 2, modified: momentOf(3), changed: momentOf(9_000) };
    expect(await set("a", all)).toEqual(changed);
    expect(await set("a", {})).toEqual(changed);
    expect(await catalog.file("a")).toEqual(changed);
  });

  it("of a directory are its own, and what is not there has none", async () => {
    await catalog.put("d/a");
    await catalog.put("d");
    await set("d", { directory: true, mode: 0o700 });
    expect([(await catalog.directory("d"))?.mode, (await catalog.file("d"))?.mode]).toEqual([0o700, 0o644]);
    await expect(set("none", {})).rejects.toMatchObject({ code: "NotFound" });
    await expect(set("d/a", { directory: true })).rejects.toMatchObject({ code: "NotFound" });
  });
});

describe("the tree", () => {
  it("tells the path of an inode, and of one that hangs nowhere that it has none", async () => {
    await catalog.put("a/b/c/file");
    const inode = (await catalog.directory("a/b/c"))?.inode as Inode;
    const look = async (of: Inode): Promise<string | undefined> => await catalog.view((tx) => pathOf(tx, of));
    expect([await look(inode), await look(1 as Inode), await look(999_000_000_000 as Inode)]).toEqual([
      "a/b/c",
      "",
      undefined,
    ]);
    expect(await look((await catalog.file("a/b/c/file"))?.inode as Inode)).toBe("a/b/c/file");
    expect((await catalog.view((tx) => findByInode(tx, inode)))?.kind).toBe("directory");
    expect(await catalog.view((tx) => findByInode(tx, 999_000_000_000 as Inode))).toBeUndefined();
  });

  it("says that it is damaged where an entry leads to no file", async () => {
    await catalog.write([
      [entryKey(1 as Inode, "ghost"), encodeEntry({ inode: 999_000_000_000 as Inode, kind: "file" })],
    ]);
    await expect(catalog.file("ghost")).rejects.toMatchObject({ code: "DataCorrupt" });
    await expect(catalog.remove("ghost")).rejects.toMatchObject({ code: "DataCorrupt" });
  });

  it("has a file and a directory of one name beside each other", async () => {
    const { file } = await catalog.put("a");
    await catalog.put("a/b");
    expect((await catalog.file("a"))?.inode).toBe(file.inode);
    expect((await catalog.directory("a"))?.inode).not.toBe(file.inode);
    await catalog.remove("a");
    expect([await catalog.file("a"), (await catalog.directory("a"))?.kind]).toEqual([undefined, "directory"]);
  });

  it("makes directories that nobody asked for with usual attributes, and takes them away up to one that somebody made", async () => {
    await catalog.makeDirectory("a");
    await catalog.put("a/b/c/file");
    const made = await catalog.directory("a/b");
    expect(made).toEqual({
      inode: made?.inode,
      kind: "directory",
      mode: 0o755,
      uid: 0,
      gid: 0,
      linkCount: 3,
      sizeBytes: 0,
      accessed: momentOf(2_000),
      modified: momentOf(2_000),
      changed: momentOf(2_000),
      created: momentOf(2_000),
      implicit: true,
      parent: { inode: (await catalog.directory("a"))?.inode, name: "b" },
    });
    await catalog.put("a/b/other");
    await catalog.remove("a/b/c/file");
    expect([await catalog.directory("a/b/c"), (await catalog.directory("a/b"))?.inode]).toEqual([
      undefined,
      made?.inode,
    ]);
    await catalog.remove("a/b/other");
    expect([await catalog.directory("a/b"), (await catalog.directory("a"))?.mode]).toEqual([undefined, 0o750]);
    expect((await catalog.check()).faults).toEqual([]);
  });
});

describe("keys that name files", () => {
  it("have 1,024 bytes at most, with the slash of a directory", () => {
    const long = `${`${"x".repeat(254)}/`.repeat(4)}abcd`;
    expect(long).toHaveLength(1_024);
    expect(parseKey(long).path).toBe(long);
    expect(() => parseKey(`${long}/`)).toThrow(expect.objectContaining({ code: "KeyTooLong" }));
    expect(() => parseKey(`${long}x`)).toThrow(expect.objectContaining({ code: "KeyTooLong" }));
    expect(() => {
      checkPath(`${long}x`);
    }).toThrow(expect.objectContaining({ code: "KeyTooLong" }));
    expect(parseKey(`${long.slice(0, -1)}/`)).toEqual({ path: long.slice(0, -1), directory: true });
  });

  it("are written with a slash only for directories", () => {
    expect([keyOf("a/b" as FilePath, true), keyOf("a/b" as FilePath, false)]).toEqual(["a/b/", "a/b"]);
  });

  it.each([
    ["", "is empty"],
    ["/a", "begins with a slash"],
    ["a\tb", "holds a control character"],
    ["a\udc00", "is not valid Unicode"],
    ["a//b", "holds two slashes in a row"],
    ["a/..", 'holds the component "..", which names no file'],
    [".globalfs", "begins with .globalfs, which GlobalFS keeps for itself"],
  ])("like %j are refused with the fault", (key, fault) => {
    expect(() => parseKey(key)).toThrow(fault);
  });
});
