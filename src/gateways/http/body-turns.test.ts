import { describe, expect, it } from "vitest";
import { createFakeClock } from "../../core/testing/fake-clock.ts";
import { BodyTurns } from "./body-turns.ts";

const MIB = 1024 * 1024;

describe("turns of bodies", () => {
  it("are given in the order in which they are asked for, as far as the bytes go", async () => {
    const turns = new BodyTurns({ maxBytes: 2 * MIB, clock: createFakeClock() });
    const given: number[] = [];
    const all = Array.from({ length: 4 }, () => turns.turnOf(MIB));
    const asked = all.map(async (turn, index) => {
      await turn.take();
      given.push(index);
    });
    await asked[1];
    expect([given, turns.waiting]).toEqual([[0, 1], 2]);
    all[1]?.end();
    await asked[2];
    expect(given).toEqual([0, 1, 2]);
    all[0]?.end();
    await asked[3];
    for (const turn of all) turn.end();
    expect(turns.waiting).toBe(0);
  });

  it("count with what a body has, and a large one or one of unknown size with a mebibyte", () => {
    const turns = new BodyTurns({ maxBytes: 2 * MIB, clock: createFakeClock() });
    expect([100, 300_000, 5 * 1024 ** 4, undefined].map((size) => turns.turnOf(size).sizeBytes)).toEqual([
      65_536,
      300_000,
      MIB,
      MIB,
    ]);
  });

  it("are taken from those whose clients are slow, once others wait", async () => {
    const clock = createFakeClock();
    const turns = new BodyTurns({ maxBytes: MIB, clock });
    const slow = turns.turnOf(MIB);
    void slow.take();
    slow.pause();
    await clock.advance(10_000);
    const next = turns.turnOf(MIB);
    const asked = next.take();
    expect(asked).toBeInstanceOf(Promise);
    await clock.advance(1_000);
    await asked;
    // When bytes come again it waits as everybody does.
    const again = slow.take();
    expect(again).toBeInstanceOf(Promise);
    next.end();
    await again;
    slow.end();
    expect(turns.waiting).toBe(0);
  });

  it("stay with those that go on, and leave those whose site takes nothing", async () => {
    const clock = createFakeClock();
    const turns = new BodyTurns({ maxBytes: MIB, clock });
    const brisk = turns.turnOf(MIB);
    void brisk.take();
    let isGiven = false;
    const next = turns.turnOf(MIB);
    const asked = Promise.resolve(next.take()).then(() => (isGiven = true));
    for (let step = 0; step < 50; step++) {
      await clock.advance(100);
      void brisk.take();
    }
    expect(isGiven).toBe(false);
    await clock.advance(3_000);
    await asked;
    next.end();
  });

  it("are not kept for who leaves the queue", async () => {
    const turns = new BodyTurns({ maxBytes: MIB, clock: createFakeClock() });
    const first = turns.turnOf(MIB);
    void first.take();
    const gone = new AbortController();
    const left = Promise.resolve(turns.turnOf(MIB).take(gone.signal));
    const last = turns.turnOf(MIB);
    const asked = last.take();
    gone.abort(new Error("gone"));
    await expect(left).rejects.toThrow("gone");
    first.end();
    await asked;
    last.end();
  });
});
