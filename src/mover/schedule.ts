import { setMaxListeners } from "node:events";
import { setImmediate as nextTurn } from "node:timers/promises";
import { createLoop } from "../core/async/loop.ts";
import { GfsError, toGfsError } from "../core/errors.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import { keyAfter, prefixRange, type Program } from "../kv/index.ts";
import type { MoverConfig, MoverDeps } from "./context.ts";
import { pageJobs } from "./job-pages.ts";
import { idOfReadyKey, pausedKey, readySpace } from "./job-rows.ts";
import { findJob, isFirstOfLane } from "./jobs.ts";
import type { QueueDepth } from "./queue-depth.ts";
import type { Runner } from "./run.ts";
import type { TakenJobs } from "./taken-jobs.ts";
import { findNextDue, findTrimBorder, promoteDue, trimFinished } from "./timed-jobs.ts";
import type { Job } from "./types.ts";
import { hasUnqueued, takeUnqueued } from "./unqueued.ts";
import { findPause } from "./waiting.ts";

/** Chooses the jobs that begin, and when: the best first, those of one file at one site one after the other. */
export interface Schedule {
  start(): void;
  /** No more jobs begin; those under way go on. */
  drain(): Promise<void>;
  /** Ends those under way, too. */
  stop(): Promise<void>;
  wake(): void;
  /** What was chosen before does not count any more. */
  chooseAnew(): void;
}

export interface ScheduleDeps extends MoverDeps {
  readonly runner: Runner;
  readonly taken: TakenJobs;
  readonly depth: QueueDepth;
}

const ROWS_A_PAGE = 256;
/** Jobs that came since the best were chosen may go before those. */
const CHOICE_KEPT_MS = 1_000;
/** So far behind jobs that cannot run yet, others that can are looked for. */
const MOST_PAGES = 40;
const IDLE_LOOK_MS = 5_000;
const LOOK_EVERY_MS = 50;
const GAUGES_EVERY_MS = 1_000;
const AFTER_FAILURE_MS = 500;
const FINISHED_KEPT = 1_000;
const FINISHED_KEPT_MS = 7 * 86_400_000;
const TRIM_EVERY = 500;
/** So many at a time, so that those that are ready need not wait for long. */
const UNQUEUED_PAGES = 30;

/** Every running job follows it, and there may be hundreds. */
function newStopping(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

export function createSchedule(deps: ScheduleDeps, config: MoverConfig): Schedule {
  const { kv, clock, log, runner, taken, depth } = deps;
  const refreshGauges = createGauges(deps, deps.metrics);
  /** Best first; one of a lane, and none of a lane that was busy. */
  let chosen: Job[] = [];
  let chosenMs = 0;
  let lookedMs = Number.NEGATIVE_INFINITY;
  let dueMs = Number.NEGATIVE_INFINITY;
  let gaugesMs = 0;
  let sinceTrim = 0;
  let trimming: Promise<void> | undefined;
  let stopping = newStopping();

  const choose = async (): Promise<void> => {
    chosenMs = clock.monotonicMs();
    const found: Job[] = [];
    let { start, end } = prefixRange(readySpace);
    for (let page = 0; page < MOST_PAGES && found.length < config.maxConcurrentTransfers; page++) {
      const from = start;
      const last = await kv.view(function* (tx): Program<Uint8Array | undefined> {
        if ((yield* tx.get(pausedKey)) !== undefined) return undefined;
        const rows = yield* tx.range({ start: from, end, limit: ROWS_A_PAGE });
        for (const { key } of rows) {
          const job = yield* findJob(tx, idOfReadyKey(key));
          if (job === undefined || runner.isBusy(job) || (yield* taken.isTaken(tx, job))) continue;
          if (yield* isFirstOfLane(tx, job)) found.push(job);
        }
        return rows.length < ROWS_A_PAGE ? undefined : rows.at(-1)?.key;
      });
      if (last === undefined) break;
      start = keyAfter(last);
      await nextTurn();
    }
    chosen = found;
  };

  /** It may have been chosen a while ago: the row decides. */
  const isStillReady = (job: Job): Promise<Job | undefined> =>
    kv.view(function* (tx): Program<Job | undefined> {
      if (runner.isBusy(job) || (yield* tx.get(pausedKey)) !== undefined) return undefined;
      const now = yield* findJob(tx, job.id);
      if (now === undefined || (yield* taken.isTaken(tx, now))) return undefined;
      return now.state === "waiting" && now.notBeforeMs === 0 && (yield* isFirstOfLane(tx, now)) ? now : undefined;
    });

  const turn = async (signal: AbortSignal): Promise<number> => {
    const nowMs = clock.monotonicMs();
    const lacksJobs = runner.hasRoom && chosen.length === 0;
    // Between jobs that end one after the other there is no need to look at everything.
    if (lacksJobs || nowMs - lookedMs > LOOK_EVERY_MS || nowMs >= dueMs) {
      lookedMs = nowMs;
      dueMs = nowMs + (await lookAround());
    }
    if (runner.hasRoom && (chosen.length === 0 || clock.monotonicMs() - chosenMs > CHOICE_KEPT_MS)) await choose();
    while (runner.hasRoom && !signal.aborted) {
      const candidate = chosen.shift();
      if (candidate === undefined) break;
      const job = await isStillReady(candidate);
      if (job !== undefined && !signal.aborted) runner.begin(job, stopping.signal);
    }
    if (clock.monotonicMs() - gaugesMs > GAUGES_EVERY_MS) {
      gaugesMs = clock.monotonicMs();
      await refreshGauges();
    }
    return Math.max(0, dueMs - clock.monotonicMs());
  };

  /** Jobs whose time has come, copies that wait for room, rows that have been kept long enough; resolves with when to look again. */
  const lookAround = async (): Promise<number> => {
    const nextDueMs = await promote();
    sinceTrim += runner.takeEnded();
    if (sinceTrim >= TRIM_EVERY && trimming === undefined) {
      sinceTrim = 0;
      trimming = trim();
    }
    if (await kv.view(hasUnqueued)) await queueLeftOut();
    return nextDueMs === undefined ? IDLE_LOOK_MS : Math.max(1, Math.min(IDLE_LOOK_MS, nextDueMs - clock.nowMs()));
  };

  const promote = async (): Promise<number | undefined> => {
    const nowMs = clock.nowMs();
    const nextDueMs = await kv.view(findNextDue);
    if (nextDueMs === undefined || nextDueMs > nowMs) return nextDueMs;
    return (await kv.transact((tx) => promoteDue(tx, nowMs), { durability: "visible" })).nextDueMs;
  };

  /** Jobs need not wait for it. */
  const trim = async (): Promise<void> => {
    try {
      const beforeMs = clock.nowMs() - FINISHED_KEPT_MS;
      const border = await kv.view((tx) => findTrimBorder(tx, { keep: FINISHED_KEPT, beforeMs }));
      while (await kv.transact((tx) => trimFinished(tx, border), { durability: "visible" }));
    } catch (error) {
      log.info("jobs_not_trimmed", { error: toGfsError(error).message });
    }
    trimming = undefined;
  };

  /** Copies that found the queue full get their jobs once a tenth of it is free. */
  const queueLeftOut = async (): Promise<void> => {
    const most = config.maxQueuedJobs;
    let room = Math.floor(most - (await depth.get()));
    for (let page = 0; page < UNQUEUED_PAGES && room > most / 10; page++) {
      const order = { nowMs: clock.nowMs(), room, nextJobId: deps.nextJobId };
      const { taken: count, more } = await kv.transact((tx) => takeUnqueued(tx, order));
      room -= count;
      if (!more) return;
    }
  };

  const loop = createLoop({
    clock,
    turn,
    onFailure(error) {
      log.warn("mover_turn_failed", { error: toGfsError(error).message });
      return AFTER_FAILURE_MS;
    },
  });

  const drain = async (): Promise<void> => {
    await loop.stop();
    await trimming;
  };

  return {
    start() {
      stopping = newStopping();
      loop.start();
    },
    drain,
    async stop() {
      stopping.abort(new GfsError("Canceled", "The mover stops."));
      await drain();
      await runner.idle();
      chosen = [];
    },
    wake: () => loop.wake(),
    chooseAnew() {
      chosen = [];
    },
  };
}

function createGauges({ kv, clock, depth }: ScheduleDeps, metrics: Metrics): () => Promise<void> {
  const depthGauge = metrics.gauge({ name: "globalfs_replication_queue_depth", help: "Jobs waiting in queue." });
  const ageGauge = metrics.gauge({
    name: "globalfs_replication_oldest_job_age_seconds",
    help: "Age of the oldest job that is not finished.",
  });
  const pausedGauge = metrics.gauge({ name: "globalfs_jobs_paused", help: "1 while all jobs are paused." });
  return async () => {
    const { pause, oldest } = await kv.view(function* (tx) {
      const [found] = (yield* pageJobs(tx, { state: "unfinished", limit: 1 })).jobs;
      return { pause: yield* findPause(tx), oldest: found };
    });
    depthGauge.set(await depth.get());
    pausedGauge.set(pause === undefined ? 0 : 1);
    ageGauge.set(oldest === undefined ? 0 : Math.max(0, (clock.nowMs() - oldest.createdMs) / 1_000));
  };
}
