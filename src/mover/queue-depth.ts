import { setImmediate as nextTurn } from "node:timers/promises";
import { toGfsError } from "../core/errors.ts";
import type { Logger } from "../core/ports/log.ts";
import { type Key, type Kv, type KvSnapshot, prefixRange, type WatchBatch } from "../kv/index.ts";
import { countRows } from "./job-pages.ts";
import { laneSpace } from "./job-rows.ts";

/**
 * How many jobs are not finished, or are ready. Each of them has one row in a lane, and one where those that are ready stand, so that nothing has to count
 * them in the transactions that make and end them, which would all meet at that counter: they are counted once and followed from then on, whichever process
 * changes them.
 */
export class QueueDepth {
  readonly #kv: Kv;
  readonly #log: Logger;
  readonly #space: Key;
  #count = 0;
  #counted: Promise<void> | undefined;

  constructor(kv: Kv, log: Logger, space: Key = laneSpace) {
    this.#kv = kv;
    this.#log = log;
    this.#space = space;
  }

  /** What was known last; zero until it has been counted. What has just been committed may be missing. */
  get latest(): number {
    // A failure is told to whoever waits for the count, and the next one counts anew.
    this.#begin().catch(() => undefined);
    return this.#count;
  }

  /** With all that was committed before the call. */
  async get(): Promise<number> {
    await this.#begin();
    // Changes that were told are taken in one after the other.
    await nextTurn();
    return this.#count;
  }

  #begin(): Promise<void> {
    this.#counted ??= this.#countAndFollow().catch((error: unknown) => {
      this.#counted = undefined;
      throw error;
    });
    return this.#counted;
  }

  async #countAndFollow(): Promise<void> {
    const stop = new AbortController();
    // Before the snapshot: no change may fall between the two.
    const changes = this.#kv.watch(prefixRange(this.#space), { signal: stop.signal });
    let snapshot: KvSnapshot | undefined;
    try {
      snapshot = await this.#kv.snapshot();
      this.#count = await countRows(snapshot, this.#space);
    } catch (error) {
      stop.abort();
      throw error;
    } finally {
      await snapshot?.close();
    }
    void this.#follow(changes, snapshot.revision);
  }

  async #follow(changes: AsyncIterable<WatchBatch>, countedAt: number): Promise<void> {
    try {
      for await (const { revision, events } of changes) {
        if (revision <= countedAt) continue;
        for (const { value } of events) this.#count += value === undefined ? -1 : 1;
      }
    } catch (error) {
      this.#log.info("jobs_counted_anew", { reason: toGfsError(error).message });
    }
    this.#counted = undefined;
  }
}
