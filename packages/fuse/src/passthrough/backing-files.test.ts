import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Errno, type FuseError } from "../protocol/errors.ts";
import { BackingFiles } from "./backing-files.ts";

/** A kernel that registers files: it knows which ids are taken, and complains about those that are not. */
function kernel(refuse?: (descriptor: number) => number | undefined) {
  const open = new Map<number, number>();
  let nextId = 1;
  return {
    open,
    device: {
      open: (descriptor: number) => {
        const refusal = refuse?.(descriptor);
        if (refusal !== undefined) return refusal;
        open.set(nextId, descriptor);
        nextId += 1;
        return nextId - 1;
      },
      close: (backingId: number) => {
        if (!open.delete(backingId)) throw new Error(`${backingId} is not open`);
      },
    },
  };
}

function files(config: { maxFiles: number; maxIdle: number }, refuse?: (descriptor: number) => number | undefined) {
  const { open, device } = kernel(refuse);
  const problems: FuseError[] = [];
  const backing = new BackingFiles({ device, report: (problem) => problems.push(problem) }, config);
  return { backing, open, problems };
}

describe("backing files", () => {
  test("give all who have a file open the same id, and keep it for the next for a while", () => {
    const { backing, open } = files({ maxFiles: 10, maxIdle: 1 });
    expect([backing.acquire(2, 20), backing.acquire(2, 20), backing.acquire(3, 30)]).toEqual([1, 1, 2]);
    backing.release(2);
    backing.release(2);
    expect(backing.acquire(2, 20)).toBe(1);
    backing.release(2);
    backing.release(3);
    expect([...open.keys()]).toEqual([2]);
  });

  test("are bounded: those that are idle make room, and then there are no more", () => {
    const { backing, open } = files({ maxFiles: 2, maxIdle: 2 });
    expect([backing.acquire(2, 2), backing.acquire(3, 3)]).toEqual([1, 2]);
    expect(backing.acquire(4, 4)).toBeUndefined();
    backing.release(2);
    expect(backing.acquire(4, 4)).toBe(3);
    expect([...open.keys()]).toEqual([2, 3]);
  });

  test("stay for those who have a forgotten file open, and no longer", () => {
    const { backing, open } = files({ maxFiles: 2, maxIdle: 2 });
    backing.acquire(2, 2);
    backing.forget(2);
    expect(backing.acquire(2, 2)).toBe(1);
    backing.release(2);
    expect(open.size).toBe(1);
    backing.release(2);
    expect(open.size).toBe(0);
  });

  test("say once that the kernel refuses, and do not ask again", () => {
    let asked = 0;
    const { backing, problems } = files({ maxFiles: 2, maxIdle: 2 }, () => {
      asked += 1;
      return Errno.EPERM;
    });
    expect([backing.acquire(2, 2), backing.acquire(3, 3)]).toEqual([undefined, undefined]);
    expect([asked, backing.usable]).toEqual([1, false]);
    expect(problems.map(({ message }) => message)).toEqual([expect.stringContaining("CAP_SYS_ADMIN")]);
  });

  test("go on when one file cannot be stacked on, or there is no memory just now", () => {
    const refusals = new Map<number, number>([
      [2, Errno.ELOOP],
      [3, Errno.ELOOP],
      [4, Errno.ENOMEM],
    ]);
    const { backing, problems } = files({ maxFiles: 2, maxIdle: 2 }, (descriptor) => refusals.get(descriptor));
    expect([2, 3, 4, 5].map((inode) => backing.acquire(inode, inode))).toEqual([undefined, undefined, undefined, 1]);
    expect(problems).toHaveLength(1);
  });

  test("never leak, whatever is opened, closed and forgotten in whatever order", () => {
    const step = fc.record({
      what: fc.constantFrom("acquire", "release", "forget"),
      inode: fc.integer({ min: 2, max: 9 }),
    });
    const sizes = fc.record({ maxFiles: fc.integer({ min: 1, max: 6 }), maxIdle: fc.integer({ min: 0, max: 6 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), sizes, (steps, config) => {
        const { backing, open } = files(config);
        const uses = new Map<number, number>();
        for (const { what, inode } of steps) {
          const used = uses.get(inode) ?? 0;
          if (what === "acquire" && backing.acquire(inode, inode) !== undefined) uses.set(inode, used + 1);
          if (what === "release" && used > 0) {
            uses.set(inode, used - 1);
            backing.release(inode);
          }
          if (what === "forget") backing.forget(inode);
          expect(open.size).toBe(backing.size);
          expect(open.size).toBeLessThanOrEqual(config.maxFiles);
          const inUse = [...uses.values()].filter((count) => count > 0).length;
          expect(open.size - inUse).toBeLessThanOrEqual(config.maxIdle);
          expect(open.size).toBeGreaterThanOrEqual(inUse);
        }
        backing.close();
        expect(open.size).toBe(0);
      }),
    );
  });
});
