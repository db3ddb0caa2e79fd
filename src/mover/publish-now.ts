import type { Ctx } from "../core/context.ts";
import { toGfsError } from "../core/errors.ts";
import type { JobId } from "../core/ids.ts";
import type { Program } from "../kv/index.ts";
import type { MoverDeps } from "./context.ts";
import { findJob, isFirstOfLane } from "./jobs.ts";
import { publish } from "./kinds/publish.ts";
import type { TakenJobs } from "./taken-jobs.ts";
import type { Job } from "./types.ts";
import { findPause } from "./waiting.ts";

/** Publishes while the caller of the write waits. What does not go well at once is left to the jobs: the write has happened all the same. */
export async function publishNow(
  ctx: Ctx,
  ids: readonly JobId[],
  { deps, taken }: { readonly deps: MoverDeps; readonly taken: TakenJobs },
): Promise<void> {
  await Promise.all(ids.map(async (id) => await publishOne(ctx, id, { deps, taken })));
}

async function publishOne(
  ctx: Ctx,
  id: JobId,
  { deps, taken }: { readonly deps: MoverDeps; readonly taken: TakenJobs },
): Promise<void> {
  const mine = taken.take(id);
  try {
    const job = await deps.kv.view(function* (tx): Program<Job | undefined> {
      if ((yield* findPause(tx)) !== undefined) return undefined;
      const found = yield* findJob(tx, id);
      return found !== undefined && (yield* isFirstOfLane(tx, found)) ? found : undefined;
    });
    const outcome = job === undefined ? undefined : await publish(ctx, job, deps);
    if (outcome?.kind === "done") {
      const { record, stays, after } = outcome;
      await stays?.(ctx);
      if (record !== undefined) await deps.kv.transact(record);
      await after?.(ctx);
      mine.done();
    } else mine.leave();
  } catch (error) {
    mine.leave();
    deps.log.info("not_published_at_once", { job: id, error: toGfsError(error).message });
  }
}
