/**
 * Time as a port, so that tests and the simulator own it.
 *
 * `nowMs` is wall-clock time and may jump; `monotonicMs` never goes back and measures durations. `sleep` rejects with
 * the signal's reason as soon as the signal aborts, and leaves no timer behind.
 */
export interface Clock {
  nowMs(): number;
  monotonicMs(): number;
  sleep(durationMs: number, signal?: AbortSignal): Promise<void>;
  /** Calls back once; the returned function cancels. The timer does not keep the process alive. */
  timer(durationMs: number, callback: () => void): () => void;
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep(durationMs, signal) {
    return new Promise<void>((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const onAbort = (): void => {
        clearTimeout(timer);
        reject(signal?.reason as Error);
      };
      const timer = setTimeout(
        () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
        Math.min(durationMs, LONGEST_TIMER_MS),
      );
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  },
  timer(durationMs, callback) {
    const timer = setTimeout(callback, Math.min(durationMs, LONGEST_TIMER_MS));
    timer.unref();
    return () => clearTimeout(timer);
  },
};
