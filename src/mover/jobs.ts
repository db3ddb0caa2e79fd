import { GfsError } from "../core/errors.ts";
import type { FilePath, Inode, JobId, SiteName, VersionId } from "../core/ids.ts";
import {
  compareBytes,
  findFirst,
  type Key,
  prefixRange,
  type Program,
  type Reader,
  type Transaction,
} from "../kv/index.ts";
import { findOwner } from "../namespace/index.ts";
import {
  decodeJob,
  delayedKey,
  encodeFinished,
  encodeJob,
  encodeUnqueued,
  finishedKey,
  heldKey,
  idOfLaneKey,
  jobKey,
  laneKey,
  laneRange,
  pathRange,
  readyKey,
  unqueuedKey,
} from "./job-rows.ts";
import type { Job, JobSpec, JobState, PauseOrder } from "./types.ts";

/** Jobs as rows: programs, so that a job is queued in the transaction that made it necessary. */

export interface Enqueue {
  readonly id: JobId;
  readonly nowMs: number;
  /** As it was known before the transaction: then the job is not taken, and 202 tells the caller. Absent: it is taken whatever waits. */
  readonly queueIsFull?: boolean;
}

/** False when the queue is full; nothing is written then. */
export function* enqueueJob(
  tx: Transaction,
  spec: JobSpec,
  { id, nowMs, queueIsFull = false }: Enqueue,
): Program<boolean> {
  const replaces = (spec.kind === "replicate" || spec.kind === "publish") && (yield* dropSuperseded(tx, spec));
  // It may have the place of one that it replaces.
  if (queueIsFull && !replaces) return false;
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
  return true;
}

const MAX_LANE = 1_000;
/** What one more job may drop in its transaction; others find nothing to do when they run. */
const MOST_DROPPED = 4;

/** A file that is overwritten while its site is away needs one copy of the newest version, not one of each, and no older one is published any more. */
function* dropSuperseded(tx: Transaction, spec: JobSpec): Program<boolean> {
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
  return dropped > 0;
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
  if (job.state === "paused") return heldKey(job.id);
  if (job.state !== "waiting") return undefined;
  return job.notBeforeMs > 0 ? delayedKey(job) : readyKey(job);
}

function removeFromQueue(tx: Transaction, job: Job): void {
  const key = queueKey(job);
  if (key !== undefined) tx.delete(key);
}

/** Writes the job's new state and the indexes that follow from it. */
export function writeJob(tx: Transaction, before: Job, after: Job): void {
  tx.put(jobKey(after.id), encodeJob(after));
  const [from, to] = [queueKey(before), queueKey(after)];
  // Rows are counted when they come and go: one that stays is not written.
  if (from === undefined || to === undefined || compareBytes(from, to) !== 0) {
    removeFromQueue(tx, before);
    if (to !== undefined) tx.put(to, Buffer.alloc(0));
  }
  if (isFinished(before.state) === isFinished(after.state)) return;
  if (isFinished(after.state)) {
    tx.delete(laneKey(after));
    tx.put(finishedKey(after.changedMs, after.id), encodeFinished(after.state));
  } else {
    tx.delete(finishedKey(before.changedMs, before.id));
    tx.put(laneKey(after), Buffer.alloc(0));
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
  writeJob(tx, job, { ...kept, ...keepUpload, ...lastReason, ...fields, changedMs: nowMs });
  return true;
}

/** One that went as it should, and of which nobody wants to hear later. */
export function* settleUntold(tx: Transaction, id: JobId): Program<void> {
  const job = yield* findJob(tx, id);
  if (job === undefined || job.state !== "waiting") return;
  removeIndexes(tx, job);
  tx.delete(jobKey(id));
}

/**
 * Jobs whose work somebody else has done leave no trace. One behind others of its lane stays: what these still bring to the site is for it to
 * remove. Resolves with whether another job can run now that waited for one of them.
 */
export function* dropJobs(tx: Transaction, ids: readonly JobId[]): Program<boolean> {
  let freed = false;
  for (const id of ids) {
    const job = yield* findJob(tx, id);
    if (job === undefined || isFinished(job.state)) continue;
    if (!(yield* isFirstOfLane(tx, job))) {
      leave(tx, job);
      continue;
    }
    removeIndexes(tx, job);
    tx.delete(jobKey(id));
    freed ||= (yield* findFirstOfLane(tx, job)) !== undefined;
  }
  return freed;
}

/** The requests that took them leave them to the mover. */
export function* leaveJobs(tx: Transaction, ids: readonly JobId[]): Program<void> {
  for (const id of ids) {
    const job = yield* findJob(tx, id);
    if (job !== undefined) leave(tx, job);
  }
}

function leave(tx: Transaction, { takenBy, ...job }: Job): void {
  if (takenBy !== undefined) tx.put(jobKey(job.id), encodeJob(job));
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
  writeJob(tx, job, after);
  return after;
}

/** The oldest job of a lane is the only one that may run. */
export function* isFirstOfLane(tx: Reader, job: Job): Program<boolean> {
  const first = yield* findFirstOfLane(tx, job);
  return first !== undefined && idOfLaneKey(first) === job.id;
}

export function* findFirstOfLane(tx: Reader, job: Job): Program<Key | undefined> {
  return (yield* findFirst(tx, laneRange(job)))?.key;
}

export function* jobsOfPath(tx: Reader, path: string, limit: number): Program<Job[]> {
  const jobs: Job[] = [];
  for (const { key } of yield* tx.range({ ...prefixRange(pathRange(path)), limit })) {
    const job = yield* findJob(tx, idOfLaneKey(key));
    if (job !== undefined) jobs.push(job);
  }
  return jobs;
}

/** Whether anything is still to be done for the path, at any site. */
export function* hasJobs(tx: Reader, path: string): Program<boolean> {
  return (yield* findFirst(tx, pathRange(path))) !== undefined;
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
