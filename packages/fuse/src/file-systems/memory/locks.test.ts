import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Errno } from "../../protocol/errors.ts";
import { LockType } from "../../protocol/flags.ts";
import { FileLocks, LockWaits, type WantedLock } from "./locks.ts";

function wanted(owner: bigint, type: number, range: readonly [number, number] = [0, Infinity]): WantedLock {
  return { owner, type, start: range[0], end: range[1], lockPid: Number(owner), flock: false };
}

describe("the locks of a file", () => {
  test("agree with a lock for every single byte", () => {
    const step = fc.record({
      owner: fc.constantFrom(1n, 2n, 3n),
      type: fc.constantFrom(LockType.READ, LockType.WRITE, LockType.UNLOCK),
      start: fc.nat(15),
      length: fc.integer({ min: 1, max: 8 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const locks = new FileLocks(new LockWaits());
        const bytes = Array.from({ length: 24 }, () => new Map<bigint, number>());
        for (const { owner, type, start, length } of steps) {
          const range = bytes.slice(start, start + length);
          const blocked = range.some((held) =>
            [...held].some(
              ([other, mode]) =>
                other !== owner && type !== LockType.UNLOCK && (mode === LockType.WRITE || type === LockType.WRITE),
            ),
          );
          expect(locks.set(wanted(owner, type, [start, start + length - 1]))).toBe(!blocked);
          if (blocked) continue;
          for (const held of range) {
            if (type === LockType.UNLOCK) held.delete(owner);
            else held.set(owner, type);
          }
        }
        for (const [index, held] of bytes.entries()) {
          const conflict = locks.conflict(wanted(99n, LockType.WRITE, [index, index]));
          expect(conflict !== undefined).toBe(held.size > 0);
        }
      }),
    );
  });

  test("are waited for, in turn", async () => {
    const locks = new FileLocks(new LockWaits());
    expect(locks.set(wanted(1n, LockType.WRITE))).toBe(true);
    const waiting = locks.wait(wanted(2n, LockType.WRITE), new AbortController().signal);
    locks.releaseAll(1n, false);
    expect(await waiting).toBeUndefined();
    expect(locks.conflict(wanted(1n, LockType.READ))?.pid).toBe(2);
  });

  test("are not waited for by those who were interrupted", async () => {
    const locks = new FileLocks(new LockWaits());
    locks.set(wanted(1n, LockType.WRITE));
    const controller = new AbortController();
    const waiting = locks.wait(wanted(2n, LockType.WRITE), controller.signal);
    controller.abort();
    expect(await waiting).toBe(Errno.EINTR);
    locks.releaseAll(1n, false);
    expect(locks.isIdle).toBe(true);
  });

  test("are refused where waiting would never end, over several files", async () => {
    const waits = new LockWaits();
    const [first, second] = [new FileLocks(waits), new FileLocks(waits)];
    const { signal } = new AbortController();
    first.set(wanted(1n, LockType.WRITE));
    second.set(wanted(2n, LockType.WRITE));
    const waiting = second.wait(wanted(1n, LockType.WRITE), signal);
    expect(await first.wait(wanted(2n, LockType.WRITE), signal)).toBe(Errno.EDEADLK);
    second.releaseAll(2n, false);
    expect(await waiting).toBeUndefined();
  });

  test("of flock and of fcntl do not exclude each other", () => {
    const locks = new FileLocks(new LockWaits());
    expect(locks.set(wanted(1n, LockType.WRITE))).toBe(true);
    expect(locks.set({ ...wanted(2n, LockType.WRITE), flock: true })).toBe(true);
    expect(locks.set({ ...wanted(3n, LockType.READ), flock: true })).toBe(false);
  });
});
