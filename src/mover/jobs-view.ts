import type { JobId } from "../core/ids.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Kv, Program } from "../kv/index.ts";
import type { SiteDirectory } from "../stores/index.ts";
import { countJobs, getJob, jobsOfPath, pageJobs } from "./jobs.ts";
import type { ProgressBoard } from "./progress.ts";
import type { Mover } from "./service.ts";
import type { Job, JobCounts, JobProgress, JobState } from "./types.ts";
import { findPause, withReason } from "./waiting.ts";

const COUNTED_A_PAGE = 1_000;
const JOBS_OF_ONE_PATH = 100;
/** A row says of a job that runs that it waits. */
const UNFINISHED: readonly JobState[] = ["waiting", "paused"];

export interface JobsViewDeps {
  readonly kv: Kv;
  readonly clock: Clock;
  readonly sites: SiteDirectory;
  readonly board: ProgressBoard;
  readonly running: { readonly size: number };
}

export interface JobsView extends Pick<Mover, "jobsOf" | "list" | "get" | "count" | "uploadsAt" | "findPause"> {
  describe(job: Job): Promise<JobProgress>;
}

/** Jobs as people see them: how far they are, and what those that stand still wait for. */
export function createJobsView({ kv, clock, sites, board, running }: JobsViewDeps): JobsView {
  const describeAll = async (jobs: readonly Job[]): Promise<JobProgress[]> => {
    const now = { nowMs: clock.nowMs(), sites };
    return await kv.view(function* (tx): Program<JobProgress[]> {
      const described: JobProgress[] = [];
      for (const job of jobs) described.push(yield* withReason(tx, board.describe(job), now));
      return described;
    });
  };
  const describe = async (job: Job): Promise<JobProgress> => (await describeAll([job]))[0] as JobProgress;

  return {
    describe,
    findPause: async () => await kv.view(findPause),
    jobsOf: async (path) => await describeAll(await kv.view((tx) => jobsOfPath(tx, path, JOBS_OF_ONE_PATH))),
    get: async (id) => await describe(await kv.view((tx) => getJob(tx, id))),
    async list({ state, after, newestFirst, limit }) {
      const states =
        state === undefined ? undefined : state === "running" ? (["waiting"] as const) : ([state] as const);
      const page = await kv.view((tx) =>
        pageJobs(tx, {
          limit,
          ...(states === undefined ? {} : { states }),
          ...(after === undefined ? {} : { after: after as JobId }),
          ...(newestFirst === undefined ? {} : { newestFirst }),
        }),
      );
      const described = await describeAll(page.jobs);
      const jobs = state === undefined ? described : described.filter((job) => job.state === state);
      return { jobs, ...(page.next === undefined ? {} : { continuation: page.next }) };
    },
    async count() {
      const counts: Record<JobState, number> = { waiting: 0, running: 0, paused: 0, done: 0, failed: 0, canceled: 0 };
      let after: JobId | undefined;
      do {
        const from = after;
        const page = await kv.view((tx) =>
          countJobs(tx, { limit: COUNTED_A_PAGE, ...(from === undefined ? {} : { after: from }) }),
        );
        for (const [state, found] of Object.entries(page.counts)) counts[state as JobState] += found;
        after = page.next;
        // Others are served between two pages.
        await new Promise(setImmediate);
      } while (after !== undefined);
      counts.running = Math.min(running.size, counts.waiting);
      counts.waiting -= counts.running;
      return counts satisfies JobCounts;
    },
    async uploadsAt(site) {
      const uploads = new Set<string>();
      let after: JobId | undefined;
      do {
        const from = after;
        const page = await kv.view((tx) =>
          pageJobs(tx, { states: UNFINISHED, limit: COUNTED_A_PAGE, ...(from === undefined ? {} : { after: from }) }),
        );
        for (const job of page.jobs)
          if (job.site === site && job.upload !== undefined) uploads.add(job.upload.uploadId);
        after = page.next;
        await new Promise(setImmediate);
      } while (after !== undefined);
      return uploads;
    },
  };
}
