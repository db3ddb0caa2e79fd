import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock } from "../ports/clock.ts";

/** Work that goes on turn by turn in the background, with pauses between, until it is stopped; it can be begun anew then. */
export interface Loop {
  /** Nothing happens when it runs already. */
  start(): void;
  /** There may be something to do: the next turn begins at once, or as soon as the one under way has ended. */
  wake(): void;
  /** Resolves once the turn under way has ended, whose signal aborts. */
  stop(): Promise<void>;
}

export interface LoopOptions {
  readonly clock: Clock;
  /** Resolves with the pause until the next one; with zero that begins at once, after whatever else waits for its turn. */
  readonly turn: (signal: AbortSignal) => Promise<number>;
  /** A turn failed, and not because the loop was stopped; answers with the pause until the next one. */
  readonly onFailure: (error: unknown) => number | Promise<number>;
  /** Before the first turn. */
  readonly firstPauseMs?: number;
}

export function createLoop({ clock, turn, onFailure, firstPauseMs = 0 }: LoopOptions): Loop {
  let stopping = new AbortController();
  let running: Promise<void> | undefined;
  let woken = false;
  let wakeUp: (() => void) | undefined;

  const pause = async (pauseMs: number, signal: AbortSignal): Promise<void> => {
    if (signal.aborted) return;
    if (pauseMs <= 0 || woken) {
      await nextTurn();
      return;
    }
    await new Promise<void>((resolve) => {
      const finish = (): void => {
        cancel();
        signal.removeEventListener("abort", finish);
        wakeUp = undefined;
        resolve();
      };
      const cancel = clock.timer(pauseMs, finish);
      wakeUp = finish;
      signal.addEventListener("abort", finish, { once: true });
    });
  };

  const run = async (signal: AbortSignal): Promise<void> => {
    if (firstPauseMs > 0) await pause(firstPauseMs, signal);
    while (!signal.aborted) {
      // What comes during the turn may have come too late for it.
      woken = false;
      let pauseMs: number;
      try {
        pauseMs = await turn(signal);
      } catch (error) {
        if (signal.aborted) return;
        pauseMs = await onFailure(error);
      }
      await pause(pauseMs, signal);
    }
  };

  return {
    start() {
      if (running !== undefined) return;
      stopping = new AbortController();
      woken = false;
      running = run(stopping.signal);
    },
    wake() {
      woken = true;
      wakeUp?.();
    },
    async stop() {
      stopping.abort();
      await running;
      running = undefined;
    },
  };
}
