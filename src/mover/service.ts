import type { Ctx } from "../core/context.ts";
import type { JobId, SiteName } from "../core/ids.ts";
import type { TakenJob } from "./taken-jobs.ts";
import type { JobCounts, JobProgress, JobSpec, JobState, Pause, PauseOrder } from "./types.ts";

/** Runs durable jobs, many at once, those of one file at one site one after the other. */
export interface Mover {
  start(): Promise<void>;
  /** Takes up no more jobs and waits for those under way, for a while; then stops. */
  drain(): Promise<void>;
  /** Stops now. What was under way is taken up again at the next start. */
  stop(): Promise<void>;
  /** Somebody waits who needs the event loop often: few jobs begin until the returned function is called, for a moment at most. */
  giveWay(): () => void;
  /** There may be new work. */
  wake(): void;
  /** The caller does the work of this job now, and says how that ended. */
  take(id: JobId): TakenJob;
  /** Does the work of these publish jobs now, as far as it goes well; never rejects. */
  publishNow(ctx: Ctx, ids: readonly JobId[]): Promise<void>;
  /** Jobs that are not finished. */
  depth(): Promise<number>;
  /** As far as it is known: writers ask before their transaction. */
  readonly queueIsFull: boolean;
  /** The same: so many jobs are ready that a writer who makes one more does its work himself. */
  readonly isBehind: boolean;
  jobsOf(path: string): Promise<JobProgress[]>;
  list(query: {
    readonly state?: JobState;
    readonly after?: string;
    readonly newestFirst?: boolean;
    readonly limit: number;
  }): Promise<{ readonly jobs: readonly JobProgress[]; readonly continuation?: string }>;
  get(id: JobId): Promise<JobProgress>;
  count(): Promise<JobCounts>;
  /** Ids of the uploads in parts at a site that jobs have begun and may go on with, however long ago. */
  uploadsAt(site: SiteName): Promise<ReadonlySet<string>>;
  pause(id: JobId, order?: PauseOrder): Promise<JobProgress>;
  resume(id: JobId): Promise<JobProgress>;
  cancel(id: JobId): Promise<JobProgress>;
  pauseAll(paused: boolean, order?: PauseOrder): Promise<void>;
  /** Undefined while jobs run. */
  findPause(): Promise<Pause | undefined>;
  /** By a person: in front of all others, and never refused. */
  enqueue(spec: JobSpec): Promise<JobProgress>;
}
