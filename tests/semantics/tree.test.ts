import { expect, test } from "vitest";
import type { GfsError } from "../../src/core/errors.ts";
import type { CommittedContent, FileService, ReadContent } from "../../src/coordinator/index.ts";
import { bodyAt, rigCtx } from "../../src/coordinator/testing/rig.ts";
import { errnoOf, openSession, treeOf } from "../../src/coordinator/testing/tree.ts";
import type { Store } from "../../src/stores/index.ts";
import { checkCatalog, posix } from "../../src/namespace/index.ts";
import { everywhere } from "./matrix.ts";
import { keysOf, start } from "./setting.ts";

const ONE = { local: "primary" } as const;

test("T1 What a file system does to names has the outcome that Linux gives, with objects as with files", async () => {
  const { coordinator, kv, put, read } = await start(ONE);
  const fs = treeOf(coordinator.files);
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
  const fs = treeOf(setting.coordinator.files);
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

test("T12 What is called a beside a directory a is another thing to each door", async () => {
  const setting = await start(ONE);
  const { kv, put, read, coordinator } = setting;
  const fs = treeOf(coordinator.files);
  await put("t/a", "file");
  const file = await fs.inode("t/a");
  await put("t/a/b", "below");
  // By keys: three things, none in the way of another.
  const shallow = await coordinator.listObjects(rigCtx, { prefix: "t/", delimiter: "/", limit: 10 });
  expect([shallow.objects.map(({ key }) => key), shallow.prefixes]).toEqual([["t/a"], ["t/a/"]]);
  await put("t/a", "written");
  await coordinator.rename(rigCtx, { from: "t/a", to: "t/c" });
  expect(await keysOf(setting, "t/")).toEqual(["t/a/b", "t/c"]);
  await coordinator.rename(rigCtx, { from: "t/c", to: "t/a" });
  await coordinator.rename(rigCtx, { from: "t/a/", to: "t/d/" });
  expect([await keysOf(setting, "t/"), await read("t/a"), await read("t/d/b")]).toEqual([
    ["t/a", "t/d/b"],
    "written",
    "below",
  ]);
  await coordinator.rename(rigCtx, { from: "t/d/", to: "t/a/" });
  // By names: the directory, and the file by its handle alone.
  expect([await errnoOf(fs.unlink("t/a")), await errnoOf(fs.create("t/a"))]).toEqual(["EISDIR", "EEXIST"]);
  expect(await coordinator.files.getattr(rigCtx, file)).toMatchObject({ linkCount: 1, sizeBytes: 7 });
  await fs.rename("t/a", "t/e");
  expect([await fs.names("t"), await fs.inode("t/a"), await read("t/e/b")]).toEqual([["a", "e"], file, "below"]);
  expect(await errnoOf(fs.rename("t/e", "t/a"))).toBe("ENOTDIR");
  await coordinator.rename(rigCtx, { from: "t/e/", to: "t/a/" });
  await coordinator.deleteObject(rigCtx, "t/a");
  expect([await keysOf(setting, "t/"), await fs.names("t/a")]).toEqual([["t/", "t/a/b"], ["b"]]);
  expect((await checkCatalog(kv)).faults).toEqual([]);
});

test("T3 A directory that only objects needed stays once a file system has worked in it", async () => {
  const { put, coordinator } = await start(ONE);
  const fs = treeOf(coordinator.files);
  for (const key of ["t/seen/x", "t/used/x"]) await put(key, "1");
  await fs.names("t/seen");
  await fs.create("t/used/y");
  await fs.unlink("t/used/y");
  for (const key of ["t/seen/x", "t/used/x"]) await coordinator.deleteObject(rigCtx, key);
  expect(await fs.names("t")).toEqual(["used"]);
});

test("T4 Of a directory that is read in pages nothing is skipped that was there the whole time, and nothing comes twice", async () => {
  const { files } = (await start(ONE)).coordinator;
  const fs = treeOf(files);
  await fs.mkdir("t");
  for (let index = 0; index < 40; index++) await fs.create(`t/f${String(index).padStart(2, "0")}`);
  const inode = await fs.inode("t");
  const seen: string[] = [];
  let cookie: string | undefined;
  for (let turn = 0; ; turn++) {
    const from = cookie === undefined ? {} : { cookie };
    const { entries, isLast } = await files.readdir(rigCtx, { inode, limit: 5, ...from });
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
  const { coordinator, kv, put, read, settled, stores } = await start(ONE);
  const { files } = coordinator;
  const fs = treeOf(files);
  await put("t/a", "1");
  const session = await openSession(kv, "mount-1");
  const { inode } = await fs.unlink("t/a", [session]);
  expect(await read("t/a").catch((error: { code: string }) => error.code)).toBe("NotFound");
  await put("t/a", "2");
  expect(await files.getattr(rigCtx, inode)).toMatchObject({ linkCount: 0, sizeBytes: 1 });
  await settled();
  expect(await bodyAt(stores["local"] as Store, "t/a")).toBe("1");
  await files.release(rigCtx, { session, inode });
  await settled();
  expect(await bodyAt(stores["local"] as Store, "t/a")).not.toBe("1");
  const gone = errnoOf((async () => await files.getattr(rigCtx, inode))());
  expect([await gone, await read("t/a")]).toEqual(["ENOENT", "2"]);
  expect((await checkCatalog(kv)).faults).toEqual([]);
});

test("T6 Names may be any bytes; those that are no keys no listing of objects has, and they keep their bucket", async () => {
  const setting = await start(ONE);
  const { coordinator, put } = setting;
  const fs = treeOf(coordinator.files);
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

everywhere(
  "T7 A name that is written over leads to a new file, and other names keep the content",
  async ({ start }) => {
    const { coordinator, kv, put, read, settled, stores } = await start({ local: "primary", cloud: "burst" });
    const fs = treeOf(coordinator.files);
    await put("t/a", "shared");
    for (const name of ["b", "c", "d", "e"]) await fs.link("t/a", `t/${name}`);
    await put("t/from", "copied");
    await put("t/a", "put");
    await coordinator.copyObject(rigCtx, { from: { key: "t/from" }, key: "t/b" });
    await coordinator.rename(rigCtx, { from: "t/from", to: "t/c", overwrite: true });
    await coordinator.deleteObject(rigCtx, "t/d");
    const look = async (): Promise<string[]> =>
      await Promise.all(["a", "b", "c", "e"].map(async (name) => await read(`t/${name}`)));
    expect(await look()).toEqual(["put", "copied", "copied", "shared"]);
    expect(await fs.stat("t/e")).toMatchObject({ linkCount: 1 });
    await settled();
    expect(await look()).toEqual(["put", "copied", "copied", "shared"]);
    expect(await bodyAt(stores["local"] as Store, "t/e")).toBe("shared");
    expect((await checkCatalog(kv)).faults).toEqual([]);
  },
);

everywhere(
  "T7 Where versions are kept, a version that a name of several has lost is found by its id, and is that of the other names",
  async ({ start }) => {
    const { coordinator, kv, put, settled } = await start({ local: "primary", cloud: "burst" });
    const fs = treeOf(coordinator.files);
    await coordinator.createBucket(rigCtx, { name: "t" });
    await coordinator.changeBucket(rigCtx, "t", { versioning: "enabled" });
    const first = (await put("t/a", "shared")).meta.versionId;
    for (const name of ["b", "c", "d", "e"]) await fs.link("t/a", `t/${name}`);
    const bodyOf = async (key: string): Promise<string> => {
      const opened = await (await coordinator.readObject(rigCtx, key, { versionId: first })).open();
      const chunks: Uint8Array[] = [];
      for await (const chunk of opened.stream) chunks.push(chunk);
      return Buffer.concat(chunks).toString();
    };
    await put("t/from", "moved");
    await put("t/a", "put");
    await coordinator.rename(rigCtx, { from: "t/from", to: "t/b", overwrite: true });
    await coordinator.deleteObject(rigCtx, "t/c");
    const found = async (): Promise<string[]> =>
      await Promise.all(["a", "b", "c", "d", "e"].map(async (name) => await bodyOf(`t/${name}`)));
    expect(await found()).toEqual(Array.from({ length: 5 }, () => "shared"));
    // The other names go their own ways, and the version stays what it was.
    await coordinator.deleteObject(rigCtx, "t/e");
    await put("t/d", "newer");
    await coordinator.rename(rigCtx, { from: "t/", to: "u/" });
    await settled();
    for (const name of ["a", "b", "c", "d", "e"]) expect([name, await bodyOf(`u/${name}`)]).toEqual([name, "shared"]);
    await coordinator.deleteObject(rigCtx, "u/a", { versionId: first });
    await expect(bodyOf("u/a")).rejects.toThrow("no version");
    expect(await bodyOf("u/b")).toBe("shared");
    await coordinator.deleteObject(rigCtx, "u/d", { versionId: first });
    for (const name of ["a", "b", "c", "d", "e"]) await expect(bodyOf(`u/${name}`)).rejects.toThrow("no version");
    expect((await checkCatalog(kv)).faults).toEqual([]);
  },
);

test("T8 Links and special files are no objects, and no door follows a link", async () => {
  const setting = await start(ONE);
  const { coordinator, put } = setting;
  const fs = treeOf(coordinator.files);
  await put("t/target/x", "1");
  await fs.symlink("target", "t/dir");
  await fs.symlink("target/x", "t/link");
  await coordinator.files.mknod(rigCtx, { ...(await fs.child("t/pipe")), kind: "fifo", mode: 0o600, uid: 0, gid: 0 });
  expect(await keysOf(setting, "t/")).toEqual(["t/", "t/target/x"]);
  const { objects } = await coordinator.listObjects(rigCtx, { prefix: "t/", limit: 10, others: true });
  expect(objects.map(({ key, kind }) => `${key} ${kind}`)).toEqual([
    "t/ undefined",
    "t/dir symlink",
    "t/link symlink",
    "t/pipe fifo",
    "t/target/x undefined",
  ]);
  for (const key of ["t/link", "t/dir/x", "t/pipe"]) {
    expect([key, await errnoOf(coordinator.readObject(rigCtx, key))]).toEqual([key, "ENOENT"]);
    expect([key, await errnoOf(coordinator.headObject(rigCtx, key))]).toEqual([key, "ENOENT"]);
  }
  expect(await errnoOf(put("t/link", "2"))).toBe("EEXIST");
  for (const key of ["t/link", "t/pipe", "t/dir"])
    expect(await coordinator.deleteObject(rigCtx, key)).toMatchObject({ deleted: true });
  expect([await fs.names("t"), await setting.read("t/target/x")]).toEqual([["target"], "1"]);
});

everywhere(
  "T9 Mode, owner, times and extended attributes stay with a file whose content changes",
  async ({ start }) => {
    const { coordinator, put, settled, stores } = await start(ONE);
    const fs = treeOf(coordinator.files);
    await put("t/a", "1");
    const inode = await fs.inode("t/a");
    await coordinator.files.setattr(rigCtx, { inode, mode: 0o6751, uid: 7, gid: 8 });
    await coordinator.files.setxattr(rigCtx, { inode, name: "user.x", value: Buffer.from("y") });
    const before = await (stores["local"] as Store).head(rigCtx, "t/a");
    await put("t/a", "22");
    await settled();
    // What would run as its owner does not, with other content.
    expect(await fs.stat("t/a")).toMatchObject({ inode, mode: 0o751, uid: 7, gid: 8, sizeBytes: 2 });
    expect(await coordinator.files.listxattr(rigCtx, { inode })).toEqual(["user.x"]);
    const after = await (stores["local"] as Store).head(rigCtx, "t/a");
    expect([before, after].map(({ metadata }) => metadata["globalfs-mode"])).toEqual(["644", "751"]);
  },
);

everywhere(
  "T10 What is written to an open file is its content wherever it hangs by then, or nothing",
  async ({ start }) => {
    const { coordinator, kv, put, read, settled, stores } = await start({ local: "primary", cloud: "burst" });
    const { files } = coordinator;
    const fs = treeOf(files);
    const session = await openSession(kv, "mount-1");
    const write = async (path: string, meanwhile: () => Promise<unknown>): Promise<CommittedContent> => {
      const inode = await fs.inode(path);
      const { versionId } = await files.content(rigCtx, { inode });
      const body = async function* (): AsyncGenerator<Uint8Array> {
        yield Buffer.from("written ");
        await meanwhile();
        yield Buffer.from(path);
      };
      return await files.commit(rigCtx, { inode, body: body(), expect: versionId });
    };
    for (const name of ["moved/a", "open", "gone", "raced", "shared"]) await put(`t/${name}`, "before");
    await fs.link("t/shared", "t/link");
    await write("t/moved/a", async () => await fs.rename("t/moved", "t/away"));
    await write("t/shared", async () => undefined);
    const open = await write("t/open", async () => await fs.unlink("t/open", [session]));
    expect(await errnoOf(write("t/gone", async () => await fs.unlink("t/gone")))).toBe("ENOENT");
    expect(await errnoOf(write("t/raced", async () => await put("t/raced", "other")))).toBe("EAGAIN");
    const { inode } = await fs.create("t/fenced");
    const late = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from("late");
      await kv.transact((tx) => posix.fence(tx, { inode, epoch: 2 }));
    };
    expect(await errnoOf(files.commit(rigCtx, { inode, body: late(), expect: "any", epoch: 1 }))).toBe("ESTALE");
    expect((await files.content(rigCtx, { inode })).versionId).toBe("none");
    await fs.unlink("t/fenced");
    await settled();
    const names = ["t/away/a", "t/shared", "t/link", "t/raced"];
    expect(await Promise.all(names.map(read))).toEqual([
      "written t/moved/a",
      "written t/shared",
      "written t/shared",
      "other",
    ]);
    expect(await textOf(files, { inode: open.attributes.inode, versionId: open.versionId })).toBe("written t/open");
    await files.release(rigCtx, { session, inode: open.attributes.inode });
    await settled();
    const { objects } = await (stores["local"] as Store).list(rigCtx, { prefix: "", limit: 100 });
    const left = objects.map(({ key }) => key).filter((key) => key !== ".globalfs/site");
    expect(left.filter((key) => key.startsWith(".globalfs/") || key.includes("open") || key.includes("gone"))).toEqual(
      [],
    );
    expect((await checkCatalog(kv)).faults).toEqual([]);
  },
);

everywhere("T11 An opened version is read by its id through renames, and never as another", async ({ start }) => {
  const { coordinator, put, settled } = await start({ local: "primary", cloud: "burst" });
  const { files } = coordinator;
  const fs = treeOf(files);
  await coordinator.createBucket(rigCtx, { name: "v" });
  await coordinator.changeBucket(rigCtx, "v", { versioning: "enabled" });
  const open = async (path: string): Promise<ReadContent> => {
    const inode = await fs.inode(path);
    return { inode, versionId: (await files.content(rigCtx, { inode })).versionId };
  };
  for (const bucket of ["t", "v"]) await put(`${bucket}/d/a`, "one");
  const [plain, kept] = [await open("t/d/a"), await open("v/d/a")];
  for (const bucket of ["t", "v"]) await fs.rename(`${bucket}/d`, `${bucket}/e`);
  expect([await textOf(files, plain), await textOf(files, kept)]).toEqual(["one", "one"]);
  for (const bucket of ["t", "v"]) await put(`${bucket}/e/a`, "another");
  await settled();
  expect(await textOf(files, kept)).toBe("one");
  expect(["one", "ESTALE"]).toContain(await textOf(files, plain).catch((error: GfsError) => error.meaning.errno));
  expect([await textOf(files, await open("t/e/a")), await textOf(files, await open("v/e/a"))]).toEqual([
    "another",
    "another",
  ]);
});

async function textOf(files: FileService, request: ReadContent): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of (await files.read(rigCtx, request)).stream) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}
