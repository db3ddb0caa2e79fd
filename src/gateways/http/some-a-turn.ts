/**
 * Work that is done a little at a time: so much of it in each turn of the event loop, first come, first served. Whoever asks for little is served in
 * between, however much of the other there is.
 */
export class SomeATurn {
  readonly #most: number;
  readonly #waiting: (() => void)[] = [];
  #done = 0;
  #isTurning = false;

  constructor(most: number) {
    this.#most = most;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Whether it may be done at once; it counts as done then. */
  takes(): boolean {
    this.#turn();
    if (this.#done >= this.#most || this.#waiting.length > 0) return false;
    this.#done += 1;
    return true;
  }

  /** In a later turn. */
  later(work: () => void): void {
    this.#waiting.push(work);
    this.#turn();
  }

  #turn(): void {
    if (this.#isTurning) return;
    this.#isTurning = true;
    setImmediate(() => {
      this.#isTurning = false;
      const next = this.#waiting.splice(0, this.#most);
      this.#done = next.length;
      for (const work of next) work();
      // What was done now counts for the turn that begins now.
      if (this.#done > 0) this.#turn();
    });
  }
}
