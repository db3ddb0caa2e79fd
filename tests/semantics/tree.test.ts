import { expect, test } from "vitest";
import { isGfsError } from "../../src/core/errors.ts";
import { type Inode, ROOT_INODE, type SessionId, type VersionId } from "../../src/core/ids.ts";
import { momentOf } from "../../src/core/moment.ts";
import { rigCtx } from "../../src/coordinator/testing/rig.ts";
import type { Kv, Program, Transaction } from "../../src/kv/index.ts";
import { checkCatalog, createInodeAllocator, posix } from "../../src/namespace/index.ts";
import { keysOf, start } from "./setting.ts";

const ONE = { local: "primary" } as const;
const OWNER = { uid: 1_000, gid: 1_000 };

/** A file system over the catalog of a running coordinator. */
function mount(kv: Kv) {
  const allocator = createInodeAllocator(kv);
  let ids = 0;
  const maker = (nextInode: () => Inode) => ({ ...OWNER, now: momentOf(Date.now()), nextInode });
  const run = async <T>(program: (tx: Transaction, nextInode: () => Inode) => Program<T>): Promise<T> =>
    await allocator.transact(program);
  const childAt = function* (tx: Transaction, path: string): Program<posix.Child> {
    return (yield* posix.walk(tx, { path, last: "name" })).child as posix.Child;
  };
  const removal = (nextInode: () => Inode, heldBy: readonly SessionId[] = []) => {
    const tombstoneVersionId = `7ZZZZ${String((ids += 1)).padStart(21, "0")}` as VersionId;
    return { now: momentOf(Date.now()), tombstoneVersionId, nextInode, heldBy };
  };
  return {
    create: async (path: string) =>
      await run(function* (tx, nextInode) {
        return yield* posix.mknod(tx, {
          ...(yield* childAt(tx, path)),
          ...maker(nextInode),
          kind: "file",
          mode: 0o644,
        });
      }),
    mkdir: async (path: string) =>
      await run(function* (tx, nextInode) {
        return yield* posix.mkdir(tx, { ...(yield* childAt(tx, path)), ...maker(nextInode), mode: 0o755 });
      }),
    unlink: async (path: string, heldBy?: readonly SessionId[]) =>
      await run(function* (tx, nextInode) {
        return yield* posix.unlink(tx, { ...(yield* childAt(tx, path)), ...removal(nextInode, heldBy) });
      }),
    rmdir: async (path: string) =>
      await run(function* (tx) {
        return yield* posix.rmdir(tx, { ...(yield* childAt(tx, path)), now: momentOf(Date.now()) });
      }),
    rename: async (one: string, other: string) =>
      await run(function* (tx, nextInode) {
        const [from, to] = [yield* childAt(tx, one), yield* childAt(tx, other)];
        return yield* posix.rename(tx, { from, to, ...removal(nextInode) });
      }),
    names: async (path: string): Promise<string[]> =>
      await kv.view(function* (tx) {
        const { file } = yield* posix.walk(tx, { path, last: "follow" });
        const page = yield* posix.readdir(tx, { inode: file?.inode ?? ROOT_INODE, limit: 1_000 });
        return page.entries.map(({ name }) => name);
      }),
    stat: async (inode: Inode) => await kv.view((tx) => posix.getattr(tx, inode)),
    release: async (session: SessionId, inode: Inode) =>
      await run((tx, nextInode) => posix.releaseOrphan(tx, { session, inode, ...removal(nextInode) })),
  };
}

async function errnoOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "none",
    (error: unknown) => (isGfsError(error) ? error.meaning.errno : String(error)),
  );
}

test("T1 What a file system does to names has the outcome that Linux gives, with objects as with files", async () => {
  const { kv, put, read } = await start(ONE);
  const fs = mount(kv);
  await put("t/d/object", "1");
  await fs.mkdir("t/e");
  await fs.create("t/file");
  const cases: readonly (readonly [Promise<unknown>, string])[] = [
    [fs.mkdir("t/d"), "EEXIST"],
    [fs.create("t/d/object"), "EEXIST"],
    [fs.create("t/none/x"), "ENOENT"],
    [fs.create("t/file/x"), "ENOTDIR"],
    [fs.unlink("t/d"), "EISDIR"],
    [fs.rmdir("t/file"), "ENOTDIR"],
    [fs.rmdir("t/d"), "ENOTEMPTY"],
    [fs.rename("t/d", "t/d/x"), "EINVAL"],
    [fs.rename("t/file", "t/e"), "EISDIR"],
    [fs.rename("t/e", "t/file"), "ENOTDIR"],
    [fs.rename("t/e", "t/d"), "ENOTEMPTY"],
    [fs.rename("t/none", "t/x"), "ENOENT"],
  ];
  for (const [work, errno] of cases) expect(await errnoOf(work)).toBe(errno);
  await fs.rename("t/d/object", "t/file");
  await fs.rename("t/d", "t/e");
  expect([await fs.names("t"), await read("t/file")]).toEqual([["e", "file"], "1"]);
  expect((await checkCatalog(kv)).faults).toEqual([]);
});

test("T2 A directory hides a file of its name from a file system, and objects show both", async () => {
  const setting = await start(ONE);
  const fs = mount(setting.kv);
  await setting.put("t/a", "file");
  await setting.put("t/a/b", "below");
  expect(await fs.names("t")).toEqual(["a"]);
  expect(await fs.names("t/a")).toEqual(["b"]);
  expect(await keysOf(setting, "t/")).toEqual(["t/a", "t/a/b"]);
  expect(await setting.read("t/a")).toBe("file");
  await fs.unlink("t/a/b");
  await fs.rmdir("t/a");
  expect(await errnoOf(fs.names("t/a"))).toBe("ENOTDIR");
  await fs.unlink("t/a");
  expect(await fs.names("t")).toEqual([]);
});

test("T3 A directory that only objects needed stays once a file system has worked in it", async () => {
  const { kv, put, coordinator } = await start(ONE);
  const fs = mount(kv);
  for (const key of ["t/seen/x", "t/used/x"]) await put(key, "1");
  await fs.names("t/seen");
  await fs.create("t/used/y");
  await fs.unlink("t/used/y");
  for (const key of ["t/seen/x", "t/used/x"]) await coordinator.deleteObject(rigCtx, key);
  expect(await fs.names("t")).toEqual(["used"]);
});

test("T4 Of a directory that is read in pages nothing is skipped that was there the whole time, and nothing comes twice", async () => {
  const { kv } = await start(ONE);
  const fs = mount(kv);
  await fs.mkdir("t");
  for (let index = 0; index < 40; index++) await fs.create(`t/f${String(index).padStart(2, "0")}`);
  const { inode } = (await kv.view((tx) => posix.walk(tx, { path: "t", last: "follow" }))).file as { inode: Inode };
  const seen: string[] = [];
  let cookie: string | undefined;
  for (let turn = 0; ; turn++) {
    const from = cookie === undefined ? {} : { cookie };
    const { entries, isLast } = await kv.view((tx) => posix.readdir(tx, { inode, limit: 5, ...from }));
    seen.push(...entries.map(({ name }) => name));
    if (isLast) break;
    cookie = entries.at(-1)?.cookie;
    // The one that came last goes, and others come before and behind it.
    await fs.unlink(`t/${cookie}`);
    await fs.create(`t/a${turn}`);
    await fs.create(`t/z${turn}`);
  }
  expect(new Set(seen).size).toBe(seen.length);
  expect(seen.filter((name) => name.startsWith("f"))).toHaveLength(40);
});

test("T5 What is open when its last name goes stays for the sessions that have it, and no longer", async () => {
  const { kv, put, read } = await start(ONE);
  const fs = mount(kv);
  await put("t/a", "1");
  const session = "mount-1" as SessionId;
  const { file } = await fs.unlink("t/a", [session]);
  expect(await read("t/a").catch((error: { code: string }) => error.code)).toBe("NotFound");
  await put("t/a", "2");
  expect(await fs.stat(file.inode)).toMatchObject({ linkCount: 0, sizeBytes: 1 });
  expect(await fs.release(session, file.inode)).toMatchObject({
    file: { inode: file.inode },
    orphans: [{ site: "local" }],
  });
  expect([await errnoOf(fs.stat(file.inode)), await read("t/a")]).toEqual(["ENOENT", "2"]);
  expect((await checkCatalog(kv)).faults).toEqual([]);
});

test("T6 Names may be any bytes; those that are no keys no listing of objects has, and they keep their bucket", async () => {
  const setting = await start(ONE);
  const { kv, coordinator, put } = setting;
  const fs = mount(kv);
  await put("t/a", "1");
  const odd = ["\n", "\udcff", "tab\t"];
  for (const name of odd) await fs.create(`t/${name}`);
  await fs.mkdir("t/\udcfe");
  await fs.create("t/\udcfe/x");
  expect(await fs.names("t")).toEqual(["\n", "a", "tab\t", "\udcfe", "\udcff"]);
  expect(await keysOf(setting, "t/")).toEqual(["t/", "t/a"]);
  expect(await errnoOf(coordinator.headObject(rigCtx, "t/\udcff"))).toBe("EINVAL");
  await coordinator.deleteObject(rigCtx, "t/a");
  expect(await errnoOf(coordinator.deleteBucket(rigCtx, "t"))).toBe("ENOTEMPTY");
  for (const name of odd) await fs.unlink(`t/${name}`);
  await fs.unlink("t/\udcfe/x");
  await fs.rmdir("t/\udcfe");
  await coordinator.deleteBucket(rigCtx, "t");
});
