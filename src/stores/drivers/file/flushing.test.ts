import { beforeEach, describe, expect, it } from "vitest";
import { settle } from "../../../core/testing/fake-clock.ts";
import { KeyFlushes, UnflushedKeys } from "./flushing.ts";

let flushed: string[];
let failing: string | undefined;
beforeEach(() => {
  flushed = [];
  failing = undefined;
});

async function flush(what: string): Promise<void> {
  flushed.push(what);
  await Promise.resolve();
  if (what === failing) throw new Error(`${what} is broken.`);
}

const flushes = (withAll = true): KeyFlushes =>
  new KeyFlushes(flush, withAll ? async () => await flush("all") : undefined);

describe("flushes of keys", () => {
  it("are each by itself while they are two at most, and one of the whole file system when they are more", async () => {
    const each = flushes();
    await Promise.all(["a", "b"].map(async (key) => await each.ask(key)));
    expect(flushed).toEqual(["a", "b"]);
    flushed = [];
    await Promise.all(["a", "b", "c"].map(async (key) => await each.ask(key)));
    expect(flushed).toEqual(["all"]);
  });

  it("are each by itself, however many they are, where the file system cannot be flushed as a whole", async () => {
    const each = flushes(false);
    await Promise.all(["a", "b", "c"].map(async (key) => await each.ask(key)));
    expect(flushed).toEqual(["a", "b", "c"]);
  });

  it("that are asked for while one is under way go together after it, and none joins what has begun", async () => {
    let open = (): void => undefined;
    const held = new Promise<void>((resolve) => (open = resolve));
    const each = new KeyFlushes(
      async (key) => {
        await flush(key);
        await held;
      },
      async () => await flush("all"),
    );
    const first = each.ask("a");
    await settle();
    const others = ["a", "b", "c"].map(async (key) => await each.ask(key));
    await settle();
    expect(flushed).toEqual(["a"]);
    open();
    await Promise.all([first, ...others]);
    expect(flushed).toEqual(["a", "all"]);
  });

  it("tell those who asked of their failure, and go on", async () => {
    const each = flushes();
    failing = "a";
    const two = await Promise.allSettled(["a", "b"].map(async (key) => await each.ask(key)));
    expect(two.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
    failing = "all";
    const three = await Promise.allSettled(["a", "b", "c"].map(async (key) => await each.ask(key)));
    expect(three.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    failing = undefined;
    await each.ask("d");
    expect(flushed.at(-1)).toBe("d");
  });
});

describe("keys that were changed and not flushed", () => {
  it("are known until they are flushed, and are many from a thousand and one on", () => {
    const keys = new UnflushedKeys();
    for (let index = 0; index < 1_000; index++) keys.add(`k${index}`);
    expect([keys.has("k7"), keys.has("other"), keys.areMany]).toEqual([true, false, false]);
    keys.add("k7");
    expect(keys.areMany).toBe(false);
    keys.add("more");
    expect(keys.areMany).toBe(true);
    keys.delete("k7");
    expect([keys.has("k7"), keys.areMany]).toEqual([false, false]);
  });

  it("are flushed with the file system when they were changed before, and none that is changed meanwhile", async () => {
    const keys = new UnflushedKeys();
    for (const key of ["a", "b"]) keys.add(key);
    await keys.during(async () => {
      await flush("all");
      for (const key of ["b", "c"]) keys.add(key);
    });
    expect(["a", "b", "c"].map((key) => keys.has(key))).toEqual([false, true, true]);
    await expect(keys.during(async () => await Promise.reject(new Error("EIO")))).rejects.toThrow("EIO");
    expect(keys.has("c")).toBe(true);
    await keys.during(async () => await flush("all"));
    expect(["b", "c"].map((key) => keys.has(key))).toEqual([false, false]);
  });
});
