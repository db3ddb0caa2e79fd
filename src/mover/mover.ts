import type { MoverConfig, MoverDeps } from "./context.ts";
import { readySpace } from "./job-rows.ts";
import { createJobsView } from "./jobs-view.ts";
import { createOrders } from "./orders.ts";
import { ProgressBoard } from "./progress.ts";
import { publishNow } from "./publish-now.ts";
import { QueueDepth } from "./queue-depth.ts";
import { createRunner } from "./run.ts";
import { createSchedule } from "./schedule.ts";
import type { Mover } from "./service.ts";
import { TakenJobs } from "./taken-jobs.ts";

const DRAIN_MS = 10_000;
/** While so many jobs are ready and wait, who writes over an object publishes it before the answer: what waits to be published has a bound. */
const MOST_READY = 256;

/** Puts its parts together: the schedule chooses, the runner works and settles, the view shows and the orders change. */
export function createMover(deps: MoverDeps, config: MoverConfig): Mover {
  const { kv, clock, log, sites } = deps;
  const board = new ProgressBoard(clock);
  const depth = new QueueDepth(kv, log);
  const ready = new QueueDepth(kv, log, readySpace);
  const wake = (): void => schedule.wake();
  const taken = new TakenJobs({ kv, log, onLeft: wake });
  const runner = createRunner({ ...deps, board, onEnd: wake }, config);
  const schedule = createSchedule({ ...deps, runner, taken, depth }, config);
  const view = createJobsView({ kv, clock, sites, board, running: runner.running, depth });

  const stop = async (): Promise<void> => {
    await schedule.stop();
    await taken.end();
  };

  return {
    async start() {
      schedule.start();
    },
    async drain() {
      await schedule.drain();
      const timeout = new AbortController();
      await Promise.race([runner.idle(), clock.sleep(DRAIN_MS, timeout.signal).catch(() => undefined)]);
      timeout.abort();
      await stop();
    },
    stop,
    wake,
    giveWay: () => runner.giveWay(),
    take: (id) => taken.take(id),
    publishNow: async (ctx, ids) => await publishNow(ctx, ids, { deps, taken }),
    depth: async () => await depth.get(),
    get queueIsFull() {
      return depth.latest >= config.maxQueuedJobs;
    },
    get isBehind() {
      return ready.latest >= MOST_READY;
    },
    ...view,
    ...createOrders({ ...deps, runner, schedule, view }),
  };
}
