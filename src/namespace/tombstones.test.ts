import { beforeEach, describe, expect, it } from "vitest";
import { type Inode, ROOT_INODE, type SiteName, type VersionId } from "../core/ids.ts";
import { momentOf } from "../core/moment.ts";
import {
  createInodeAllocator,
  dropTombstone,
  entombKey,
  findOwner,
  findTombstone,
  initialize,
  type InodeAllocator,
  isBuried,
  link,
  type OldTombstone,
  oldTombstones,
  postponeTombstone,
  removeCopy,
  setCopy,
} from "./index.ts";
import { createMemoryKv, type Program } from "../kv/index.ts";
import { encodeOwner, attributesKey, ownerKey } from "./rows.ts";
import { at, placesOf, TestCatalog } from "./testing/catalog.ts";
import { nextTestId } from "./testing/model.ts";
import type { Copy, ForeignObject, Tombstone } from "./types.ts";

let catalog: TestCatalog;
beforeEach(async () => {
  catalog = await TestCatalog.open();
});

const LOCAL = "local" as SiteName;
const CLOUD = "cloud" as SiteName;
const id = (text: string): VersionId => text as VersionId;
const find = async (path: string): Promise<Tombstone | undefined> =>
  await catalog.view((tx) => findTombstone(tx, at(path)));
const bury = async (path: string, more: Partial<Tombstone> = {}): Promise<void> => {
  await catalog.run((tx) =>
    entombKey(tx, { path: at(path), deletedMs: 100, versionId: id("5"), etags: ["e"], ...more }),
  );
};

describe("a tombstone", () => {
  it("keeps the newest of what was deleted, and the content of all of it", async () => {
    await bury("a");
    await bury("a", { deletedMs: 50, versionId: id("4"), etags: ["f", "e"] });
    expect(await find("a")).toMatchObject({ path: "a", deletedMs: 100, versionId: "5", etags: ["f", "e"] });
    await bury("a", { deletedMs: 150, versionId: id("6"), etags: [] });
    expect(await find("a")).toMatchObject({ path: "a", deletedMs: 150, versionId: "6", etags: ["f", "e"] });
  });

  it("remembers the 32 contents that were deleted last", async () => {
    for (let index = 0; index < 34; index++) await bury("a", { etags: [`e${index}`] });
    const { etags } = (await find("a")) as Tombstone;
    expect([etags.length, etags[0], etags.at(-1)]).toEqual([32, "e33", "e2"]);
  });

  it("is not kept for what no path can name", async () => {
    await bury(".globalfs/versions/1");
    expect(await find(".globalfs/versions/1")).toBeUndefined();
    await bury(".globalfsx/1");
    expect(await find(".globalfsx/1")).toBeDefined();
  });

  it("hides what is not newer, and late copies of the very content", () => {
    const object: ForeignObject = { key: "a", sizeBytes: 1, etag: "x", modifiedMs: 101, metadata: {} };
    const tombstone: Tombstone = { path: at("a"), deletedMs: 100, versionId: id("5"), etags: ["e"], versions: ["7"] };
    expect(isBuried(undefined, object)).toBe(false);
    expect(isBuried(tombstone, object)).toBe(false);
    expect(isBuried(tombstone, { ...object, modifiedMs: 100 })).toBe(true);
    expect(isBuried(tombstone, { ...object, etag: "e" })).toBe(true);
    const ours = (version: string): ForeignObject => ({ ...object, metadata: { "globalfs-version": version } });
    expect([isBuried(tombstone, ours("5")), isBuried(tombstone, ours("4"))]).toEqual([true, true]);
    // One that the catalog knew, and another process wrote: its id may be any.
    expect(isBuried(tombstone, ours("7"))).toBe(true);
    expect(isBuried(tombstone, { ...ours("6"), modifiedMs: 1, etag: "e" })).toBe(false);
  });

  it("is dropped only when it is the one that was looked at", async () => {
    await bury("a");
    const drop = async (path: string, versionId: string): Promise<boolean> =>
      await catalog.run((tx) => dropTombstone(tx, { path: at(path), sinceMs: 100, versionId: id(versionId) }));
    expect([await drop("a", "4"), await drop("b", "5")]).toEqual([false, false]);
    expect(await find("a")).toBeDefined();
    expect(await drop("a", "5")).toBe(true);
    expect(await find("a")).toBeUndefined();
  });

  it("is looked at in the order of its age, once its time has come", async () => {
    await bury("young", { deletedMs: 300 });
    await bury("b", { deletedMs: 200 });
    await bury("a", { deletedMs: 150 });
    const old = async (untilMs: number, limit = 10): Promise<readonly OldTombstone[]> =>
      await catalog.view((tx) => oldTombstones(tx, { untilMs, limit }));
    expect((await old(200)).map(({ path }) => path)).toEqual(["a", "b"]);
    expect((await old(200, 1)).map(({ path }) => path)).toEqual(["a"]);
    expect([await old(149), await old(-1)]).toEqual([[], []]);
    const [a, b] = (await old(200)) as [OldTombstone, OldTombstone];
    await catalog.run(function* (tx) {
      postponeTombstone(tx, a, 250);
      yield* dropTombstone(tx, b);
    });
    expect((await old(299)).map(({ path, sinceMs }) => [path, sinceMs])).toEqual([["a", 250]]);
    expect([(await find("a"))?.deletedMs, await find("b")]).toEqual([150, undefined]);
  });

  it("that was renewed since is looked at when its new time comes", async () => {
    await bury("a");
    const [first] = await catalog.view((tx) => oldTombstones(tx, { untilMs: 100, limit: 10 }));
    await catalog.run(function* (tx) {
      postponeTombstone(tx, first as OldTombstone, 120);
      yield* entombKey(tx, { path: at("a"), deletedMs: 200, versionId: id("6"), etags: [] });
    });
    const old = await catalog.view((tx) => oldTombstones(tx, { untilMs: 150, limit: 10 }));
    expect(old).toEqual([{ path: "a", sinceMs: 120 }]);
    expect(await catalog.run((tx) => dropTombstone(tx, old[0] as OldTombstone))).toBe(false);
    expect(await catalog.view((tx) => oldTombstones(tx, { untilMs: 150, limit: 10 }))).toEqual([]);
    expect(await catalog.view((tx) => oldTombstones(tx, { untilMs: 200, limit: 10 }))).toMatchObject([
      { sinceMs: 200 },
    ]);
  });
});

describe("what is deleted", () => {
  it("is remembered as newer than all that was written until now, with what its copies are called", async () => {
    const tombstoneVersionId = id("9");
    const { file } = await catalog.put("a");
    await catalog.remove("a", { tombstoneVersionId });
    const version = file.version;
    expect(await find("a")).toMatchObject({
      path: "a",
      deletedMs: 5_000,
      versionId: "9",
      etags: [version?.etag, version?.copies[0]?.etag],
    });
    await catalog.remove("ghost", { tombstoneVersionId });
    expect(await find("ghost")).toMatchObject({ path: "ghost", deletedMs: 5_000, versionId: "9", etags: [] });
  });

  it("is remembered under the keys of its objects, too", async () => {
    await catalog.put("a", { key: "elsewhere" });
    await catalog.remove("a", { tombstoneVersionId: id("9") });
    expect((await find("elsewhere"))?.versionId).toBe("9");
    expect(await catalog.view((tx) => findOwner(tx, LOCAL, "elsewhere"))).toBeUndefined();
  });

  it("is remembered by its own version when that is newer than the delete", async () => {
    await catalog.put("a", { id: id("8") });
    await catalog.remove("a", { tombstoneVersionId: id("7") });
    expect((await find("a"))?.versionId).toBe("8");
  });

  it("is not there while the expectation does not hold", async () => {
    await catalog.put("a");
    const expectation = { kind: "version" as const, id: id("another") };
    await expect(catalog.remove("a", { expect: expectation })).rejects.toMatchObject({ code: "Conflict" });
    await expect(catalog.remove("none", { expect: { kind: "etag", etags: ["*"] } })).rejects.toMatchObject({
      code: "PreconditionFailed",
    });
    expect(await catalog.file("a")).toBeDefined();
    expect(await find("a")).toBeUndefined();
  });

  it("keeps its object while another name leads to it", async () => {
    const { file } = await catalog.put("a");
    await catalog.run((tx) => link(tx, { from: at("a"), to: at("b"), nowMs: 1, nextInode: catalog.nextInode }));
    const removed = await catalog.remove("a");
    expect(removed?.orphans).toEqual([]);
    expect(await catalog.file("b")).toEqual({ ...file, changed: momentOf(5_000), parent: { inode: 1, name: "b" } });
    expect((await catalog.remove("b"))?.orphans).toEqual(placesOf(file));
  });
});

describe("the copies of a version", () => {
  const copy = (site: SiteName, key: string, more: Partial<Copy> = {}): Copy => ({
    site,
    key,
    state: "present",
    etag: "c",
    changedMs: 9,
    ...more,
  });

  it("are added, and replaced at the same site", async () => {
    const { file } = await catalog.put("a");
    const [versionId, inode] = [file.version?.id as VersionId, file.inode];
    const set = async (to: Copy): Promise<boolean> =>
      await catalog.run((tx) => setCopy(tx, { inode, versionId, copy: to, nowMs: 50 }));
    await set(copy(CLOUD, "a", { state: "pending" }));
    await set(copy(CLOUD, "a"));
    expect((await catalog.file("a"))?.version?.copies).toEqual([...(file.version?.copies ?? []), copy(CLOUD, "a")]);
    expect(await find("a")).toBeUndefined();
    await set(copy(CLOUD, "moved"));
    expect((await catalog.file("a"))?.version?.copies[1]).toEqual(copy(CLOUD, "moved"));
    expect(await catalog.view((tx) => findOwner(tx, CLOUD, "a"))).toBeUndefined();
    expect(await catalog.view((tx) => findOwner(tx, CLOUD, "moved"))).toEqual({ inode, versionId });
    expect(await find("a")).toMatchObject({ deletedMs: 50, versionId });
    expect(
      await catalog.run((tx) =>
        setCopy(tx, { inode: 999_000_000_000 as Inode, versionId, copy: copy(CLOUD, "a"), nowMs: 1 }),
      ),
    ).toBe(false);
    expect((await catalog.check()).faults).toEqual([]);
  });

  it("cannot take the place of another file's object", async () => {
    await catalog.put("a");
    const { file } = await catalog.put("b");
    const request = { inode: file.inode, versionId: file.version?.id as VersionId, nowMs: 1 };
    await expect(catalog.run((tx) => setCopy(tx, { ...request, copy: copy(LOCAL, "a") }))).rejects.toMatchObject({
      code: "Conflict",
      context: { site: LOCAL, key: "a" },
    });
  });

  it("are forgotten one by one, of the version that is meant", async () => {
    const { file } = await catalog.put("a");
    const [versionId, inode] = [file.version?.id as VersionId, file.inode];
    await catalog.run((tx) => setCopy(tx, { inode, versionId, copy: copy(CLOUD, "a"), nowMs: 1 }));
    const forget = async (
      site: SiteName,
      more: { versionId?: VersionId; inode?: Inode } = {},
    ): Promise<Copy | undefined> =>
      await catalog.run((tx) => removeCopy(tx, { inode, versionId, site, nowMs: 60, ...more }));
    expect(await forget(CLOUD, { versionId: nextTestId() })).toBeUndefined();
    expect(await forget(CLOUD, { inode: 999_000_000_000 as Inode })).toBeUndefined();
    expect(await forget("none" as SiteName)).toBeUndefined();
    expect((await catalog.file("a"))?.version?.copies).toHaveLength(2);
    expect(await forget(CLOUD)).toEqual(copy(CLOUD, "a"));
    expect((await catalog.file("a"))?.version?.copies).toEqual(file.version?.copies);
    expect(await find("a")).toMatchObject({ deletedMs: 60, versionId });
    expect((await catalog.check()).faults).toEqual([]);
  });

  it("that another file owns by now leave no tombstone when they go", async () => {
    const { file } = await catalog.put("a");
    await catalog.write([[ownerKey(LOCAL, "a"), encodeOwner({ inode: 999_000_000_000 as Inode, versionId: id("x") })]]);
    await catalog.run((tx) =>
      removeCopy(tx, { inode: file.inode, versionId: file.version?.id as VersionId, site: LOCAL, nowMs: 1 }),
    );
    expect(await find("a")).toBeUndefined();
    expect(await catalog.view((tx) => findOwner(tx, LOCAL, "a"))).toEqual({ inode: 999_000_000_000, versionId: "x" });
  });
});

describe("a new catalog", () => {
  it("gets its root once", async () => {
    const root = await catalog.view((tx) => tx.get(attributesKey(ROOT_INODE)));
    expect(root).toBeDefined();
    await catalog.run((tx) => initialize(tx, 99_000));
    expect(await catalog.view((tx) => tx.get(attributesKey(ROOT_INODE)))).toEqual(root);
  });

  const take = async (inodes: InodeAllocator, count: number): Promise<Inode[]> =>
    await inodes.transact(function* (_tx, next): Program<Inode[]> {
      return Array.from({ length: count }, () => next());
    });

  it("hands out inodes from 2 on, one after the other, and writes only once a block", async () => {
    const kv = createMemoryKv();
    const inodes = createInodeAllocator(kv);
    expect(await take(inodes, 2)).toEqual([2, 3]);
    const revision = await kv.revision();
    expect((await take(inodes, 16_382)).at(-1)).toBe(16_385);
    expect(await kv.revision()).toBe(revision);
    expect(await take(inodes, 1)).toEqual([16_386]);
    expect(await kv.revision()).toBe(revision + 1);
    // A restarted process begins behind all that was reserved.
    expect(await take(createInodeAllocator(kv), 1)).toEqual([2 + 2 * 16_384]);
  });

  it("reserves once for many who wait for it, and more for one who wants more than a block", async () => {
    const kv = createMemoryKv();
    const inodes = createInodeAllocator(kv);
    await Promise.all(Array.from({ length: 10 }, async () => await take(inodes, 1)));
    expect(await kv.revision()).toBe(1);
    const many = await take(inodes, 20_000);
    expect([many.length, (many.at(-1) as number) - (many[0] as number)]).toEqual([20_000, 19_999]);
  });
});
