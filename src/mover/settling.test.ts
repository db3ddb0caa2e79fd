import { describe, expect, it } from "vitest";
import { GfsError } from "../core/errors.ts";
import type { FilePath, Inode, JobId, SiteName, VersionId } from "../core/ids.ts";
import { silentLogger } from "../core/ports/log.ts";
import { createFakeClock } from "../core/testing/fake-clock.ts";
import { createMemoryKv, type Kv, type Program, type Transaction } from "../kv/index.ts";
import { enqueueJob, findJob, getJob, setJobState } from "./jobs.ts";
import { done, type Outcome } from "./outcome.ts";
import { QueueDepth } from "./queue-depth.ts";
import { Settling } from "./settling.ts";
import type { Job } from "./types.ts";

let serial = 0;

function start() {
  const clock = createFakeClock();
  const base = createMemoryKv({ clock });
  let commits = 0;
  const kv: Kv = {
    ...base,
    transact: async (program) => {
      commits += 1;
      return await base.transact(program);
    },
  };
  const settling = new Settling({ kv, clock, log: silentLogger });
  const depth = new QueueDepth(base, silentLogger);
  return {
    kv: base,
    depth,
    commits: () => commits,
    async add(count: number): Promise<Job[]> {
      const ids = Array.from({ length: count }, () => `J${String(++serial).padStart(6, "0")}` as JobId);
      for (const id of ids) {
        const spec = {
          kind: "verify" as const,
          path: `file-${id}` as FilePath,
          inode: 7 as Inode,
          versionId: "v" as VersionId,
          site: "cloud" as SiteName,
          key: `file-${id}`,
          sizeBytes: 1,
          priority: 10,
        };
        await base.transact((tx) => enqueueJob(tx, spec, { id, nowMs: 1 }));
      }
      return await Promise.all(ids.map(async (id) => await base.view((tx) => getJob(tx, id))));
    },
    settle: async (job: Job, outcome: Outcome) => await settling.settle({ job, outcome, bytesDone: 1 }),
    state: async (job: Job) => (await base.view((tx) => findJob(tx, job.id)))?.state,
  };
}

const key = (name: string): Buffer => Buffer.from(`test ${name}`);

/** As what a job writes down of the sites. */
function writes(name: string, count = 1, sizeBytes = 10): Outcome {
  // oxlint-disable-next-line eslint/require-yield -- It reads nothing.
  return done(function* (tx: Transaction): Program<void> {
    for (let index = 0; index < count; index++) tx.put(key(`${name}${index}`), Buffer.alloc(sizeBytes));
  });
}

describe("jobs that end together", () => {
  it("are settled in few commits, with what each of them has to write down", async () => {
    const { add, commits, depth, kv, settle, state } = start();
    const jobs = await add(40);
    await Promise.all(jobs.map(async (job) => await settle(job, writes(job.id))));
    expect(new Set(await Promise.all(jobs.map(state)))).toEqual(new Set(["done"]));
    for (const { id } of jobs) expect(await kv.view((tx) => tx.get(key(`${id}0`)))).toBeDefined();
    expect(commits()).toBeLessThanOrEqual(4);
    expect(await depth.get()).toBe(0);
  });

  it("are decided each by its own row: one that is paused or gone meanwhile stays that, and the others are done", async () => {
    const { add, commits, kv, settle, state } = start();
    const [paused, gone, fine, late] = (await add(4)) as [Job, Job, Job, Job];
    await kv.transact((tx) => setJobState(tx, paused.id, { state: "paused", nowMs: 2 }));
    await kv.transact((tx) => setJobState(tx, gone.id, { state: "canceled", nowMs: 2 }));
    await Promise.all([
      settle(paused, writes("paused")),
      settle(gone, writes("gone")),
      settle(fine, writes("fine")),
      settle(late, { kind: "later", reason: "Not now.", delayMs: 1_000 }),
    ]);
    expect(await Promise.all([paused, gone, fine, late].map(state))).toEqual(["paused", "canceled", "done", "waiting"]);
    // The sites hold it, whatever became of the job.
    expect(await kv.view((tx) => tx.get(key("paused0")))).toBeDefined();
    expect(commits()).toBe(1);
  });

  it("are not spoiled by one that cannot be settled", async () => {
    const { add, kv, settle, state } = start();
    const jobs = (await add(5)) as [Job, ...Job[]];
    const [bad, ...others] = jobs;
    const outcome = done(function* (tx: Transaction): Program<void> {
      yield* tx.get(key("any"));
      throw new GfsError("DataCorrupt", "Its row cannot be read.");
    });
    const settled = await Promise.allSettled([
      ...others.slice(0, 2).map(async (job) => await settle(job, writes(job.id))),
      settle(bad, outcome),
      ...others.slice(2).map(async (job) => await settle(job, writes(job.id))),
    ]);
    expect(settled.map(({ status }) => status)).toEqual([
      "fulfilled",
      "fulfilled",
      "rejected",
      "fulfilled",
      "fulfilled",
    ]);
    expect(await Promise.all(jobs.map(state))).toEqual(["waiting", "done", "done", "done", "done"]);
    for (const { id } of others) expect(await kv.view((tx) => tx.get(key(`${id}0`)))).toBeDefined();
  });

  it("are settled also when what one of them writes fills a transaction", async () => {
    const { add, settle, state } = start();
    const jobs = (await add(4)) as [Job, Job, Job, Job];
    await Promise.all([
      settle(jobs[0], writes("rows", 90)),
      settle(jobs[1], writes("few")),
      settle(jobs[2], writes("bytes", 1, 440 * 1024)),
      settle(jobs[3], writes("more-bytes", 1, 440 * 1024)),
    ]);
    expect(new Set(await Promise.all(jobs.map(state)))).toEqual(new Set(["done"]));
  });

  it("go on after a commit that failed", async () => {
    const { add, kv, settle, state } = start();
    const [one, two] = (await add(2)) as [Job, Job];
    const { transact } = kv;
    Object.assign(kv, { transact: async () => await Promise.reject(new GfsError("NoSpace", "The disk is full.")) });
    const first = await Promise.allSettled([settle(one, writes("one")), settle(two, writes("two"))]);
    expect(first.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    Object.assign(kv, { transact });
    await Promise.all([settle(one, writes("one")), settle(two, writes("two"))]);
    expect([await state(one), await state(two)]).toEqual(["done", "done"]);
  });
});
