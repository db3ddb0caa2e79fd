import { describe, expect, it } from "vitest";
import { forEachBounded } from "./for-each.ts";

describe("bounded work over a list", () => {
  it("keeps as many under way as it may, and no more", async () => {
    let running = 0;
    let most = 0;
    await forEachBounded(Array.from({ length: 20 }).keys(), 4, async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
    });
    expect(most).toBe(4);
  });

  it("starts nothing after a failure and waits for what runs", async () => {
    let started = 0;
    let ended = 0;
    const work = forEachBounded(Array.from({ length: 10 }).keys(), 2, async (index) => {
      started += 1;
      await new Promise((resolve) => setImmediate(resolve));
      ended += 1;
      if (index === 0) throw new Error("first");
    });
    await expect(work).rejects.toThrow("first");
    expect(ended).toBe(started);
    expect(started).toBeLessThan(10);
  });

  it("waits for those under way also when the items end with a failure", async () => {
    let ended = 0;
    async function* items(): AsyncGenerator<number> {
      yield 1;
      await Promise.resolve();
      throw new Error("no more");
    }
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => (open = resolve));
    const all = forEachBounded(items(), 4, async () => {
      await gate;
      ended += 1;
    });
    const settled = all.catch((error: unknown) => error);
    expect(await Promise.race([settled, new Promise((resolve) => setImmediate(resolve, "still running"))])).toBe(
      "still running",
    );
    open();
    expect(await settled).toMatchObject({ message: "no more" });
    expect(ended).toBe(1);
  });

  it("counts the items, and ends well when there are none", async () => {
    const seen: [string, number][] = [];
    await forEachBounded(["a", "b"], 1, async (item, index) => void seen.push([item, index]));
    expect(seen).toEqual([
      ["a", 0],
      ["b", 1],
    ]);
    await forEachBounded([], 1, async () => expect.unreachable());
  });

  it("throws the first failure, whatever the later ones are", async () => {
    const work = forEachBounded([0, 1], 2, async (item) => {
      await (item === 1 ? Promise.resolve() : new Promise((resolve) => setImmediate(resolve)));
      throw new Error(`failure of ${item}`);
    });
    await expect(work).rejects.toThrow("failure of 1");
  });

  it("runs one after the other when it may run one", async () => {
    let running = 0;
    await forEachBounded([1, 2, 3], 1, async () => {
      expect((running += 1)).toBe(1);
      await Promise.resolve();
      running -= 1;
    });
  });
});
