import { describe, expect, it } from "vitest";
import { KeyedLock } from "./keyed-lock.ts";

describe("a keyed lock", () => {
  it("lets one holder in at a time, in the order they asked", async () => {
    const lock = new KeyedLock();
    const seen: string[] = [];
    let inside = 0;
    await Promise.all(
      ["a", "b", "c"].map((name) =>
        lock.run("key", async () => {
          inside += 1;
          expect(inside).toBe(1);
          await Promise.resolve();
          seen.push(name);
          inside -= 1;
        }),
      ),
    );
    expect(seen).toEqual(["a", "b", "c"]);
  });

  it("does not make holders of different keys wait", async () => {
    const lock = new KeyedLock();
    let release!: () => void;
    const held = lock.run("one", () => new Promise<void>((resolve) => (release = resolve)));
    await expect(lock.run("two", async () => "free")).resolves.toBe("free");
    release();
    await held;
  });

  it("frees the key when its holder fails, and forgets it", async () => {
    const lock = new KeyedLock();
    await expect(lock.run("key", async () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    await expect(lock.run("key", async () => 1)).resolves.toBe(1);
    expect(lock.heldKeys).toBe(0);
  });

  it("stays held for who waited, so that whoever comes when the first leaves waits, too", async () => {
    const lock = new KeyedLock();
    const gates = Array.from({ length: 2 }, () => {
      let resolve!: () => void;
      return { promise: new Promise<void>((done) => (resolve = done)), resolve: () => resolve() };
    });
    const seen: string[] = [];
    const first = lock.run("key", async () => await gates[0]?.promise);
    const second = lock.run("key", async () => {
      seen.push("second");
      await gates[1]?.promise;
      seen.push("second ends");
    });
    expect([lock.isHeld("key"), lock.isHeld("other"), lock.heldKeys]).toEqual([true, false, 1]);
    gates[0]?.resolve();
    await first;
    const third = lock.run("key", async () => void seen.push("third"));
    await new Promise((resolve) => setImmediate(resolve));
    expect([seen, lock.isHeld("key")]).toEqual([["second"], true]);
    gates[1]?.resolve();
    await Promise.all([second, third]);
    expect(seen).toEqual(["second", "second ends", "third"]);
    expect([lock.isHeld("key"), lock.heldKeys]).toEqual([false, 0]);
  });
});
