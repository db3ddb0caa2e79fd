type Flush = () => Promise<void>;

/**
 * Flushes of one directory that are asked for while it is being flushed share the next one: that one begins after all of their changes, so that
 * it covers them. A flush under way may have begun before a change, and is never joined.
 */
export class SharedFlush {
  readonly #underWay = new Map<string, Promise<void>>();
  readonly #next = new Map<string, { flush: Flush; readonly done: Promise<void> }>();

  /** `flush` is how the caller would do it. Of those who share one the last one's is done: it has found the directory most lately. */
  run(directory: string, flush: Flush): Promise<void> {
    const before = this.#underWay.get(directory);
    if (before === undefined) return this.#begin(directory, flush);
    const waiting = this.#next.get(directory);
    if (waiting !== undefined) {
      waiting.flush = flush;
      return waiting.done;
    }
    const done = before
      // Who asked for that one hears of its failure.
      .catch(() => undefined)
      .then(() => {
        const next = this.#next.get(directory)?.flush ?? flush;
        this.#next.delete(directory);
        return this.#begin(directory, next);
      });
    this.#next.set(directory, { flush, done });
    return done;
  }

  #begin(directory: string, flush: Flush): Promise<void> {
    const done = flush().finally(() => {
      if (this.#underWay.get(directory) === done) this.#underWay.delete(directory);
    });
    this.#underWay.set(directory, done);
    return done;
  }
}
