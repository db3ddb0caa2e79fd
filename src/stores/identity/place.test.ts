import { mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { backgroundCtx } from "../../core/context.ts";
import { GfsError } from "../../core/errors.ts";
import { silentLogger } from "../../core/ports/log.ts";
import { createFakeClock, type FakeClock } from "../../core/testing/fake-clock.ts";
import { openFileStore } from "../drivers/file/index.ts";
import { createMemoryStore } from "../drivers/memory/index.ts";
import { delegateStaged, delegateStore } from "../layers/delegate.ts";
import { put } from "../drivers/file/testing/objects.ts";
import type { Store } from "../store.ts";
import { isShared, MARKER_KEY, readMarker, writeMarker } from "./marker.ts";
import { createPlace, type Place, type PlaceBook, type PlaceRecord } from "./place.ts";

const ctx = backgroundCtx({ requestId: "test" });
const id = (digit: string): string => digit.repeat(32);

interface Book extends PlaceBook {
  record: PlaceRecord;
  readonly known: Map<string, "free" | { readonly takenBy: string }>;
}

function bookWith(record: PlaceRecord): Book {
  let made = 0;
  const book: Book = {
    record,
    known: new Map(),
    read: async () => book.record,
    async write(next) {
      book.record = next;
    },
    recognise: async (found) => book.known.get(found) ?? "unknown",
    newId: () => id(String((made += 1))),
  };
  return book;
}

interface Setting {
  readonly book: Book;
  readonly place: Place;
  readonly store: Store;
}

function at(
  driver: Store,
  record: PlaceRecord,
  {
    unknownMarkers = "ask",
    moves = false,
    clock = createFakeClock(),
  }: { unknownMarkers?: "ask" | "take" | "share"; moves?: boolean; clock?: FakeClock } = {},
): Setting {
  const book = bookWith(record);
  const place = createPlace({
    site: "onprem",
    label: "file:///mnt/disk",
    store: driver,
    book,
    unknownMarkers,
    moves,
    clock,
    log: silentLogger,
  });
  return { book, place, store: place.guard(driver) };
}

describe("a site that is used for the first time", () => {
  it("is marked, and remembered by the mark", async () => {
    const driver = createMemoryStore();
    const { book, place } = at(driver, { state: "fresh", id: id("a") });
    await place.verify();
    expect(await readMarker(driver, ctx)).toBe(id("a"));
    expect(book.record).toEqual({ state: "held", id: id("a") });
  });

  it("is taken up where a start that was killed left it", async () => {
    const driver = createMemoryStore();
    await writeMarker(driver, ctx, id("a"));
    const { book, place } = at(driver, { state: "fresh", id: id("a") });
    await place.verify();
    expect(book.record).toEqual({ state: "held", id: id("a") });
  });

  it("is refused where another catalog's site lies, until somebody says that both may use it", async () => {
    const driver = createMemoryStore();
    await writeMarker(driver, ctx, id("b"));
    const { book, place, store } = at(driver, { state: "fresh", id: id("a") });
    await expect(place.verify()).rejects.toThrow(/another catalog.*globalfs site adopt --name onprem/);
    await expect(put(store, "x", "x")).rejects.toMatchObject({ code: "Unavailable" });
    expect((await driver.list(ctx, { limit: 10 })).objects.map(({ key }) => key)).toEqual([MARKER_KEY]);
    await place.adopt();
    expect(book.record).toEqual({ state: "held", id: id("b") });
    expect(await isShared(driver, ctx)).toBe(true);
    await put(store, "x", "x");
  });

  it("lies where another catalog's does when that was said before", async () => {
    const driver = createMemoryStore();
    await writeMarker(driver, ctx, id("b"));
    const { book, place } = at(driver, { state: "fresh", id: id("a") }, { unknownMarkers: "take" });
    await place.verify();
    expect(book.record).toEqual({ state: "held", id: id("b") });
    expect(await isShared(driver, ctx)).toBe(false);
    const sharing = at(driver, { state: "fresh", id: id("c") }, { unknownMarkers: "share" });
    await sharing.place.verify();
    expect(await isShared(driver, ctx)).toBe(true);
  });

  it("is refused where another site of the same catalog lies, also when somebody insists", async () => {
    const driver = createMemoryStore();
    await writeMarker(driver, ctx, id("b"));
    const { book, place } = at(driver, { state: "fresh", id: id("a") }, { unknownMarkers: "take" });
    book.known.set(id("b"), { takenBy: "cloud" });
    await expect(place.verify()).rejects.toThrow(/site cloud lies at .* already/);
    await expect(place.adopt()).rejects.toMatchObject({ code: "Conflict" });
  });

  it("takes the place of a site that was removed", async () => {
    const driver = createMemoryStore();
    await writeMarker(driver, ctx, id("b"));
    const { book, place } = at(driver, { state: "fresh", id: id("a") });
    book.known.set(id("b"), "free");
    await place.verify();
    expect(book.record).toEqual({ state: "held", id: id("b") });
  });

  it("is put elsewhere when it is added anew, and is the same when it is added where it was", async () => {
    const old = createMemoryStore();
    await writeMarker(old, ctx, id("b"));
    const back = at(old, { state: "held", id: id("b") }, { moves: true });
    await back.place.verify();
    expect(back.book.record).toEqual({ state: "held", id: id("b") });
    const elsewhere = createMemoryStore();
    const moved = at(elsewhere, { state: "held", id: id("b") }, { moves: true });
    await moved.place.verify();
    expect(moved.book.record).toEqual({ state: "held", id: id("1") });
    expect(await readMarker(elsewhere, ctx)).toBe(id("1"));
  });

  it("goes unmarked where nothing can be written, and is marked once it can", async () => {
    const inner = createMemoryStore();
    let isReadOnly = true;
    const driver = delegateStore(inner, {
      async stage(stageCtx, key, options) {
        const staged = await inner.stage(stageCtx, key, options);
        return delegateStaged(staged, {
          async commit(commitCtx, conditions) {
            if (isReadOnly) throw new GfsError("PermissionDenied", "Read only.");
            return await staged.commit(commitCtx, conditions);
          },
        });
      },
    });
    const first = at(driver, { state: "fresh", id: id("a") });
    await first.place.verify();
    expect(first.book.record).toEqual({ state: "unmarked" });
    await first.store.list(ctx, { limit: 1 });
    isReadOnly = false;
    const second = at(driver, { state: "unmarked" });
    await second.place.verify();
    expect(second.book.record).toEqual({ state: "held", id: id("1") });
  });
});

describe("a place that is not the site's", () => {
  it.each(["no", "another's"])(
    "with %s marker is asked nothing and told nothing, and the site comes back by itself",
    async (which) => {
      const clock = createFakeClock();
      const right = createMemoryStore();
      const wrong = createMemoryStore();
      await writeMarker(right, ctx, id("a"));
      await put(right, "x", "right");
      if (which === "another's") await writeMarker(wrong, ctx, id("b"));
      await put(wrong, "x", "wrong");
      let current = wrong;
      const driver = new Proxy({} as Store, {
        get: (_target, name: keyof Store) => {
          const value: unknown = current[name];
          return typeof value === "function" ? (value.bind(current) as unknown) : value;
        },
      });
      const { place, store } = at(driver, { state: "held", id: id("a") }, { clock });
      await expect(place.verify()).rejects.toThrow(
        /is not at file:\/\/\/mnt\/disk.*Mount its disk.*site adopt --name onprem/,
      );
      const calls: readonly (() => Promise<unknown>)[] = [
        () => store.get(ctx, "x"),
        () => store.head(ctx, "x"),
        () => store.list(ctx, { limit: 1 }),
        () => put(store, "y", "y"),
        () => store.delete(ctx, "x"),
        () => store.deleteMany(ctx, ["x"]),
        () => store.copy(ctx, "x", "y"),
        () => store.createMultipart(ctx, "y", {}),
        () => store.sweep(ctx, 0),
        () => store.check(ctx),
      ];
      for (const call of calls) await expect(call()).rejects.toMatchObject({ code: "Unavailable", retry: "never" });
      expect((await wrong.list(ctx, { limit: 10 })).objects.map(({ key }) => key)).toEqual(
        which === "no" ? ["x"] : [MARKER_KEY, "x"],
      );
      current = right;
      await store.check(ctx);
      await put(store, "y", "y");
    },
  );

  it("is looked at again by requests now and then, not by each of them", async () => {
    const clock = createFakeClock();
    const inner = createMemoryStore();
    let looks = 0;
    const driver = delegateStore(inner, {
      async get(getCtx, key, options) {
        looks += 1;
        return await inner.get(getCtx, key, options);
      },
    });
    const { store } = at(driver, { state: "held", id: id("a") }, { clock });
    for (let time = 0; time < 10; time++)
      await expect(store.head(ctx, "x")).rejects.toMatchObject({ code: "Unavailable" });
    expect(looks).toBe(1);
    await writeMarker(inner, ctx, id("a"));
    await clock.advance(1_000);
    await expect(store.head(ctx, "x")).rejects.toMatchObject({ code: "NotFound" });
  });

  it("is one whose marker was damaged, and not one that did not answer once", async () => {
    const inner = createMemoryStore();
    await writeMarker(inner, ctx, id("a"));
    let answers = true;
    const driver = delegateStore(inner, {
      async get(getCtx, key, options) {
        if (!answers) throw new GfsError("Unavailable", "Away.");
        return await inner.get(getCtx, key, options);
      },
    });
    const { place, store } = at(driver, { state: "held", id: id("a") });
    await place.verify();
    answers = false;
    await store.check(ctx);
    await store.head(ctx, MARKER_KEY);
    answers = true;
    await inner.delete(ctx, MARKER_KEY);
    await put(inner, MARKER_KEY, "nonsense");
    await expect(store.check(ctx)).rejects.toThrow(/no marker of a site/);
    await expect(store.head(ctx, "x")).rejects.toMatchObject({ code: "Unavailable" });
  });

  it("is refused in plain words to a request that was asking for it when somebody else found it out", async () => {
    let stamp = async (): Promise<string> => "one disk";
    const driver = delegateStore(createMemoryStore(), {
      medium: { stamp: () => stamp(), prepare: async () => undefined },
    });
    await writeMarker(driver, ctx, id("a"));
    const { place, store } = at(driver, { state: "held", id: id("a") });
    await place.verify();
    let answer: (found: string) => void = () => undefined;
    stamp = async () => await new Promise((resolve) => (answer = resolve));
    const asking = store.head(ctx, "x");
    stamp = async () => "another disk";
    await driver.delete(ctx, MARKER_KEY);
    await expect(place.verify()).rejects.toMatchObject({ code: "Unavailable" });
    answer("one disk");
    await expect(asking).rejects.toMatchObject({ code: "Unavailable", op: "site.identity" });
  });

  it("becomes the site's when it is adopted, and the old one is another then", async () => {
    const driver = createMemoryStore();
    const { book, place, store } = at(driver, { state: "held", id: id("a") });
    await expect(store.list(ctx, { limit: 1 })).rejects.toMatchObject({ code: "Unavailable" });
    await place.adopt();
    expect(book.record).toEqual({ state: "held", id: id("1") });
    expect((await store.list(ctx, { limit: 9 })).objects).toHaveLength(1);
  });
});

describe("the disk of a file site", () => {
  async function mountPoint(): Promise<{ readonly base: string; readonly root: string }> {
    const base = await mkdtemp(path.join(os.tmpdir(), "globalfs-place-"));
    onTestFinished(async () => await rm(base, { recursive: true }));
    return { base, root: path.join(base, "site") };
  }

  it("that goes away under the running site is missed before anything is written to its mount point", async () => {
    const { base, root } = await mountPoint();
    const { place, store } = at(await openFileStore({ root }), { state: "fresh", id: id("a") });
    await place.verify();
    await put(store, "dir/x", "x");
    await rename(root, path.join(base, "unmounted"));
    await mkdir(root);
    await expect(put(store, "dir/y", "y")).rejects.toMatchObject({ code: "Unavailable" });
    await expect(store.delete(ctx, "dir/x")).rejects.toMatchObject({ code: "Unavailable" });
    expect(await readdir(root)).toEqual([]);
    // Another disk that is a site, too.
    await rm(root, { recursive: true });
    const other = at(await openFileStore({ root }), { state: "fresh", id: id("b") });
    await other.place.verify();
    await expect(put(store, "dir/y", "y")).rejects.toMatchObject({ code: "Unavailable" });
    await expect(store.list(ctx, { limit: 1 })).rejects.toMatchObject({ code: "Unavailable" });
    expect((await other.store.list(ctx, { limit: 9 })).objects.map(({ key }) => key)).toEqual([MARKER_KEY]);
    await rm(root, { recursive: true });
    await rename(path.join(base, "unmounted"), root);
    await store.check(ctx);
    await put(store, "dir/y", "y");
  });

  it.each(["no directory", "an empty directory"])(
    "that is away at the start, with %s in its place, is waited for",
    async (which) => {
      const { base, root } = await mountPoint();
      const first = await openFileStore({ root });
      await writeMarker(first, ctx, id("a"));
      await rename(root, path.join(base, "unmounted"));
      if (which === "an empty directory") await mkdir(root);
      const { place, store } = at(await openFileStore({ root, existing: true }), { state: "held", id: id("a") });
      await expect(place.verify()).rejects.toMatchObject({ code: "Unavailable" });
      await expect(put(store, "x", "x")).rejects.toMatchObject({ code: "Unavailable" });
      await expect(store.check(ctx)).rejects.toThrow(/mounted/);
      expect(await readdir(base, { recursive: true })).not.toContain("site/.globalfs");
      await rm(root, { recursive: true, force: true });
      await rename(path.join(base, "unmounted"), root);
      await store.check(ctx);
      await put(store, "x", "x");
      expect(store.capabilities.userMetadata).toBe(true);
      await store.close();
    },
  );

  it("is replaced by a new one when that is adopted", async () => {
    const { root } = await mountPoint();
    const { place, store, book } = at(await openFileStore({ root, existing: true }), { state: "held", id: id("a") });
    await expect(store.check(ctx)).rejects.toMatchObject({ code: "Unavailable" });
    await place.adopt();
    expect(book.record).toEqual({ state: "held", id: id("1") });
    await put(store, "x", "x");
  });
});
