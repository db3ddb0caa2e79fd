import { GfsError, toGfsError } from "../core/errors.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Table, TableWriter } from "./table.ts";
import { VISIBLE_BOUNDS } from "./kv.ts";

/**
 * Brings works to the table and makes them durable. Those that arrive together are one transaction of the table and share a flush; the next ones
 * gather while that flush is under way. What may stand undurable is bounded in time and number.
 */
export interface CommitsDeps {
  readonly table: Table;
  readonly clock: Clock;
}

export interface Work {
  /**
   * Runs inside the table's transaction, which is undone when it throws: what goes wrong with this work alone it keeps for itself. Answers whether it
   * has written anything.
   */
  run(write: TableWriter): boolean;
  /** What was written stands, and every reader sees it. Called in the turn of the write, in the order of the works. */
  done(): void;
  /** Nothing of it stands. Called in the opposite order. */
  undone(): void;
}

interface Waiting {
  readonly work: Work;
  readonly durable: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Flush {
  readonly upTo: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** So that the event loop is not held for long. */
const MOST_TOGETHER = 64;

export class Commits {
  readonly #table: Table;
  readonly #clock: Clock;
  readonly #waiting: Waiting[] = [];
  #isDrainDue = false;
  /** Transactions of the table, and up to which of them all is durable. */
  #written = 0;
  #durable = 0;
  #flushes: Flush[] = [];
  #isFlushing = false;
  #cancelTimer: (() => void) | undefined;
  #broken: GfsError | undefined;

  constructor({ table, clock }: CommitsDeps) {
    this.#table = table;
    this.#clock = clock;
  }

  /** Resolves when the work can be seen, or is durable with all that it has seen. */
  async commit(work: Work, durable: boolean): Promise<void> {
    if (!durable && this.#isOverBound) await this.flush();
    this.#assertWhole();
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ work, durable, resolve, reject });
      if (this.#table.flush === undefined) this.#drain();
      else if (!durable || !this.#isFlushing) this.#drainSoon();
    });
  }

  /** In the caller's turn; throws where it cannot be done without waiting. */
  commitNow(work: Work): void {
    this.#assertWhole();
    if (this.#isOverBound) {
      this.flush().catch(() => undefined);
      throw new GfsError(
        "Overloaded",
        "The disk does not keep up with what is to be made durable; transact, which waits, instead.",
        { op: "kv.transact" },
      );
    }
    this.#write([work]);
    this.#flushInTime();
  }

  /** Resolves when all that could be seen before is durable. */
  async flush(): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken;
    if (this.#durable === this.#written) return;
    await new Promise<void>((resolve, reject) => {
      this.#flushes.push({ upTo: this.#written, resolve, reject });
      if (!this.#isFlushing) void this.#flushAll();
    });
  }

  /** When nothing waits any more. */
  async close(): Promise<void> {
    await this.flush().catch(() => undefined);
    this.#cancelTimer?.();
  }

  get #isOverBound(): boolean {
    return this.#written - this.#durable >= VISIBLE_BOUNDS.commits;
  }

  #assertWhole(): void {
    if (this.#broken !== undefined) throw this.#broken;
  }

  #drainSoon(): void {
    if (this.#isDrainDue) return;
    this.#isDrainDue = true;
    setImmediate(() => {
      this.#isDrainDue = false;
      this.#drain();
    });
  }

  #drain(): void {
    const batch = this.#waiting.splice(0, MOST_TOGETHER);
    if (batch.length === 0) return;
    if (this.#waiting.length > 0) this.#drainSoon();
    try {
      this.#write(batch.map(({ work }) => work));
    } catch (error) {
      for (const { reject } of batch) reject(error);
      return;
    }
    for (const { durable, resolve, reject } of batch) {
      if (durable) this.flush().then(resolve, reject);
      else resolve();
    }
    this.#flushInTime();
  }

  #write(works: readonly Work[]): void {
    let hasWritten = false;
    try {
      this.#table.write((writer) => {
        for (const work of works) if (work.run(writer)) hasWritten = true;
      });
    } catch (error) {
      for (const work of works.toReversed()) work.undone();
      throw error;
    }
    for (const work of works) work.done();
    if (hasWritten && this.#table.flush !== undefined) this.#written += 1;
  }

  #flushInTime(): void {
    if (this.#isFlushing || this.#durable === this.#written) return;
    if (this.#written - this.#durable >= VISIBLE_BOUNDS.commits / 2) this.flush().catch(() => undefined);
    else
      this.#cancelTimer ??= this.#clock.timer(VISIBLE_BOUNDS.ms, () => {
        this.#cancelTimer = undefined;
        this.flush().catch(() => undefined);
      });
  }

  async #flushAll(): Promise<void> {
    this.#isFlushing = true;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    try {
      while (this.#flushes.length > 0) {
        const upTo = this.#written;
        await this.#table.flush?.();
        this.#durable = upTo;
        const asked = this.#flushes;
        this.#flushes = asked.filter((each) => each.upTo > upTo);
        for (const each of asked) if (each.upTo <= upTo) each.resolve();
        // Those that have gathered share the next one.
        this.#drain();
      }
      this.#isFlushing = false;
      this.#flushInTime();
    } catch (error) {
      this.#break(error);
    }
  }

  /** What the disk holds is no longer what readers see: only a start, which begins with what is on the disk, makes them one again. */
  #break(cause: unknown): void {
    this.#broken = new GfsError(
      "Unavailable",
      `The catalog could not be made durable: ${toGfsError(cause).message} Whether its newest changes stand shows after a restart.`,
      { op: "kv.flush", cause },
    );
    this.#isFlushing = false;
    for (const { reject } of this.#flushes) reject(this.#broken);
    for (const { reject } of this.#waiting.splice(0)) reject(this.#broken);
    this.#flushes = [];
  }
}
