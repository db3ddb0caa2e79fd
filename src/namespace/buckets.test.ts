import { beforeEach, describe, expect, it } from "vitest";
import { momentOf } from "../core/moment.ts";
import { encodeKey } from "../kv/index.ts";
import {
  bucketGeneration,
  bucketOf,
  type BucketPage,
  findStoredBucket,
  findTopDirectory,
  keepsVersions,
  pageBuckets,
  removeBucket,
  removeDirectory,
  rulesOf,
  type StoredBucket,
} from "./index.ts";
import { at, TestCatalog } from "./testing/catalog.ts";

let catalog: TestCatalog;
beforeEach(async () => {
  catalog = await TestCatalog.open();
});

const stored = async (name: string): Promise<StoredBucket | undefined> =>
  await catalog.view((tx) => findStoredBucket(tx, name));
const generation = async (): Promise<number> => await catalog.view((tx) => bucketGeneration(tx));
const versioningOf = async (path: string): Promise<string> =>
  (await catalog.view((tx) => rulesOf(tx, path))).versioning;
const advances = async (work: () => Promise<unknown>): Promise<number> => {
  const before = await generation();
  await work();
  return (await generation()) - before;
};

describe("a bucket", () => {
  it("is a directory at the top with its settings and documents", async () => {
    expect(await stored("b")).toBeUndefined();
    const settings = {
      createdMs: 7,
      owner: "alice",
      versioning: "enabled" as const,
      objectLock: true,
      defaultRetention: { mode: "compliance" as const, days: 2 },
      lifecycle: [{ id: "r", enabled: true, filter: {} }],
    };
    await catalog.writeBucket("b", settings, { policy: "{}", cors: "é" });
    expect(await stored("b")).toEqual({
      settings: { name: "b", ...settings },
      documents: { policy: "{}", cors: "é" },
      implicit: false,
      hasRow: true,
    });
    expect(await catalog.directory("b")).toMatchObject({ mode: 0o755, uid: 0, gid: 0, created: momentOf(1_500) });
    expect(await catalog.view((tx) => findTopDirectory(tx, "b"))).toBe((await catalog.directory("b"))?.inode);
    expect(await catalog.view((tx) => rulesOf(tx, "b/x"))).toEqual({
      versioning: "enabled",
      objectLock: true,
      defaultRetention: { mode: "compliance", days: 2 },
    });
  });

  it("that nobody made has the defaults, and becomes explicit with its settings", async () => {
    await catalog.put("b/x");
    const settings = { name: "b", createdMs: 2_000, versioning: "off", objectLock: false, lifecycle: [] };
    expect(await stored("b")).toEqual({ settings, documents: {}, implicit: true, hasRow: false });
    await catalog.makeDirectory("c");
    expect(await stored("c")).toMatchObject({ implicit: false, hasRow: false });
    await catalog.writeBucket("b");
    expect(await catalog.directory("b")).not.toHaveProperty("implicit");
  });

  it("says how versions are treated in it, and not at the top", async () => {
    await catalog.writeBucket("b");
    await catalog.writeBucket("s", { versioning: "suspended" });
    expect([bucketOf("b/x/y"), bucketOf("b"), bucketOf("b/")]).toEqual(["b", undefined, "b"]);
    expect(await Promise.all(["b/x", "s/x", "b", "other/x"].map(versioningOf))).toEqual([
      "enabled",
      "suspended",
      "off",
      "off",
    ]);
    const rules = { objectLock: false };
    expect([
      keepsVersions({ ...rules, versioning: "enabled" }),
      keepsVersions({ ...rules, versioning: "suspended" }),
      keepsVersions({ ...rules, versioning: "off" }),
    ]).toEqual([true, true, false]);
  });

  it("keeps documents that are not spoken of, and loses those that are taken away", async () => {
    await catalog.writeBucket("b", {}, { policy: "1", cors: "2" });
    await catalog.writeBucket("bb", {}, { policy: "other" });
    await catalog.writeBucket("b", {}, { policy: null, tags: "3", none: null });
    expect((await stored("b"))?.documents).toEqual({ cors: "2", tags: "3" });
    expect((await stored("bb"))?.documents).toEqual({ policy: "other" });
  });

  it("has documents of 64 KiB at most, and 64 of them", async () => {
    await catalog.writeBucket("b", {}, { policy: "é".repeat(32_768) });
    await expect(catalog.writeBucket("b", {}, { policy: `${"é".repeat(32_768)}x` })).rejects.toMatchObject({
      code: "TooLarge",
    });
    const some = (from: number, to: number): Record<string, string> =>
      Object.fromEntries(Array.from({ length: to - from }, (_, index) => [`d${from + index}`, "x"]));
    await catalog.writeBucket("b", {}, some(0, 63));
    await expect(catalog.writeBucket("b", {}, some(63, 64))).rejects.toMatchObject({ code: "TooLarge" });
    await catalog.writeBucket("b", {}, { ...some(63, 64), d0: null });
    await catalog.writeBucket("b", {}, { d1: "again" });
    expect(Object.keys((await stored("b"))?.documents ?? {})).toHaveLength(64);
  });

  it("is listed by name in pages, of which the last has no next", async () => {
    for (const name of ["a", "a-b", "b"]) await catalog.writeBucket(name);
    await catalog.makeDirectory("plain");
    const page = async (limit: number, after?: string): Promise<[string[], string | undefined]> => {
      const found: BucketPage = await catalog.view((tx) =>
        pageBuckets(tx, { limit, ...(after === undefined ? {} : { after }) }),
      );
      return [found.buckets.map(({ name }) => name), found.next];
    };
    expect(await page(2)).toEqual([["a", "a-b"], "a-b"]);
    expect(await page(2, "a-b")).toEqual([["b"], undefined]);
    expect(await page(1, "a")).toEqual([["a-b"], "a-b"]);
    expect(await page(4)).toEqual([["a", "a-b", "b"], undefined]);
    expect(await page(2, "b")).toEqual([[], undefined]);
  });

  it("is removed when it is empty and remembers nothing", async () => {
    const remove = async (name: string): Promise<void> =>
      await catalog.run((tx) => removeBucket(tx, { name, nowMs: 9_000 }));
    await expect(remove("b")).rejects.toMatchObject({ code: "NotFound" });
    await catalog.writeBucket("b", {}, { policy: "1" });
    await catalog.writeBucket("bc");
    await catalog.putApart("b/x");
    await expect(remove("b")).rejects.toMatchObject({ code: "NotEmpty" });
    await catalog.deleteKey("b/x", { tombstoneVersionId: "m" as never });
    await expect(remove("b")).rejects.toMatchObject({ code: "NotEmpty" });
    await catalog.removeVersion("b/x", "m");
    const [version] = [(await catalog.file("b/x"))?.version?.id as string];
    await catalog.removeVersion("b/x", version);
    expect(await advances(async () => await remove("b"))).toBe(1);
    expect([await stored("b"), (await stored("bc"))?.hasRow]).toEqual([undefined, true]);
    await catalog.makeDirectory("b");
    expect(await stored("b")).toMatchObject({ documents: {}, hasRow: false });
  });

  it("has a number that changes with its settings, and with nothing else", async () => {
    expect(await generation()).toBe(0);
    expect(await advances(async () => await catalog.writeBucket("b"))).toBe(1);
    expect(await advances(async () => await catalog.writeBucket("b", {}, { policy: "1" }))).toBe(1);
    expect(await advances(async () => await catalog.put("b/x"))).toBe(0);
    await catalog.makeDirectory("d");
    expect(
      await advances(
        async () => await catalog.run((tx) => removeDirectory(tx, { path: at("d"), semantics: "directory", nowMs: 1 })),
      ),
    ).toBe(0);
  });
});

describe("a bucket that is renamed", () => {
  const moveDirectory = async (from: string, to: string, overwrite = false): Promise<unknown> =>
    await catalog.move(from, to, { directory: true, overwrite });

  it("takes any number of documents along, which stay where they are", async () => {
    const text = "x".repeat(65_536);
    for (let index = 0; index < 64; index++) await catalog.writeBucket("b", {}, { [`document-${index}`]: text });
    await catalog.move("b", "c", { directory: true });
    expect(Object.values((await stored("c"))?.documents ?? {})).toEqual(Array.from({ length: 64 }, () => text));
    await catalog.makeDirectory("b");
    expect((await stored("b"))?.documents).toEqual({});
    await catalog.writeBucket("b", {}, { own: "1" });
    await catalog.move("b", "c", { directory: true, overwrite: true });
    expect((await stored("c"))?.documents).toEqual({ own: "1" });
    expect(await catalog.rowsBelow(encodeKey("bd"))).toBe(1);
    expect((await catalog.check()).faults).toEqual([]);
  });

  it("takes its settings, documents and versions along", async () => {
    await catalog.writeBucket("b", { owner: "alice" }, { policy: "1" });
    await catalog.putApart("b/x");
    await catalog.putApart("b/x");
    await catalog.deleteKey("b/x");
    expect(await advances(async () => await moveDirectory("b", "c"))).toBeGreaterThan(0);
    expect(await stored("c")).toMatchObject({ settings: { name: "c", owner: "alice" }, documents: { policy: "1" } });
    expect([await stored("b"), await versioningOf("b/x"), await versioningOf("c/x")]).toEqual([
      undefined,
      "off",
      "enabled",
    ]);
    await catalog.makeDirectory("b");
    expect((await stored("b"))?.documents).toEqual({});
    expect((await catalog.check()).faults).toEqual([]);
  });

  it("over an empty one replaces its settings, also with none", async () => {
    await catalog.writeBucket("b", { owner: "alice" }, { policy: "1" });
    await catalog.writeBucket("c", { owner: "bob" }, { cors: "2" });
    await moveDirectory("b", "c", true);
    expect(await stored("c")).toMatchObject({ settings: { owner: "alice" }, documents: { policy: "1" } });
    expect((await stored("c"))?.documents).not.toHaveProperty("cors");
    await catalog.makeDirectory("d");
    await moveDirectory("d", "c", true);
    expect(await stored("c")).toMatchObject({ documents: {}, hasRow: false });
  });

  it("into another is a directory like any other, and what comes to the top has no settings", async () => {
    await catalog.writeBucket("b", { versioning: "off" }, { policy: "1" });
    await catalog.writeBucket("c", { versioning: "off" });
    await moveDirectory("b", "c/b");
    expect([await stored("b"), (await catalog.check()).faults]).toEqual([undefined, []]);
    await catalog.writeBucket("e", { owner: "eve", versioning: "off" });
    await moveDirectory("c/b", "e", true);
    expect(await stored("e")).toMatchObject({ documents: {}, hasRow: false });
    await catalog.makeDirectory("c/deep");
    expect(await advances(async () => await moveDirectory("c/deep", "c/deeper"))).toBe(0);
    expect((await catalog.check()).faults).toEqual([]);
  });

  it("is refused while the other remembers what lay in it", async () => {
    await catalog.writeBucket("b");
    await catalog.writeBucket("c");
    await catalog.deleteKey("c/x");
    await expect(moveDirectory("b", "c", true)).rejects.toMatchObject({ code: "NotEmpty" });
  });
});

describe("a directory", () => {
  const remove = async (path: string, semantics: "key" | "directory"): Promise<boolean> =>
    await catalog.run((tx) => removeDirectory(tx, { path: at(path), semantics, nowMs: 9_000 }));

  it("is made with its attributes, below one that is there", async () => {
    const made = await catalog.makeDirectory("d", { mode: 0o700, uid: 1, gid: 2 });
    expect(made).toEqual({
      inode: made.inode,
      kind: "directory",
      mode: 0o700,
      uid: 1,
      gid: 2,
      linkCount: 2,
      sizeBytes: 0,
      accessed: momentOf(3_000),
      modified: momentOf(3_000),
      changed: momentOf(3_000),
      created: momentOf(3_000),
      parent: { inode: 1, name: "d" },
    });
    expect(await catalog.directory("d")).toEqual(made);
    await expect(catalog.makeDirectory("e/f")).rejects.toMatchObject({ code: "NotFound" });
    expect((await catalog.makeDirectory("e/f", { parents: true })).kind).toBe("directory");
    expect(await catalog.directory("e")).toMatchObject({ implicit: true, mode: 0o755 });
  });

  it("that is there is refused or kept, and an implicit one becomes what was asked for", async () => {
    const made = await catalog.makeDirectory("d");
    await expect(catalog.makeDirectory("d")).rejects.toMatchObject({ code: "AlreadyExists" });
    const kept = await catalog.told(async () => {
      expect(await catalog.makeDirectory("d", { existing: "keep", mode: 0, nowMs: 9 })).toEqual(made);
    });
    expect(kept).toEqual([]);
    await catalog.put("i/x");
    const before = await catalog.directory("i");
    await expect(catalog.makeDirectory("i")).rejects.toMatchObject({ code: "AlreadyExists" });
    const told = await catalog.told(
      async () => await catalog.makeDirectory("i", { existing: "keep", mode: 0o711, uid: 3, gid: 4, nowMs: 9_000 }),
    );
    const { implicit: _, ...rest } = before as typeof made;
    expect(await catalog.directory("i")).toEqual({ ...rest, mode: 0o711, uid: 3, gid: 4, changed: momentOf(9_000) });
    expect(told).toEqual([{ kind: "created", path: "i", inode: before?.inode, atMs: 9_000 }]);
  });

  it("is removed as rmdir(2) has it only when nothing is in it", async () => {
    await expect(remove("d", "directory")).rejects.toMatchObject({ code: "NotFound" });
    await expect(remove("d/e", "directory")).rejects.toMatchObject({ code: "NotFound" });
    await catalog.put("d/e/x");
    await expect(remove("d/e", "directory")).rejects.toMatchObject({ code: "NotEmpty" });
    await catalog.makeDirectory("d/f");
    await catalog.remove("d/e/x");
    expect(await remove("d/f", "directory")).toBe(true);
    expect(await catalog.directory("d")).toBeUndefined();
    expect((await catalog.check()).faults).toEqual([]);
  });

  it("is removed as a key: what lies below stays, and a directory that nobody made is no key", async () => {
    expect([await remove("d", "key"), await remove("d/e", "key")]).toEqual([false, false]);
    await catalog.put("d/x");
    expect(await remove("d", "key")).toBe(false);
    await catalog.makeDirectory("d", { existing: "keep" });
    const told = await catalog.told(async () => {
      expect(await remove("d", "key")).toBe(true);
    });
    const inode = (await catalog.directory("d"))?.inode;
    expect(told).toEqual([{ kind: "removed", path: "d", inode, atMs: 9_000 }]);
    expect(await catalog.directory("d")).toMatchObject({ implicit: true, changed: momentOf(9_000) });
    await catalog.remove("d/x");
    expect(await catalog.directory("d")).toBeUndefined();
  });

  it("with settings is no key while something is in it, and a deeper one of the same name is", async () => {
    await catalog.writeBucket("b");
    await catalog.putApart("b/x");
    await expect(remove("b", "key")).rejects.toMatchObject({ code: "NotEmpty" });
    await catalog.makeDirectory("d");
    await catalog.makeDirectory("d/b");
    await catalog.put("d/b/x");
    expect(await remove("d/b", "key")).toBe(true);
    expect((await stored("b"))?.hasRow).toBe(true);
  });

  it("deeper in a bucket may go while versions of what lay in it are kept", async () => {
    await catalog.writeBucket("b");
    await catalog.makeDirectory("b/d");
    await catalog.putApart("b/d/x");
    await catalog.deleteKey("b/d/x");
    expect(await remove("b/d", "directory")).toBe(true);
    expect((await catalog.check()).faults).toEqual([]);
  });
});
