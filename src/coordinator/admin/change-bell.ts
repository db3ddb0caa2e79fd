import type { Clock } from "../../core/ports/clock.ts";
import { afterPrefix, type Kv } from "../../kv/index.ts";
import { changeSpace } from "../../namespace/index.ts";

export interface Wait {
  /** Of `rings`, noted before the feed was read: what came since is not missed. */
  readonly heard: number;
  readonly longestMs: number;
  readonly signal: AbortSignal;
}

/** Rings whenever the change feed grows: one watch for all who follow it, while there are any. */
export class ChangeBell {
  readonly #kv: Kv;
  readonly #clock: Clock;
  readonly #waiting = new Set<() => void>();
  #rings = 0;
  #followers = 0;
  #watching: AbortController | undefined;

  constructor(kv: Kv, clock: Clock) {
    this.#kv = kv;
    this.#clock = clock;
  }

  get rings(): number {
    return this.#rings;
  }

  enter(): void {
    this.#followers += 1;
    this.#watch();
  }

  leave(): void {
    this.#followers -= 1;
    if (this.#followers > 0) return;
    this.#watching?.abort();
    this.#watching = undefined;
  }

  /** Resolves once it has rung since, after so long at the latest, and when the signal aborts. */
  async wait({ heard, longestMs, signal }: Wait): Promise<void> {
    this.#watch();
    if (this.#rings !== heard || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const finish = (): void => {
        cancel();
        this.#waiting.delete(finish);
        signal.removeEventListener("abort", finish);
        resolve();
      };
      const cancel = this.#clock.timer(longestMs, finish);
      this.#waiting.add(finish);
      signal.addEventListener("abort", finish, { once: true });
    });
  }

  #watch(): void {
    if (this.#watching !== undefined || this.#followers === 0) return;
    const watching = new AbortController();
    this.#watching = watching;
    const batches = this.#kv.watch({ start: changeSpace, end: afterPrefix(changeSpace) }, { signal: watching.signal });
    void this.#listen(batches)
      // One that is cut off is begun anew by whoever waits next; until then the longest wait bounds what is late.
      .catch(() => undefined)
      .finally(() => {
        if (this.#watching === watching) this.#watching = undefined;
      });
  }

  async #listen(batches: AsyncIterable<unknown>): Promise<void> {
    for await (const _ of batches) {
      this.#rings += 1;
      for (const finish of this.#waiting) finish();
    }
  }
}
