const NS_PER_MS = 1_000_000;
const MS_PER_SECOND = 1000;

/** Where times come from. `read` takes the time, which is then in the two fields, so that nothing is allocated for it. */
export interface FileClock {
  readonly seconds: number;
  readonly nanoseconds: number;
  read(): void;
}

/**
 * The clock of the system, which counts milliseconds. Readings within the same one differ by a nanosecond each, so that what happened
 * later also looks later.
 */
export class SystemFileClock implements FileClock {
  seconds = 0;
  nanoseconds = 0;
  #lastMs = 0;
  #within = 0;

  read(): void {
    const nowMs = Date.now();
    this.#within = nowMs === this.#lastMs ? Math.min(this.#within + 1, NS_PER_MS - 1) : 0;
    this.#lastMs = nowMs;
    this.seconds = Math.floor(nowMs / MS_PER_SECOND);
    this.nanoseconds = (nowMs % MS_PER_SECOND) * NS_PER_MS + this.#within;
  }
}
