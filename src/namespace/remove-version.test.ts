import { beforeEach, describe, expect, it } from "vitest";
import type { Inode, SiteName, VersionId } from "../core/ids.ts";
import { momentOf } from "../core/moment.ts";
import { findHistory, findOwner, findTombstone, historyAfter, readVersionParts, writeVersionParts } from "./index.ts";
import type { Program } from "../kv/index.ts";
import { at, TestCatalog } from "./testing/catalog.ts";
import { nextTestId, testVersion } from "./testing/model.ts";
import type { FileVersion } from "./index.ts";

let catalog: TestCatalog;
beforeEach(async () => {
  catalog = await TestCatalog.open();
  await catalog.writeBucket("b");
});

const LOCAL = "local" as SiteName;
const id = (text: string): VersionId => text as VersionId;
const suspend = async (): Promise<void> => await catalog.writeBucket("b", { versioning: "suspended" });
const resume = async (): Promise<void> => await catalog.writeBucket("b");
const noFaults = async (): Promise<void> => {
  expect((await catalog.check()).faults).toEqual([]);
};

describe("one version that is removed for good", () => {
  it("goes out of the history, and nothing else changes", async () => {
    for (const each of ["1", "2", "3"]) await catalog.putApart("b/x", { id: id(each) });
    const removed = await catalog.removeVersion("b/x", "1");
    expect(removed).toMatchObject({ marker: false, file: { version: { id: "1" } }, orphans: [{ key: "objects/1" }] });
    expect(removed).not.toHaveProperty("promoted");
    expect([await catalog.history("b/x"), (await catalog.file("b/x"))?.version?.id]).toEqual([["2"], "3"]);
    expect([await catalog.isOwned("objects/1"), await catalog.isOwned("objects/2")]).toEqual([false, true]);
    await noFaults();
  });

  it("gives way to the one before it when it was current", async () => {
    const first = await catalog.putApart("b/x", { id: id("1") });
    const { kept } = await catalog.putApart("b/x", { id: id("2") });
    const removed = await catalog.removeVersion("b/x", "2", { tombstoneVersionId: id("9") });
    const file = await catalog.file("b/x");
    expect(removed?.promoted).toEqual({ holder: kept?.inode, file });
    expect(file).toEqual({ ...first.file, changed: momentOf(5_000), modified: momentOf(1_000) });
    expect(await catalog.view((tx) => findOwner(tx, LOCAL, "objects/1"))).toEqual({
      inode: first.file.inode,
      versionId: "1",
    });
    expect(removed?.orphans.map(({ key }) => key)).toEqual(["objects/2"]);
    expect(await catalog.view((tx) => findTombstone(tx, at("objects/2")))).toMatchObject({ versionId: "9" });
    expect(await catalog.history("b/x")).toEqual([]);
    await noFaults();
  });

  it("that was the last takes the key along, and directories that nobody made", async () => {
    await catalog.putApart("b/d/x", { id: id("1") });
    const removed = await catalog.removeVersion("b/d/x", "1", { tombstoneVersionId: id("9") });
    expect(removed).toMatchObject({ marker: false, orphans: [{ key: "objects/1" }] });
    expect([await catalog.directory("b/d"), await catalog.history("b/d/x")]).toEqual([undefined, []]);
    expect(await catalog.view((tx) => findTombstone(tx, at("b/d/x")))).toMatchObject({
      path: "b/d/x",
      deletedMs: 5_000,
      versionId: "9",
      etags: ["etag-1", "at-1"],
    });
    await noFaults();
  });

  it("and was a delete marker on top brings the key back, in directories that are made anew", async () => {
    await catalog.putApart("b/d/x", { id: id("1") });
    await catalog.deleteKey("b/d/x", { tombstoneVersionId: id("2") });
    const removed = await catalog.removeVersion("b/d/x", "2");
    expect(removed).toEqual({ marker: true, orphans: [] });
    expect(await catalog.file("b/d/x")).toMatchObject({ linkCount: 1, changed: momentOf(5_000), version: { id: "1" } });
    expect([await catalog.history("b/d/x"), (await catalog.directory("b/d"))?.implicit]).toEqual([[], true]);
    await noFaults();
  });

  it("and was a delete marker with another below, or above, brings nothing back", async () => {
    await catalog.putApart("b/x", { id: id("1") });
    for (const each of ["2", "3", "4"]) await catalog.deleteKey("b/x", { tombstoneVersionId: id(each) });
    await catalog.removeVersion("b/x", "4");
    await catalog.removeVersion("b/x", "2");
    expect([await catalog.history("b/x"), await catalog.file("b/x")]).toEqual([["3!", "1"], undefined]);
    await noFaults();
  });

  it("and was a delete marker below a version that was written since changes nothing above", async () => {
    await catalog.deleteKey("b/x", { tombstoneVersionId: id("1") });
    await catalog.putApart("b/x", { id: id("2") });
    await catalog.removeVersion("b/x", "1");
    expect([await catalog.history("b/x"), (await catalog.file("b/x"))?.version?.id]).toEqual([[], "2"]);
  });

  it("leaves the file its marker when a marker lies below it", async () => {
    await catalog.deleteKey("b/x", { tombstoneVersionId: id("1") });
    await catalog.putApart("b/x", { id: id("2") });
    const removed = await catalog.removeVersion("b/x", "2");
    expect(removed?.orphans.map(({ key }) => key)).toEqual(["objects/2"]);
    expect([await catalog.history("b/x"), await catalog.file("b/x")]).toEqual([["1!"], undefined]);
    await noFaults();
  });

  it("is none that is not there, and holds the expectation all the same", async () => {
    expect(await catalog.removeVersion("b/x", "1")).toBeUndefined();
    await expect(catalog.removeVersion("b/x", "1", { expect: { kind: "etag", etags: ["*"] } })).rejects.toMatchObject({
      code: "PreconditionFailed",
    });
    await catalog.putApart("b/x", { id: id("1") });
    await catalog.putApart("b/x", { id: id("2") });
    for (const versionId of ["1", "2"])
      await expect(
        catalog.removeVersion("b/x", versionId, { expect: { kind: "etag", etags: ["other"] } }),
      ).rejects.toMatchObject({ code: "PreconditionFailed" });
    const expectation = { kind: "etag" as const, etags: ["etag-1"] };
    expect((await catalog.removeVersion("b/x", "1", { expect: expectation }))?.file?.version?.id).toBe("1");
    await catalog.deleteKey("b/x", { tombstoneVersionId: id("3") });
    await expect(catalog.removeVersion("b/x", "3", { expect: { kind: "etag", etags: ["*"] } })).rejects.toMatchObject({
      code: "PreconditionFailed",
    });
  });

  it("only when it is older is what the key does not show now", async () => {
    for (const each of ["1", "2"]) await catalog.putApart("b/x", { id: id(each) });
    const older = async (versionId: string): Promise<boolean> =>
      (await catalog.removeVersion("b/x", versionId, { only: "older" })) !== undefined;
    expect([await older("2"), await older("1")]).toEqual([false, true]);
    for (const each of ["3", "4"]) await catalog.deleteKey("b/x", { tombstoneVersionId: id(each) });
    expect([await older("4"), await older("3"), await older("2")]).toEqual([false, true, true]);
    expect(await catalog.history("b/x")).toEqual(["4!"]);
  });

  it("only when it is a lone marker is one that hides nothing", async () => {
    const lone = async (path: string, versionId: string): Promise<boolean> =>
      (await catalog.removeVersion(path, versionId, { only: "lone marker" })) !== undefined;
    await catalog.deleteKey("b/lone", { tombstoneVersionId: id("1") });
    await catalog.putApart("b/x", { id: id("2") });
    expect(await lone("b/x", "2")).toBe(false);
    await catalog.deleteKey("b/x", { tombstoneVersionId: id("3") });
    expect([await lone("b/x", "3"), await lone("b/x", "2")]).toEqual([false, false]);
    await catalog.deleteKey("b/y", { tombstoneVersionId: id("4") });
    await catalog.putApart("b/y", { id: id("5") });
    expect(await lone("b/y", "4")).toBe(false);
    expect([await lone("b/lone", "1"), await catalog.history("b/lone")]).toEqual([true, []]);
  });

  it("without an id is named null", async () => {
    await suspend();
    await catalog.putApart("b/x", { id: id("1") });
    await resume();
    await catalog.putApart("b/x", { id: id("2") });
    expect((await catalog.removeVersion("b/x", "null"))?.file?.version?.id).toBe("1");
    expect(await catalog.removeVersion("b/x", "1")).toBeUndefined();
    await noFaults();
  });
});

describe("the history of a key", () => {
  it("is read after any of its rows, the newest first, and only of that key", async () => {
    for (const each of ["1", "2", "3"]) await catalog.deleteKey("b/x", { tombstoneVersionId: id(each) });
    await catalog.deleteKey("b/xy");
    const directory = (await catalog.directory("b"))?.inode as Inode;
    const after = async ({ sequence, limit }: { sequence?: number; limit: number }): Promise<number[]> => {
      const query = { limit, ...(sequence === undefined ? {} : { after: { directory, sequence } }) };
      return (await catalog.view((tx) => historyAfter(tx, "b/x", query))).map((row) => row.sequence);
    };
    expect([await after({ limit: 9 }), await after({ limit: 2 })]).toEqual([
      [3, 2, 1],
      [3, 2],
    ]);
    expect([await after({ sequence: 3, limit: 9 }), await after({ sequence: 1, limit: 9 })]).toEqual([[2, 1], []]);
    expect(await catalog.view((tx) => findHistory(tx, "b/x", "4"))).toBeUndefined();
  });
});

describe("the parts that a version came in", () => {
  const parts = [
    { partNumber: 1, sizeBytes: 5, checksum: "AQID" },
    { partNumber: 2, sizeBytes: 1 },
  ];
  const putInParts = async (path: string, versionId: string): Promise<FileVersion> => {
    const version = {
      ...testVersion(path, { id: id(versionId), key: `objects/${versionId}` }),
      details: { partCount: 2 },
    };
    await catalog.put(path, { version });
    await catalog.run(function* (tx): Program<void> {
      writeVersionParts(tx, id(versionId), parts);
    });
    return version;
  };
  const readParts = async (version: FileVersion): Promise<unknown> =>
    await catalog.view((tx) => readVersionParts(tx, version));

  it("are read for a version that has some", async () => {
    const version = await putInParts("plain/x", "1");
    expect(await readParts(version)).toEqual(parts);
    const { details: _, ...whole } = version;
    expect(await readParts(whole)).toEqual([]);
    expect(await readParts({ ...version, id: nextTestId() })).toEqual([]);
  });

  it.each<[string, () => Promise<unknown>]>([
    ["is deleted", async () => await catalog.remove("plain/x")],
    ["is overwritten", async () => await catalog.putApart("plain/x")],
    ["is removed as a version", async () => await catalog.removeVersion("plain/x", "null")],
    [
      "is replaced by a rename",
      async () => {
        await catalog.putApart("plain/y");
        await catalog.move("plain/y", "plain/x", { overwrite: true });
      },
    ],
  ])("go with it when it %s", async (_what, work) => {
    const version = await putInParts("plain/x", "1");
    await work();
    expect(await readParts(version)).toEqual([]);
  });

  it("stay with a version that stays in the history, and go when it is removed from there", async () => {
    const version = await putInParts("b/x", "1");
    await catalog.putApart("b/x", { id: id("2") });
    expect(await readParts(version)).toEqual(parts);
    await catalog.removeVersion("b/x", "1");
    expect(await readParts(version)).toEqual([]);
    const current = await putInParts("b/x", "3");
    await catalog.removeVersion("b/x", "3");
    expect([await readParts(current), (await catalog.file("b/x"))?.version?.id]).toEqual([[], "2"]);
  });

  it("stay when the same version is written once more", async () => {
    const version = await putInParts("plain/x", "1");
    await catalog.put("plain/x", { version });
    expect(await readParts(version)).toEqual(parts);
  });
});
