import { describe, expect, it } from "vitest";
import type { FilePath, Inode, JobId, SiteName, VersionId } from "../core/ids.ts";
import { createMemoryKv, type Kv, type Program } from "../kv/index.ts";
import { silentLogger } from "../core/ports/log.ts";
import { createFakeClock } from "../core/testing/fake-clock.ts";
import { pageJobs } from "./job-pages.ts";
import { delayedKey, jobKey } from "./job-rows.ts";
import {
  dropJobs,
  enqueueJob,
  findJob,
  getJob,
  isFirstOfLane,
  type JobChange,
  jobsOfPath,
  setJobState,
  settleJob,
  writeJob,
} from "./jobs.ts";
import { QueueDepth } from "./queue-depth.ts";
import { findNextDue, findTrimBorder, promoteDue, trimFinished } from "./timed-jobs.ts";
import type { Job, JobSpec, JobState } from "./types.ts";

const SPEC: JobSpec = {
  kind: "replicate",
  path: "dir/file" as FilePath,
  inode: 7 as Inode,
  versionId: "v1" as VersionId,
  site: "cloud" as SiteName,
  key: "dir/file",
  sizeBytes: 5,
  priority: 10,
};

let serial = 0;

function queue() {
  const kv: Kv = createMemoryKv({ clock: createFakeClock() });
  const depth = new QueueDepth(kv, silentLogger);
  return {
    kv,
    async add(spec: Partial<JobSpec> = {}, queueIsFull = false): Promise<JobId | undefined> {
      const id = `J${String(++serial).padStart(6, "0")}` as JobId;
      const taken = await kv.transact((tx) => enqueueJob(tx, { ...SPEC, ...spec }, { id, nowMs: 1_000, queueIsFull }));
      return taken ? id : undefined;
    },
    settle: (id: JobId, state: JobState, nowMs = 2_000, more: Partial<JobChange> = {}) =>
      kv.transact((tx) => settleJob(tx, id, { state, nowMs, ...more })),
    count: async () => await depth.get(),
    find: (id: JobId | undefined) => kv.view((tx) => findJob(tx, id as JobId)),
    first: (job: Job) => kv.view((tx) => isFirstOfLane(tx, job)),
  };
}

describe("the queue of jobs", () => {
  it("takes no job while it is full", async () => {
    const { add, count } = queue();
    await add({ path: "a" as FilePath });
    expect(await add({ path: "b" as FilePath }, true)).toBeUndefined();
    expect(await count()).toBe(1);
  });

  it("drops an older replicate of the same file to the same site, and no other job", async () => {
    const { add, find, count } = queue();
    const old = await add();
    const elsewhere = await add({ site: "tape" as SiteName });
    const other = await add({ path: "dir/file2" as FilePath });
    const removal = await add({ kind: "remove" });
    const newer = await add({ versionId: "v2" as VersionId });
    expect(await find(old)).toBeUndefined();
    for (const id of [elsewhere, other, removal, newer]) expect(await find(id)).toBeDefined();
    expect(await count()).toBe(4);
  });

  it("keeps the job of a file that was renamed away when another one takes its path", async () => {
    const { add, find } = queue();
    const renamed = await add();
    await add({ inode: 8 as Inode, versionId: "v2" as VersionId });
    expect(await find(renamed)).toBeDefined();
  });

  it("lets a newer version in even when the queue is full, in place of the older", async () => {
    const { add, find, count } = queue();
    const old = await add();
    const newer = await add({ versionId: "v2" as VersionId }, true);
    expect([await find(old), newer !== undefined, await count()]).toEqual([undefined, true, 1]);
  });

  it("lets only the oldest job of a file at a site run", async () => {
    const { add, find, first, settle, kv } = queue();
    const removal = (await add({ kind: "remove" })) as JobId;
    const copy = (await add()) as JobId;
    const other = (await add({ path: "dir/file/below" as FilePath })) as JobId;
    const jobs = await Promise.all([removal, copy, other].map(async (id) => (await find(id)) as Job));
    expect(await Promise.all(jobs.map(first))).toEqual([true, false, true]);
    expect((await kv.view((tx) => jobsOfPath(tx, "dir/file", 10))).map(({ id }) => id)).toEqual([removal, copy]);
    await settle(removal, "done");
    expect(await first(jobs[1] as Job)).toBe(true);
  });

  it("keeps a delayed job back until its time, with its reason", async () => {
    const { add, find, settle, kv } = queue();
    const id = (await add()) as JobId;
    await settle(id, "waiting", 2_000, { reason: "The site is away.", notBeforeMs: 5_000.5 });
    expect(await kv.view(findNextDue)).toBe(5_001);
    expect(await kv.transact((tx) => promoteDue(tx, 5_000))).toEqual({ promoted: 0, nextDueMs: 5_001 });
    expect(await kv.transact((tx) => promoteDue(tx, 5_001))).toEqual({ promoted: 1, nextDueMs: undefined });
    expect(await find(id)).toMatchObject({ state: "waiting", notBeforeMs: 0, reason: "The site is away." });
    expect(await kv.view(findNextDue)).toBeUndefined();
  });

  it("does not let a worker's late word change what a person has decided", async () => {
    const { add, find, settle, count, kv } = queue();
    const id = (await add()) as JobId;
    await kv.transact((tx) => setJobState(tx, id, { state: "canceled", nowMs: 2_000 }));
    expect(await settle(id, "done")).toBe(false);
    expect([(await find(id))?.state, await count()]).toEqual(["canceled", 0]);
  });

  it("knows which changes by a person make sense", async () => {
    const { add, settle, count, kv } = queue();
    const set = (id: JobId, state: "paused" | "waiting" | "canceled"): Promise<Job> =>
      kv.transact((tx) => setJobState(tx, id, { state, nowMs: 3_000 }));
    const id = (await add()) as JobId;
    expect((await set(id, "paused")).state).toBe("paused");
    expect((await set(id, "paused")).state).toBe("paused");
    expect((await set(id, "waiting")).state).toBe("waiting");
    await settle(id, "failed", 4_000, { reason: "No.", attempts: 8, failures: 8 });
    await expect(set(id, "paused")).rejects.toMatchObject({ code: "Conflict" });
    // It begins anew.
    const again = await set(id, "waiting");
    expect(again).toMatchObject({ state: "waiting", attempts: 0 });
    expect([again.reason, again.failures]).toEqual([undefined, undefined]);
    expect(await count()).toBe(1);
    expect((await set(id, "canceled")).state).toBe("canceled");
    await expect(set(id, "paused")).rejects.toMatchObject({ code: "Conflict" });
    await expect(set("none" as JobId, "paused")).rejects.toMatchObject({ code: "NotFound" });
    expect(await count()).toBe(0);
    await expect(kv.view((tx) => getJob(tx, "none" as JobId))).rejects.toMatchObject({ code: "NotFound" });
  });

  it("lets removals in our own corner run at any time, so that a file that is written over and over has no long lane", async () => {
    const { add, find, first, kv } = queue();
    const landed = (version: number) =>
      add({ kind: "remove", key: `.globalfs/landed/v${version}-file`, versionId: `v${version}` as VersionId });
    const publish = await add({ kind: "publish", key: ".globalfs/landed/v9-file" });
    const removals = [await landed(1), await landed(2), await landed(3)];
    const home = await add({ kind: "remove" });
    const jobs = await Promise.all([publish, ...removals, home].map(async (id) => (await find(id)) as Job));
    expect(await Promise.all(jobs.map(first))).toEqual([true, true, true, true, false]);
    expect((await kv.view((tx) => jobsOfPath(tx, "dir/file", 10))).map(({ id }) => id)).toEqual([publish, home]);
  });

  it("pages through jobs, oldest first, each once, by state when asked", async () => {
    const { add, settle, kv } = queue();
    const ids: JobId[] = [];
    for (let index = 0; index < 7; index++) ids.push((await add({ path: `f${index}` as FilePath })) as JobId);
    for (const index of [1, 4, 6]) await settle(ids[index] as JobId, "done");
    const all = async (state: "done" | undefined, limit: number): Promise<JobId[]> => {
      const seen: JobId[] = [];
      for (let after: JobId | undefined, page = 0; page < 20; page++) {
        const query = { limit, ...(state === undefined ? {} : { state }), ...(after === undefined ? {} : { after }) };
        const { jobs, next } = await kv.view((tx) => pageJobs(tx, query));
        seen.push(...jobs.map(({ id }) => id));
        if (next === undefined) return seen;
        after = next;
      }
      throw new Error("The pages do not end.");
    };
    for (const limit of [1, 2, 3, 7, 50]) {
      expect(await all(undefined, limit)).toEqual(ids);
      expect(await all("done", limit)).toEqual([1, 4, 6].map((index) => ids[index]));
    }
  });

  it("keeps the newest finished jobs, and none for ever", async () => {
    const { add, find, settle, kv } = queue();
    const ids: JobId[] = [];
    for (let index = 0; index < 6; index++) {
      ids.push((await add({ path: `f${index}` as FilePath })) as JobId);
      await settle(ids[index] as JobId, index === 2 ? "failed" : "done", 10_000 + index);
    }
    const waiting = await add({ path: "waiting" as FilePath });
    const left = async (): Promise<number[]> =>
      (await Promise.all(ids.map(find))).flatMap((job, index) => (job === undefined ? [] : [index]));
    const trim = async (keep: number, beforeMs: number): Promise<boolean> => {
      const border = await kv.view((tx) => findTrimBorder(tx, { keep, beforeMs }));
      return await kv.transact((tx): Program<boolean> => trimFinished(tx, border));
    };
    expect(await trim(4, 0)).toBe(false);
    expect(await left()).toEqual([2, 3, 4, 5]);
    await trim(4, 0);
    expect(await left()).toEqual([2, 3, 4, 5]);
    await trim(100, 10_004);
    expect(await left()).toEqual([4, 5]);
    await trim(1, 10_005);
    expect(await left()).toEqual([5]);
    expect(await find(waiting)).toBeDefined();
  });

  it("takes finished jobs away fifty at a time, and says while there are more", async () => {
    const { add, settle, kv } = queue();
    for (let index = 0; index < 70; index++)
      await settle((await add({ path: `f${index}` as FilePath })) as JobId, "done", 10_000 + index);
    const border = await kv.view((tx) => findTrimBorder(tx, { keep: 5, beforeMs: 0 }));
    const trim = (): Promise<boolean> => kv.transact((tx): Program<boolean> => trimFinished(tx, border));
    expect([await trim(), await trim(), await trim()]).toEqual([true, false, false]);
    expect((await kv.view((tx) => pageJobs(tx, { limit: 100 }))).jobs.length).toBe(5);
  });

  it("drops jobs whose work is done already, and none that a person or another job of the lane still needs", async () => {
    const { add, find, settle, count, first, kv } = queue();
    const drop = (...ids: readonly JobId[]): Promise<boolean> => kv.transact((tx) => dropJobs(tx, ids));
    const [one, behind, other, another] = [
      (await add({ kind: "remove" })) as JobId,
      (await add({ kind: "remove" })) as JobId,
      (await add({ path: "other" as FilePath })) as JobId,
      (await add({ path: "another" as FilePath })) as JobId,
    ];
    await settle(other, "done");
    expect(await drop(behind, other, "none" as JobId)).toBe(false);
    for (const id of [one, behind, other, another]) expect(await find(id), id).toBeDefined();
    expect(await count()).toBe(3);
    // One job of the lane can run now.
    expect([await drop(another), await drop(one)]).toEqual([false, true]);
    expect([await find(one), await find(another), await count()]).toEqual([undefined, undefined, 1]);
    expect(await first((await find(behind)) as Job)).toBe(true);
    expect(await kv.view((tx) => jobsOfPath(tx, "another", 10))).toEqual([]);
  });

  it("keeps the upload of a job while that is tried again, and not once it has ended", async () => {
    const { add, find, settle, kv } = queue();
    const upload = { uploadId: "u", partSizeBytes: 5 };
    for (const [state, kept] of [
      ["waiting", upload],
      ["done", undefined],
      ["failed", undefined],
    ] as const) {
      const id = (await add({ path: state as FilePath })) as JobId;
      const job = (await find(id)) as Job;
      await kv.transact(function* (tx): Program<void> {
        yield* findJob(tx, id);
        writeJob(tx, job, { ...job, upload });
      });
      await settle(id, state);
      expect((await find(id))?.upload).toEqual(kept);
    }
  });

  it("says which command tells more when a job's row cannot be read", async () => {
    const { add, find, kv } = queue();
    const id = (await add()) as JobId;
    await kv.transact(function* (tx): Program<void> {
      tx.put(jobKey(id), Buffer.from("{"));
    });
    await expect(find(id)).rejects.toMatchObject({
      code: "DataCorrupt",
      message: expect.stringContaining("globalfs meta check") as string,
    });
  });

  it("is done with a time that a job no longer waits for", async () => {
    const { kv } = queue();
    const gone = { id: "none" as JobId, notBeforeMs: 1_000 };
    await kv.transact(function* (tx): Program<void> {
      tx.put(delayedKey(gone), Buffer.alloc(0));
    });
    expect(await kv.transact((tx) => promoteDue(tx, 1_000))).toEqual({ promoted: 1, nextDueMs: undefined });
    expect(await kv.view(findNextDue)).toBeUndefined();
  });

  it("lets many jobs whose time has come go in turns, and says that there are more", async () => {
    const { add, settle, kv } = queue();
    for (let index = 0; index < 31; index++) {
      const id = (await add({ path: `f${index}` as FilePath })) as JobId;
      await settle(id, "waiting", 2_000, { notBeforeMs: 3_000 });
    }
    expect(await kv.transact((tx) => promoteDue(tx, 4_000))).toEqual({ promoted: 30, nextDueMs: 4_000 });
    expect(await kv.transact((tx) => promoteDue(tx, 4_000))).toEqual({ promoted: 1, nextDueMs: undefined });
  });

  it("pages from the newest when that is asked for", async () => {
    const { add, kv } = queue();
    const ids: JobId[] = [];
    for (let index = 0; index < 5; index++) ids.push((await add({ path: `f${index}` as FilePath })) as JobId);
    const page = (after?: JobId) =>
      kv.view((tx) => pageJobs(tx, { limit: 3, newestFirst: true, ...(after === undefined ? {} : { after }) }));
    const { jobs, next } = await page();
    expect([jobs.map(({ id }) => id), next]).toEqual([[ids[4], ids[3], ids[2]], ids[2]]);
    const rest = await page(next);
    expect([rest.jobs.map(({ id }) => id), rest.next]).toEqual([[ids[1], ids[0]], undefined]);
  });

  it("keeps what a person said when it paused a job, and forgets it when the job goes on", async () => {
    const { add, find, kv } = queue();
    const id = (await add()) as JobId;
    const order = { by: "alice", reason: "the link is being mended" };
    await kv.transact((tx) => setJobState(tx, id, { state: "paused", nowMs: 3_000, order }));
    expect(await find(id)).toMatchObject({ paused: { ...order, sinceMs: 3_000 }, changedMs: 3_000 });
    await kv.transact((tx) => setJobState(tx, id, { state: "waiting", nowMs: 4_000 }));
    expect((await find(id))?.paused).toBeUndefined();
  });
});
