import { describe, expect, it } from "vitest";
import { createFakeClock } from "./fake-clock.ts";

describe("a clock that is moved by hand", () => {
  it("stands still until it is moved, on both scales alike", async () => {
    const clock = createFakeClock();
    const before = [clock.nowMs(), clock.monotonicMs()];
    expect([clock.nowMs(), clock.monotonicMs()]).toEqual(before);
    await clock.advance(1_234);
    expect([clock.nowMs(), clock.monotonicMs()]).toEqual(before.map((ms) => ms + 1_234));
  });

  it("runs what falls due in the order of time, and at its own moment", async () => {
    const clock = createFakeClock();
    const startMs = clock.monotonicMs();
    const seen: [string, number][] = [];
    const note = (name: string) => (): void => void seen.push([name, clock.monotonicMs() - startMs]);
    clock.timer(30, note("late"));
    clock.timer(10, note("early"));
    const sleeper = clock.sleep(20).then(note("sleeper"));
    clock.timer(10, note("early too"));
    clock.timer(100, note("never"));
    await clock.advance(50);
    await sleeper;
    expect(seen).toEqual([
      ["early", 10],
      ["early too", 10],
      ["sleeper", 20],
      ["late", 30],
    ]);
    expect(clock.waiting).toBe(1);
  });

  it("runs what is scheduled on the way when that falls due within the same move", async () => {
    const clock = createFakeClock();
    let naps = 0;
    const sleeper = (async () => {
      for (; naps < 5; naps++) await clock.sleep(10);
    })();
    await clock.advance(49);
    expect(naps).toBe(4);
    await clock.advance(1);
    expect(naps).toBe(5);
    await sleeper;
  });

  it("forgets a timer that was canceled and a sleeper that was aborted", async () => {
    const clock = createFakeClock();
    const controller = new AbortController();
    let ran = false;
    const cancel = clock.timer(10, () => {
      ran = true;
    });
    const sleeper = clock.sleep(10, controller.signal);
    cancel();
    controller.abort(new Error("enough"));
    await expect(sleeper).rejects.toThrow("enough");
    await expect(clock.sleep(10, controller.signal)).rejects.toThrow("enough");
    expect(clock.waiting).toBe(0);
    await clock.advance(20);
    expect(ran).toBe(false);
  });
});
