import { GfsError } from "../core/errors.ts";
import type { FilePath, Inode, JobId, SiteName, VersionId } from "../core/ids.ts";
import { type Key, keyAfter, prefixRange, type Program, type Reader, type Transaction } from "../kv/index.ts";
import { findOwner } from "../namespace/index.ts";
import {
  countKey,
  decodeCount,
  decodeJob,
  delayedKey,
  delayedSpace,
  encodeCount,
  encodeJob,
  encodeUnqueued,
  finishedKey,
  finishedSpace,
  idOfFinishedKey,
  idOfLaneKey,
  jobKey,
  jobSpace,
  laneKey,
  laneRange,
  partsOfDelayedKey,
  pathRange,
  readyKey,
  unqueuedKey,
} from "./job-rows.ts";
import type { Job, JobSpec, JobState, PauseOrder } from "./types.ts";

/** Jobs as rows: programs, so that a job is queued in the transaction that made it necessary. */

export interface Enqueue {
  readonly id: JobId;
  readonly nowMs: number;
  /** The queue takes no more than this; 202 tells the caller. */
  readonly limit: number;
}

/** False when the queue is full; nothing is written then. */
export function* enqueueJob(tx: Transaction, spec: JobSpec, { id, nowMs, limit }: Enqueue): Program<boolean> {
  const count = decodeCount(yield* tx.get(countKey));
  let superseded = 0;
  if (spec.kind === "replicate" || spec.kind === "publish") superseded = yield* dropSuperseded(tx, spec);
  if (count - superseded >= limit) {
    if (superseded > 0) tx.put(countKey, encodeCount(count - superseded));
    return false;
  }
  const job: Job = {
    ...spec,
    id,
    state: "waiting",
    createdMs: nowMs,
    changedMs: nowMs,
    attempts: 0,
    notBeforeMs: 0,
    bytesDone: 0,
  };
  tx.put(jobKey(id), encodeJob(job));
  tx.put(readyKey(job), Buffer.alloc(0));
  tx.put(laneKey(job), Buffer.alloc(0));
  tx.put(countKey, encodeCount(count + 1 - superseded));
  return true;
}

const MAX_LANE = 1_000;
/** What one more job may drop in its transaction; others find nothing to do when they run. */
const MOST_DROPPED = 4;

/** A file that is overwritten while its site is away needs one copy of the newest version, not one of each, and no older one is published any more. */
function* dropSuperseded(tx: Transaction, spec: JobSpec): Program<number> {
  let dropped = 0;
  for (const { key } of yield* tx.range({ ...prefixRange(laneRange(spec)), limit: MAX_LANE })) {
    const job = yield* findJob(tx, idOfLaneKey(key));
    // Another file may have had this path when its job was made, and has been renamed since.
    if (job?.kind !== spec.kind || job.inode !== spec.inode) continue;
    if (job.versionId === spec.versionId || job.upload !== undefined || (yield* isKept(tx, job))) continue;
    removeIndexes(tx, job);
    tx.delete(jobKey(job.id));
    dropped += 1;
    if (dropped === MOST_DROPPED) break;
  }
  return dropped;
}

/** The job's version went into the history of its path, and its copy is still wanted. */
function* isKept(tx: Reader, job: Job): Program<boolean> {
  const owner = yield* findOwner(tx, job.site, job.key);
  return owner !== undefined && owner.versionId === job.versionId && owner.inode !== job.inode;
}

export function* findJob(tx: Reader, id: JobId): Program<Job | undefined> {
  const row = yield* tx.get(jobKey(id));
  return row === undefined ? undefined : decodeJob(row);
}

export function* getJob(tx: Reader, id: JobId): Program<Job> {
  const job = yield* findJob(tx, id);
  if (job === undefined) throw new GfsError("NotFound", `There is no job ${id}; \`globalfs jobs list\` names them.`);
  return job;
}

export function isFinished(state: JobState): boolean {
  return state === "done" || state === "failed" || state === "canceled";
}

function removeIndexes(tx: Transaction, job: Job): void {
  removeFromQueue(tx, job);
  tx.delete(laneKey(job));
}

function queueKey(job: Job): Key | undefined {
  if (job.state !== "waiting") return undefined;
  return job.notBeforeMs > 0 ? delayedKey(job) : readyKey(job);
}

function removeFromQueue(tx: Transaction, job: Job): void {
  const key = queueKey(job);
  if (key !== undefined) tx.delete(key);
}

/** Writes the job's new state and the indexes that follow from it. */
export function* writeJob(tx: Transaction, before: Job, after: Job): Program<void> {
  removeFromQueue(tx, before);
  tx.put(jobKey(after.id), encodeJob(after));
  const key = queueKey(after);
  if (key !== undefined) tx.put(key, Buffer.alloc(0));
  if (isFinished(before.state) === isFinished(after.state)) return;
  const count = decodeCount(yield* tx.get(countKey));
  if (isFinished(after.state)) {
    tx.delete(laneKey(after));
    tx.put(finishedKey(after.changedMs, after.id), Buffer.alloc(0));
    tx.put(countKey, encodeCount(Math.max(0, count - 1)));
  } else {
    tx.delete(finishedKey(before.changedMs, before.id));
    tx.put(laneKey(after), Buffer.alloc(0));
    tx.put(countKey, encodeCount(count + 1));
  }
}

export interface JobChange {
  readonly state: JobState;
  readonly nowMs: number;
  readonly reason?: string;
  readonly attempts?: number;
  readonly failures?: number;
  readonly notBeforeMs?: number;
  readonly bytesDone?: number;
}

/** False when the job is gone, or somebody finished or paused it meanwhile: the worker's word counts only for a job that waits. */
export function* settleJob(tx: Transaction, id: JobId, change: JobChange): Program<boolean> {
  const job = yield* findJob(tx, id);
  if (job === undefined || job.state !== "waiting") return false;
  const { reason, upload: _, ...kept } = job;
  const { nowMs, ...fields } = change;
  const keepUpload = change.state === "waiting" && job.upload !== undefined ? { upload: job.upload } : {};
  const lastReason = change.state === "done" ? {} : reason === undefined ? {} : { reason };
  yield* writeJob(tx, job, { ...kept, ...keepUpload, ...lastReason, ...fields, changedMs: nowMs });
  return true;
}

/**
 * Jobs whose work somebody else has done leave no trace. One behind others of its lane stays: what these still bring to the site is for it to
 * remove. Resolves with whether another job can run now that waited for one of them.
 */
export function* dropJobs(tx: Transaction, ids: readonly JobId[]): Program<boolean> {
  let dropped = 0;
  let freed = false;
  for (const id of ids) {
    const job = yield* findJob(tx, id);
    if (job === undefined || isFinished(job.state) || !(yield* isFirstOfLane(tx, job))) continue;
    removeIndexes(tx, job);
    tx.delete(jobKey(id));
    dropped += 1;
    freed ||= (yield* findFirstOfLane(tx, job)) !== undefined;
  }
  if (dropped > 0) tx.put(countKey, encodeCount(Math.max(0, decodeCount(yield* tx.get(countKey)) - dropped)));
  return freed;
}

export interface SetJobState {
  readonly state: "paused" | "waiting" | "canceled";
  readonly nowMs: number;
  /** Whose order it is. */
  readonly order?: PauseOrder;
}

/** By a person. A finished job stays what it is. */
export function* setJobState(tx: Transaction, id: JobId, { state, nowMs, order }: SetJobState): Program<Job> {
  const job = yield* getJob(tx, id);
  if (job.state === state || (state === "waiting" && job.state !== "paused" && job.state !== "failed")) return job;
  if (job.state === "done" || job.state === "canceled" || (job.state === "failed" && state !== "waiting")) {
    throw new GfsError("Conflict", `Job ${id} is ${job.state} already.`, { retry: "never" });
  }
  const { reason: _reason, failures: _failures, paused: _paused, ...kept } = job;
  const after: Job = {
    ...kept,
    ...(state === "paused" ? { paused: { ...order, sinceMs: nowMs } } : {}),
    state,
    changedMs: nowMs,
    notBeforeMs: 0,
    attempts: state === "waiting" ? 0 : job.attempts,
  };
  yield* writeJob(tx, job, after);
  return after;
}

/** The oldest job of a lane is the only one that may run. */
export function* isFirstOfLane(tx: Reader, job: Job): Program<boolean> {
  const first = yield* findFirstOfLane(tx, job);
  return first !== undefined && idOfLaneKey(first) === job.id;
}

export function* findFirstOfLane(tx: Reader, job: Pick<Job, "path" | "site">): Program<Key | undefined> {
  const [first] = yield* tx.range({ ...prefixRange(laneRange(job)), limit: 1 });
  return first?.key;
}

export function* jobsOfPath(tx: Reader, path: string, limit: number): Program<Job[]> {
  const jobs: Job[] = [];
  for (const { key } of yield* tx.range({ ...prefixRange(pathRange(path)), limit })) {
    const job = yield* findJob(tx, idOfLaneKey(key));
    if (job !== undefined) jobs.push(job);
  }
  return jobs;
}

export interface JobRowsPage {
  readonly jobs: readonly Job[];
  /** Absent on the last page. */
  readonly next?: JobId;
}

const SCANNED_A_PAGE = 5_000;

export interface PageJobs {
  readonly states?: readonly JobState[];
  readonly after?: JobId;
  readonly newestFirst?: boolean;
  readonly limit: number;
}

/** Oldest first, unless the newest are asked for. A page that was filtered may be short, and still have a next. */
export function* pageJobs(tx: Reader, { states, after, newestFirst = false, limit }: PageJobs): Program<JobRowsPage> {
  const range = prefixRange(jobSpace);
  const rows = yield* tx.range({
    start: after === undefined || newestFirst ? range.start : keyAfter(jobKey(after)),
    end: after === undefined || !newestFirst ? range.end : jobKey(after),
    limit: Math.min(SCANNED_A_PAGE, states === undefined ? limit : SCANNED_A_PAGE),
    reverse: newestFirst,
  });
  const jobs: Job[] = [];
  let last: JobId | undefined;
  for (const { value } of rows) {
    const job = decodeJob(value);
    last = job.id;
    if (states === undefined || states.includes(job.state)) jobs.push(job);
    if (jobs.length === limit) break;
  }
  const whole =
    rows.length < (states === undefined ? limit : SCANNED_A_PAGE) && (jobs.length < limit || last === lastIdOf(rows));
  return { jobs, ...(whole || last === undefined ? {} : { next: last }) };
}

export interface CountedPage {
  readonly counts: Readonly<Partial<Record<JobState, number>>>;
  /** Absent on the last page. */
  readonly next?: JobId;
}

/** How many of a page are in which state. */
export function* countJobs(
  tx: Reader,
  { after, limit }: { readonly after?: JobId; readonly limit: number },
): Program<CountedPage> {
  const { jobs, next } = yield* pageJobs(tx, { limit, ...(after === undefined ? {} : { after }) });
  const counts: Partial<Record<JobState, number>> = {};
  for (const { state } of jobs) counts[state] = (counts[state] ?? 0) + 1;
  return { counts, ...(next === undefined ? {} : { next }) };
}

function lastIdOf(rows: readonly { readonly value: Uint8Array }[]): JobId | undefined {
  const row = rows.at(-1);
  return row === undefined ? undefined : decodeJob(row.value).id;
}

export function* findNextDue(tx: Reader): Program<number | undefined> {
  const [first] = yield* tx.range({ ...prefixRange(delayedSpace), limit: 1 });
  return first === undefined ? undefined : partsOfDelayedKey(first.key).dueMs;
}

const PROMOTED_A_COMMIT = 30;

/** Makes jobs ready whose time has come; says when the next one's comes. */
export function* promoteDue(
  tx: Transaction,
  nowMs: number,
): Program<{ readonly promoted: number; readonly nextDueMs: number | undefined }> {
  let promoted = 0;
  for (const { key } of yield* tx.range({ ...prefixRange(delayedSpace), limit: PROMOTED_A_COMMIT })) {
    const { dueMs, id } = partsOfDelayedKey(key);
    if (dueMs > nowMs) return { promoted, nextDueMs: dueMs };
    const job = yield* findJob(tx, id);
    if (job !== undefined) yield* writeJob(tx, job, { ...job, notBeforeMs: 0 });
    else tx.delete(key);
    promoted += 1;
  }
  return { promoted, nextDueMs: promoted === PROMOTED_A_COMMIT ? nowMs : undefined };
}

/** The newest finished jobs are kept to be looked at, for a while: those below this go. */
export function* findTrimBorder(
  tx: Reader,
  { keep, beforeMs }: { readonly keep: number; readonly beforeMs: number },
): Program<Key> {
  const newest = yield* tx.range({ ...prefixRange(finishedSpace), limit: Math.min(10_000, keep), reverse: true });
  const tooOld = finishedKey(beforeMs, "" as JobId);
  const surplus = newest.length < keep ? undefined : newest.at(-1)?.key;
  return surplus === undefined || Buffer.compare(surplus, tooOld) < 0 ? tooOld : surplus;
}

const TRIMMED_A_COMMIT = 50;

/** Resolves with whether there may be more below the border. */
export function* trimFinished(tx: Transaction, border: Key): Program<boolean> {
  const rows = yield* tx.range({ start: finishedSpace, end: border, limit: TRIMMED_A_COMMIT });
  for (const { key } of rows) {
    tx.delete(key);
    tx.delete(jobKey(idOfFinishedKey(key)));
  }
  return rows.length === TRIMMED_A_COMMIT;
}

export interface MarkUnqueued {
  readonly path: FilePath;
  readonly inode: Inode;
  readonly versionId: VersionId;
  readonly site: SiteName;
}

/** Remembers a copy that the full queue did not take, so that it is queued once there is room. */
export function* markUnqueued(tx: Transaction, { path, inode, versionId, site }: MarkUnqueued): Program<void> {
  tx.put(unqueuedKey(inode, site), encodeUnqueued({ path, versionId }));
}
