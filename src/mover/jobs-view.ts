import type { JobId } from "../core/ids.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Kv, Program } from "../kv/index.ts";
import type { SiteDirectory } from "../stores/index.ts";
import { countFinished, countRows, type PageJobs, pageJobs } from "./job-pages.ts";
import { heldSpace } from "./job-rows.ts";
import { findJob, getJob, jobsOfPath } from "./jobs.ts";
import type { ProgressBoard } from "./progress.ts";
import type { QueueDepth } from "./queue-depth.ts";
import type { Mover } from "./service.ts";
import type { Job, JobCounts, JobProgress } from "./types.ts";
import { findPause, withReason } from "./waiting.ts";

const COUNTED_A_PAGE = 1_000;
const JOBS_OF_ONE_PATH = 100;

export interface JobsViewDeps {
  readonly kv: Kv;
  readonly clock: Clock;
  readonly sites: SiteDirectory;
  readonly board: ProgressBoard;
  readonly running: ReadonlyMap<JobId, unknown>;
  readonly depth: QueueDepth;
}

export interface JobsView extends Pick<Mover, "jobsOf" | "list" | "get" | "count" | "uploadsAt" | "findPause"> {
  describe(job: Job): Promise<JobProgress>;
}

type ListedJobs = Awaited<ReturnType<Mover["list"]>>;
type RunningPage = Pick<PageJobs, "after" | "newestFirst" | "limit">;

/** Jobs as people see them: how far they are, and what those that stand still wait for. */
export function createJobsView({ kv, clock, sites, board, running, depth }: JobsViewDeps): JobsView {
  const describeAll = async (jobs: readonly Job[]): Promise<JobProgress[]> => {
    const now = { nowMs: clock.nowMs(), sites };
    return await kv.view(function* (tx): Program<JobProgress[]> {
      const described: JobProgress[] = [];
      for (const job of jobs) described.push(yield* withReason(tx, board.describe(job), now));
      return described;
    });
  };
  const describe = async (job: Job): Promise<JobProgress> => (await describeAll([job]))[0] as JobProgress;

  /** This process alone knows them. */
  const listRunning = async ({ after, newestFirst, limit }: RunningPage): Promise<ListedJobs> => {
    const ids = [...running.keys()].sort();
    if (newestFirst === true) ids.reverse();
    const behind = ids.filter((id) => after === undefined || (newestFirst === true ? id < after : id > after));
    const page = behind.slice(0, limit);
    const found = await kv.view(function* (tx): Program<Job[]> {
      const jobs: Job[] = [];
      for (const id of page) {
        const job = yield* findJob(tx, id);
        if (job !== undefined) jobs.push(job);
      }
      return jobs;
    });
    const jobs = (await describeAll(found)).filter((job) => job.state === "running");
    const last = page.at(-1);
    return { jobs, ...(last === undefined || behind.length <= limit ? {} : { continuation: last }) };
  };

  return {
    describe,
    findPause: async () => await kv.view(findPause),
    jobsOf: async (path) => await describeAll(await kv.view((tx) => jobsOfPath(tx, path, JOBS_OF_ONE_PATH))),
    get: async (id) => await describe(await kv.view((tx) => getJob(tx, id))),
    async list({ state, after, newestFirst, limit }) {
      const from = { after: after as JobId | undefined, newestFirst, limit };
      if (state === "running") return await listRunning(from);
      const page = await kv.view((tx) => pageJobs(tx, { ...from, state }));
      const described = await describeAll(page.jobs);
      const jobs = state === undefined ? described : described.filter((job) => job.state === state);
      return { jobs, ...(page.next === undefined ? {} : { continuation: page.next }) };
    },
    async count() {
      const finished = await kv.view(countFinished);
      const paused = await countRows(kv, heldSpace);
      const ready = Math.max(0, (await depth.get()) - paused);
      const runningCount = Math.min(running.size, ready);
      const { done = 0, failed = 0, canceled = 0 } = finished;
      const counts = { waiting: ready - runningCount, running: runningCount, paused, done, failed, canceled };
      return counts satisfies JobCounts;
    },
    async uploadsAt(site) {
      const uploads = new Set<string>();
      let after: JobId | undefined;
      do {
        const from = after;
        const page = await kv.view((tx) => pageJobs(tx, { state: "unfinished", limit: COUNTED_A_PAGE, after: from }));
        for (const job of page.jobs)
          if (job.site === site && job.upload !== undefined) uploads.add(job.upload.uploadId);
        after = page.next;
        await new Promise(setImmediate);
      } while (after !== undefined);
      return uploads;
    },
  };
}
