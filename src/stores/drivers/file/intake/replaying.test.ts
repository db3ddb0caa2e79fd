import {
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  unlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { backgroundCtx } from "../../../../core/context.ts";
import type { Disk } from "../../../../core/ports/disk.ts";
import type { Store } from "../../../store.ts";
import { createNodeDisk } from "../disk/node-disk.ts";
import { openFileStore } from "../opening.ts";
import { collect, put } from "../testing/objects.ts";

const ctx = backgroundCtx({ requestId: "test" });
const disk = createNodeDisk({ opensAtOnce: true, isLocal: true });
/** Of a process that is about to die: the kernel drops its locks. */
const lockless: Disk = { ...disk, lock: async () => ({ release: () => undefined }) };

let base: string;
let root: string;
/** What it has acknowledged is noted, and nothing of it is retired. */
let dead: Store;
let alive: Store | undefined;

beforeEach(async () => {
  base = await mkdtemp(path.join(os.tmpdir(), "globalfs-replay-"));
  root = path.join(base, "site");
  dead = await openFileStore({ root, intakeBytes: 4_096 }, { disk: lockless });
});
afterEach(async () => {
  await alive?.close();
  await dead.close();
  await rm(base, { recursive: true });
});

const at = (...names: string[]): string => path.join(root, ...names);

async function reopen(): Promise<Store> {
  alive = await openFileStore({ root, existing: true }, { disk });
  return alive;
}

async function textOf(store: Store, key: string): Promise<string> {
  return await store.get(ctx, key).then(
    async (body) => (await collect(body)).toString(),
    (error: { code: string }) => error.code,
  );
}

async function segments(): Promise<string[]> {
  return (await readdir(at(".globalfs", "intake"))).filter((name) => name.includes("segment"));
}

describe("after a loss of power", () => {
  it.each<readonly [string, () => Promise<unknown>]>([
    ["the file is gone", async () => await unlink(at("d", "e"))],
    ["its directory is gone", async () => await rm(at("d"), { recursive: true })],
    ["the file is empty", async () => await truncate(at("d", "e"), 0)],
    ["its bytes are zeros", async () => await tearUnseen(at("d", "e"))],
  ])("an object is made again as it was when %s", async (_what, lose) => {
    const before = await put(dead, "d/e", "content");
    const staged = await dead.stage(ctx, "with", { contentType: "text/x", metadata: { name: "value" } });
    await staged.write(Buffer.from("more"));
    await staged.seal();
    const described = await staged.commit(ctx);
    await lose();
    await unlink(at("with"));
    const store = await reopen();
    expect(await textOf(store, "d/e")).toBe("content");
    expect((await store.head(ctx, "d/e")).etag).toBe(before.etag);
    const { modifiedMs: _, ...found } = await store.head(ctx, "with");
    const { modifiedMs: __, ...expected } = described;
    expect(found).toEqual(expected);
    expect(await segments()).toEqual([]);
    expect(await readdir(at(".globalfs", "staging"))).toEqual([]);
  });

  it("the last that was acknowledged of a key counts, put or deleted", async () => {
    await put(dead, "a", "one");
    await put(dead, "a", "two");
    await put(dead, "b", "one");
    await dead.delete(ctx, "b");
    await put(dead, "c", "one");
    await dead.delete(ctx, "c");
    await put(dead, "c", "two");
    await rm(at("a"));
    await rm(at("c"));
    const store = await reopen();
    expect([await textOf(store, "a"), await textOf(store, "b"), await textOf(store, "c")]).toEqual([
      "two",
      "NotFound",
      "two",
    ]);
  });

  it("an older file that has come back gives way to the newer one, and to the delete", async () => {
    await put(dead, "a", "one");
    await put(dead, "b", "one");
    for (const name of ["a", "b"]) await keepOld(name);
    await put(dead, "a", "two");
    await dead.delete(ctx, "b");
    for (const name of ["a", "b"]) await bringBackOld(name);
    const store = await reopen();
    expect([await textOf(store, "a"), await textOf(store, "b")]).toEqual(["two", "NotFound"]);
  });

  it("what another tool has put there, or written into a file, is left alone", async () => {
    for (const key of ["a", "b", "c"]) await put(dead, key, "ours");
    await dead.delete(ctx, "c");
    await writeFile(at("new"), "theirs");
    await rename(at("new"), at("a"));
    await writeFile(at("b"), "theirs, in place");
    await writeFile(at("c"), "theirs");
    const store = await reopen();
    expect([await textOf(store, "a"), await textOf(store, "b"), await textOf(store, "c")]).toEqual([
      "theirs",
      "theirs, in place",
      "theirs",
    ]);
  });

  it("what was flushed by itself since is left alone, and not brought back when it is deleted", async () => {
    await put(dead, "a", "small");
    await put(dead, "a", "large".repeat(2_000));
    await put(dead, "b", "small");
    await put(dead, "b", "large".repeat(2_000));
    await unlink(at("b"));
    const store = await reopen();
    expect(await textOf(store, "a")).toBe("large".repeat(2_000));
    expect(await textOf(store, "b")).toBe("NotFound");
  });

  it("an object that was copied, or given a second name, is there under each that was acknowledged", async () => {
    await put(dead, "a", "content");
    await dead.copy(ctx, "a", "copied");
    await dead.copy(ctx, "a", "d/shared", { mayShare: true, metadata: { name: "value" } });
    await dead.delete(ctx, "a");
    await rm(at("copied"));
    await rm(at("d"), { recursive: true });
    const store = await reopen();
    expect([await textOf(store, "a"), await textOf(store, "copied"), await textOf(store, "d/shared")]).toEqual([
      "NotFound",
      "content",
      "content",
    ]);
    expect((await store.head(ctx, "d/shared")).metadata).toEqual({ name: "value" });
  });

  it("objects get their places beside directories of their names", async () => {
    await put(dead, "a", "object");
    await put(dead, "a/b", "below");
    await rm(at("a"), { recursive: true });
    await rm(at(".globalfs~oa"));
    const store = await reopen();
    expect([await textOf(store, "a"), await textOf(store, "a/b")]).toEqual(["object", "below"]);
  });

  it("nothing is made again through a symbolic link", async () => {
    await mkdir(path.join(base, "outside"));
    await put(dead, "d/e", "content");
    await put(dead, "f", "content");
    await rm(at("d"), { recursive: true });
    await symlink("../outside", at("d"));
    await unlink(at("f"));
    await symlink("../outside/f", at("f"));
    const store = await reopen();
    expect(await readdir(path.join(base, "outside"))).toEqual([]);
    expect(await textOf(store, "d/e")).toBe("NotFound");
    expect(await textOf(store, "f")).toBe("content");
    expect(await readdir(at(".globalfs", "staging"))).toEqual([]);
  });

  it("a change that was noted and not made is not made then", async () => {
    const failing: Disk = {
      ...lockless,
      async rename(from, to) {
        if (to.endsWith("/refused")) throw Object.assign(new Error("EIO"), { code: "EIO" });
        await lockless.rename(from, to);
      },
      async unlink(where) {
        if (where.endsWith("/kept")) throw Object.assign(new Error("EIO"), { code: "EIO" });
        await lockless.unlink(where);
      },
    };
    const other = await openFileStore({ root, intakeBytes: 4_096 }, { disk: failing });
    await put(other, "kept", "content");
    await expect(put(other, "refused", "content")).rejects.toMatchObject({ code: "Unavailable" });
    await expect(other.delete(ctx, "kept")).rejects.toMatchObject({ code: "Unavailable" });
    const store = await reopen();
    expect([await textOf(store, "refused"), await textOf(store, "kept")]).toEqual(["NotFound", "content"]);
    await other.close();
  });
});

/** Another size or time would tell. */
async function tearUnseen(file: string): Promise<void> {
  await writeFile(file, Buffer.alloc((await readFile(file)).length));
  await utimes(file, 1, 1);
}

async function keepOld(name: string): Promise<void> {
  await link(at(name), path.join(base, name));
}

async function bringBackOld(name: string): Promise<void> {
  await rename(path.join(base, name), at(name));
}
