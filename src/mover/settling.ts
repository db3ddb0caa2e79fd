import { setImmediate as nextTurn } from "node:timers/promises";
import { toGfsError } from "../core/errors.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Logger } from "../core/ports/log.ts";
import type { Kv, Program, Transaction } from "../kv/index.ts";
import { settleJob, settleUntold } from "./jobs.ts";
import type { Outcome } from "./outcome.ts";
import type { Job } from "./types.ts";

export interface Ended {
  readonly job: Job;
  readonly outcome: Outcome;
  readonly bytesDone: number;
}

export interface SettlingDeps {
  readonly kv: Kv;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Waiting {
  readonly ended: Ended;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** As much as one job may take, with what it orders; a larger one goes by itself. */
const ROOM_FOR_ONE = { writes: 16, sizeBytes: 48 * 1024 };
const MOST_AT_ONCE = 32;

/**
 * Jobs that have ended go many in a commit: those that ended while the one before was under way. Each of them is decided by its own row, and where the
 * commit fails each goes by itself, so that none spoils the others. None waits for the disk: after a loss of power the jobs run again, which every
 * kind bears.
 */
export class Settling {
  readonly #deps: SettlingDeps;
  readonly #waiting: Waiting[] = [];
  #isWorking = false;

  constructor(deps: SettlingDeps) {
    this.#deps = deps;
  }

  /** Resolves once everybody sees it. */
  async settle(ended: Ended): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ ended, resolve, reject });
      if (!this.#isWorking) void this.#work();
    });
  }

  /** Never rejects: each of those that wait hears of its own failure. */
  async #work(): Promise<void> {
    this.#isWorking = true;
    // Those that end in the same turn of the event loop go along.
    await nextTurn();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, MOST_AT_ONCE);
      try {
        const count = await this.#commit(batch);
        for (const { resolve } of this.#waiting.splice(0, count)) resolve();
      } catch (error) {
        this.#waiting.splice(0, batch.length);
        await this.#settleEach(batch, error);
      }
    }
    this.#isWorking = false;
  }

  async #commit(batch: readonly Waiting[]): Promise<number> {
    const nowMs = this.#deps.clock.nowMs();
    const ended = batch.map((each) => each.ended);
    return await this.#deps.kv.transact((tx) => settleJobs(tx, ended, nowMs), { durability: "visible" });
  }

  async #settleEach(batch: readonly Waiting[], failure: unknown): Promise<void> {
    if (batch.length === 1) {
      batch[0]?.reject(failure);
      return;
    }
    this.#deps.log.info("jobs_settled_one_by_one", { jobs: batch.length, reason: toGfsError(failure).message });
    for (const each of batch) {
      try {
        await this.#commit([each]);
        each.resolve();
      } catch (error) {
        each.reject(error);
      }
    }
  }
}

/** As many as there is room for, one at least; resolves with how many those are. */
export function* settleJobs(tx: Transaction, all: readonly Ended[], nowMs: number): Program<number> {
  for (const [index, ended] of all.entries()) {
    if (index > 0 && !tx.hasRoom(ROOM_FOR_ONE)) return index;
    yield* settleOne(tx, ended, nowMs);
  }
  return all.length;
}

function* settleOne(tx: Transaction, { job, outcome, bytesDone }: Ended, nowMs: number): Program<void> {
  const attempts = job.attempts + 1;
  if (outcome.kind === "later") {
    const { reason, delayMs, failures } = outcome;
    yield* settleJob(tx, job.id, {
      state: "waiting",
      nowMs,
      reason,
      attempts,
      notBeforeMs: nowMs + delayMs,
      // It begins anew.
      bytesDone: 0,
      ...(failures === undefined ? {} : { failures }),
    });
    return;
  }
  // What the sites hold is a fact, whatever became of the job's row meanwhile.
  if (outcome.record !== undefined) yield* outcome.record(tx);
  const reason = outcome.kind === "failed" ? outcome.reason : outcome.note;
  if (reason === undefined && isRoutine(job)) return yield* settleUntold(tx, job.id);
  yield* settleJob(tx, job.id, {
    state: outcome.kind,
    nowMs,
    attempts,
    bytesDone,
    ...(reason === undefined ? {} : { reason }),
  });
}

/** Each write over an object makes one: they would push out of the lists of what has ended all that somebody might look for. */
function isRoutine({ kind, attempts }: Job): boolean {
  return kind === "publish" && attempts === 0;
}
