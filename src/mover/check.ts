import type { Scan } from "../namespace/index.ts";
import {
  decodeJob,
  decodeUnqueued,
  delayedKey,
  delayedSpace,
  finishedKey,
  finishedSpace,
  heldKey,
  heldSpace,
  idOfHeldKey,
  idOfFinishedKey,
  idOfLaneKey,
  idOfReadyKey,
  jobKey,
  jobSpace,
  laneKey,
  laneSpace,
  partsOfDelayedKey,
  readyKey,
  readySpace,
  unqueuedSpace,
} from "./job-rows.ts";
import { compareBytes, type Key } from "../kv/index.ts";
import { findJob, isFinished } from "./jobs.ts";
import type { Job } from "./types.ts";

/** Holds jobs against their queues and lanes: a job that stands in no queue is never run, and one that no lane has lets others overtake it. */
export async function checkJobs(scan: Scan): Promise<{ readonly jobs: number }> {
  let jobs = 0;
  await scan.rows(jobSpace, function* (tx, row) {
    const job = decodeJob(row.value);
    jobs += 1;
    if (!isSame(jobKey(job.id), row.key))
      scan.fault(`The row of a job says that it is job ${job.id}, which it is not.`);
    for (const { key, what } of indexesOf(job))
      if ((yield* tx.get(key)) === undefined) scan.fault(`Job ${job.id} is ${job.state}, and not ${what}.`);
  });
  for (const { space, idOf, what } of INDEXES) {
    await scan.rows(space, function* (tx, row) {
      const id = idOf(row.key);
      const job = yield* findJob(tx, id);
      if (job === undefined) scan.fault(`Job ${id} is ${what}, and missing.`);
      else if (!indexesOf(job).some(({ key }) => isSame(key, row.key)))
        scan.fault(`Job ${id} is ${what}, where it does not belong.`);
    });
  }
  // oxlint-disable-next-line eslint/require-yield -- It reads nothing more.
  await scan.rows(unqueuedSpace, function* (_tx, row) {
    decodeUnqueued(row.value);
  });
  return { jobs };
}

const INDEXES = [
  { space: readySpace, idOf: idOfReadyKey, what: "among the ready ones" },
  { space: delayedSpace, idOf: (key: Key) => partsOfDelayedKey(key).id, what: "among those that wait" },
  { space: heldSpace, idOf: idOfHeldKey, what: "among the held ones" },
  { space: laneSpace, idOf: idOfLaneKey, what: "in a lane" },
  { space: finishedSpace, idOf: idOfFinishedKey, what: "among the finished ones" },
] as const;

/** Where a job has to stand. */
function indexesOf(job: Job): { readonly key: Key; readonly what: string }[] {
  if (isFinished(job.state)) return [{ key: finishedKey(job.changedMs, job.id), what: "among the finished ones" }];
  const lane = { key: laneKey(job), what: "in its lane" };
  if (job.state === "paused") return [lane, { key: heldKey(job.id), what: "among the held ones" }];
  return [
    lane,
    job.notBeforeMs > 0
      ? { key: delayedKey(job), what: "among those that wait" }
      : { key: readyKey(job), what: "among the ready ones" },
  ];
}

function isSame(one: Key, other: Key): boolean {
  return compareBytes(one, other) === 0;
}
