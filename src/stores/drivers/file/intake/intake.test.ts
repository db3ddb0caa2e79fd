import { mkdtemp, readdir, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { backgroundCtx } from "../../../../core/context.ts";
import type { Disk, DiskFile } from "../../../../core/ports/disk.ts";
import { createFakeClock, type FakeClock } from "../../../../core/testing/fake-clock.ts";
import type { Store } from "../../../store.ts";
import { createNodeDisk } from "../disk/node-disk.ts";
import { openFileStore } from "../opening.ts";
import { collect, put } from "../testing/objects.ts";

const ctx = backgroundCtx({ requestId: "test" });
const TURN_MS = 5_001;

/** Counts what reaches the disk, and fails where a test says so. */
class WatchedDisk {
  readonly disk: Disk;
  readonly counts = { noted: 0, synced: 0, syncedWhole: 0, syncedDirectories: 0 };
  fails: "log" | "whole" | undefined;

  constructor(inner: Disk) {
    const wrap = (file: DiskFile, isLog: boolean): DiskFile => ({
      read: (buffer, position) => file.read(buffer, position),
      copyFrom: (source, range) => file.copyFrom(source, range),
      truncate: (sizeBytes) => file.truncate(sizeBytes),
      stat: () => file.stat(),
      getAttribute: (name) => file.getAttribute(name),
      setAttribute: (name, value) => file.setAttribute(name, value),
      close: () => file.close(),
      write: async (buffers, position) => {
        if (isLog) this.counts.noted += 1;
        if (isLog && this.fails !== undefined) throw Object.assign(new Error("EIO"), { code: "EIO" });
        await file.write(buffers, position);
      },
      sync: async () => {
        this.counts.synced += 1;
        await file.sync();
      },
      syncFileSystem: async () => {
        this.counts.syncedWhole += 1;
        if (this.fails === "whole") throw Object.assign(new Error("EIO"), { code: "EIO" });
        await file.syncFileSystem();
      },
    });
    this.disk = {
      ...inner,
      open: async (at, flags) => wrap(await inner.open(at, flags), flags === "log"),
      hold: async (at) => {
        const held = await inner.hold(at);
        return {
          path: held.path,
          release: () => held.release(),
          syncFileSystem: () => held.syncFileSystem(),
          sync: async () => {
            this.counts.syncedDirectories += 1;
            await held.sync();
          },
        };
      },
    };
  }
}

let base: string;
let root: string;
let clock: FakeClock;
let watched: WatchedDisk;
const opened: Store[] = [];

beforeEach(async () => {
  base = await mkdtemp(path.join(os.tmpdir(), "globalfs-intake-"));
  root = path.join(base, "site");
  clock = createFakeClock();
  watched = new WatchedDisk(createNodeDisk({ opensAtOnce: true, isLocal: true }));
});
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close();
  await rm(base, { recursive: true });
});

async function open(intakeBytes = 4_096, disk = watched.disk): Promise<Store> {
  const store = await openFileStore({ root, intakeBytes }, { disk, clock });
  opened.push(store);
  return store;
}

async function segments(): Promise<string[]> {
  return (await readdir(path.join(root, ".globalfs", "intake"))).filter((name) => name.includes("segment"));
}

async function textOf(store: Store, key: string): Promise<string> {
  return (await collect(await store.get(ctx, key))).toString();
}

describe("the intake of a file site", () => {
  it("notes small contents with one flush for all that arrive together, and flushes no file", async () => {
    const store = await open();
    await put(store, "first", "x");
    const before = { ...watched.counts };
    await Promise.all(Array.from({ length: 64 }, async (_, index) => await put(store, `d/${index}`, "content")));
    expect(watched.counts.noted - before.noted).toBeLessThan(64);
    expect(watched.counts).toMatchObject({ synced: before.synced, syncedDirectories: before.syncedDirectories });
    expect(await textOf(store, "d/63")).toBe("content");
  });

  it("is not there where it is switched off, nor for contents that are larger", async () => {
    const off = await open(0);
    await put(off, "a", "small");
    expect(watched.counts).toMatchObject({ noted: 0, synced: 1 });
    expect(await segments()).toEqual([]);
    await off.close();
    const on = await open(4);
    await put(on, "b", "12345");
    expect(watched.counts).toMatchObject({ noted: 0, synced: 2 });
    await put(on, "b", "1234");
    expect(watched.counts).toMatchObject({ noted: 1, synced: 2 });
  });

  it("is flushed as files some seconds later by one call, and what is not used is let go", async () => {
    const standing: number[] = [];
    const store = await openFileStore(
      { root, intakeBytes: 4_096 },
      { disk: watched.disk, clock, onIntake: ({ records, bytes }) => standing.push(records, bytes) },
    );
    opened.push(store);
    await Promise.all(Array.from({ length: 20 }, async (_, index) => await put(store, `${index}`, "content")));
    const before = { ...watched.counts };
    expect(before.syncedWhole).toBe(0);
    await clock.advance(TURN_MS);
    // The segment is marked as closed.
    await until(() => watched.counts.noted === before.noted + 1);
    expect(watched.counts.syncedWhole).toBe(1);
    await until(() => standing.at(-1) === 0);
    expect([standing.at(-4), standing.at(-2)]).toEqual([20, 0]);
    // Nothing speaks of it any more, so that nothing has to be said when it is flushed by itself.
    await put(store, "0", "large".repeat(1_000));
    expect(watched.counts).toMatchObject({ noted: before.noted + 1, synced: before.synced + 1 });
  });

  it("leaves nothing behind when it is closed, and a store that is closed twice is closed", async () => {
    const store = await open();
    await put(store, "a", "content");
    expect(await segments()).toEqual(["segment-0"]);
    await store.close();
    await store.close();
    expect(await segments()).toEqual([]);
    expect(watched.counts.syncedWhole).toBe(1);
  });

  it("goes to whoever comes when its owner has not used it for a while", async () => {
    const one = await open();
    await put(one, "a", "content");
    const other = await open();
    await put(other, "b", "content");
    const { noted } = watched.counts;
    await put(other, "c", "content");
    expect(watched.counts.noted).toBe(noted);
    for (let turns = 0; turns < 100 && watched.counts.noted === noted; turns++) {
      await clock.advance(TURN_MS);
      await rest();
      await put(other, "d", "content");
    }
    expect(watched.counts.noted).toBeGreaterThan(noted);
    expect(await textOf(one, "d")).toBe("content");
  });

  it("is taken from its owner by another process that changes the site, and both go on without it", async () => {
    const owner = await open();
    await put(owner, "a", "content");
    const guest = await open();
    await guest.delete(ctx, "a");
    expect(await segments()).toEqual([]);
    const { synced } = watched.counts;
    await Promise.all([put(owner, "b", "content"), put(owner, "c", "content")]);
    await put(owner, "d", "content");
    expect(watched.counts.synced).toBeGreaterThan(synced);
    expect(await textOf(guest, "d")).toBe("content");
  });

  it("that cannot be written lets each object be flushed by itself", async () => {
    const store = await open();
    await put(store, "a", "content");
    watched.fails = "log";
    await put(store, "a", "again");
    await put(store, "b", "content");
    await store.delete(ctx, "a");
    expect(watched.counts.synced).toBeGreaterThan(0);
    watched.fails = undefined;
    expect(await textOf(store, "b")).toBe("content");
  });

  it("of a disk that failed to flush is not believed: all that it speaks of is made again", async () => {
    const store = await open();
    await put(store, "a", "content");
    const before = await store.head(ctx, "a");
    watched.fails = "whole";
    await store.close();
    watched.fails = undefined;
    expect(await segments()).toEqual(["segment-0"]);
    const again = await open();
    expect(await textOf(again, "a")).toBe("content");
    expect(await again.head(ctx, "a")).toMatchObject({ etag: before.etag });
    expect(await segments()).toEqual([]);
  });

  it("makes a site that takes no writes neither unreadable nor writable, and is replayed once it takes some", async () => {
    const dying = await open(4_096, { ...watched.disk, lock: async () => ({ release: () => undefined }) });
    await put(dying, "a", "content");
    await rm(path.join(root, "a"));
    let isReadOnly = true;
    const refuse = (): void => {
      if (isReadOnly) throw Object.assign(new Error("EROFS"), { code: "EROFS" });
    };
    const store = await open(4_096, {
      ...watched.disk,
      async open(at, flags) {
        if (flags !== "read") refuse();
        return await watched.disk.open(at, flags);
      },
      async lock(at, kind) {
        refuse();
        return await watched.disk.lock(at, kind);
      },
    });
    await expect(store.get(ctx, "a")).rejects.toMatchObject({ code: "NotFound" });
    await expect(store.delete(ctx, "b")).rejects.toMatchObject({ code: "ReadOnly" });
    isReadOnly = false;
    await store.delete(ctx, "b");
    expect(await textOf(store, "a")).toBe("content");
  });
});

async function rest(): Promise<void> {
  for (let turns = 0; turns < 20; turns++) await new Promise<void>((resolve) => setImmediate(resolve));
}

async function until(holds: () => boolean): Promise<void> {
  // A flush of the file system takes as long as everybody has written to it.
  for (const startedMs = performance.now(); performance.now() - startedMs < 15_000 && !holds();)
    await new Promise<void>((resolve) => setImmediate(resolve));
  expect(holds()).toBe(true);
  await rest();
}
