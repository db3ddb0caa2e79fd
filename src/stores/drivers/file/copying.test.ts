import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { backgroundCtx } from "../../../core/context.ts";
import type { Disk } from "../../../core/ports/disk.ts";
import type { Store } from "../../store.ts";
import { createNodeDisk, nodeDisk } from "./disk/node-disk.ts";
import { openFileStore } from "./opening.ts";
import { collect, put } from "./testing/objects.ts";

const ctx = backgroundCtx({ requestId: "test" });
const LANDED = ".globalfs/landed/VERSION-object";
let root: string;
let store: Store;
let calls: string[] = [];

/** Tells which calls wait for the disk. */
const counting: Disk = {
  ...nodeDisk,
  link: async (from, to) => await counted("link", nodeDisk.link(from, to)),
  rename: async (from, to) => await counted("rename", nodeDisk.rename(from, to)),
  renameNew: async (from, to) => await counted("rename", nodeDisk.renameNew(from, to)),
  unlink: async (place) => await counted("unlink", nodeDisk.unlink(place)),
  open: async (place, flags) =>
    await (flags === "read" ? nodeDisk.open(place, flags) : counted("open", nodeDisk.open(place, flags))),
};

async function counted<T>(name: string, work: Promise<T>): Promise<T> {
  calls.push(name);
  return await work;
}

const inodeOf = async (key: string): Promise<number> => (await stat(path.join(root, key))).ino;
const stagingOf = async (): Promise<string[]> => await readdir(path.join(root, ".globalfs", "staging"));
const textOf = async (key: string): Promise<string> => (await collect(await store.get(ctx, key))).toString();

beforeEach(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), "globalfs-copying-"));
  store = await openFileStore({ root }, { disk: counting });
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

describe("a copy that may be the very file", () => {
  it("takes the place of another object with one link and one rename, and leaves nothing behind", async () => {
    const older = await put(store, "dir/object", "older");
    await put(store, LANDED, "newer");
    calls = [];
    await store.copy(ctx, LANDED, "dir/object", { mayShare: true, ifMatch: older.etag });
    expect(calls).toEqual(["link", "rename"]);
    expect([await textOf("dir/object"), await stagingOf()]).toEqual(["newer", []]);
    calls = [];
    await store.delete(ctx, LANDED);
    expect(calls).toEqual(["unlink"]);
    expect(await textOf("dir/object")).toBe("newer");
  });

  it("leaves nothing behind either where both names are the same file already, or it is of no name yet", async () => {
    const landed = await put(store, LANDED, "bytes");
    await store.copy(ctx, LANDED, "object", { mayShare: true, ifNoneMatch: "*" });
    await store.copy(ctx, LANDED, "object", { mayShare: true, ifMatch: landed.etag });
    await store.copy(ctx, LANDED, "object", { mayShare: true });
    expect([await textOf("object"), await stagingOf()]).toEqual(["bytes", []]);
    await expect(store.copy(ctx, LANDED, "object", { mayShare: true, ifNoneMatch: "*" })).rejects.toMatchObject({
      code: "PreconditionFailed",
    });
    expect(await stagingOf()).toEqual([]);
  });

  it("is the source that the caller knows, or nothing", async () => {
    const first = await put(store, "from", "first");
    const { link } = counting;
    Object.assign(counting, {
      link: async (from: string, to: string) => {
        await put(store, "from", "second");
        await link(from, to);
      },
    });
    try {
      const copy = store.copy(ctx, "from", "to", { mayShare: true, sourceIfMatch: first.etag });
      await expect(copy).rejects.toMatchObject({ code: "PreconditionFailed" });
    } finally {
      Object.assign(counting, { link });
    }
    await expect(store.head(ctx, "to")).rejects.toMatchObject({ code: "NotFound" });
    expect(await stagingOf()).toEqual([]);
  });

  it("says other things of itself under both names when it is told to", async () => {
    await put(store, "from", "bytes");
    await store.copy(ctx, "from", "to", { mayShare: true, contentType: "text/plain", metadata: { a: "b" } });
    expect(await store.head(ctx, "to")).toMatchObject({ contentType: "text/plain", metadata: { a: "b" } });
    expect(await inodeOf("to")).toBe(await inodeOf("from"));
    expect(await store.head(ctx, "from")).toMatchObject({ contentType: "text/plain", metadata: { a: "b" } });
  });

  it("gives way to a directory also where it has its place twice, having been made once more", async () => {
    await put(store, LANDED, "bytes");
    await put(store, "a/b", "below");
    await store.copy(ctx, LANDED, "a", { mayShare: true });
    await store.delete(ctx, "a/b");
    await store.copy(ctx, LANDED, "a", { mayShare: true });
    await put(store, "a/b", "below again");
    expect([await textOf("a"), await textOf("a/b")]).toEqual(["bytes", "below again"]);
  });
});

describe("copies that are flushed later", () => {
  const names = Array.from({ length: 20 }, (_, index) => `d${index}/object`);
  let whole: number;
  let directories: number;

  beforeEach(async () => {
    const inner = createNodeDisk({ opensAtOnce: false, isLocal: true });
    [whole, directories] = [0, 0];
    const disk: Disk = {
      ...inner,
      hold: async (at) => {
        const held = await inner.hold(at);
        const sync = async (): Promise<void> => {
          directories += 1;
          await held.sync();
        };
        const syncFileSystem = async (): Promise<void> => {
          whole += 1;
          await held.syncFileSystem();
        };
        return { path: held.path, release: () => held.release(), sync, syncFileSystem };
      },
      syncDirectory: async (at) => {
        directories += 1;
        await inner.syncDirectory(at);
      },
    };
    store = await openFileStore({ root }, { disk });
    for (const name of names) await put(store, `.globalfs/landed/${name.replace("/", "-")}`, `body of ${name}`);
    [whole, directories] = [0, 0];
  });
  afterEach(async () => {
    await store.close();
  });

  const publish = async (name: string): Promise<void> => {
    const landed = `.globalfs/landed/${name.replace("/", "-")}`;
    await store.copy(ctx, landed, name, { mayShare: true, durability: "visible" });
    await store.flush(ctx, name);
    await store.delete(ctx, landed, { durability: "visible" });
  };

  it("go to the disk together, and their sources go without", async () => {
    await Promise.all(names.map(publish));
    for (const name of names) expect(await textOf(name)).toBe(`body of ${name}`);
    expect(whole).toBeGreaterThan(0);
    expect(whole + directories).toBeLessThan(names.length / 2);
  });

  it("leave alone what others write to the disk where they are few", async () => {
    await publish(names[0] as string);
    // The directory of the object, and the one that has this directory's name.
    expect([whole, directories]).toEqual([0, 2]);
  });
});
