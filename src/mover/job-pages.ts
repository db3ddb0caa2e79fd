import { setImmediate as nextTurn } from "node:timers/promises";
import type { JobId } from "../core/ids.ts";
import { type Key, keyAfter, type Kv, prefixRange, type Program, type Reader } from "../kv/index.ts";
import {
  decodeFinished,
  decodeJob,
  finishedSpace,
  heldKey,
  heldSpace,
  idOfFinishedKey,
  idOfHeldKey,
  jobKey,
  jobSpace,
} from "./job-rows.ts";
import { findJob, isFinished } from "./jobs.ts";
import type { Job, JobState } from "./types.ts";

/** Pages of jobs by their ids, for people: what a page costs follows from what it shows, also beside 100,000 jobs of another state. */

export interface JobRowsPage {
  readonly jobs: readonly Job[];
  /** Absent on the last page. */
  readonly next?: JobId;
}

export interface PageJobs {
  /** Rows do not say which jobs run: of those, too, they say that they wait. Absent: whatever their state. */
  readonly state?: Exclude<JobState, "running"> | "unfinished" | undefined;
  readonly after?: JobId | undefined;
  readonly newestFirst?: boolean | undefined;
  readonly limit: number;
}

/** Oldest first, unless the newest are asked for. A page that was filtered may be short, and still have a next. */
export function* pageJobs(tx: Reader, query: PageJobs): Program<JobRowsPage> {
  const { state } = query;
  if (state === "paused") return yield* pageHeld(tx, query);
  if (state === "done" || state === "failed" || state === "canceled") return yield* pageFinished(tx, query, state);
  return yield* pageRows(tx, query, (job) =>
    state === "waiting" ? job.state === "waiting" : state === undefined || !isFinished(job.state),
  );
}

const ROWS_A_STEP = 100;
const SCANNED_A_PAGE = 5_000;

/** Finished jobs among them are few, as they are kept for a while only. */
function* pageRows(tx: Reader, query: PageJobs, wanted: (job: Job) => boolean): Program<JobRowsPage> {
  const { limit, newestFirst = false } = query;
  const jobs: Job[] = [];
  let { after } = query;
  for (let scanned = 0; scanned < SCANNED_A_PAGE;) {
    const step = Math.max(ROWS_A_STEP, limit - jobs.length);
    const rows = yield* tx.range({ ...rangeAfter(jobSpace, after, jobKey, newestFirst), limit: step });
    for (const { value } of rows) {
      const job = decodeJob(value);
      after = job.id;
      scanned += 1;
      if (!wanted(job)) continue;
      jobs.push(job);
      if (jobs.length === limit) return { jobs, next: job.id };
    }
    if (rows.length < step) return { jobs };
  }
  return { jobs, ...(after === undefined ? {} : { next: after }) };
}

function* pageHeld(tx: Reader, { after, newestFirst = false, limit }: PageJobs): Program<JobRowsPage> {
  const rows = yield* tx.range({ ...rangeAfter(heldSpace, after, heldKey, newestFirst), limit });
  return yield* pageOf(
    tx,
    rows.map(({ key }) => idOfHeldKey(key)),
    limit,
  );
}

/** So many are looked at, the newest; the mover keeps a thousand or so. */
const MOST_FINISHED = 10_000;

function* pageFinished(
  tx: Reader,
  { after, newestFirst = false, limit }: PageJobs,
  state: JobState,
): Program<JobRowsPage> {
  const ids: JobId[] = [];
  for (const { key, value } of yield* tx.range({
    ...prefixRange(finishedSpace),
    limit: MOST_FINISHED,
    reverse: true,
  })) {
    const id = idOfFinishedKey(key);
    const isBehind = after === undefined || (newestFirst ? id < after : id > after);
    if (isBehind && decodeFinished(value) === state) ids.push(id);
  }
  ids.sort();
  if (newestFirst) ids.reverse();
  return yield* pageOf(tx, ids.slice(0, limit), limit);
}

function* pageOf(tx: Reader, ids: readonly JobId[], limit: number): Program<JobRowsPage> {
  const jobs: Job[] = [];
  for (const id of ids) {
    const job = yield* findJob(tx, id);
    if (job !== undefined) jobs.push(job);
  }
  const last = ids.at(-1);
  return { jobs, ...(last === undefined || ids.length < limit ? {} : { next: last }) };
}

function rangeAfter(
  space: Key,
  after: JobId | undefined,
  keyOf: (id: JobId) => Key,
  newestFirst: boolean,
): { readonly start: Key; readonly end: Key; readonly reverse: boolean } {
  const { start, end } = prefixRange(space);
  if (after === undefined) return { start, end, reverse: newestFirst };
  return newestFirst
    ? { start, end: keyOf(after), reverse: true }
    : { start: keyAfter(keyOf(after)), end, reverse: false };
}

/** How many of those that are looked at ended in which way. */
export function* countFinished(tx: Reader): Program<Readonly<Partial<Record<JobState, number>>>> {
  const counts: Partial<Record<JobState, number>> = {};
  for (const { value } of yield* tx.range({ ...prefixRange(finishedSpace), limit: MOST_FINISHED })) {
    const state = decodeFinished(value);
    counts[state] = (counts[state] ?? 0) + 1;
  }
  return counts;
}

const COUNTED_A_PAGE = 1_000;

/** Others have their turn between two pages. */
export async function countRows({ view }: Pick<Kv, "view">, space: Key): Promise<number> {
  let { start, end } = prefixRange(space);
  for (let count = 0; ;) {
    const from = start;
    const rows = await view((tx) => tx.range({ start: from, end, limit: COUNTED_A_PAGE }));
    count += rows.length;
    const last = rows.at(-1);
    if (last === undefined || rows.length < COUNTED_A_PAGE) return count;
    start = keyAfter(last.key);
    await nextTurn();
  }
}
