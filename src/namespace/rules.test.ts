import { beforeEach, describe, expect, it } from "vitest";
import type { FilePath, Inode, SiteName, VersionId } from "../core/ids.ts";
import { momentOf } from "../core/moment.ts";
import { createMemoryKv, type Kv, type Program, type Transaction } from "../kv/index.ts";
import {
  adoptForeign,
  checkCatalog,
  commitVersion,
  type CommitVersion,
  type Copy,
  createInodeAllocator,
  findDirectory,
  findFile,
  findFollowing,
  findOwner,
  findTombstone,
  initialize,
  type InodeAllocator,
  isBuried,
  link,
  listPage,
  makeDirectory,
  makeSymlink,
  readChanges,
  removeCopy,
  removeDirectory,
  removeFile,
  rename,
  setAttributes,
  setCopy,
  trimChanges,
} from "./index.ts";
import { nextTestId, nextTestInode, testCommit, testVersion } from "./testing/model.ts";

const SITE = "local" as SiteName;
const OTHER = "cloud" as SiteName;

let kv: Kv;
const nextInode = nextTestInode;

beforeEach(async () => {
  kv = createMemoryKv();
  await kv.transact((tx) => initialize(tx, 1_000));
});

async function run<T>(program: (tx: Transaction) => Program<T>): Promise<T> {
  return await kv.transact(program);
}

const at = (path: string): FilePath => path as FilePath;
const put = async (path: string, options: Partial<CommitVersion> & { key?: string; site?: string } = {}) =>
  await run((tx) => commitVersion(tx, { ...testCommit(path, nextInode, testVersion(path, options)), ...options }));
const remove = async (path: string) =>
  await run((tx) =>
    removeFile(tx, { path: at(path), expect: { kind: "any" }, nowMs: 5_000, tombstoneVersionId: nextTestId() }),
  );
const move = async (from: string, to: string, options: { directory?: boolean; overwrite?: boolean } = {}) =>
  await run((tx) =>
    rename(tx, {
      from: at(from),
      to: at(to),
      directory: options.directory ?? false,
      overwrite: options.overwrite ?? false,
      nowMs: 6_000,
      nextInode,
    }),
  );

describe("committing a version", () => {
  it("leaves an expectation that does not hold without any trace", async () => {
    const first = await put("a/b");
    await expect(put("a/b", { expect: { kind: "absent" } })).rejects.toMatchObject({ code: "PreconditionFailed" });
    await expect(put("a/b", { expect: { kind: "version", id: "other" as VersionId } })).rejects.toMatchObject({
      code: "Conflict",
    });
    await expect(put("a/c", { expect: { kind: "etag", etags: ["*"] } })).rejects.toMatchObject({
      code: "PreconditionFailed",
    });
    expect((await kv.view((tx) => findFile(tx, at("a/b"))))?.version?.id).toBe(first.file.version?.id);
    expect(await kv.view((tx) => findFile(tx, at("a/c")))).toBeUndefined();
    const second = await put("a/b", { expect: { kind: "etag", etags: ["x", first.file.version?.etag as string] } });
    expect(second.previous?.id).toBe(first.file.version?.id);
    expect(second.orphans).toEqual([]);
  });

  it("hands back the copies whose objects nothing will overwrite, and remembers them as deleted", async () => {
    await put("a", { site: "cloud" });
    const { orphans } = await put("a");
    expect(orphans.map((copy) => copy.site)).toEqual(["cloud"]);
    expect(await kv.view((tx) => findOwner(tx, OTHER, "a"))).toBeUndefined();
    expect(await kv.view((tx) => findTombstone(tx, at("a")))).toBeDefined();
    expect((await checkCatalog(kv)).faults).toEqual([]);
  });

  it("refuses a key at a site that a renamed file's object still has", async () => {
    await put("a");
    await move("a", "b");
    await expect(put("a")).rejects.toMatchObject({ code: "Conflict" });
    await put("a", { key: ".globalfs/displaced/1" });
    expect((await checkCatalog(kv)).faults).toEqual([]);
  });
});

describe("removing a file", () => {
  it("buries what the sites may still hold, also when the catalog knew nothing", async () => {
    await remove("ghost");
    const tombstone = await kv.view((tx) => findTombstone(tx, at("ghost")));
    const object = { key: "ghost", sizeBytes: 1, etag: "e", modifiedMs: 4_000, metadata: {} };
    expect(isBuried(tombstone, object)).toBe(true);
    expect(isBuried(tombstone, { ...object, modifiedMs: 5_001 })).toBe(false);
    expect(isBuried(tombstone, { ...object, modifiedMs: 9_000, metadata: { "globalfs-version": "00OLD" } })).toBe(true);
  });

  it("recognises a late copy of the same bytes, however new it looks", async () => {
    const { file } = await put("a");
    await remove("a");
    const tombstone = await kv.view((tx) => findTombstone(tx, at("a")));
    const etag = file.version?.copies[0]?.etag as string;
    expect(isBuried(tombstone, { key: "a", sizeBytes: 3, etag, modifiedMs: 99_000, metadata: {} })).toBe(true);
  });

  it("keeps the object while another hard link names it", async () => {
    await put("a");
    await run((tx) => link(tx, { from: at("a"), to: at("x/b"), nowMs: 1, nextInode }));
    expect((await remove("a"))?.orphans).toEqual([]);
    expect((await kv.view((tx) => findFile(tx, at("x/b"))))?.linkCount).toBe(1);
    expect((await remove("x/b"))?.orphans).toHaveLength(1);
    expect(await kv.view((tx) => findDirectory(tx, at("x")))).toBeUndefined();
    expect((await checkCatalog(kv)).faults).toEqual([]);
  });
});

describe("renaming", () => {
  it("moves a directory with all that is below in one step, and objects keep their keys", async () => {
    await put("old/x/1");
    await put("old/2");
    await move("old", "new/home", { directory: true });
    const listed = await kv.view((tx) => listPage(tx, { prefix: "", limit: 10 }));
    expect(listed.files.map(({ key, file }) => [key, file.version?.copies[0]?.key])).toEqual([
      ["new/home/2", "old/2"],
      ["new/home/x/1", "old/x/1"],
    ]);
    await expect(move("new", "new/home/deep", { directory: true })).rejects.toMatchObject({ code: "InvalidArgument" });
  });

  it("of two names of one file changes nothing, as rename(2) has it", async () => {
    await put("a");
    await run((tx) => link(tx, { from: at("a"), to: at("b"), nowMs: 1, nextInode }));
    await move("a", "b", { overwrite: true });
    expect((await kv.view((tx) => findFile(tx, at("a"))))?.linkCount).toBe(2);
  });

  it("over a file hands back what it had", async () => {
    await put("a");
    await put("b");
    await expect(move("a", "b")).rejects.toMatchObject({ code: "AlreadyExists" });
    expect((await move("a", "b", { overwrite: true })).replaced?.orphans).toHaveLength(1);
    expect(await kv.view((tx) => findTombstone(tx, at("a")))).toBeDefined();
    expect((await checkCatalog(kv)).faults).toEqual([]);
  });
});

describe("directories", () => {
  it("made only for an object go with it, and made on purpose they stay", async () => {
    await put("x/y/1");
    await run((tx) =>
      makeDirectory(tx, {
        path: at("x"),
        mode: 0o700,
        uid: 1,
        gid: 2,
        parents: false,
        existing: "keep",
        nowMs: 1,
        nextInode,
      }),
    );
    await remove("x/y/1");
    expect(await kv.view((tx) => findDirectory(tx, at("x/y")))).toBeUndefined();
    expect(await kv.view((tx) => findDirectory(tx, at("x")))).toMatchObject({ mode: 0o700, uid: 1, gid: 2 });
  });

  it("are removed as rmdir(2) has it, or as the key of an object store", async () => {
    const missing = { path: at("none"), nowMs: 1 };
    await expect(run((tx) => removeDirectory(tx, { ...missing, semantics: "directory" }))).rejects.toMatchObject({
      code: "NotFound",
    });
    expect(await run((tx) => removeDirectory(tx, { ...missing, semantics: "key" }))).toBe(false);
    await run((tx) =>
      makeDirectory(tx, {
        path: at("d"),
        mode: 0o755,
        uid: 0,
        gid: 0,
        parents: false,
        existing: "refuse",
        nowMs: 1,
        nextInode,
      }),
    );
    await put("d/file");
    await expect(
      run((tx) => removeDirectory(tx, { path: at("d"), semantics: "directory", nowMs: 1 })),
    ).rejects.toMatchObject({ code: "NotEmpty" });
    expect(await run((tx) => removeDirectory(tx, { path: at("d"), semantics: "key", nowMs: 1 }))).toBe(true);
    expect(await kv.view((tx) => findFile(tx, at("d/file")))).toBeDefined();
    await expect(
      run((tx) =>
        makeDirectory(tx, {
          path: at("p/q"),
          mode: 0o755,
          uid: 0,
          gid: 0,
          parents: false,
          existing: "refuse",
          nowMs: 1,
          nextInode,
        }),
      ),
    ).rejects.toMatchObject({ code: "NotFound" });
  });
});

describe("links and attributes", () => {
  it("lead through symbolic links, and a circle is said", async () => {
    await put("data/real");
    const symlink = async (path: string, target: string) =>
      await run((tx) => makeSymlink(tx, { path: at(path), target, uid: 0, gid: 0, nowMs: 1, nextInode }));
    await symlink("link", "data");
    await symlink("deep/up", "../link/./real");
    await symlink("round", "about");
    await symlink("about", "round");
    await symlink("out", "../../etc/passwd");
    const follow = async (path: string) => await kv.view((tx) => findFollowing(tx, at(path)));
    expect((await follow("link/real"))?.path).toBe("data/real");
    expect((await follow("deep/up"))?.path).toBe("data/real");
    expect(await follow("out")).toBeUndefined();
    await expect(follow("round")).rejects.toMatchObject({ code: "LoopDetected" });
    await expect(put("link")).rejects.toMatchObject({ code: "AlreadyExists" });
  });

  it("keep mode, owner and times", async () => {
    await put("a");
    await run((tx) =>
      setAttributes(tx, { path: at("a"), directory: false, mode: 0o600, uid: 5, modifiedMs: -1, nowMs: 7 }),
    );
    expect(await kv.view((tx) => findFile(tx, at("a")))).toMatchObject({
      mode: 0o600,
      uid: 5,
      gid: 0,
      modified: momentOf(-1),
      changed: momentOf(7),
    });
  });
});

describe("copies", () => {
  const copy: Copy = { site: OTHER, key: "a", state: "pending", changedMs: 1 };

  it("are only kept for the current version", async () => {
    const { file } = await put("a");
    const versionId = file.version?.id as VersionId;
    expect(await run((tx) => setCopy(tx, { inode: file.inode, versionId: nextTestId(), copy, nowMs: 1 }))).toBe(false);
    expect(await run((tx) => setCopy(tx, { inode: file.inode, versionId, copy, nowMs: 1 }))).toBe(true);
    expect(await kv.view((tx) => findOwner(tx, OTHER, "a"))).toEqual({ inode: file.inode, versionId });
    await put("a");
    expect(await run((tx) => setCopy(tx, { inode: file.inode, versionId, copy, nowMs: 1 }))).toBe(false);
  });

  it("that move or go leave a tombstone where they were", async () => {
    await put("a");
    const { moved } = await move("a", "b");
    const versionId = moved.version?.id as VersionId;
    await run((tx) =>
      setCopy(tx, {
        inode: moved.inode,
        versionId,
        copy: { site: SITE, key: "b", state: "present", changedMs: 1 },
        nowMs: 1,
      }),
    );
    expect(await kv.view((tx) => findOwner(tx, SITE, "a"))).toBeUndefined();
    expect(await kv.view((tx) => findTombstone(tx, at("a")))).toBeDefined();
    expect((await run((tx) => removeCopy(tx, { inode: moved.inode, versionId, site: SITE, nowMs: 1 })))?.key).toBe("b");
    expect(await kv.view((tx) => findTombstone(tx, at("b")))).toBeDefined();
    expect((await checkCatalog(kv)).faults).toEqual([]);
  });
});

describe("adopting", () => {
  const object = (
    key: string,
    etag = "e",
    modifiedMs = 10,
  ): { key: string; sizeBytes: number; etag: string; modifiedMs: number; metadata: {} } => ({
    key,
    sizeBytes: 3,
    etag,
    modifiedMs,
    metadata: {},
  });
  const adopt = async (objects: ReturnType<typeof object>[], site: SiteName = SITE) =>
    await run((tx) => adoptForeign(tx, { site, objects, nowMs: 50, nextInode, nextVersionId: nextTestId }));

  it("takes in what is new, skips what is known or deleted, refuses what no path can name", async () => {
    await put("known");
    await remove("gone");
    const outcome = await adopt([
      object("gone"),
      object("known"),
      object("n/1"),
      object("n/2"),
      object("made/"),
      object("bad//key"),
    ]);
    expect(outcome).toEqual({ seen: 6, adopted: 3, skipped: 2, refused: ["bad//key"] });
    expect((await kv.view((tx) => listPage(tx, { prefix: "", limit: 10 }))).files.map(({ key }) => key)).toEqual([
      "known",
      "made/",
      "n/1",
      "n/2",
    ]);
    expect(await adopt([object("n/1"), object("made/")])).toMatchObject({ adopted: 0, skipped: 2 });
    expect((await checkCatalog(kv)).faults).toEqual([]);
  });

  it("adds a copy where another site has the same content", async () => {
    await adopt([object("a", "same"), object("b", "one")]);
    expect(await adopt([object("a", "same"), object("b", "two")], OTHER)).toMatchObject({ adopted: 1, skipped: 1 });
    expect((await kv.view((tx) => findFile(tx, at("a"))))?.version?.copies.map(({ site }) => site)).toEqual([
      SITE,
      OTHER,
    ]);
    expect((await checkCatalog(kv)).faults).toEqual([]);
  });
});

describe("the change feed", () => {
  it("tells what happened in order, from any point, and forgets the oldest", async () => {
    await put("a");
    await move("a", "b");
    await remove("b");
    const all = await kv.view((tx) => readChanges(tx, { after: 0, limit: 10 }));
    expect(all.changes.map(({ kind, path }) => [kind, path])).toEqual([
      ["created", "a"],
      ["renamed", "b"],
      ["removed", "b"],
    ]);
    const first = await kv.view((tx) => readChanges(tx, { after: 0, limit: 1 }));
    expect((await kv.view((tx) => readChanges(tx, { after: first.cursor, limit: 10 }))).changes).toHaveLength(2);
    expect(await run((tx) => trimChanges(tx, { beforeMs: 4_000, limit: 1 }))).toBeDefined();
    expect(await run((tx) => trimChanges(tx, { beforeMs: 4_000, limit: 5 }))).toBeUndefined();
    expect((await kv.view((tx) => readChanges(tx, { after: 0, limit: 10 }))).changes).toHaveLength(2);
  });
});

describe("inode ids", () => {
  const take = async (allocator: InodeAllocator, count: number): Promise<Inode[]> =>
    await allocator.transact(function* (tx, next): Program<Inode[]> {
      yield* tx.get(Buffer.from("x"));
      return Array.from({ length: count }, () => next());
    });

  it("are never given twice, also after a crash in the middle of a block", async () => {
    const given: Inode[] = [];
    for (let restart = 0; restart < 3; restart++) {
      const allocator = createInodeAllocator(kv);
      given.push(...(await Promise.all([take(allocator, 5), take(allocator, 7)])).flat());
    }
    expect(new Set(given).size).toBe(36);
  });

  it("suffice however many transactions want however many at once, and nothing of a first attempt is kept", async () => {
    const allocator = createInodeAllocator(kv);
    const given = await Promise.all(Array.from({ length: 64 }, async (_, index) => await take(allocator, index * 300)));
    given.push(await take(allocator, 100_000));
    expect(new Set(given.flat()).size).toBe(64 * 63 * 150 + 100_000);
  });

  it("leave the errors of a program as they are", async () => {
    const allocator = createInodeAllocator(kv);
    await expect(
      allocator.transact(function* (_tx, next): Program<void> {
        next();
        throw new RangeError("no");
      }),
    ).rejects.toThrow(RangeError);
  });
});
