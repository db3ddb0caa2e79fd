import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Semaphore } from "./semaphore.ts";

describe("a semaphore", () => {
  it("never hands out more than it has, whatever is asked of it", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 30 }), async (amounts) => {
        const budget = new Semaphore(10);
        let inUse = 0;
        await Promise.all(
          amounts.map(async (amount) => {
            const release = await budget.acquire(amount);
            inUse += Math.min(amount, 10);
            expect(inUse).toBeLessThanOrEqual(10);
            await Promise.resolve();
            inUse -= Math.min(amount, 10);
            release();
            release();
          }),
        );
        expect(budget.inUse).toBe(0);
        expect(budget.waiting).toBe(0);
      }),
    );
  });

  it("serves in the order of asking, so that a large request is not starved by small ones", async () => {
    const budget = new Semaphore(4);
    const order: string[] = [];
    const first = await budget.acquire(3);
    const take = async (amount: number, name: string): Promise<void> => {
      const release = await budget.acquire(amount);
      order.push(name);
      release();
    };
    const large = take(4, "large");
    const small = take(1, "small");
    expect(budget.tryAcquire(1)).toBeUndefined();
    first();
    await Promise.all([large, small]);
    expect(order).toEqual(["large", "small"]);
  });

  it("lets a waiter leave, and those behind it go on", async () => {
    const budget = new Semaphore(1);
    const release = await budget.acquire();
    const leaving = new AbortController();
    const left = budget.acquire(1, leaving.signal);
    const stays = budget.acquire();
    leaving.abort(new Error("gone"));
    await expect(left).rejects.toThrow("gone");
    release();
    (await stays)();
    expect(budget.inUse).toBe(0);
  });
});
