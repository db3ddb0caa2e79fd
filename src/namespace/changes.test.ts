import { beforeEach, describe, expect, it } from "vitest";
import type { FilePath, VersionId } from "../core/ids.ts";
import { afterPrefix, type Program } from "../kv/index.ts";
import {
  type Change,
  lastChange,
  link,
  makeSymlink,
  readChanges,
  readFeed,
  type FeedPage,
  removeDirectory,
  trimChanges,
} from "./index.ts";
import { recordChange } from "./changes.ts";
import { changeSpace } from "./rows.ts";
import { at, TestCatalog } from "./testing/catalog.ts";
import { testVersion } from "./testing/model.ts";

let catalog: TestCatalog;
beforeEach(async () => {
  catalog = await TestCatalog.open();
});

describe("the change feed tells", () => {
  it("of a write, whether it made the file or changed it, and which version it is", async () => {
    const told = await catalog.told(async () => {
      await catalog.put("d/a");
      await catalog.put("d/a");
    });
    const file = await catalog.file("d/a");
    expect(told).toEqual([
      { kind: "created", path: "d/a", inode: file?.inode, versionId: expect.any(String), atMs: 2_000 },
      { kind: "updated", path: "d/a", inode: file?.inode, versionId: file?.version?.id, atMs: 2_000 },
    ]);
  });

  it("of copies and of uploads in parts that they are that", async () => {
    const parts = { ...testVersion("b"), details: { partCount: 2 } };
    const told = await catalog.told(async () => {
      await catalog.put("a", { copied: true });
      await catalog.put("b", { version: parts });
      await catalog.put("b", { version: { ...parts, id: "x" as VersionId }, copied: true });
    });
    expect(told.map(({ cause }) => cause)).toEqual(["copied", "assembled", "copied"]);
  });

  it("of a delete, which version went, and whether a rule did it", async () => {
    const { file } = await catalog.put("a");
    await catalog.put("b");
    const told = await catalog.told(async () => {
      await catalog.remove("a");
      await catalog.remove("b", { expired: true });
      await catalog.remove("none");
    });
    expect(told).toEqual([
      { kind: "removed", path: "a", inode: file.inode, versionId: file.version?.id, atMs: 5_000 },
      expect.objectContaining({ kind: "removed", path: "b", cause: "expired" }),
    ]);
  });

  it("of a delete marker with its own id, and nothing else of the same delete", async () => {
    await catalog.writeBucket("b");
    const { file } = await catalog.putApart("b/x");
    await catalog.putApart("b/y");
    const told = await catalog.told(async () => {
      await catalog.deleteKey("b/x", { tombstoneVersionId: "m1" as VersionId });
      await catalog.deleteKey("b/y", { tombstoneVersionId: "m2" as VersionId, expired: true });
      await catalog.deleteKey("b/none", { tombstoneVersionId: "m3" as VersionId });
    });
    expect(told).toEqual([
      { kind: "removed", path: "b/x", inode: file.inode, versionId: "m1", atMs: 5_000, cause: "hidden" },
      expect.objectContaining({ path: "b/y", versionId: "m2", cause: "expired" }),
      { kind: "removed", path: "b/none", inode: 1, versionId: "m3", atMs: 5_000, cause: "hidden" },
    ]);
  });

  it("of a delete without a marker, of a file that stays under another name, once", async () => {
    await catalog.writeBucket("b", { versioning: "suspended" });
    await catalog.putApart("b/x");
    await catalog.run((tx) => link(tx, { from: at("b/x"), to: at("b/y"), nowMs: 1, nextInode: catalog.nextInode }));
    expect((await catalog.told(async () => await catalog.deleteKey("b/x"))).map(({ cause }) => cause)).toEqual([
      "hidden",
    ]);
  });

  it("of an older version that shows again, whether the name was there or is made", async () => {
    await catalog.writeBucket("b");
    const first = await catalog.putApart("b/x");
    const second = await catalog.putApart("b/x");
    const update = await catalog.told(
      async () => await catalog.removeVersion("b/x", second.file.version?.id as string),
    );
    const now = await catalog.file("b/x");
    expect(now?.version?.id).toBe(first.file.version?.id);
    const line = { path: "b/x", versionId: now?.version?.id, atMs: 5_000, cause: "uncovered" };
    expect(update).toEqual([{ ...line, kind: "updated", inode: now?.inode }]);
    await catalog.deleteKey("b/x", { tombstoneVersionId: "marker" as VersionId });
    const created = await catalog.told(async () => await catalog.removeVersion("b/x", "marker"));
    expect(created).toEqual([{ ...line, kind: "created", inode: (await catalog.file("b/x"))?.inode }]);
  });

  it("of labels, which kind they are of, and not of an older version's", async () => {
    await catalog.writeBucket("b");
    const { file } = await catalog.putApart("b/x");
    const told = await catalog.told(async () => {
      await catalog.label("b/x", { tags: { a: "b" } });
      await catalog.label("b/x", { tags: null });
      await catalog.label("b/x", { accessList: "l" });
    });
    expect(told).toEqual(
      ["tagged", "untagged", "labelled"].map((cause) => ({
        kind: "updated",
        path: "b/x",
        inode: file.inode,
        versionId: file.version?.id,
        atMs: 7_000,
        cause,
      })),
    );
    await catalog.putApart("b/x");
    const versionId = file.version?.id as string;
    const older = await catalog.told(async () => await catalog.label("b/x", { versionId, tags: { c: "d" } }));
    expect(older).toEqual([]);
  });

  it("of links and directories, which have no versions", async () => {
    const { file } = await catalog.put("a");
    const { nextInode } = catalog;
    const told = await catalog.told(async () => {
      await catalog.run((tx) => link(tx, { from: at("a"), to: at("b"), nowMs: 3, nextInode }));
      await catalog.run((tx) => makeSymlink(tx, { path: at("s"), target: "a", uid: 0, gid: 0, nowMs: 4, nextInode }));
      await catalog.run((tx) => link(tx, { from: at("s"), to: at("t"), nowMs: 5, nextInode }));
      await catalog.makeDirectory("d");
      await catalog.run((tx) => removeDirectory(tx, { path: at("d"), semantics: "directory", nowMs: 6 }));
      await catalog.remove("t");
    });
    const s = (await catalog.file("s"))?.inode;
    expect(told).toEqual([
      { kind: "created", path: "b", inode: file.inode, versionId: file.version?.id, atMs: 3 },
      { kind: "created", path: "s", inode: s, atMs: 4 },
      { kind: "created", path: "t", inode: s, atMs: 5 },
      { kind: "created", path: "d", inode: expect.any(Number), atMs: 3_000 },
      { kind: "removed", path: "d", inode: expect.any(Number), atMs: 6 },
      { kind: "removed", path: "t", inode: s, atMs: 5_000 },
    ]);
  });

  it("of a rename, from where and to where, and what it replaced", async () => {
    const a = (await catalog.put("a")).file;
    const b = (await catalog.put("b")).file;
    await catalog.makeDirectory("d");
    const told = await catalog.told(async () => {
      await catalog.move("a", "b", { overwrite: true });
      await catalog.move("d", "e", { directory: true });
    });
    expect(told).toEqual([
      { kind: "removed", path: "b", inode: b.inode, versionId: b.version?.id, atMs: 6_000 },
      { kind: "renamed", path: "b", from: "a", inode: a.inode, versionId: a.version?.id, atMs: 6_000 },
      { kind: "renamed", path: "e", from: "d", inode: expect.any(Number), atMs: 6_000 },
    ]);
  });
});

describe("readers of the change feed", () => {
  const write = async (...paths: readonly string[]): Promise<void> => {
    for (const [index, path] of paths.entries())
      await catalog.run(function* (tx): Program<void> {
        recordChange(tx, { kind: "created", path: path as FilePath, inode: 1 as Change["inode"], atMs: index });
      });
  };
  const feed = async (after: number, limit = 10): Promise<FeedPage> =>
    await catalog.view((tx) => readFeed(tx, { after, limit }));
  const positions = async (): Promise<number[]> => (await feed(0)).changes.map(({ position }) => position);
  const last = async (): Promise<number> => await catalog.view((tx) => lastChange(tx));

  it("read from where they are, and know where to go on", async () => {
    expect(await last()).toBe(0);
    expect(await catalog.view((tx) => readChanges(tx, { after: 0, limit: 10 }))).toEqual({ changes: [], cursor: 0 });
    await write("a", "b", "c");
    const [a, b, c] = (await positions()) as [number, number, number];
    expect(await last()).toBe(c);
    const page = await catalog.view((tx) => readChanges(tx, { after: 0, limit: 2 }));
    expect([page.changes.map(({ path }) => path), page.cursor]).toEqual([["a", "b"], b]);
    const rest = await catalog.view((tx) => readChanges(tx, { after: page.cursor, limit: 2 }));
    expect([rest.changes.map(({ path }) => path), rest.cursor]).toEqual([["c"], c]);
    expect(await catalog.view((tx) => readChanges(tx, { after: c, limit: 2 }))).toEqual({ changes: [], cursor: c });
    expect((await feed(a, 1)).changes).toMatchObject([{ path: "b", position: b }]);
  });

  it("are told where the feed goes on when what they had not read was forgotten", async () => {
    await write("a", "b", "c", "d");
    const [a, b, c, d] = (await positions()) as [number, number, number, number];
    expect(await feed(a)).toMatchObject({ after: a, changes: [{ path: "b" }, { path: "c" }, { path: "d" }] });
    await catalog.run((tx) => trimChanges(tx, { beforeMs: 2, limit: 10 }));
    expect(await feed(a)).toMatchObject({ after: b, changes: [{ path: "c" }, { path: "d" }] });
    expect((await feed(b)).after).toBe(b);
    expect((await feed(c)).after).toBe(c);
    expect(await feed(d)).toEqual({ after: d, changes: [] });
    // Who begins has missed nothing.
    expect((await feed(0)).after).toBe(0);
  });

  it("find the oldest forgotten up to a moment, in pages", async () => {
    await write("a", "b", "c", "d");
    const all = await positions();
    const trim = async (beforeMs: number, limit: number): Promise<number | undefined> =>
      await catalog.run((tx) => trimChanges(tx, { beforeMs, limit }));
    expect(await trim(0, 10)).toBeUndefined();
    expect(await positions()).toEqual(all);
    expect(await trim(3, 2)).toBe(all[1]);
    expect(await positions()).toEqual(all.slice(2));
    expect(await trim(3, 2)).toBeUndefined();
    expect(await positions()).toEqual(all.slice(3));
    expect(await trim(99, 10)).toBeUndefined();
    expect(await positions()).toEqual([]);
    expect(await last()).toBe(0);
  });

  it("do not take what lies behind the feed for a part of it", async () => {
    await write("a");
    const end = afterPrefix(changeSpace);
    await catalog.write([[end, Buffer.from("no change")]]);
    expect((await feed(0)).changes).toHaveLength(1);
    expect(await last()).toBe((await positions())[0]);
  });
});
