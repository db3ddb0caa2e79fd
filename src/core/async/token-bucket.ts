import type { Clock } from "../ports/clock.ts";

/**
 * A rate in bytes a second, shared by whoever takes from it. A taker may overdraw and then waits until the debt is paid, so that a large
 * chunk needs no cutting up and the long-term rate holds.
 */
export class TokenBucket {
  readonly #bytesPerSecond: number;
  readonly #clock: Clock;
  #balance: number;
  #updatedMs: number;

  constructor(bytesPerSecond: number, clock: Clock) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#clock = clock;
    this.#balance = bytesPerSecond * BURST_SECONDS;
    this.#updatedMs = clock.monotonicMs();
  }

  async take(sizeBytes: number, signal?: AbortSignal): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    const earned = ((nowMs - this.#updatedMs) / 1_000) * this.#bytesPerSecond;
    this.#balance = Math.min(this.#bytesPerSecond * BURST_SECONDS, this.#balance + earned) - sizeBytes;
    this.#updatedMs = nowMs;
    if (this.#balance < 0) await this.#clock.sleep((-this.#balance / this.#bytesPerSecond) * 1_000, signal);
  }
}

const BURST_SECONDS = 0.1;
