import { beforeEach, describe, expect, it } from "vitest";
import { GfsError } from "../core/errors.ts";
import type { FilePath, Inode, JobId, SiteName, VersionId } from "../core/ids.ts";
import { silentLogger } from "../core/ports/log.ts";
import { createFakeClock, settle } from "../core/testing/fake-clock.ts";
import { createMemoryKv, type Kv } from "../kv/index.ts";
import { dropWriter, enterWriter } from "../namespace/index.ts";
import { enqueueJob, findJob, getJob } from "./jobs.ts";
import { TakenJobs } from "./taken-jobs.ts";
import type { Job, JobSpec } from "./types.ts";

const TAG = "WRITER01";
let kv: Kv;
let commits: number;
let wakes: number;
let taken: TakenJobs;
/** What the next commit fails with. */
let failure: GfsError | undefined;
let serial = 0;

beforeEach(() => {
  kv = createMemoryKv({ clock: createFakeClock() });
  commits = 0;
  wakes = 0;
  failure = undefined;
  const counted: Kv = {
    ...kv,
    transact: async (program, options) => {
      commits += 1;
      if (failure !== undefined) throw failure;
      return await kv.transact(program, options);
    },
  };
  taken = new TakenJobs({ kv: counted, log: silentLogger, onLeft: () => (wakes += 1) });
});

async function add(more: Partial<JobSpec> = {}): Promise<Job> {
  const id = `J${String(++serial).padStart(6, "0")}` as JobId;
  const spec: JobSpec = {
    kind: "remove",
    path: `file-${id}` as FilePath,
    inode: 7 as Inode,
    versionId: "v" as VersionId,
    site: "cloud" as SiteName,
    key: `file-${id}`,
    sizeBytes: 0,
    priority: 20,
    takenBy: TAG,
    ...more,
  };
  await kv.transact((tx) => enqueueJob(tx, spec, { id, nowMs: 1 }));
  return await kv.view((tx) => getJob(tx, id));
}

/** The writer that the rows of taken jobs name. */
async function enter(): Promise<() => Promise<void>> {
  const lease = await kv.lease(1_000);
  await kv.transact((tx) => enterWriter(tx, { tag: TAG, lease: lease.id, identity: "test", nowMs: 1 }));
  return async () => {
    await lease.release();
    await kv.transact(function* (tx) {
      yield* tx.get(Buffer.from("-"));
      dropWriter(tx, TAG);
    });
  };
}

const isTaken = async (job: Job): Promise<boolean> => {
  const now = (await kv.view((tx) => findJob(tx, job.id))) ?? job;
  return await kv.view((tx) => taken.isTaken(tx, now));
};

describe("a job that a request does itself", () => {
  it("is nobody else's from the moment it is taken until its work is done, and leaves no trace then", async () => {
    const job = await add({ takenBy: "" });
    expect(await isTaken(job)).toBe(false);
    const mine = taken.take(job.id);
    expect(await isTaken(job)).toBe(true);
    mine.done();
    await taken.end();
    expect([await kv.view((tx) => findJob(tx, job.id)), await isTaken(job)]).toEqual([undefined, false]);
    // Nothing waited for it.
    expect(wakes).toBe(0);
  });

  it("sets the job behind it free when it is done, and the mover is told", async () => {
    const path = "file" as FilePath;
    const first = await add({ path });
    await add({ path, versionId: "v2" as VersionId });
    taken.take(first.id).done();
    await taken.end();
    expect(wakes).toBe(1);
  });

  it("is the mover's once it is left, which is told: its row no longer says who took it", async () => {
    const leave = await enter();
    const job = await add();
    expect(await isTaken(job)).toBe(true);
    taken.take(job.id).leave();
    await taken.end();
    expect([(await kv.view((tx) => getJob(tx, job.id))).takenBy, await isTaken(job), wakes]).toEqual([
      undefined,
      false,
      1,
    ]);
    await leave();
  });

  it("of another process is nobody's here while that process lives, and anybody's afterwards", async () => {
    const leave = await enter();
    const job = await add();
    expect(await isTaken(job)).toBe(true);
    await leave();
    expect(await isTaken(job)).toBe(false);
  });

  it.each(["done", "leave"] as const)(
    "is the mover's also when the catalog does not take that it is over (%s), and the next ones are settled again",
    async (how) => {
      await enter();
      const job = await add();
      failure = new GfsError("NoSpace", "The disk is full.");
      taken.take(job.id)[how]();
      await taken.end();
      expect((await kv.view((tx) => getJob(tx, job.id))).takenBy).toBe(TAG);
      expect(await isTaken(job)).toBe(false);
      expect(wakes).toBe(how === "leave" ? 1 : 0);
      failure = undefined;
      const next = await add();
      taken.take(next.id).done();
      await taken.end();
      expect(await kv.view((tx) => findJob(tx, next.id))).toBeUndefined();
    },
  );

  it("goes with others in a commit, thirty at most", async () => {
    const jobs: Job[] = [];
    for (let index = 0; index < 31; index++) jobs.push(await add());
    for (const { id } of jobs) taken.take(id).done();
    await taken.end();
    expect(commits).toBe(2);
    for (const { id } of jobs) expect(await kv.view((tx) => findJob(tx, id))).toBeUndefined();
    await settle();
    expect(commits).toBe(2);
  });

  it("is not kept from being settled by others that are only left, nor those by it", async () => {
    const [one, other] = [await add(), await add()];
    taken.take(one.id).leave();
    taken.take(other.id).done();
    await taken.end();
    expect((await kv.view((tx) => getJob(tx, one.id))).takenBy).toBeUndefined();
    expect(await kv.view((tx) => findJob(tx, other.id))).toBeUndefined();
  });
});
