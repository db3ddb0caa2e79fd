import { describe, expect, it, onTestFinished } from "vitest";
import type { Inode, VersionId } from "../../core/ids.ts";
import { checkCatalog, posix } from "../../namespace/index.ts";
import { createMemoryStore, type Store } from "../../stores/index.ts";
import { flakyStore, type FlakyStore } from "../testing/flaky-store.ts";
import { bodyAt, chunksOf, type Rig, rigCtx, startRig } from "../testing/rig.ts";
import { errnoOf, openSession, type Tree, treeOf } from "../testing/tree.ts";
import type { CommittedContent, FileService, ReadContent } from "../service/service.ts";

/** What is in files, by inode and version: written, replaced, renamed and taken away while somebody has it open. */

interface Bench extends Rig {
  readonly files: FileService;
  readonly tree: Tree;
  readonly local: FlakyStore;
}

async function begin({ cache = true } = {}): Promise<Bench> {
  const local = flakyStore(createMemoryStore());
  const rig = await startRig({
    sites: [
      { name: "local", role: "primary", store: local },
      { name: "cloud", role: "burst" },
    ],
    ...(cache ? {} : { overrides: { cache: { maxBytes: 1, ttlMs: 0 } } }),
  });
  onTestFinished(async () => {
    expect((await checkCatalog(rig.kv)).faults).toEqual([]);
    await rig.stop();
  });
  const { files } = rig.coordinator;
  return { ...rig, files, tree: treeOf(files), local };
}

const write = async (
  { files }: Bench,
  inode: Inode,
  bytes: string,
  more: Partial<Parameters<FileService["commit"]>[1]> = {},
): Promise<CommittedContent> =>
  await files.commit(rigCtx, { inode, body: chunksOf(Buffer.from(bytes)), expect: "any", ...more });

async function read({ files }: Bench, request: ReadContent): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of (await files.read(rigCtx, request)).stream) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

async function readNow(bench: Bench, inode: Inode): Promise<string> {
  const { versionId } = await bench.files.content(rigCtx, { inode });
  return await read(bench, { inode, versionId });
}

/** All keys at a site, those of its own included. */
async function keysAt(store: Store): Promise<string[]> {
  const page = await store.list(rigCtx, { prefix: "", limit: 1_000 });
  return page.objects.map(({ key }) => key).filter((key) => key !== ".globalfs/site");
}

async function fenceAt({ kv }: Bench, inode: Inode, epoch: number): Promise<void> {
  await kv.transact((tx) => posix.fence(tx, { inode, epoch }));
}

/** A body that lets something happen before its last piece. */
async function* after(first: string, work: () => Promise<unknown>, last: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(first);
  await work();
  yield Buffer.from(last);
}

describe("content", () => {
  it("that is written to an inode is an object like any other, at every site, under its path", async () => {
    const bench = await begin();
    await bench.tree.mkdir("d");
    const { inode } = await bench.tree.create("d/f");
    expect(await bench.files.content(rigCtx, { inode })).toEqual({ versionId: "none", sizeBytes: 0 });
    expect(await read(bench, { inode, versionId: "none" })).toBe("");
    const modified = { ms: 1_000, ns: 5 };
    const { attributes, versionId } = await write(bench, inode, "bytes", { expect: "none", sizeBytes: 5, modified });
    expect(attributes).toMatchObject({ inode, sizeBytes: 5, modified, uid: 1_000, mode: 0o644 });
    expect([await bench.read("d/f"), await read(bench, { inode, versionId })]).toEqual(["bytes", "bytes"]);
    await bench.settled();
    for (const name of ["local", "cloud"]) expect(await keysAt(bench.stores[name] as Store)).toEqual(["d/f"]);
    expect(await read(bench, { inode, versionId, range: { start: 1, end: 3 } })).toBe("yt");
    expect(await errnoOf(read(bench, { inode, versionId, range: { start: 9, end: 12 } }))).toBe("EINVAL");
  });

  it("is refused where another version is there than the writer began with, and nothing is left of it", async () => {
    const bench = await begin();
    const { inode } = await bench.tree.create("f");
    const { versionId } = await write(bench, inode, "one", { expect: "none" });
    await bench.settled();
    expect(await errnoOf(write(bench, inode, "two", { expect: "none" }))).toBe("EAGAIN");
    const racing = after("ra", async () => await bench.put("f", "put"), "ced");
    expect(await errnoOf(write(bench, inode, "", { body: racing, expect: versionId }))).toBe("EAGAIN");
    await bench.settled();
    expect([await bench.read("f"), await keysAt(bench.local)]).toEqual(["put", ["f"]]);
    expect(await errnoOf(write(bench, inode, "short", { sizeBytes: 9 }))).toBe("EIO");
    bench.local.failing.add("commit");
    expect(await errnoOf(write(bench, inode, "three"))).toBe("EIO");
    bench.local.failing.delete("commit");
    await bench.settled();
    expect([await bench.read("f"), await keysAt(bench.local)]).toEqual(["put", ["f"]]);
  });

  it("comes to the file, wherever that hangs when the last byte has come", async () => {
    const bench = await begin();
    await bench.tree.mkdir("from");
    await bench.tree.mkdir("to");
    const { inode } = await bench.tree.create("from/f");
    const work = async (): Promise<void> => {
      await bench.tree.rename("from/f", "to/g");
      await bench.put("from/f", "another");
    };
    await write(bench, inode, "", { body: after("whole ", work, "content"), expect: "none" });
    expect([await bench.read("to/g"), await bench.read("from/f")]).toEqual(["whole content", "another"]);
    await bench.settled();
    for (const name of ["local", "cloud"]) {
      const store = bench.stores[name] as Store;
      expect(await keysAt(store)).toEqual(["from/f", "to/g"]);
      expect([await bodyAt(store, "to/g"), await bodyAt(store, "from/f")]).toEqual(["whole content", "another"]);
    }
  });

  it("comes to what has lost its name while it is open, and goes with it", async () => {
    const bench = await begin();
    await bench.put("f", "before");
    const inode = await bench.tree.inode("f");
    const session = await openSession(bench.kv, "one");
    const unlink = async (): Promise<unknown> => await bench.tree.unlink("f", [session]);
    const { versionId } = await write(bench, inode, "", { body: after("un", unlink, "named") });
    expect(await read(bench, { inode, versionId })).toBe("unnamed");
    const again = await write(bench, inode, "again", { expect: versionId });
    expect(await read(bench, { inode, versionId: again.versionId })).toBe("again");
    expect(await errnoOf(bench.read("f"))).toBe("ENOENT");
    await bench.files.release(rigCtx, { session, inode });
    await bench.settled();
    for (const name of ["local", "cloud"]) expect(await keysAt(bench.stores[name] as Store)).toEqual([]);
    expect(await errnoOf(write(bench, inode, "late"))).toBe("ENOENT");
  });

  it("is refused by what is gone, and leaves nothing at any site", async () => {
    const bench = await begin();
    const { inode } = await bench.tree.create("f");
    const unlink = async (): Promise<unknown> => await bench.tree.unlink("f");
    expect(await errnoOf(write(bench, inode, "", { body: after("go", unlink, "ne") }))).toBe("ENOENT");
    await bench.settled();
    expect(await keysAt(bench.local)).toEqual([]);
    await bench.tree.mkdir("d");
    await bench.tree.symlink("d", "l");
    expect(await errnoOf(write(bench, await bench.tree.inode("d"), "x"))).toBe("EISDIR");
    expect(await errnoOf(write(bench, await bench.tree.inode("l"), "x"))).toBe("EINVAL");
  });

  it("is that of all names of the file", async () => {
    const bench = await begin();
    await bench.put("a", "before");
    await bench.tree.link("a", "b");
    await write(bench, await bench.tree.inode("b"), "after");
    await bench.settled();
    expect([await bench.read("a"), await bench.read("b")]).toEqual(["after", "after"]);
  });

  it("keeps what is said beside the bytes", async () => {
    const bench = await begin();
    const labels = { tags: { colour: "blue" }, accessList: "READ all" };
    await bench.put("a", "1", { contentType: "text/x", metadata: { one: "1" }, owner: "olga", labels });
    await write(bench, await bench.tree.inode("a"), "22");
    const { meta } = await bench.coordinator.headObject(rigCtx, "a");
    expect(meta).toMatchObject({ contentType: "text/x", metadata: { one: "1" }, sizeBytes: 2 });
    expect(meta.details).toMatchObject({ owner: "olga", labels });
  });

  it("is written and read by who may, and what others than root have written does not run as its owner", async () => {
    const bench = await begin();
    await bench.put("a", "1");
    const inode = await bench.tree.inode("a");
    const who = { uid: 5, gid: 5, groups: [] };
    await bench.files.setattr(rigCtx, { inode, mode: 0o4700 });
    expect(await errnoOf(write(bench, inode, "2", { who }))).toBe("EACCES");
    const { versionId } = await bench.files.content(rigCtx, { inode });
    expect(await errnoOf(read(bench, { inode, versionId, who }))).toBe("EACCES");
    expect(await errnoOf((async () => await bench.files.content(rigCtx, { inode, who }))())).toBe("EACCES");
    await bench.files.setattr(rigCtx, { inode, mode: 0o4706 });
    expect((await write(bench, inode, "2", { who })).attributes.mode).toBe(0o706);
  });
});

describe("a version that was opened", () => {
  const open = async (bench: Bench, path: string): Promise<{ inode: Inode; versionId: VersionId | "none" }> => {
    const inode = await bench.tree.inode(path);
    return { inode, versionId: (await bench.files.content(rigCtx, { inode })).versionId };
  };

  it("is read on after its file was renamed", async () => {
    const bench = await begin({ cache: false });
    await bench.put("d/a", "bytes");
    const opened = await open(bench, "d/a");
    await bench.tree.rename("d", "e");
    expect(await read(bench, opened)).toBe("bytes");
    await bench.settled();
    expect(await read(bench, opened)).toBe("bytes");
  });

  it("is read on for good where its bucket keeps versions, whatever becomes of the name", async () => {
    const bench = await begin({ cache: false });
    await bench.coordinator.createBucket(rigCtx, { name: "v" });
    await bench.coordinator.changeBucket(rigCtx, "v", { versioning: "enabled" });
    await bench.put("v/a", "one");
    const opened = await open(bench, "v/a");
    await bench.put("v/a", "two");
    await write(bench, opened.inode, "three");
    await bench.settled();
    expect([await read(bench, opened), await readNow(bench, opened.inode)]).toEqual(["one", "three"]);
    await bench.tree.rename("v/a", "v/b");
    await bench.settled();
    expect(await read(bench, opened)).toBe("one");
  });

  it("is read from the cache after it was replaced, and never anything else", async () => {
    const bench = await begin();
    await bench.put("a", "one");
    const opened = await open(bench, "a");
    expect(await read(bench, opened)).toBe("one");
    await bench.put("a", "two");
    await bench.settled();
    expect(await read(bench, opened)).toBe("one");
  });

  it("that nobody has any more is stale, and the file can be opened again", async () => {
    const bench = await begin({ cache: false });
    await bench.put("a", "one");
    await bench.settled();
    const opened = await open(bench, "a");
    await bench.put("a", "two");
    await bench.settled();
    expect(await errnoOf(read(bench, opened))).toBe("ESTALE");
    expect(await readNow(bench, opened.inode)).toBe("two");
    expect(
      await errnoOf(read(bench, { inode: opened.inode, versionId: "01ARZ3NDEKTSV4RRFFQ69G5FAV" as VersionId })),
    ).toBe("ESTALE");
  });
});

describe("a writer whose right to write has ended", () => {
  it("is refused by its epoch, at its commit too, and leaves nothing at any site", async () => {
    const bench = await begin();
    const { inode } = await bench.tree.create("f");
    await write(bench, inode, "first", { epoch: 4 });
    await fenceAt(bench, inode, 5);
    const keys = await keysAt(bench.local);
    expect(await errnoOf(write(bench, inode, "late", { epoch: 4 }))).toBe("ESTALE");
    const body = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from("held ");
      await fenceAt(bench, inode, 6);
      yield Buffer.from("up");
    };
    expect(await errnoOf(write(bench, inode, "", { epoch: 5, body: body() }))).toBe("ESTALE");
    expect([await readNow(bench, inode), await keysAt(bench.local)]).toEqual(["first", keys]);
    await write(bench, inode, "next", { epoch: 6 });
    await write(bench, inode, "of nobody's epoch");
    expect(await readNow(bench, inode)).toBe("of nobody's epoch");
  });

  it("stays refused when its file is renamed, changed or loses its last name, and a fence never goes back", async () => {
    const bench = await begin();
    const { inode } = await bench.tree.create("f");
    await write(bench, inode, "first");
    await fenceAt(bench, inode, 5);
    await fenceAt(bench, inode, 3);
    await bench.tree.rename("f", "g");
    await bench.files.setattr(rigCtx, { inode, mode: 0o600 });
    expect(await errnoOf(write(bench, inode, "late", { epoch: 4 }))).toBe("ESTALE");
    const session = await openSession(bench.kv, "mount-1");
    await bench.tree.unlink("g", [session]);
    expect(await errnoOf(write(bench, inode, "late", { epoch: 4 }))).toBe("ESTALE");
    await write(bench, inode, "in time", { epoch: 5 });
    expect(await readNow(bench, inode)).toBe("in time");
    expect(await errnoOf(fenceAt(bench, 999_999 as Inode, 1))).toBe("ENOENT");
  });
});
