import { setMaxListeners } from "node:events";
import { Semaphore } from "../core/async/semaphore.ts";
import { TokenBucket } from "../core/async/token-bucket.ts";
import { backgroundCtx, type Ctx } from "../core/context.ts";
import { type ErrorCode, GfsError, toGfsError } from "../core/errors.ts";
import type { JobId } from "../core/ids.ts";
import { keyAfter, prefixRange, type Program, type Transaction } from "../kv/index.ts";
import type { MoverConfig, MoverDeps } from "./context.ts";
import { countKey, decodeCount, encodePause, idOfReadyKey, pausedKey, readySpace } from "./job-rows.ts";
import {
  enqueueJob,
  findJob,
  findNextDue,
  findTrimBorder,
  getJob,
  isFirstOfLane,
  pageJobs,
  promoteDue,
  setJobState,
  settleJob,
  trimFinished,
  writeJob,
} from "./jobs.ts";
import { findJobFile } from "./job-file.ts";
import { createJobsView } from "./jobs-view.ts";
import { publish } from "./kinds/publish.ts";
import { removeObject } from "./kinds/remove.ts";
import { type Attempt, giveUp, replicate } from "./kinds/replicate.ts";
import { verifyCopy } from "./kinds/verify.ts";
import type { Outcome } from "./outcome.ts";
import { ProgressBoard } from "./progress.ts";
import { publishNow } from "./publish-now.ts";
import type { Mover } from "./service.ts";
import { TakenJobs } from "./taken-jobs.ts";
import type { Job, JobProgress, Pause, PauseOrder } from "./types.ts";
import { hasUnqueued, takeUnqueued } from "./unqueued.ts";
import { findPause } from "./waiting.ts";

const WINDOW = 512;
/** Jobs that came since the window was read may go before those in it. */
const WINDOW_KEPT_MS = 1_000;
/** So far behind jobs that cannot run yet, others that can are looked for. */
const MOST_PAGES = 20;
const INITIAL_DELAY_MS = 500;
const LONGEST_DELAY_MS = 60_000;
/** For failures that waiting does not mend. A site that is away is waited for without end. */
const MAX_FAILURES = 8;
const WAITED_FOR: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "Unavailable",
  "Timeout",
  "Overloaded",
  "NoSpace",
  "Conflict",
]);
const DRAIN_MS = 10_000;
const FINISHED_KEPT = 1_000;
const FINISHED_KEPT_MS = 7 * 86_400_000;
const TRIM_EVERY = 500;
/** So many at a time, so that those that are ready need not wait for long. */
const UNQUEUED_PAGES = 30;
const BUDGET_CHUNKS = 8;
const MIN_BUDGET_BYTES = 64 * 1024 ** 2;

interface Running {
  readonly job: Job;
  readonly controller: AbortController;
  readonly work: Promise<void>;
}

/** Every running job follows it, and there may be hundreds. */
function newStopping(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

export function createMover(deps: MoverDeps, config: MoverConfig): Mover {
  const { kv, clock, random, log, metrics } = deps;
  const board = new ProgressBoard(clock);
  const budget = new Semaphore(
    Math.max(MIN_BUDGET_BYTES, config.transferChunkBytes * Math.min(BUDGET_CHUNKS, config.maxConcurrentTransfers)),
  );
  const buckets = config.bandwidth.map((limit) => ({ ...limit, bucket: new TokenBucket(limit.bytesPerSecond, clock) }));
  const finishedTotal = metrics.counter({
    name: "globalfs_replication_jobs_total",
    help: "Replication jobs by status.",
    labels: ["status"],
  });
  const depthGauge = metrics.gauge({ name: "globalfs_replication_queue_depth", help: "Jobs waiting in queue." });
  const activeGauge = metrics.gauge({ name: "globalfs_replication_jobs_active", help: "Jobs that run now." });
  const ageGauge = metrics.gauge({
    name: "globalfs_replication_oldest_job_age_seconds",
    help: "Age of the oldest job that is not finished.",
  });
  const pausedGauge = metrics.gauge({ name: "globalfs_jobs_paused", help: "1 while all jobs are paused." });
  const moved = metrics.counter({
    name: "globalfs_replication_bytes_transferred_total",
    help: "Bytes moved between sites.",
    labels: ["source", "target"],
  });

  const running = new Map<JobId, Running>();
  const busyLanes = new Set<string>();
  let window: Job[] = [];
  let windowReadMs = 0;
  let stopping = newStopping();
  let draining = false;
  let loop: Promise<void> | undefined;
  let wakeUp: (() => void) | undefined;
  let woken = false;
  let sinceTrim = 0;
  let lookedMs = Number.NEGATIVE_INFINITY;
  let dueMs = Number.NEGATIVE_INFINITY;

  const view = createJobsView({ kv, clock, sites: deps.sites, board, running });
  const laneOf = (job: Job): string => `${job.path}\0${job.site}`;
  const wake = (): void => {
    woken = true;
    wakeUp?.();
  };
  const taken = new TakenJobs({ kv, log, onLeft: wake });

  const bucketOf = (from: string, to: string): TokenBucket | undefined =>
    buckets.find((limit) => (limit.from === "*" || limit.from === from) && (limit.to === "*" || limit.to === to))
      ?.bucket;

  /** Ready jobs that are not under way already, best first. */
  const loadWindow = async (): Promise<void> => {
    windowReadMs = clock.monotonicMs();
    window = await kv.view(function* (tx): Program<Job[]> {
      if ((yield* tx.get(pausedKey)) !== undefined) return [];
      const found: Job[] = [];
      let { start, end } = prefixRange(readySpace);
      for (let page = 0; page < MOST_PAGES && found.length < config.maxConcurrentTransfers; page++) {
        const rows = yield* tx.range({ start, end, limit: WINDOW });
        for (const { key } of rows) {
          start = keyAfter(key);
          const job = yield* findJob(tx, idOfReadyKey(key));
          if (job === undefined || busyLanes.has(laneOf(job)) || taken.has(job.id)) continue;
          if (yield* isFirstOfLane(tx, job)) found.push(job);
        }
        if (rows.length < WINDOW) break;
      }
      return found;
    });
  };

  /** The window may be old: the row decides. */
  const isStillReady = (job: Job): Promise<Job | undefined> =>
    kv.view(function* (tx): Program<Job | undefined> {
      if (taken.has(job.id) || (yield* tx.get(pausedKey)) !== undefined) return undefined;
      const now = yield* findJob(tx, job.id);
      return now?.state === "waiting" && now.notBeforeMs === 0 && (yield* isFirstOfLane(tx, now)) ? now : undefined;
    });

  /** The window has one job of a lane, and none of a lane that is busy: only what was launched makes one so. */
  const launch = async (candidate: Job): Promise<void> => {
    const lane = laneOf(candidate);
    busyLanes.add(lane);
    let job: Job | undefined;
    try {
      job = await isStillReady(candidate);
    } finally {
      if (job === undefined || stopping.signal.aborted) busyLanes.delete(lane);
    }
    if (job === undefined || stopping.signal.aborted) return;
    const controller = new AbortController();
    const onStop = (): void => controller.abort(stopping.signal.reason);
    stopping.signal.addEventListener("abort", onStop, { once: true });
    board.begin(job.id);
    const work = runJob(job, controller.signal).finally(() => {
      stopping.signal.removeEventListener("abort", onStop);
      board.end(job.id);
      busyLanes.delete(lane);
      running.delete(job.id);
      activeGauge.set(running.size);
      wake();
    });
    running.set(job.id, { job, controller, work });
    activeGauge.set(running.size);
  };

  const runJob = async (job: Job, signal: AbortSignal): Promise<void> => {
    const ctx = backgroundCtx({ signal, log, requestId: `job-${job.id}` });
    let { upload } = job;
    const onUpload: Attempt["onUpload"] = async (begun) => {
      upload = begun;
      await rememberUpload(job.id, begun);
    };
    let ended: Outcome | GfsError;
    try {
      ended = await attemptJob(ctx, job, onUpload);
    } catch (error) {
      if (signal.aborted) return;
      ended = toGfsError(error, "mover.job");
    }
    try {
      const outcome = ended instanceof GfsError ? await afterFailure(job, ended) : ended;
      await settle(job, outcome);
      if (outcome.kind !== "later" && upload !== undefined) await forgetUpload({ ...job, upload });
    } catch (error) {
      // The row is as it was: the job is tried again, which every kind bears.
      log.warn("job_not_settled", { job: job.id, error: toGfsError(error).message });
      await clock.sleep(INITIAL_DELAY_MS, stopping.signal).catch(() => undefined);
    }
  };

  const attemptJob = async (ctx: Ctx, job: Job, onUpload: Attempt["onUpload"]): Promise<Outcome> => {
    const attempt: Attempt = {
      deps,
      config,
      budget,
      bucketOf,
      onBytes(source, target, sizeBytes) {
        board.add(job.id, sizeBytes);
        moved.add(sizeBytes, { source, target });
      },
      onUpload,
    };
    switch (job.kind) {
      case "replicate":
      case "repair":
        return await replicate(ctx, job, attempt);
      case "remove":
        return await removeObject(ctx, job, deps);
      case "publish":
        return await publish(ctx, job, deps);
      case "verify":
        return await verifyCopy(ctx, job, attempt);
    }
  };

  const rememberUpload = async (id: JobId, upload: NonNullable<Job["upload"]>): Promise<void> => {
    await kv.transact(function* (tx): Program<void> {
      const job = yield* findJob(tx, id);
      if (job !== undefined) yield* writeJob(tx, job, { ...job, upload });
    });
  };

  const afterFailure = async (job: Job, failure: GfsError): Promise<Outcome> => {
    const waits = WAITED_FOR.has(failure.code);
    const failures = (job.failures ?? 0) + (waits ? 0 : 1);
    if (!waits && job.kind !== "remove" && failures >= MAX_FAILURES) {
      const version = (await kv.view((tx) => findJobFile(tx, job)))?.version;
      return giveUp(job, version, failure.message, deps);
    }
    const grown = Math.min(LONGEST_DELAY_MS, INITIAL_DELAY_MS * 2 ** job.attempts);
    return {
      kind: "later",
      reason: failure.message,
      failures,
      delayMs: Math.max(failure.retryAfterMs ?? 0, grown * (0.5 + random.fraction() / 2)),
    };
  };

  const settle = async (job: Job, outcome: Outcome): Promise<void> => {
    const nowMs = clock.nowMs();
    const bytesDone = board.bytesOf(job.id);
    await kv.transact(function* (tx): Program<void> {
      if (outcome.kind === "later") {
        const change = {
          state: "waiting" as const,
          nowMs,
          reason: outcome.reason,
          attempts: job.attempts + 1,
          notBeforeMs: nowMs + outcome.delayMs,
          // It begins anew.
          bytesDone: 0,
        };
        yield* settleJob(tx, job.id, {
          ...change,
          ...(outcome.failures === undefined ? {} : { failures: outcome.failures }),
        });
        return;
      }
      // What the sites hold is a fact, whatever became of the job's row meanwhile.
      if (outcome.record !== undefined) yield* outcome.record(tx);
      const reason = outcome.kind === "failed" ? outcome.reason : outcome.note;
      yield* settleJob(tx, job.id, {
        state: outcome.kind,
        nowMs,
        attempts: job.attempts + 1,
        bytesDone,
        ...(reason === undefined ? {} : { reason }),
      });
    });
    if (outcome.kind === "later") {
      finishedTotal.add(1, { status: "retried" });
      log.info("job_delayed", {
        job: job.id,
        kind: job.kind,
        path: job.path,
        site: job.site,
        reason: outcome.reason,
        attempts: job.attempts + 1,
      });
      return;
    }
    finishedTotal.add(1, { status: outcome.kind === "done" ? "success" : "failed" });
    if (outcome.kind === "failed")
      log.warn("job_failed", { job: job.id, kind: job.kind, path: job.path, site: job.site, reason: outcome.reason });
    sinceTrim += 1;
  };

  const refreshGauges = async (): Promise<void> => {
    const { count, pause, oldest } = await kv.view(function* (tx) {
      const [found] = (yield* pageJobs(tx, { states: ["waiting", "paused"], limit: 1 })).jobs;
      return { count: decodeCount(yield* tx.get(countKey)), pause: yield* findPause(tx), oldest: found };
    });
    depthGauge.set(count);
    pausedGauge.set(pause === undefined ? 0 : 1);
    ageGauge.set(oldest === undefined ? 0 : Math.max(0, (clock.nowMs() - oldest.createdMs) / 1_000));
  };

  /** Due jobs become ready; resolves with when to look again. */
  const turn = async (): Promise<number> => {
    const nowMs = clock.monotonicMs();
    // Between jobs that end one after the other there is no need to look at everything.
    if (window.length === 0 || nowMs - lookedMs > LOOK_EVERY_MS || nowMs >= dueMs) {
      lookedMs = nowMs;
      dueMs = nowMs + (await lookAround());
    }
    const hasRoom = running.size < config.maxConcurrentTransfers;
    if (hasRoom && (window.length === 0 || clock.monotonicMs() - windowReadMs > WINDOW_KEPT_MS)) await loadWindow();
    while (window.length > 0 && running.size < config.maxConcurrentTransfers) await launch(window.shift() as Job);
    return Math.max(1, dueMs - clock.monotonicMs());
  };

  /** Jobs whose time has come, copies that wait for room, rows that have been kept long enough; resolves with when to look again. */
  const lookAround = async (): Promise<number> => {
    const { nextDueMs } = await promote();
    if (sinceTrim >= TRIM_EVERY) {
      sinceTrim = 0;
      const beforeMs = clock.nowMs() - FINISHED_KEPT_MS;
      const border = await kv.view((tx) => findTrimBorder(tx, { keep: FINISHED_KEPT, beforeMs }));
      while (await kv.transact((tx) => trimFinished(tx, border)));
    }
    if (await kv.view(hasUnqueued)) {
      const order = { nowMs: clock.nowMs(), limit: config.maxQueuedJobs, nextJobId: deps.nextJobId };
      for (let page = 0; page < UNQUEUED_PAGES && (await kv.transact((tx) => takeUnqueued(tx, order))); page++);
    }
    return nextDueMs === undefined ? IDLE_LOOK_MS : Math.max(1, Math.min(IDLE_LOOK_MS, nextDueMs - clock.nowMs()));
  };

  const promote = async (): Promise<{ readonly nextDueMs: number | undefined }> => {
    const nowMs = clock.nowMs();
    const nextDueMs = await kv.view(findNextDue);
    return nextDueMs === undefined || nextDueMs > nowMs
      ? { nextDueMs }
      : await kv.transact((tx) => promoteDue(tx, nowMs));
  };

  const run = async (signal: AbortSignal): Promise<void> => {
    let gaugesAtMs = 0;
    const goesOn = (): boolean => !signal.aborted && !draining;
    while (goesOn()) {
      woken = false;
      let waitMs = IDLE_LOOK_MS;
      try {
        waitMs = await turn();
        if (clock.monotonicMs() - gaugesAtMs > GAUGES_EVERY_MS) {
          gaugesAtMs = clock.monotonicMs();
          await refreshGauges();
        }
      } catch (error) {
        if (!signal.aborted) log.warn("mover_turn_failed", { error: toGfsError(error).message });
        waitMs = INITIAL_DELAY_MS;
      }
      if (woken && running.size < config.maxConcurrentTransfers) continue;
      await pauseUntilWoken(waitMs, signal);
    }
  };

  const pauseUntilWoken = async (waitMs: number, signal: AbortSignal): Promise<void> => {
    await new Promise<void>((resolve) => {
      const cancel = clock.timer(waitMs, resolve);
      const finish = (): void => {
        cancel();
        resolve();
      };
      wakeUp = finish;
      if (signal.aborted || (woken && running.size < config.maxConcurrentTransfers)) finish();
    });
    wakeUp = undefined;
  };

  const depth = async (): Promise<number> => decodeCount(await kv.view((tx) => tx.get(countKey)));

  const change = async (
    id: JobId,
    state: "paused" | "waiting" | "canceled",
    order?: PauseOrder,
  ): Promise<JobProgress> => {
    const nowMs = clock.nowMs();
    const job = await kv.transact(function* (tx): Program<Job> {
      const before = yield* getJob(tx, id);
      const after = yield* setJobState(tx, id, { state, nowMs, ...(order === undefined ? {} : { order }) });
      if (state === "canceled" && before.state !== "canceled") yield* recordCanceled(tx, after);
      return after;
    });
    const under = running.get(id);
    if (under !== undefined && state !== "waiting") {
      under.controller.abort(new GfsError("Canceled", `The job was ${state}.`));
      await under.work;
    }
    if (state === "canceled") await forgetUpload((await kv.view((tx) => findJob(tx, id))) ?? job);
    wake();
    return await view.describe(job);
  };

  /** A copy that nobody is about to bring must not look as if it were on its way. */
  function* recordCanceled(tx: Transaction, job: Job): Program<void> {
    if (job.kind !== "replicate" && job.kind !== "repair") return;
    const version = (yield* findJobFile(tx, job))?.version;
    const { record } = giveUp(job, version, "Its job was canceled.", deps);
    if (record !== undefined) yield* record(tx);
  }

  const forgetUpload = async (job: Job): Promise<void> => {
    const site = deps.sites.find(job.site);
    if (job.upload === undefined || site === undefined) return;
    const ctx = backgroundCtx({ log, requestId: `job-${job.id}` });
    await site.store.abortMultipart(ctx, { key: job.key, uploadId: job.upload.uploadId }).catch((error: unknown) => {
      log.info("upload_left_to_the_sweep", { job: job.id, site: job.site, error: toGfsError(error).message });
    });
  };

  const stop = async (): Promise<void> => {
    stopping.abort(new GfsError("Canceled", "The mover stops."));
    wake();
    await loop;
    await Promise.allSettled([...running.values()].map(({ work }) => work));
    await taken.end();
    window = [];
  };

  return {
    async start() {
      stopping = newStopping();
      draining = false;
      loop = run(stopping.signal);
    },
    async drain() {
      draining = true;
      wake();
      await loop;
      const all = Promise.allSettled([...running.values()].map(({ work }) => work));
      const timeout = new AbortController();
      await Promise.race([all, clock.sleep(DRAIN_MS, timeout.signal).catch(() => undefined)]);
      timeout.abort();
      await stop();
    },
    stop,
    wake,
    take: (id) => taken.take(id),
    publishNow: async (ctx, ids) => await publishNow(ctx, ids, { deps, taken }),
    depth,
    ...view,
    pause: async (id, order) => await change(id, "paused", order),
    resume: async (id) => await change(id, "waiting"),
    cancel: async (id) => await change(id, "canceled"),
    async pauseAll(paused, order) {
      const pause: Pause = { ...order, sinceMs: clock.nowMs() };
      await kv.transact(function* (tx): Program<void> {
        // Whoever pauses what is paused already does not make it newer.
        if (!paused) tx.delete(pausedKey);
        else if ((yield* findPause(tx)) === undefined) tx.put(pausedKey, encodePause(pause));
      });
      pausedGauge.set(paused ? 1 : 0);
      log.info(paused ? "jobs_paused" : "jobs_resumed", { ...order });
      if (paused) {
        window = [];
        const under = [...running.values()];
        for (const { controller } of under) controller.abort(new GfsError("Canceled", "All jobs were paused."));
        await Promise.allSettled(under.map(({ work }) => work));
      }
      wake();
    },
    async enqueue(spec) {
      const id = deps.nextJobId();
      await kv.transact((tx) => enqueueJob(tx, spec, { id, nowMs: clock.nowMs(), limit: Number.MAX_SAFE_INTEGER }));
      window = [];
      wake();
      return await view.get(id);
    },
  };
}

const IDLE_LOOK_MS = 5_000;
const LOOK_EVERY_MS = 50;
const GAUGES_EVERY_MS = 1_000;
