import type { Program, Reader } from "../kv/index.ts";
import type { SiteDirectory } from "../stores/index.ts";
import { decodePause, idOfLaneKey, pausedKey } from "./job-rows.ts";
import { findFirstOfLane } from "./jobs.ts";
import type { JobProgress, Pause } from "./types.ts";

/** Everything that stands still says since when, by whom and why. */

export function* findPause(tx: Reader): Program<Pause | undefined> {
  const row = yield* tx.get(pausedKey);
  return row === undefined ? undefined : decodePause(row);
}

/** `since 2026-01-01T00:00:00.000Z by alice: the link is being mended`, as far as it is known. */
export function describePause({ sinceMs, by, reason }: Pause): string {
  const who = by === undefined ? "" : ` by ${by}`;
  return `since ${new Date(sinceMs).toISOString()}${who}${reason === undefined ? "" : `: ${reason}`}`;
}

export interface Now {
  readonly nowMs: number;
  readonly sites: SiteDirectory;
}

/** What keeps a job, the first reason that holds. */
export function* withReason(tx: Reader, job: JobProgress, { nowMs, sites }: Now): Program<JobProgress> {
  const waitsFor = yield* reasonOf(tx, job, { nowMs, sites });
  return waitsFor === undefined ? job : { ...job, waitsFor };
}

function* reasonOf(tx: Reader, job: JobProgress, { nowMs, sites }: Now): Program<string | undefined> {
  if (job.state === "paused") return `It is paused ${describePause(job.paused ?? { sinceMs: job.changedMs })}.`;
  if (job.state !== "waiting") return undefined;
  const pause = yield* findPause(tx);
  if (pause !== undefined) return `All jobs are paused ${describePause(pause)}.`;
  const first = yield* findFirstOfLane(tx, job);
  if (first !== undefined && idOfLaneKey(first) !== job.id)
    return `Job ${idOfLaneKey(first)} of the same key and site comes first.`;
  if (job.notBeforeMs > nowMs) return `It failed, and is tried again at ${new Date(job.notBeforeMs).toISOString()}.`;
  if (sites.find(job.site)?.circuit?.() === "open")
    return `Site ${job.site} does not answer, and is left alone for a while.`;
  return undefined;
}
