import type { JobId } from "../core/ids.ts";
import { findFirst, type Key, prefixRange, type Program, type Reader, type Transaction } from "../kv/index.ts";
import { delayedSpace, finishedKey, finishedSpace, idOfFinishedKey, jobKey, partsOfDelayedKey } from "./job-rows.ts";
import { findJob, writeJob } from "./jobs.ts";

/** What becomes of jobs by time alone: those that were delayed run again, and those that have ended are forgotten. */

export function* findNextDue(tx: Reader): Program<number | undefined> {
  const first = yield* findFirst(tx, delayedSpace);
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
    if (job !== undefined) writeJob(tx, job, { ...job, notBeforeMs: 0 });
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
  const oldest = newest.at(-1)?.key;
  return oldest === undefined || Buffer.compare(oldest, tooOld) < 0 ? tooOld : oldest;
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
