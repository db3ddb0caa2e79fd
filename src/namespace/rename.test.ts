import { beforeEach, describe, expect, it } from "vitest";
import type { VersionId } from "../core/ids.ts";
import { momentOf } from "../core/moment.ts";
import { findTombstone, historyAfter, type HistoryRow, link, makeSymlink } from "./index.ts";
import { at, placesOf, TestCatalog } from "./testing/catalog.ts";
import type { FileVersion } from "./index.ts";

let catalog: TestCatalog;
beforeEach(async () => {
  catalog = await TestCatalog.open();
  await catalog.writeBucket("b");
});

const id = (text: string): VersionId => text as VersionId;
const suspend = async (): Promise<void> => await catalog.writeBucket("b", { versioning: "suspended" });
const resume = async (): Promise<void> => await catalog.writeBucket("b");
const rows = async (path: string): Promise<HistoryRow[]> =>
  await catalog.view((tx) => historyAfter(tx, path, { limit: 100 }));
const noFaults = async (): Promise<void> => {
  expect((await catalog.check()).faults).toEqual([]);
};

describe("a rename in a bucket that keeps versions", () => {
  it("hides what lies in the history of the old name, and makes the version one of the new", async () => {
    await catalog.putApart("b/x", { id: id("1") });
    const { file } = await catalog.putApart("b/x", { id: id("2") });
    const { moved } = await catalog.move("b/x", "plain/y", { tombstoneVersionId: id("9") });
    expect(moved).toMatchObject({ inode: file.inode, changed: momentOf(6_000), version: { id: "2" } });
    expect(moved.version).not.toHaveProperty("details");
    expect(await catalog.history("b/x")).toEqual(["9!", "1"]);
    expect(await rows("b/x")).toMatchObject([{ createdMs: 6_000, versioned: true }, {}]);
    expect((await catalog.view((tx) => findTombstone(tx, at("b/x"))))?.versionId).toBe("9");
    await catalog.move("plain/y", "b/z");
    expect((await catalog.file("b/z"))?.version?.details).toEqual({ versioned: true });
    await noFaults();
  });

  it("leaves no marker where nothing is below, or a marker is", async () => {
    await catalog.deleteKey("b/y", { tombstoneVersionId: id("1") });
    await catalog.putApart("b/x");
    await catalog.putApart("b/y");
    await catalog.move("b/x", "b/x2");
    await catalog.move("b/y", "b/y2");
    expect([await catalog.history("b/x"), await catalog.history("b/y")]).toEqual([[], ["1!"]]);
    await noFaults();
  });

  it("that is suspended leaves a marker without an id in the place of another", async () => {
    await catalog.putApart("b/x", { id: id("1") });
    await suspend();
    await catalog.putApart("b/x", { id: id("2") });
    await catalog.move("b/x", "b/y");
    expect(await catalog.history("b/x")).toEqual(["null!", "1"]);
    await noFaults();
  });

  it("over a file puts it into the history, as a version with an id", async () => {
    await catalog.putApart("b/x", { id: id("1") });
    await catalog.putApart("b/y", { id: id("2") });
    const { replaced } = await catalog.move("b/x", "b/y", { overwrite: true });
    expect([replaced, await catalog.history("b/y"), await catalog.isOwned("objects/2")]).toEqual([
      undefined,
      ["2"],
      true,
    ]);
    await noFaults();
  });

  it("over a file where versions are suspended gives up what has no id, also below", async () => {
    await suspend();
    await catalog.putApart("b/x", { id: id("1") });
    await catalog.putApart("b/y", { id: id("2") });
    const first = await catalog.move("b/x", "b/y", { overwrite: true, tombstoneVersionId: id("9") });
    expect(first.replaced?.orphans.map(({ key }) => key)).toEqual(["objects/2"]);
    expect(await catalog.view((tx) => findTombstone(tx, at("b/y")))).toMatchObject({
      versionId: "9",
      deletedMs: 6_000,
      etags: ["etag-2", "at-2"],
    });
    expect(await catalog.view((tx) => findTombstone(tx, at("objects/2")))).toMatchObject({ versionId: "9" });
    expect(await catalog.history("b/y")).toEqual([]);
    await resume();
    await catalog.putApart("b/y", { id: id("3") });
    await catalog.putApart("b/x", { id: id("4") });
    await suspend();
    const second = await catalog.move("b/x", "b/y", { overwrite: true });
    expect(second.replaced?.orphans.map(({ key }) => key)).toEqual(["objects/1"]);
    expect(await catalog.history("b/y")).toEqual(["3"]);
    await noFaults();
  });

  it("to a name that was deleted where versions are suspended gives up what has no id there", async () => {
    await suspend();
    await catalog.putApart("b/y", { id: id("1") });
    await resume();
    await catalog.deleteKey("b/y", { tombstoneVersionId: id("2") });
    await catalog.putApart("b/x", { id: id("3") });
    await suspend();
    const { replaced, moved } = await catalog.move("b/x", "b/y");
    expect(replaced?.orphans.map(({ key }) => key)).toEqual(["objects/1"]);
    expect([replaced?.file.inode, await catalog.history("b/y")]).toEqual([moved.inode, ["2!"]]);
    await noFaults();
  });

  it("over a file with other names leaves it to them", async () => {
    const { nextInode } = catalog;
    await catalog.putApart("b/y", { id: id("1") });
    await catalog.run((tx) => link(tx, { from: at("b/y"), to: at("b/other"), nowMs: 1, nextInode }));
    await catalog.putApart("b/x", { id: id("2") });
    const { replaced } = await catalog.move("b/x", "b/y", { overwrite: true });
    expect([replaced?.orphans, await catalog.history("b/y"), (await catalog.file("b/other"))?.version?.id]).toEqual([
      [],
      [],
      "1",
    ]);
    await noFaults();
  });

  it("over a locked file where none are kept is refused", async () => {
    await catalog.writeBucket("b", { versioning: "suspended", objectLock: true });
    await catalog.putApart("b/y");
    await catalog.label("b/y", { legalHold: true });
    await catalog.putApart("b/x");
    await expect(catalog.move("b/x", "b/y", { overwrite: true })).rejects.toMatchObject({ code: "PermissionDenied" });
  });

  it("out of a bucket with locks leaves a lock that is over behind, and keeps it within one", async () => {
    await catalog.writeBucket("locked", { objectLock: true });
    await catalog.putApart("locked/x");
    await catalog.label("locked/x", { tags: { a: "b" }, retention: { mode: "compliance", untilMs: 7_001 } });
    const nowMs = 8_000;
    await catalog.move("locked/x", "locked/y", { nowMs });
    expect((await catalog.file("locked/y"))?.version?.details?.labels).toEqual({
      tags: { a: "b" },
      lock: { retention: { mode: "compliance", untilMs: 7_001 } },
    });
    await catalog.move("locked/y", "b/x", { nowMs });
    expect((await catalog.file("b/x"))?.version?.details).toEqual({
      versioned: true,
      labels: { tags: { a: "b" } },
    });
  });
});

describe("renaming", () => {
  it("moves a file with all that it is, and remembers the old name as deleted", async () => {
    const { file } = await catalog.put("d/a");
    const { moved } = await catalog.move("d/a", "e/b", { tombstoneVersionId: id("9") });
    const parent = { inode: (await catalog.directory("e"))?.inode, name: "b" };
    expect(moved).toEqual({ ...file, changed: momentOf(6_000), parent });
    expect(await catalog.file("e/b")).toEqual(moved);
    expect([await catalog.directory("d"), (await catalog.directory("e"))?.implicit]).toEqual([undefined, true]);
    const version = file.version as FileVersion;
    expect(await catalog.view((tx) => findTombstone(tx, at("d/a")))).toMatchObject({
      path: "d/a",
      deletedMs: 6_000,
      versionId: "9",
      etags: [version.etag, version.copies[0]?.etag],
    });
    await catalog.move("e/b", "f");
    expect((await catalog.view((tx) => findTombstone(tx, at("e/b"))))?.versionId).toBe(version.id);
  });

  it("to its own name, or of what is not there, does nothing", async () => {
    const { file } = await catalog.put("a");
    await catalog.makeDirectory("d");
    const told = await catalog.told(async () => {
      expect((await catalog.move("a", "a")).moved).toEqual(file);
      await catalog.move("d", "d", { directory: true });
    });
    expect(told).toEqual([]);
    await expect(catalog.move("none", "b")).rejects.toMatchObject({ code: "NotFound" });
    await expect(catalog.move("none/deep", "b")).rejects.toMatchObject({ code: "NotFound" });
    await expect(catalog.move("a", "b", { directory: true })).rejects.toMatchObject({ code: "NotFound" });
  });

  it("of a directory changes where it hangs", async () => {
    await catalog.makeDirectory("d");
    await catalog.put("e/x");
    const { moved } = await catalog.move("d", "e/f", { directory: true });
    expect(moved.parent).toEqual({ inode: (await catalog.directory("e"))?.inode, name: "f" });
    expect((await catalog.directory("e/f"))?.inode).toBe(moved.inode);
    await noFaults();
  });

  it("of a directory into itself is refused, and beside itself is not", async () => {
    await catalog.makeDirectory("d");
    await expect(catalog.move("d", "d/e", { directory: true })).rejects.toMatchObject({ code: "InvalidArgument" });
    await catalog.move("d", "de", { directory: true });
    await catalog.put("a");
    await catalog.move("a", "a/b");
    expect(await catalog.file("a/b")).toBeDefined();
    await noFaults();
  });

  it("of a directory over another needs leave, and that the other is empty", async () => {
    await catalog.makeDirectory("d");
    const { inode } = await catalog.makeDirectory("e");
    await expect(catalog.move("d", "e", { directory: true })).rejects.toMatchObject({ code: "AlreadyExists" });
    await catalog.put("e/x");
    await expect(catalog.move("d", "e", { directory: true, overwrite: true })).rejects.toMatchObject({
      code: "NotEmpty",
    });
    await catalog.remove("e/x");
    const { moved, replaced } = await catalog.move("d", "e", { directory: true, overwrite: true });
    expect([replaced, moved.inode === inode, (await catalog.directory("e"))?.inode]).toEqual([
      undefined,
      false,
      moved.inode,
    ]);
    await noFaults();
  });

  it("over a file hands back its objects, and remembers them as deleted under its name", async () => {
    await catalog.putApart("a", { id: id("1") });
    const b = await catalog.putApart("b", { id: id("2") });
    const { replaced } = await catalog.move("a", "b", { overwrite: true });
    expect(replaced).toEqual({ file: b.file, orphans: placesOf(b.file) });
    expect(await catalog.view((tx) => findTombstone(tx, at("b")))).toMatchObject({
      path: "b",
      deletedMs: 6_000,
      versionId: "2",
      etags: ["etag-2", "at-2"],
    });
    expect(await catalog.view((tx) => findTombstone(tx, at("objects/2")))).toMatchObject({ versionId: "2" });
    await noFaults();
  });

  it("of two names of one file is refused without leave, and does nothing with it", async () => {
    await catalog.put("a");
    const { nextInode } = catalog;
    await catalog.run((tx) => link(tx, { from: at("a"), to: at("b"), nowMs: 1, nextInode }));
    await expect(catalog.move("a", "b")).rejects.toMatchObject({ code: "AlreadyExists" });
    const told = await catalog.told(async () => await catalog.move("a", "b", { overwrite: true }));
    expect([told, (await catalog.file("a"))?.linkCount]).toEqual([[], 2]);
  });

  it("of a symbolic link leaves no tombstone, for there was no object", async () => {
    const { nextInode } = catalog;
    await catalog.run((tx) => makeSymlink(tx, { path: at("s"), target: "x", uid: 0, gid: 0, nowMs: 1, nextInode }));
    const { moved } = await catalog.move("s", "t");
    expect([moved.target, await catalog.view((tx) => findTombstone(tx, at("s")))]).toEqual(["x", undefined]);
    await catalog.put("a");
    await catalog.move("a", "t", { overwrite: true });
    expect(await catalog.view((tx) => findTombstone(tx, at("t")))).toBeUndefined();
    await noFaults();
  });
});
