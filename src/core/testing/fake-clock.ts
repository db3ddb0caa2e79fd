import type { Clock } from "../ports/clock.ts";

/** A clock whose time stands still until a test moves it. */
export interface FakeClock extends Clock {
  /** Moves time on; what falls due on the way runs in its order, and what follows from it runs before time goes on. */
  advance(durationMs: number): Promise<void>;
  /** Timers and sleepers that are not due yet. */
  readonly waiting: number;
}

interface Entry {
  readonly dueMs: number;
  readonly run: () => void;
}

/** Not zero, and the two scales apart, so that code that mixes them up shows. */
const START_MONOTONIC_MS = 5_000;
const START_WALL_MS = Date.UTC(2030, 0, 1);
/** Continuations of continuations get their turn, too. */
const TURNS = 8;

export function createFakeClock(): FakeClock {
  let elapsedMs = 0;
  // In the order they were made: of two that are due at once, the older goes first.
  let entries: readonly Entry[] = [];

  const schedule = (durationMs: number, run: () => void): (() => void) => {
    const entry: Entry = { dueMs: elapsedMs + Math.max(0, durationMs), run };
    entries = [...entries, entry];
    return () => {
      entries = entries.filter((each) => each !== entry);
    };
  };

  const nextDue = (limitMs: number): Entry | undefined => {
    let first: Entry | undefined;
    for (const entry of entries) {
      if (entry.dueMs <= limitMs && (first === undefined || entry.dueMs < first.dueMs)) first = entry;
    }
    return first;
  };

  return {
    nowMs: () => START_WALL_MS + elapsedMs,
    monotonicMs: () => START_MONOTONIC_MS + elapsedMs,
    sleep: (durationMs, signal) =>
      new Promise<void>((resolve, reject) => {
        if (signal?.aborted === true) {
          reject(signal.reason as Error);
          return;
        }
        const onAbort = (): void => {
          cancel();
          reject(signal?.reason as Error);
        };
        const cancel = schedule(durationMs, () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        });
        signal?.addEventListener("abort", onAbort, { once: true });
      }),
    timer: schedule,
    async advance(durationMs) {
      const targetMs = elapsedMs + durationMs;
      await settle();
      for (let due = nextDue(targetMs); due !== undefined; due = nextDue(targetMs)) {
        const entry = due;
        entries = entries.filter((each) => each !== entry);
        elapsedMs = Math.max(elapsedMs, entry.dueMs);
        entry.run();
        await settle();
      }
      elapsedMs = targetMs;
    },
    get waiting() {
      return entries.length;
    },
  };
}

/** Lets everything run that waits for no time. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) await new Promise((resolve) => setImmediate(resolve));
}
