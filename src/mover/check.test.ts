import { beforeEach, describe, expect, it } from "vitest";
import type { FilePath, Inode, JobId, SiteName, VersionId } from "../core/ids.ts";
import { createMemoryKv, type Key, type Kv, type Program } from "../kv/index.ts";
import { createScan } from "../namespace/index.ts";
import { checkJobs } from "./check.ts";
import { delayedKey, encodeJob, finishedKey, heldKey, jobKey, laneKey, readyKey } from "./job-rows.ts";
import { enqueueJob, getJob, setJobState, settleJob } from "./jobs.ts";
import type { Job } from "./types.ts";

const ID = "01TESTJOB00000000000000000" as JobId;
const NOTHING = Buffer.alloc(0);

let kv: Kv;
let job: Job;

const write = async (...rows: readonly (readonly [Key, Uint8Array | undefined])[]): Promise<void> =>
  await kv.transact(function* (tx): Program<void> {
    for (const [key, value] of rows) {
      if (value === undefined) tx.delete(key);
      else tx.put(key, value);
    }
  });
const faults = async (): Promise<string[]> => {
  const found: string[] = [];
  await checkJobs(createScan(kv, { fault: (sentence) => found.push(sentence) }));
  return found;
};

beforeEach(async () => {
  kv = createMemoryKv();
  const spec = { kind: "remove", path: "a" as FilePath, inode: 1 as Inode, versionId: "v" as VersionId } as const;
  const where = { site: "local" as SiteName, key: "a", sizeBytes: 1, priority: 10 };
  await kv.transact((tx) => enqueueJob(tx, { ...spec, ...where }, { id: ID, nowMs: 1 }));
  job = await kv.view((tx) => getJob(tx, ID));
});

describe("the check of jobs", () => {
  it("finds nothing wrong with a job that is ready, waits, or is done", async () => {
    expect(await faults()).toEqual([]);
    await kv.transact((tx) => settleJob(tx, ID, { state: "waiting", nowMs: 2, notBeforeMs: 9.5 }));
    expect(await faults()).toEqual([]);
    await kv.transact((tx) => settleJob(tx, ID, { state: "done", nowMs: 3 }));
    expect(await faults()).toEqual([]);
  });

  it("finds a job that stands in no queue, and one that stands in no lane", async () => {
    await write([readyKey(job), undefined]);
    expect(await faults()).toEqual([`Job ${ID} is waiting, and not among the ready ones.`]);
    await write([readyKey(job), NOTHING], [laneKey(job), undefined]);
    expect(await faults()).toEqual([`Job ${ID} is waiting, and not in its lane.`]);
  });

  it("finds a delayed and a finished job that stand nowhere", async () => {
    await write([jobKey(ID), encodeJob({ ...job, notBeforeMs: 5 })], [readyKey(job), undefined]);
    expect(await faults()).toEqual([`Job ${ID} is waiting, and not among those that wait.`]);
    await write([jobKey(ID), encodeJob({ ...job, state: "done" })], [laneKey(job), undefined]);
    expect(await faults()).toEqual([`Job ${ID} is done, and not among the finished ones.`]);
  });

  it("finds rows of queues that lead to no job, and to one that does not belong there", async () => {
    await write([delayedKey({ ...job, notBeforeMs: 7 }), NOTHING], [finishedKey(8, ID), NOTHING]);
    expect(await faults()).toEqual([
      `Job ${ID} is among those that wait, where it does not belong.`,
      `Job ${ID} is among the finished ones, where it does not belong.`,
    ]);
    await write([jobKey(ID), undefined]);
    expect(await faults()).toEqual([
      `Job ${ID} is among the ready ones, and missing.`,
      `Job ${ID} is among those that wait, and missing.`,
      `Job ${ID} is in a lane, and missing.`,
      `Job ${ID} is among the finished ones, and missing.`,
    ]);
  });

  it("finds a held job that stands nowhere, and a row under another's id", async () => {
    await kv.transact((tx) => setJobState(tx, ID, { state: "paused", nowMs: 2 }));
    expect(await faults()).toEqual([]);
    await write([heldKey(ID), undefined]);
    expect(await faults()).toEqual([`Job ${ID} is paused, and not among the held ones.`]);
    await write([heldKey(ID), NOTHING], [jobKey("other" as JobId), encodeJob({ ...job, state: "paused" })]);
    expect(await faults()).toEqual([`The row of a job says that it is job ${ID}, which it is not.`]);
  });
});
