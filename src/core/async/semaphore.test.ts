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

  it("has a budget above zero, and says so", () => {
    for (const capacity of [0, -1, Number.NaN]) expect(() => new Semaphore(capacity)).toThrow("above zero");
    expect(new Semaphore(0.5).inUse).toBe(0);
  });

  it("counts what is in use and who waits, one way of taking as the other", async () => {
    const budget = new Semaphore(4);
    const one = await budget.acquire();
    const two = budget.tryAcquire(2);
    expect(budget.inUse).toBe(3);
    expect(budget.tryAcquire(2)).toBeUndefined();
    const waiter = budget.acquire(2);
    expect([budget.inUse, budget.waiting]).toEqual([3, 1]);
    // It would fit, and is not let past whoever waits.
    expect(budget.tryAcquire()).toBeUndefined();
    two?.();
    two?.();
    const three = await waiter;
    expect([budget.inUse, budget.waiting]).toEqual([3, 0]);
    one();
    three();
    const all = budget.tryAcquire(9);
    expect(budget.inUse).toBe(4);
    all?.();
    expect(budget.inUse).toBe(0);
  });

  it("wakes as many as fit when something is given back, also by tryAcquire", async () => {
    const budget = new Semaphore(2);
    const release = budget.tryAcquire(2);
    const waiters = [budget.acquire(), budget.acquire(), budget.acquire()];
    release?.();
    const [first, second] = await Promise.all(waiters.slice(0, 2));
    expect([budget.inUse, budget.waiting]).toEqual([2, 1]);
    first?.();
    second?.();
    (await waiters[2])?.();
    expect(budget.inUse).toBe(0);
  });

  it("gives nothing to whoever has given up before, and lets those pass who waited behind one that leaves", async () => {
    const budget = new Semaphore(2);
    await expect(budget.acquire(1, AbortSignal.abort(new Error("before")))).rejects.toThrow("before");
    expect(budget.inUse).toBe(0);
    await budget.acquire(1);
    const leaving = new AbortController();
    const large = budget.acquire(2, leaving.signal);
    const small = budget.acquire(1);
    leaving.abort(new Error("gone"));
    await expect(large).rejects.toThrow("gone");
    await small;
    expect([budget.inUse, budget.waiting]).toEqual([2, 0]);
  });

  it("is not changed by a signal that comes when the turn has come", async () => {
    const budget = new Semaphore(1);
    const release = await budget.acquire();
    const late = new AbortController();
    const waiter = budget.acquire(1, late.signal);
    release();
    const held = await waiter;
    late.abort();
    expect(budget.inUse).toBe(1);
    held();
    expect(budget.inUse).toBe(0);
  });
});
