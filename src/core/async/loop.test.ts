import { describe, expect, it } from "vitest";
import { createFakeClock, settle } from "../testing/fake-clock.ts";
import { createLoop, type LoopOptions } from "./loop.ts";

function startLoop(options: Partial<LoopOptions> = {}) {
  const clock = createFakeClock();
  const turns: number[] = [];
  const failures: unknown[] = [];
  const loop = createLoop({
    clock,
    turn: async () => {
      turns.push(clock.monotonicMs() - 5_000);
      return 100;
    },
    onFailure: (error) => {
      failures.push(error);
      return 500;
    },
    ...options,
  });
  loop.start();
  return { clock, loop, turns, failures };
}

describe("a loop", () => {
  it("makes a turn at once and then one after each pause", async () => {
    const { clock, loop, turns } = startLoop();
    await clock.advance(250);
    expect(turns).toEqual([0, 100, 200]);
    await loop.stop();
    expect(clock.waiting).toBe(0);
    await clock.advance(1_000);
    expect(turns.length).toBe(3);
  });

  it("waits before the first turn when it is told to", async () => {
    const { clock, loop, turns } = startLoop({ firstPauseMs: 70 });
    await clock.advance(69);
    expect(turns).toEqual([]);
    await clock.advance(1);
    expect(turns).toEqual([70]);
    await loop.stop();
  });

  it("makes the next turn at once when it is woken in a pause", async () => {
    const { clock, loop, turns } = startLoop();
    await clock.advance(30);
    loop.wake();
    await settle();
    expect(turns).toEqual([0, 30]);
    await clock.advance(100);
    expect(turns).toEqual([0, 30, 130]);
    await loop.stop();
  });

  it("makes one more turn when it is woken during one, however often", async () => {
    let open!: () => void;
    let turns = 0;
    const { loop } = startLoop({
      turn: async () => {
        turns += 1;
        if (turns === 1) await new Promise<void>((resolve) => (open = resolve));
        return 100;
      },
    });
    loop.wake();
    loop.wake();
    open();
    await settle();
    expect(turns).toBe(2);
    await loop.stop();
  });

  it("lets others have their turn when it has no pause", async () => {
    let turns = 0;
    const { loop } = startLoop({
      turn: async () => {
        turns += 1;
        return 0;
      },
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(turns).toBeLessThan(5);
    await settle();
    expect(turns).toBeGreaterThan(5);
    await loop.stop();
  });

  it("goes on after a turn that failed, after the pause that it is told", async () => {
    let turns = 0;
    const { clock, loop, failures } = startLoop({
      turn: async () => {
        turns += 1;
        if (turns === 1) throw new Error("once");
        return 100;
      },
    });
    await clock.advance(499);
    expect([turns, failures.map(String)]).toEqual([1, ["Error: once"]]);
    await clock.advance(1);
    expect(turns).toBe(2);
    await loop.stop();
  });

  it("tells the turn under way to end, waits for it, and takes its end for no failure", async () => {
    const { loop, failures } = startLoop({
      turn: async (signal) =>
        await new Promise<number>((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(new Error("stopped")));
        }),
    });
    await settle();
    await loop.stop();
    expect(failures).toEqual([]);
  });

  it("can be started anew, and starts once only", async () => {
    const { clock, loop, turns } = startLoop();
    loop.start();
    await clock.advance(50);
    expect(turns).toEqual([0]);
    await loop.stop();
    loop.start();
    await clock.advance(100);
    expect(turns).toEqual([0, 50, 150]);
    await loop.stop();
  });
});
