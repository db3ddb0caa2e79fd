import { beforeEach, describe, expect, it } from "vitest";
import type { VersionId } from "../core/ids.ts";
import { findVersion, historyAfter, removeBucket, shownVersionId } from "./index.ts";
import { pastSpace } from "./past-rows.ts";
import { attributesSpace } from "./rows.ts";
import { at, TestCatalog } from "./testing/catalog.ts";

let catalog: TestCatalog;
beforeEach(async () => {
  catalog = await TestCatalog.open();
  await catalog.writeBucket("b");
});

const id = (text: string): VersionId => text as VersionId;
const suspend = async (): Promise<void> => await catalog.writeBucket("b", { versioning: "suspended" });
const resume = async (): Promise<void> => await catalog.writeBucket("b");
const noFaults = async (): Promise<void> => {
  expect((await catalog.check()).faults).toEqual([]);
};

describe("a directory that is renamed with its history", () => {
  const moveDirectory = async (from: string, to: string, overwrite = false): Promise<unknown> =>
    await catalog.move(from, to, { directory: true, overwrite });

  it("takes the older versions below it along, and no others", async () => {
    await catalog.putApart("b/d/x", { id: id("1") });
    await catalog.putApart("b/d/x", { id: id("2") });
    await catalog.putApart("b/d/gone", { id: id("3") });
    await catalog.deleteKey("b/d/gone", { tombstoneVersionId: id("4") });
    await catalog.deleteKey("b/dd/x", { tombstoneVersionId: id("5") });
    await moveDirectory("b/d", "b/e");
    expect([
      await catalog.history("b/e/x"),
      await catalog.history("b/e/gone"),
      await catalog.history("b/dd/x"),
    ]).toEqual([["1"], ["4!", "3"], ["5!"]]);
    expect([await catalog.history("b/d/x"), await catalog.history("b/d/gone")]).toEqual([[], []]);
    await noFaults();
  });

  it("comes on top of what its new name remembers, whose versions without an id get one", async () => {
    await suspend();
    await catalog.putApart("b/e/x", { id: id("1") });
    await resume();
    await catalog.deleteKey("b/e/x", { tombstoneVersionId: id("2") });
    await suspend();
    await catalog.deleteKey("b/e/y", { tombstoneVersionId: id("3") });
    await catalog.putApart("b/d/x", { id: id("4") });
    await resume();
    await catalog.putApart("b/d/x", { id: id("5") });
    await catalog.putApart("b/d/x", { id: id("6") });
    await catalog.deleteKey("b/d/z", { tombstoneVersionId: id("7") });
    await moveDirectory("b/d", "b/e");
    expect([await catalog.history("b/e/x"), await catalog.history("b/e/y"), await catalog.history("b/e/z")]).toEqual([
      ["5", "null", "2!", "1"],
      ["3!"],
      ["7!"],
    ]);
    const found = await catalog.view((tx) => findVersion(tx, at("b/e/x"), "1"));
    expect(found).toMatchObject({ kind: "older", file: { version: { id: "1", details: { versioned: true } } } });
    await noFaults();
  });

  it("stays in buckets that keep versions", async () => {
    await catalog.putApart("b/d/x", { id: id("1") });
    await expect(moveDirectory("b/d", "plain/d")).rejects.toMatchObject({ code: "Conflict", retry: "never" });
    await expect(moveDirectory("b", "plain/d")).rejects.toMatchObject({ code: "Conflict" });
    await expect(moveDirectory("b/d", "top")).rejects.toMatchObject({ code: "Conflict" });
    await catalog.writeBucket("c");
    await expect(moveDirectory("b/d", "c", true)).rejects.toMatchObject({ code: "Conflict" });
    await moveDirectory("b/d", "c/d");
    await moveDirectory("b", "other");
    await catalog.putApart("plain/d/x");
    await moveDirectory("plain/d", "other/d");
    await noFaults();
  });

  it("in a bucket with locks keeps its name", async () => {
    await catalog.writeBucket("locked", { objectLock: true });
    await catalog.putApart("locked/d/x");
    await expect(moveDirectory("locked/d", "b/d")).rejects.toMatchObject({ code: "PermissionDenied" });
    await expect(moveDirectory("locked", "other")).rejects.toMatchObject({ code: "PermissionDenied" });
    await catalog.putApart("b/d/x");
    await moveDirectory("b/d", "locked/e");
    await noFaults();
  });

  it("takes no more rows to be moved, however many hang below it", async () => {
    for (let index = 0; index < 300; index++) await catalog.deleteKey(`b/d/${index}`);
    await catalog.putApart("b/d/x");
    await moveDirectory("b/d", "b/e");
    expect(await catalog.history("b/e/299")).toHaveLength(1);
    expect(await catalog.history("b/d/299")).toEqual([]);
    await noFaults();
  });

  it("takes along what hung under its name before it came, wherever it goes", async () => {
    await catalog.deleteKey("b/e/sub/x", { tombstoneVersionId: id("1") });
    await catalog.putApart("b/d/sub/x", { id: id("2") });
    await catalog.putApart("b/d/sub/x", { id: id("3") });
    await moveDirectory("b/d", "b/e");
    expect(await catalog.history("b/e/sub/x")).toEqual(["2", "1!"]);
    await moveDirectory("b/e/sub", "b/sub");
    expect([await catalog.history("b/sub/x"), await catalog.history("b/e/sub/x")]).toEqual([["2", "1!"], []]);
    await moveDirectory("b/sub", "b/d/again");
    expect(await catalog.history("b/d/again/x")).toEqual(["2", "1!"]);
    expect(await catalog.view((tx) => findVersion(tx, at("b/d/again/x"), "1"))).toMatchObject({ kind: "marker" });
    await noFaults();
  });

  it("may come to the same name again and again", async () => {
    for (const each of ["1", "2", "3"]) {
      await catalog.putApart("b/made/x", { id: id(each) });
      await moveDirectory("b/made", "b/d");
      await catalog.deleteKey("b/d/x", { tombstoneVersionId: id(`${each}m`) });
    }
    const whole = ["3m!", "3", "2m!", "2", "1m!", "1"];
    expect(await catalog.history("b/d/x")).toEqual(whole);
    const found = await catalog.view((tx) => historyAfter(tx, "b/d/x", { limit: 100 }));
    for (const [index, row] of found.entries()) {
      const after = await catalog.view((tx) => historyAfter(tx, "b/d/x", { after: row, limit: 2 }));
      expect(after.map(shownVersionId)).toEqual(whole.slice(index + 1, index + 3).map((each) => each.replace("!", "")));
    }
    await noFaults();
    for (const each of ["2m", "1", "3", "1m", "2", "3m"]) await catalog.removeVersion("b/d/x", each);
    expect(await catalog.history("b/d/x")).toEqual([]);
    expect(await catalog.rowsBelow(pastSpace)).toBe(0);
    expect(await catalog.file("b/d/x")).toBeUndefined();
    await noFaults();
  });

  it("replaces an empty one, whose history goes on below its own", async () => {
    await catalog.makeDirectory("b/e");
    await catalog.deleteKey("b/e/x", { tombstoneVersionId: id("1") });
    await catalog.putApart("b/d/x", { id: id("2") });
    await moveDirectory("b/d", "b/e", true);
    expect(await catalog.history("b/e/x")).toEqual(["1!"]);
    await noFaults();
  });
});

describe("a directory whose last file was deleted", () => {
  it("is there no more, keeps the history of what lay in it, and is the same when it is made again", async () => {
    await catalog.putApart("b/d/sub/x", { id: id("1") });
    const before = await catalog.directory("b/d/sub");
    await catalog.deleteKey("b/d/sub/x", { tombstoneVersionId: id("2") });
    expect([await catalog.directory("b/d/sub"), await catalog.directory("b/d")]).toEqual([undefined, undefined]);
    expect(await catalog.history("b/d/sub/x")).toEqual(["2!", "1"]);
    await noFaults();
    await catalog.makeDirectory("b/d/sub", { parents: true });
    expect(await catalog.directory("b/d/sub")).toMatchObject({ inode: before?.inode, created: { ms: 3_000 } });
    expect(await catalog.history("b/d/sub/x")).toEqual(["2!", "1"]);
    expect(await catalog.rowsBelow(pastSpace)).toBe(0);
    await noFaults();
  });

  it("goes for good with the last row of its history, and what lay above it with that", async () => {
    await catalog.deleteKey("b/d/e/x", { tombstoneVersionId: id("1") });
    await catalog.deleteKey("b/d/y", { tombstoneVersionId: id("2") });
    const inodes = await catalog.rowsBelow(attributesSpace);
    await catalog.removeVersion("b/d/e/x", "1");
    expect(await catalog.rowsBelow(attributesSpace)).toBe(inodes - 1);
    await catalog.removeVersion("b/d/y", "2");
    expect([await catalog.rowsBelow(attributesSpace), await catalog.rowsBelow(pastSpace)]).toEqual([inodes - 2, 0]);
    await noFaults();
  });

  it("comes back with the version that shows again", async () => {
    await catalog.putApart("b/d/x", { id: id("1") });
    await catalog.deleteKey("b/d/x", { tombstoneVersionId: id("2") });
    await catalog.removeVersion("b/d/x", "2");
    expect((await catalog.file("b/d/x"))?.version?.id).toBe("1");
    expect(await catalog.rowsBelow(pastSpace)).toBe(0);
    await noFaults();
  });

  it("keeps its bucket", async () => {
    await catalog.deleteKey("b/d/x", { tombstoneVersionId: id("1") });
    await expect(catalog.run((tx) => removeBucket(tx, { name: "b", nowMs: 9 }))).rejects.toMatchObject({
      code: "NotEmpty",
    });
    await catalog.removeVersion("b/d/x", "1");
    await catalog.run((tx) => removeBucket(tx, { name: "b", nowMs: 9 }));
    expect((await catalog.check()).directories).toBe(1);
  });
});

describe("a version without an id that lies below another directory of its name", () => {
  beforeEach(async () => {
    await suspend();
    await catalog.putApart("b/e/x", { id: id("1") });
    await resume();
    await catalog.deleteKey("b/e/x", { tombstoneVersionId: id("2") });
    await catalog.makeDirectory("b/d");
    await catalog.move("b/d", "b/e", { directory: true });
  });

  it("is known by its id, and by that it is labelled, shown again and removed", async () => {
    expect(await catalog.history("b/e/x")).toEqual(["2!", "1"]);
    expect(await catalog.view((tx) => findVersion(tx, at("b/e/x"), "null"))).toBeUndefined();
    await catalog.label("b/e/x", { versionId: "1", tags: { a: "b" } });
    await noFaults();
    await catalog.removeVersion("b/e/x", "2");
    expect((await catalog.file("b/e/x"))?.version).toMatchObject({ id: "1", details: { versioned: true } });
    await noFaults();
    await catalog.removeVersion("b/e/x", "1");
    expect([await catalog.file("b/e/x"), await catalog.rowsBelow(pastSpace)]).toEqual([undefined, 0]);
    await noFaults();
  });

  it("shows again with its id also without having been labelled, beside a new one without", async () => {
    await catalog.removeVersion("b/e/x", "2");
    expect((await catalog.file("b/e/x"))?.version).toMatchObject({ id: "1", details: { versioned: true } });
    await suspend();
    await catalog.putApart("b/e/x", { id: id("3") });
    expect(await catalog.history("b/e/x")).toEqual(["1"]);
    expect((await catalog.file("b/e/x"))?.version?.id).toBe("3");
    await noFaults();
  });
});
