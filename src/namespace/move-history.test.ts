import { beforeEach, describe, expect, it } from "vitest";
import type { VersionId } from "../core/ids.ts";
import { findVersion } from "./index.ts";
import type { Program } from "../kv/index.ts";
import { putHistory } from "./history-rows.ts";
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

  it("with a history goes nowhere where none is kept, and without one it does", async () => {
    await catalog.putApart("b/d/x", { id: id("1") });
    await catalog.putApart("b/d/x", { id: id("2") });
    await expect(moveDirectory("b/d", "plain/d")).rejects.toMatchObject({ code: "Conflict", retry: "never" });
    await expect(moveDirectory("b", "plain/d")).rejects.toMatchObject({ code: "Conflict" });
    await expect(moveDirectory("b/d", "top")).rejects.toMatchObject({ code: "Conflict" });
    await catalog.removeVersion("b/d/x", "1");
    await moveDirectory("b/d", "plain/d");
    expect((await catalog.file("plain/d/x"))?.version?.id).toBe("2");
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

  const remember = async (paths: readonly string[]): Promise<void> => {
    for (let begin = 0; begin < paths.length; begin += 40)
      await catalog.run(function* (tx): Program<void> {
        for (const path of paths.slice(begin, begin + 40))
          putHistory(tx, { path: at(path), sequence: 1, versionId: id("m"), versioned: true, createdMs: 1 });
      });
  };

  it("with more than twenty older versions is too large to be renamed at once", async () => {
    await catalog.makeDirectory("b/d");
    await remember(Array.from({ length: 20 }, (_, index) => `b/d/${index}`));
    await moveDirectory("b/d", "b/e");
    expect(await catalog.history("b/e/19")).toEqual(["m!"]);
    await remember(["b/e/one more"]);
    await expect(moveDirectory("b/e", "b/d")).rejects.toMatchObject({ code: "TooLarge" });
  });
});
