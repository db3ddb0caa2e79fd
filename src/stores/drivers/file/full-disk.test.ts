import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { backgroundCtx } from "../../../core/context.ts";
import type { GfsError } from "../../../core/errors.ts";
import type { Disk, DiskFile } from "../../../core/ports/disk.ts";
import type { MultipartUpload, PartBody, Store } from "../../store.ts";
import { createNodeDisk } from "./disk/node-disk.ts";
import { openFileStore } from "./opening.ts";
import { collect, put } from "./testing/objects.ts";

const ctx = backgroundCtx({ requestId: "test" });

/** A disk that takes nothing more once it is full: no name, no byte, no attribute. Names that are there can still be taken away. */
class FillingDisk {
  readonly disk: Disk;
  errno: "ENOSPC" | "EDQUOT" | undefined;
  /** Of the calls that need room, so many still find it. */
  left = 0;

  constructor(inner: Disk) {
    const take = (): void => {
      if (this.errno === undefined || this.left-- > 0) return;
      throw Object.assign(new Error(this.errno), { code: this.errno });
    };
    const wrap = (file: DiskFile): DiskFile => ({
      read: (buffer, position) => file.read(buffer, position),
      stat: () => file.stat(),
      getAttribute: (name) => file.getAttribute(name),
      truncate: (sizeBytes) => file.truncate(sizeBytes),
      close: () => file.close(),
      async write(buffers, position) {
        take();
        await file.write(buffers, position);
      },
      async copyFrom(source, range) {
        take();
        await file.copyFrom(source, range);
      },
      async setAttribute(name, value) {
        take();
        await file.setAttribute(name, value);
      },
      // Blocks that were promised when they were written are given at the flush.
      async sync() {
        take();
        await file.sync();
      },
      async syncFileSystem() {
        take();
        await file.syncFileSystem();
      },
    });
    this.disk = {
      ...inner,
      async open(at, flags) {
        if (flags === "create") take();
        return wrap(await inner.open(at, flags));
      },
      async makeDirectory(at) {
        // That a name is taken is said first, as by the systems.
        const name = path.basename(at);
        if ((await inner.readDirectory(path.dirname(at))).some((entry) => entry.name === name))
          return await inner.makeDirectory(at);
        take();
        await inner.makeDirectory(at);
      },
      async link(from, to) {
        take();
        await inner.link(from, to);
      },
      async copy(from, to) {
        take();
        await inner.copy(from, to);
      },
      space: async (at) => {
        const space = await inner.space(at);
        return this.errno === undefined ? space : { ...space, freeBytes: 0 };
      },
    };
  }
}

let root: string;
let filling: FillingDisk;
let store: Store;

beforeEach(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), "globalfs-full-"));
  filling = new FillingDisk(createNodeDisk({ opensAtOnce: true }));
  store = await openFileStore({ root }, { disk: filling.disk });
});
afterEach(async () => {
  await store.close();
  await rm(root, { recursive: true });
});

function part(text: string): PartBody {
  return {
    sizeBytes: text.length,
    async *open() {
      yield Buffer.from(text);
    },
  };
}

async function upload(key: string): Promise<MultipartUpload> {
  const begun = await store.createMultipart(ctx, key, {});
  await store.uploadPart(ctx, begun, 1, part("one"));
  // A part of its own file, so that completing has bytes to move.
  await store.uploadPart(ctx, begun, 1, part("two"));
  return begun;
}

describe.each(["ENOSPC", "EDQUOT"] as const)("a disk that answers %s", (errno) => {
  it("is full, says so in one way wherever it runs out, and leaves what was there", async () => {
    await put(store, "dir/old", "old");
    const works: Readonly<Record<string, () => Promise<unknown>>> = {
      put: () => put(store, "dir/old", "new"),
      "put into a new directory": () => put(store, "fresh/deep/new", "new"),
      "put below an object": () => put(store, "dir/old/new", "new"),
      copy: () => store.copy(ctx, "dir/old", "dir/copied"),
      "begin an upload": () => store.createMultipart(ctx, "dir/old", {}),
      check: () => store.check(ctx),
    };
    for (const [name, work] of Object.entries(works)) {
      let refusals = 0;
      for (let left = 0; ; left++) {
        filling.errno = errno;
        filling.left = left;
        const error = await work().then(
          () => undefined,
          (failure: unknown) => failure as GfsError,
        );
        filling.errno = undefined;
        if (error === undefined) break;
        refusals += 1;
        expect([name, left, error.code]).toEqual([name, left, "NoSpace"]);
        expect(error.message).toMatch(/disk/);
        if (name === "check") break;
        expect((await collect(await store.get(ctx, "dir/old"))).toString()).toBe("old");
        expect((await store.list(ctx, { limit: 10 })).objects.map(({ key }) => key)).toEqual(["dir/old"]);
      }
      expect(refusals).toBeGreaterThan(0);
      await store.deleteMany(ctx, ["dir/copied", "fresh/deep/new", "dir/old/new"]);
      await put(store, "dir/old", "old");
    }
  });

  it("is full for parts and for putting them together, and goes on where it stopped when there is room again", async () => {
    for (const step of ["part", "complete"] as const) {
      for (let left = 0; ; left++) {
        const begun = await upload(`${step}-${left}`);
        const work = async (): Promise<unknown> =>
          step === "part"
            ? await store.uploadPart(ctx, begun, 2, part("more"))
            : await store.completeMultipart(ctx, begun, await store.listParts(ctx, begun));
        filling.errno = errno;
        filling.left = left;
        const error = await work().then(
          () => undefined,
          (failure: unknown) => failure as GfsError,
        );
        filling.errno = undefined;
        if (error === undefined) break;
        expect([step, left, error.code]).toEqual([step, left, "NoSpace"]);
        await work();
        if (step === "part") await store.completeMultipart(ctx, begun, await store.listParts(ctx, begun));
        const whole = (await collect(await store.get(ctx, `${step}-${left}`))).toString();
        expect(whole).toBe(step === "part" ? "twomore" : "two");
        expect(left).toBeLessThan(50);
      }
    }
  });

  it("still gives, lists, deletes and gives up", async () => {
    await put(store, "a", "a");
    await put(store, "dir/b", "b");
    await put(store, "dir/c/d", "d");
    const begun = await upload("dir/u");
    const staged = await store.stage(ctx, "dir/s");
    await staged.write(Buffer.from("x"));
    filling.errno = errno;
    expect((await collect(await store.get(ctx, "a"))).toString()).toBe("a");
    expect((await store.list(ctx, { limit: 10 })).objects).toHaveLength(3);
    expect(await store.listParts(ctx, begun)).toHaveLength(1);
    await staged.abort();
    await store.abortMultipart(ctx, begun);
    await store.delete(ctx, "a");
    await store.delete(ctx, "dir/b", { ifMatch: (await store.head(ctx, "dir/b")).etag });
    expect((await store.deleteMany(ctx, ["dir/c/d", "absent"])).every(({ error }) => error === undefined)).toBe(true);
    expect(await store.sweep(ctx, -60_000)).toBeGreaterThanOrEqual(0);
    expect((await store.list(ctx, { limit: 10 })).objects).toEqual([]);
  });

  it("is opened all the same when it was a site before, so that it can be read and emptied", async () => {
    await put(store, "a", "a");
    filling.errno = errno;
    for (const existing of [true, false]) {
      const again = await openFileStore({ root, existing }, { disk: filling.disk });
      expect((await collect(await again.get(ctx, "a"))).toString()).toBe("a");
      expect(again.capabilities.userMetadata).toBe(true);
      await expect(put(again, "b", "b")).rejects.toMatchObject({ code: "NoSpace" });
      await again.close();
    }
    const last = await openFileStore({ root, existing: true }, { disk: filling.disk });
    await last.delete(ctx, "a");
    await last.close();
  });
});
