import { beforeEach, describe, expect, it } from "vitest";
import type { SiteName, VersionId } from "../core/ids.ts";
import { momentOf } from "../core/moment.ts";
import {
  findMarker,
  findOwner,
  findTombstone,
  findVersion,
  historyAfter,
  type HistoryRow,
  link,
  makeSymlink,
  shownIdOf,
} from "./index.ts";
import { at, TestCatalog } from "./testing/catalog.ts";
import { testVersion } from "./testing/model.ts";
import type { Committed, Copy, FileVersion } from "./index.ts";

let catalog: TestCatalog;
beforeEach(async () => {
  catalog = await TestCatalog.open();
  await catalog.writeBucket("b");
});

const LOCAL = "local" as SiteName;
const id = (text: string): VersionId => text as VersionId;
const suspend = async (): Promise<void> => await catalog.writeBucket("b", { versioning: "suspended" });
const resume = async (): Promise<void> => await catalog.writeBucket("b");
const rows = async (path: string): Promise<HistoryRow[]> =>
  await catalog.view((tx) => historyAfter(tx, path, { limit: 100 }));
const noFaults = async (): Promise<void> => {
  expect((await catalog.check()).faults).toEqual([]);
};

describe("a write in a bucket that keeps versions", () => {
  it("puts the version before into the history, with its objects and all that it was", async () => {
    const first = await catalog.putApart("b/x", { id: id("1") });
    const second = await catalog.putApart("b/x", { id: id("2") });
    expect(second).toMatchObject({ orphans: [], previous: { id: "1" }, file: { inode: first.file.inode } });
    const { parent, ...unnamed } = first.file;
    expect(parent).toEqual({ inode: (await catalog.directory("b"))?.inode, name: "x" });
    expect(second.kept).toEqual({ ...unnamed, inode: second.kept?.inode, linkCount: 0, changed: momentOf(2_000) });
    expect(second.kept?.inode).not.toBe(first.file.inode);
    expect(await rows("b/x")).toEqual([
      {
        directory: (await catalog.directory("b"))?.inode,
        name: "x",
        sequence: 1,
        versionId: "1",
        versioned: true,
        createdMs: 1_000,
        inode: second.kept?.inode,
      },
    ]);
    expect(await catalog.view((tx) => findOwner(tx, LOCAL, "objects/1"))).toEqual({
      inode: second.kept?.inode,
      versionId: "1",
    });
    await noFaults();
  });

  it("finds each version by its id, and the delete marker", async () => {
    await catalog.putApart("b/x", { id: id("1") });
    await catalog.putApart("b/x", { id: id("2") });
    const find = async (shown: string): Promise<unknown> => {
      const found = await catalog.view((tx) => findVersion(tx, at("b/x"), shown));
      return found === undefined ? undefined : [found.kind, found.kind === "marker" ? "" : found.file.version?.id];
    };
    expect([await find("2"), await find("1"), await find("3")]).toEqual([["current", "2"], ["older", "1"], undefined]);
    expect(await catalog.view((tx) => findMarker(tx, at("b/x")))).toBeUndefined();
    expect(await catalog.view((tx) => findMarker(tx, at("b/none")))).toBeUndefined();
    const { marker } = await catalog.deleteKey("b/x", { tombstoneVersionId: id("3"), owner: "alice" });
    expect(marker).toEqual({
      directory: (await catalog.directory("b"))?.inode,
      name: "x",
      sequence: 3,
      versionId: "3",
      versioned: true,
      createdMs: 5_000,
      owner: "alice",
    });
    expect(await find("3")).toEqual(["marker", ""]);
    expect(await catalog.view((tx) => findMarker(tx, at("b/x")))).toEqual(marker);
  });

  it("of the same version once more changes no history", async () => {
    const { file } = await catalog.putApart("b/x", { id: id("1") });
    const again = await catalog.putApart("b/x", { id: id("1") });
    expect([again.file.inode, again.kept, await catalog.history("b/x")]).toEqual([file.inode, undefined, []]);
    await noFaults();
  });

  it("over the very objects of the version before leaves nothing of it to keep", async () => {
    await catalog.put("b/x", { id: id("1") });
    const second = await catalog.put("b/x", { id: id("2") });
    expect([second.kept, second.orphans, await catalog.history("b/x")]).toEqual([undefined, [], []]);
    await noFaults();
  });

  const copies = (...states: readonly [string, Copy["state"]][]): Copy[] =>
    states.map(([site, state]) => ({ site: site as SiteName, key: `${site}-key`, state, changedMs: 1 }));
  const overwriteLocal = async (other: Copy["state"]): Promise<Committed> => {
    const version = (versionId: string, list: Copy[]): FileVersion => ({
      ...testVersion("b/x", { id: id(versionId) }),
      copies: list,
    });
    await catalog.put("b/x", { version: version("1", copies(["local", "present"], ["cloud", other])) });
    return await catalog.put("b/x", { version: version("2", copies(["local", "present"])) });
  };

  it.each(["present", "foreign"] as const)("over one of two objects keeps the other, which is %s", async (state) => {
    const { kept, orphans } = await overwriteLocal(state);
    expect([kept?.version?.copies, orphans]).toEqual([copies(["cloud", state]), []]);
    expect(await catalog.history("b/x")).toEqual(["1"]);
    await noFaults();
  });

  it.each(["pending", "stale", "failed"] as const)(
    "over the only good object gives up one that is %s",
    async (state) => {
      const { kept, orphans } = await overwriteLocal(state);
      expect([kept, orphans]).toMatchObject([undefined, [{ site: "cloud" }]]);
      expect(await catalog.history("b/x")).toEqual([]);
      await noFaults();
    },
  );

  it("that is refused leaves no trace", async () => {
    await catalog.putApart("b/x", { id: id("1") });
    await expect(catalog.putApart("b/x", { expect: { kind: "absent" } })).rejects.toMatchObject({
      code: "PreconditionFailed",
    });
    const etag = (await catalog.file("b/x"))?.version?.etag as string;
    await expect(catalog.putApart("b/x", { expect: { kind: "etag", etags: ["x"] } })).rejects.toMatchObject({
      code: "PreconditionFailed",
    });
    await expect(catalog.putApart("b/x", { expect: { kind: "version", id: id("0") } })).rejects.toMatchObject({
      code: "Conflict",
    });
    expect(await catalog.history("b/x")).toEqual([]);
    await catalog.putApart("b/x", { id: id("2"), expect: { kind: "etag", etags: ["x", etag] } });
    await catalog.putApart("b/x", { id: id("3"), expect: { kind: "etag", etags: ["*"] } });
    await catalog.putApart("b/x", { id: id("4"), expect: { kind: "version", id: id("3") } });
    expect(await catalog.history("b/x")).toEqual(["3", "2", "1"]);
  });

  it("to a symbolic link is refused", async () => {
    const { nextInode } = catalog;
    await catalog.run((tx) => makeSymlink(tx, { path: at("b/s"), target: "x", uid: 0, gid: 0, nowMs: 1, nextInode }));
    await expect(catalog.putApart("b/s")).rejects.toMatchObject({ code: "AlreadyExists" });
  });
});

describe("a write where versions are suspended", () => {
  it("keeps what has an id, and takes the place of what has none", async () => {
    await catalog.putApart("b/x", { id: id("1") });
    await suspend();
    const second = await catalog.putApart("b/x", { id: id("2") });
    expect([second.kept?.version?.id, second.orphans]).toEqual(["1", []]);
    const third = await catalog.putApart("b/x", { id: id("3") });
    expect(third.kept).toBeUndefined();
    expect(third.orphans.map(({ key }) => key)).toEqual(["objects/2"]);
    expect(await catalog.history("b/x")).toEqual(["1"]);
    expect(shownIdOf(third.file.version as FileVersion)).toBe("null");
    await noFaults();
  });

  it("takes the place of a version without an id that lies deeper", async () => {
    await suspend();
    await catalog.putApart("b/x", { id: id("1") });
    await resume();
    await catalog.putApart("b/x", { id: id("2") });
    expect(await catalog.history("b/x")).toEqual(["null"]);
    await suspend();
    const third = await catalog.putApart("b/x", { id: id("3") });
    expect(third.orphans.map(({ key }) => key)).toEqual(["objects/1"]);
    expect([await catalog.history("b/x"), await catalog.isOwned("objects/1")]).toEqual([["2"], false]);
    await noFaults();
  });

  it("of a new key takes the place of its delete marker without an id", async () => {
    await suspend();
    await catalog.deleteKey("b/x");
    expect(await catalog.history("b/x")).toEqual(["null!"]);
    await catalog.putApart("b/x");
    expect(await catalog.history("b/x")).toEqual([]);
    await noFaults();
  });
});

describe("an object that another tool wrote, in a bucket that keeps versions", () => {
  it("is the version without an id, and one with an id where there is such a version", async () => {
    const first = await catalog.putApart("b/x", { id: id("1"), found: true });
    expect(first.file.version).not.toHaveProperty("details");
    const second = await catalog.putApart("b/x", { id: id("2"), found: true });
    expect([second.file.version?.details, await catalog.history("b/x")]).toEqual([{ versioned: true }, ["null"]]);
    const third = await catalog.putApart("b/x", { id: id("3"), found: true });
    expect([third.file.version?.details, await catalog.history("b/x")]).toEqual([{ versioned: true }, ["2", "null"]]);
    await noFaults();
  });

  it("is nothing special where none are kept", async () => {
    await catalog.putApart("plain/x", { found: true });
    const { file, orphans } = await catalog.putApart("plain/x", { found: true });
    expect([file.version?.details, orphans.length]).toEqual([undefined, 1]);
  });
});

describe("a delete in a bucket that keeps versions", () => {
  it("puts a delete marker on top and takes no object away", async () => {
    await catalog.putApart("b/d/x", { id: id("1") });
    const deleted = await catalog.deleteKey("b/d/x", { tombstoneVersionId: id("2") });
    expect([deleted.orphans, deleted.file?.version?.id, deleted.marker?.versionId]).toEqual([[], "1", "2"]);
    expect([await catalog.history("b/d/x"), await catalog.isOwned("objects/1"), await catalog.file("b/d/x")]).toEqual([
      ["2!", "1"],
      true,
      undefined,
    ]);
    expect(await catalog.directory("b/d")).toBeUndefined();
    expect((await catalog.view((tx) => findTombstone(tx, at("b/d/x"))))?.etags).toEqual(["etag-1", "at-1"]);
    await noFaults();
  });

  it("puts one more on a key that was deleted or never was", async () => {
    for (const path of ["b/x", "b/x"]) expect(await catalog.deleteKey(path)).not.toHaveProperty("file");
    expect(await catalog.history("b/x")).toHaveLength(2);
    expect((await catalog.view((tx) => findTombstone(tx, at("b/x"))))?.etags).toEqual([]);
    await noFaults();
  });

  it("holds the expectation first", async () => {
    await catalog.putApart("b/x", { id: id("1") });
    await expect(catalog.deleteKey("b/x", { expect: { kind: "version", id: id("0") } })).rejects.toMatchObject({
      code: "Conflict",
    });
    expect([await catalog.history("b/x"), (await catalog.file("b/x"))?.version?.id]).toEqual([[], "1"]);
  });

  it("that is suspended takes the version without an id away, and keeps one with", async () => {
    await catalog.putApart("b/x", { id: id("1") });
    await suspend();
    expect((await catalog.deleteKey("b/x", { tombstoneVersionId: id("2") })).marker).toMatchObject({
      versioned: false,
    });
    expect(await catalog.history("b/x")).toEqual(["null!", "1"]);
    await catalog.putApart("b/x", { id: id("3") });
    const gone = await catalog.deleteKey("b/x");
    expect(gone.orphans.map(({ key }) => key)).toEqual(["objects/3"]);
    expect([await catalog.history("b/x"), await catalog.isOwned("objects/3")]).toEqual([["null!", "1"], false]);
    await noFaults();
  });

  it("that is suspended takes a deeper version without an id away", async () => {
    await suspend();
    await catalog.putApart("b/x", { id: id("1") });
    await resume();
    await catalog.putApart("b/x", { id: id("2") });
    await suspend();
    const { orphans } = await catalog.deleteKey("b/x");
    expect([orphans.map(({ key }) => key), await catalog.history("b/x")]).toEqual([["objects/1"], ["null!", "2"]]);
    await noFaults();
  });

  it("leaves the version with a file that has another name", async () => {
    const { file } = await catalog.putApart("b/x", { id: id("1") });
    await catalog.run((tx) => link(tx, { from: at("b/x"), to: at("b/y"), nowMs: 1, nextInode: catalog.nextInode }));
    const { orphans } = await catalog.deleteKey("b/x", { tombstoneVersionId: id("2") });
    expect([orphans, await catalog.history("b/x"), (await catalog.file("b/y"))?.inode]).toEqual([
      [],
      ["2!"],
      file.inode,
    ]);
    expect((await catalog.file("b/y"))?.linkCount).toBe(1);
    await noFaults();
  });

  it("that is suspended destroys no locked version", async () => {
    await catalog.writeBucket("b", { versioning: "suspended", objectLock: true });
    await catalog.putApart("b/x");
    await catalog.label("b/x", { legalHold: true });
    await expect(catalog.deleteKey("b/x")).rejects.toMatchObject({ code: "PermissionDenied" });
    await expect(catalog.putApart("b/x")).rejects.toMatchObject({ code: "PermissionDenied" });
    expect(await catalog.file("b/x")).toBeDefined();
  });

  it("is for good where none are kept", async () => {
    await catalog.putApart("plain/x", { id: id("1") });
    const deleted = await catalog.deleteKey("plain/x");
    expect(deleted.orphans.map(({ key }) => key)).toEqual(["objects/1"]);
    expect(deleted).not.toHaveProperty("marker");
    expect(await catalog.deleteKey("plain/none")).toEqual({ orphans: [] });
    expect([await catalog.history("plain/x"), await catalog.isOwned("objects/1")]).toEqual([[], false]);
  });
});

describe("an overwritten version where none are kept", () => {
  it("is remembered by what is newer of it and of what replaced it", async () => {
    await catalog.putApart("plain/x", { id: id("5") });
    await catalog.putApart("plain/x", { id: id("6") });
    expect((await catalog.view((tx) => findTombstone(tx, at("objects/5"))))?.versionId).toBe("6");
    await catalog.putApart("plain/x", { id: id("3") });
    expect((await catalog.view((tx) => findTombstone(tx, at("objects/6"))))?.versionId).toBe("6");
  });

  it("is not told as replaced when there was none", async () => {
    const first = await catalog.put("plain/x");
    expect(first).toEqual({ file: first.file, orphans: [] });
    expect(first.file).toMatchObject({
      kind: "file",
      mode: 0o644,
      uid: 0,
      gid: 0,
      linkCount: 1,
      sizeBytes: 3,
      accessed: momentOf(1_000),
      modified: momentOf(1_000),
      changed: momentOf(2_000),
      created: momentOf(2_000),
    });
    const again = await catalog.put("plain/x", { nowMs: 4_000 });
    expect(again.file).toMatchObject({ inode: first.file.inode, created: momentOf(2_000), changed: momentOf(4_000) });
    expect(again.previous).toEqual(first.file.version);
  });
});
