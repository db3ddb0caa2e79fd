import type { Clock } from "../../../src/core/ports/clock.ts";

interface Due {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** One time for all, in which things happen one after the other; everybody sees it through a clock of his own. */
export class Time {
  #nowMs = 0;
  #due: Due[] = [];
  #order = 0;

  get nowMs(): number {
    return this.#nowMs;
  }

  at(delayMs: number, run: () => void): () => void {
    const entry = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, run };
    this.#due.push(entry);
    return () => {
      this.#due = this.#due.filter((each) => each !== entry);
    };
  }

  async sleep(delayMs: number): Promise<void> {
    await new Promise<void>((resolve) => void this.at(delayMs, resolve));
  }

  /** Whatever falls due in this time happens, and what follows from it. */
  async pass(durationMs: number): Promise<void> {
    const endMs = this.#nowMs + durationMs;
    await turn();
    for (;;) {
      let next: Due | undefined;
      for (const each of this.#due)
        if (next === undefined || each.atMs < next.atMs || (each.atMs === next.atMs && each.order < next.order))
          next = each;
      if (next === undefined || next.atMs > endMs) break;
      const entry = next;
      this.#due = this.#due.filter((each) => each !== entry);
      this.#nowMs = Math.max(this.#nowMs, entry.atMs);
      entry.run();
      await turn();
    }
    this.#nowMs = endMs;
  }

  /** A clock that runs faster or slower than time does, and stands elsewhere. Of who is dead no timer comes. */
  clock({ rate, isDead = () => false }: { readonly rate: number; readonly isDead?: () => boolean }): Clock {
    const offsetMs = rate * 1_000_000;
    const read = (): number => offsetMs + this.#nowMs * rate;
    return {
      nowMs: read,
      monotonicMs: read,
      timer: (durationMs, callback) =>
        this.at(durationMs / rate, () => {
          if (!isDead()) callback();
        }),
      sleep: async (durationMs) => await this.sleep(durationMs / rate),
    };
  }
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
