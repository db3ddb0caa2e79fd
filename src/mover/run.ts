import { Semaphore } from "../core/async/semaphore.ts";
import { TokenBucket } from "../core/async/token-bucket.ts";
import { backgroundCtx, type Ctx } from "../core/context.ts";
import { type ErrorCode, type GfsError, toGfsError } from "../core/errors.ts";
import type { JobId } from "../core/ids.ts";
import type { Program } from "../kv/index.ts";
import type { MoverConfig, MoverDeps } from "./context.ts";
import { findJobFile } from "./job-file.ts";
import { laneOf } from "./job-rows.ts";
import { findJob, writeJob } from "./jobs.ts";
import { publish } from "./kinds/publish.ts";
import { removeObject } from "./kinds/remove.ts";
import { type Attempt, giveUp, replicate } from "./kinds/replicate.ts";
import { verifyCopy } from "./kinds/verify.ts";
import type { Outcome } from "./outcome.ts";
import type { ProgressBoard } from "./progress.ts";
import { Settling } from "./settling.ts";
import type { Job } from "./types.ts";

/** Runs jobs: each of them from its beginning until its row tells how that ended. */
export interface Runner {
  /** Also those that have ended and wait to be settled. */
  readonly running: ReadonlyMap<JobId, RunningJob>;
  /** One more may begin. */
  readonly hasRoom: boolean;
  /** A job of the same file at the same site is under way. */
  isBusy(job: Job): boolean;
  begin(job: Job, stopping: AbortSignal): void;
  /** Fewer jobs begin, until the returned function is called, but no longer than a moment. */
  giveWay(): () => void;
  /** So many have ended since this was asked last. */
  takeEnded(): number;
  /** The parts that a job has sent will not be used. */
  forgetUpload(job: Job): Promise<void>;
  /** Resolves once none of those that are under way now is any more. */
  idle(): Promise<void>;
}

export interface RunningJob {
  readonly controller: AbortController;
  readonly work: Promise<void>;
}

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
const BUDGET_CHUNKS = 8;
const MIN_BUDGET_BYTES = 64 * 1024 ** 2;
/** Others work while jobs that have ended wait for a flush of their site or their commit, until that many times as many are under way. */
const UNSETTLED = 16;
/** Of the jobs that may work at once, so many do while somebody waits for whom jobs give way. */
const SHARE_GIVING_WAY = 1 / 4;
/** What takes longer waits for something else than this process. */
const LONGEST_GIVING_WAY_MS = 500;

export interface RunnerDeps extends MoverDeps {
  readonly board: ProgressBoard;
  readonly onEnd: () => void;
}

export function createRunner(deps: RunnerDeps, config: MoverConfig): Runner {
  const { kv, clock, random, log, metrics, board } = deps;
  const { maxConcurrentTransfers } = config;
  const budget = new Semaphore(
    Math.max(MIN_BUDGET_BYTES, config.transferChunkBytes * Math.min(BUDGET_CHUNKS, maxConcurrentTransfers)),
  );
  const buckets = config.bandwidth.map((limit) => ({ ...limit, bucket: new TokenBucket(limit.bytesPerSecond, clock) }));
  const finishedTotal = metrics.counter({
    name: "globalfs_replication_jobs_total",
    help: "Replication jobs by status.",
    labels: ["status"],
  });
  const activeGauge = metrics.gauge({ name: "globalfs_replication_jobs_active", help: "Jobs that run now." });
  const moved = metrics.counter({
    name: "globalfs_replication_bytes_transferred_total",
    help: "Bytes moved between sites.",
    labels: ["source", "target"],
  });
  const settling = new Settling(deps);
  const running = new Map<JobId, RunningJob>();
  const busyLanes = new Set<string>();
  let working = 0;
  let ended = 0;
  let givingWay = 0;

  const nameOfLane = (job: Job): string => `${laneOf(job)}\0${job.site}`;

  const bucketOf = (from: string, to: string): TokenBucket | undefined =>
    buckets.find((limit) => (limit.from === "*" || limit.from === from) && (limit.to === "*" || limit.to === to))
      ?.bucket;

  const run = async (job: Job, signal: AbortSignal, stopping: AbortSignal): Promise<void> => {
    const ctx = backgroundCtx({ signal, log, requestId: `job-${job.id}` });
    let { upload } = job;
    const onUpload: Attempt["onUpload"] = async (begun) => {
      upload = begun;
      await rememberUpload(job.id, begun);
    };
    let outcome: Outcome | undefined;
    try {
      outcome = await attempt(ctx, job, onUpload);
    } finally {
      working -= 1;
    }
    deps.onEnd();
    outcome = await whenItStays(ctx, job, outcome);
    if (outcome === undefined) return;
    try {
      await settling.settle({ job, outcome, bytesDone: board.bytesOf(job.id) });
      tell(job, outcome);
      if (outcome.kind !== "later" && upload !== undefined) await forgetUpload({ ...job, upload });
    } catch (error) {
      // The row is as it was: the job is tried again, which every kind bears.
      log.warn("job_not_settled", { job: job.id, error: toGfsError(error).message });
      await clock.sleep(INITIAL_DELAY_MS, stopping).catch(() => undefined);
      return;
    }
    if (outcome.kind !== "done" || outcome.after === undefined) return;
    try {
      await kv.flush();
      await outcome.after(ctx);
    } catch (error) {
      log.info("job_left_something_to_the_sweep", { job: job.id, error: toGfsError(error).message });
    }
  };

  /** Undefined: it was told to end, and its row is as it was. */
  const attempt = async (ctx: Ctx, job: Job, onUpload: Attempt["onUpload"]): Promise<Outcome | undefined> => {
    try {
      return await workOn(ctx, job, onUpload);
    } catch (error) {
      return ctx.signal.aborted ? undefined : await afterFailure(job, toGfsError(error, "mover.job"));
    }
  };

  const whenItStays = async (ctx: Ctx, job: Job, outcome: Outcome | undefined): Promise<Outcome | undefined> => {
    if (outcome?.kind !== "done" || outcome.stays === undefined) return outcome;
    try {
      await outcome.stays(ctx);
      return outcome;
    } catch (error) {
      return ctx.signal.aborted ? undefined : await afterFailure(job, toGfsError(error, "mover.job"));
    }
  };

  const workOn = async (ctx: Ctx, job: Job, onUpload: Attempt["onUpload"]): Promise<Outcome> => {
    const tools: Attempt = {
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
        return await replicate(ctx, job, tools);
      case "remove":
        return await removeObject(ctx, job, deps);
      case "publish":
        return await publish(ctx, job, deps);
      case "verify":
        return await verifyCopy(ctx, job, tools);
    }
  };

  const rememberUpload = async (id: JobId, upload: NonNullable<Job["upload"]>): Promise<void> => {
    await kv.transact(function* (tx): Program<void> {
      const job = yield* findJob(tx, id);
      if (job !== undefined) writeJob(tx, job, { ...job, upload });
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

  const tell = (job: Job, outcome: Outcome): void => {
    const { id, kind, path, site } = job;
    if (outcome.kind === "later") {
      finishedTotal.add(1, { status: "retried" });
      const { reason } = outcome;
      log.info("job_delayed", { job: id, kind, path, site, reason, attempts: job.attempts + 1 });
      return;
    }
    ended += 1;
    finishedTotal.add(1, { status: outcome.kind === "done" ? "success" : "failed" });
    if (outcome.kind === "failed") log.warn("job_failed", { job: id, kind, path, site, reason: outcome.reason });
  };

  const forgetUpload = async (job: Job): Promise<void> => {
    const site = deps.sites.find(job.site);
    if (job.upload === undefined || site === undefined) return;
    const ctx = backgroundCtx({ log, requestId: `job-${job.id}` });
    await site.store.abortMultipart(ctx, { key: job.key, uploadId: job.upload.uploadId }).catch((error: unknown) => {
      log.info("upload_left_to_the_sweep", { job: job.id, site: job.site, error: toGfsError(error).message });
    });
  };

  return {
    running,
    get hasRoom() {
      const most =
        givingWay === 0 ? maxConcurrentTransfers : Math.max(1, Math.floor(maxConcurrentTransfers * SHARE_GIVING_WAY));
      return working < most && running.size < UNSETTLED * maxConcurrentTransfers;
    },
    isBusy: (job) => busyLanes.has(nameOfLane(job)),
    begin(job, stopping) {
      const lane = nameOfLane(job);
      const controller = new AbortController();
      const onStop = (): void => controller.abort(stopping.reason);
      stopping.addEventListener("abort", onStop, { once: true });
      busyLanes.add(lane);
      board.begin(job.id);
      working += 1;
      const work = run(job, controller.signal, stopping).finally(() => {
        stopping.removeEventListener("abort", onStop);
        board.end(job.id);
        busyLanes.delete(lane);
        running.delete(job.id);
        activeGauge.set(running.size);
        deps.onEnd();
      });
      running.set(job.id, { controller, work });
      activeGauge.set(running.size);
    },
    giveWay() {
      givingWay += 1;
      let over = false;
      const end = (): void => {
        if (over) return;
        over = true;
        cancel();
        givingWay -= 1;
        deps.onEnd();
      };
      const cancel = clock.timer(LONGEST_GIVING_WAY_MS, end);
      return end;
    },
    takeEnded() {
      const count = ended;
      ended = 0;
      return count;
    },
    forgetUpload,
    async idle() {
      await Promise.allSettled([...running.values()].map(({ work }) => work));
    },
  };
}
