import { setImmediate as nextTurn } from "node:timers/promises";

interface Asked {
  readonly key: string;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** So many flush what they have changed, and nothing else: a flush of the file system waits for whatever anybody has written to it. */
const FEW = 2;

/**
 * Flushes of what lies under keys: those that are asked for while one is under way go together, and where they are more than a few, one flush of the
 * whole file system does for all of them. On a disk that costs what the flush of one directory does.
 */
export class KeyFlushes {
  readonly #one: (key: string) => Promise<void>;
  readonly #all: (() => Promise<void>) | undefined;
  readonly #asked: Asked[] = [];
  #isWorking = false;

  /** Without `all` each key is flushed by itself. */
  constructor(one: (key: string) => Promise<void>, all: (() => Promise<void>) | undefined) {
    this.#one = one;
    this.#all = all;
  }

  async ask(key: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#asked.push({ key, resolve, reject });
      if (!this.#isWorking) void this.#work();
    });
  }

  /** Never rejects: each of those who asked hears of its own failure. */
  async #work(): Promise<void> {
    this.#isWorking = true;
    // Those of the same turn of the event loop go along.
    await nextTurn();
    while (this.#asked.length > 0) {
      const batch = this.#asked.splice(0);
      if (this.#all === undefined || batch.length <= FEW) {
        await Promise.all(batch.map(async ({ key, resolve, reject }) => await this.#one(key).then(resolve, reject)));
      } else {
        await this.#all().then(
          () => batch.forEach(({ resolve }) => resolve()),
          (error: unknown) => batch.forEach(({ reject }) => reject(error)),
        );
      }
    }
    this.#isWorking = false;
  }
}

const MOST_UNFLUSHED = 1_000;

/**
 * Keys that were changed and not flushed, and of which no record of the intake speaks. A record that came next could not tell, after a loss of power, what
 * lies there from what another tool has put there: such a key is flushed first.
 */
export class UnflushedKeys {
  readonly #keys = new Map<string, number>();
  #flushes = 0;

  get areMany(): boolean {
    return this.#keys.size > MOST_UNFLUSHED;
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  add(key: string): void {
    this.#keys.set(key, this.#flushes);
  }

  delete(key: string): void {
    this.#keys.delete(key);
  }

  /** All that were changed before are flushed by `flush`. */
  async during(flush: () => Promise<void>): Promise<void> {
    this.#flushes += 1;
    const begun = this.#flushes;
    await flush();
    for (const [key, at] of this.#keys) if (at < begun) this.#keys.delete(key);
  }
}
