import { GfsError } from "../core/errors.ts";
import type { JobId } from "../core/ids.ts";
import type { Program, Transaction } from "../kv/index.ts";
import type { MoverDeps } from "./context.ts";
import { suspectStrays } from "../namespace/index.ts";
import { findJobFile } from "./job-file.ts";
import { encodePause, pausedKey } from "./job-rows.ts";
import { enqueueJob, findJob, getJob, setJobState } from "./jobs.ts";
import type { JobsView } from "./jobs-view.ts";
import { giveUp } from "./kinds/replicate.ts";
import type { Runner } from "./run.ts";
import type { Schedule } from "./schedule.ts";
import type { Mover } from "./service.ts";
import type { Job, JobProgress, Pause, PauseOrder } from "./types.ts";
import { findPause } from "./waiting.ts";

export type Orders = Pick<Mover, "pause" | "resume" | "cancel" | "pauseAll" | "enqueue">;

export interface OrdersDeps extends MoverDeps {
  readonly runner: Runner;
  readonly schedule: Schedule;
  readonly view: JobsView;
}

/** What people order. */
export function createOrders(deps: OrdersDeps): Orders {
  const { kv, clock, log, runner, schedule, view } = deps;
  const pausedGauge = deps.metrics.gauge({ name: "globalfs_jobs_paused", help: "1 while all jobs are paused." });

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
    const under = runner.running.get(id);
    if (under !== undefined && state !== "waiting") {
      under.controller.abort(new GfsError("Canceled", `The job was ${state}.`));
      await under.work;
    }
    if (state === "canceled") await runner.forgetUpload((await kv.view((tx) => findJob(tx, id))) ?? job);
    schedule.wake();
    return await view.describe(job);
  };

  /** A copy that nobody is about to bring must not look as if it were on its way. */
  function* recordCanceled(tx: Transaction, job: Job): Program<void> {
    if (job.kind === "remove") suspectStrays(tx, job.changedMs);
    if (job.kind !== "replicate" && job.kind !== "repair") return;
    const version = (yield* findJobFile(tx, job))?.version;
    const { record } = giveUp(job, version, "Its job was canceled.", deps);
    if (record !== undefined) yield* record(tx);
  }

  return {
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
        const under = [...runner.running.values()];
        for (const { controller } of under) controller.abort(new GfsError("Canceled", "All jobs were paused."));
        await Promise.allSettled(under.map(({ work }) => work));
      }
      schedule.wake();
    },
    async enqueue(spec) {
      const id = deps.nextJobId();
      const nowMs = clock.nowMs();
      await kv.transact((tx) => enqueueJob(tx, spec, { id, nowMs }));
      schedule.chooseAnew();
      schedule.wake();
      return await view.get(id);
    },
  };
}
