/**
 * Flushes of one directory that are asked for while it is being flushed share the next one: that one begins after all of their changes, so that
 * it covers them. A flush under way may have begun before a change, and is never joined.
 */
export class SharedFlush {
  readonly #flush: (directory: string) => Promise<void>;
  readonly #underWay = new Map<string, Promise<void>>();
  readonly #next = new Map<string, Promise<void>>();

  constructor(flush: (directory: string) => Promise<void>) {
    this.#flush = flush;
  }

  run(directory: string): Promise<void> {
    const before = this.#underWay.get(directory);
    if (before === undefined) return this.#begin(directory);
    const waiting = this.#next.get(directory);
    if (waiting !== undefined) return waiting;
    const next = before
      // Who asked for that one hears of its failure.
      .catch(() => undefined)
      .then(() => {
        this.#next.delete(directory);
        return this.#begin(directory);
      });
    this.#next.set(directory, next);
    return next;
  }

  #begin(directory: string): Promise<void> {
    const flush = this.#flush(directory).finally(() => {
      if (this.#underWay.get(directory) === flush) this.#underWay.delete(directory);
    });
    this.#underWay.set(directory, flush);
    return flush;
  }
}
