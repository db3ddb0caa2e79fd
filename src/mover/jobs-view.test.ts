import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { GfsError } from "../core/errors.ts";
import type { FilePath, Inode, JobId, SiteName, VersionId } from "../core/ids.ts";
import type { Program } from "../kv/index.ts";
import type { Site } from "../stores/index.ts";
import { enqueueJob, getJob, setJobState, settleJob, writeJob } from "./jobs.ts";
import { gate, MoverRig } from "./testing/rig.ts";
import type { JobSpec, JobState } from "./types.ts";

let rig: MoverRig;
beforeEach(async () => {
  rig = await new MoverRig(["local", "cloud"]).start();
});
afterEach(async () => await rig.mover.stop());

const spec = (path: string): JobSpec => ({
  kind: "verify",
  path: path as FilePath,
  inode: 99 as Inode,
  versionId: "v" as VersionId,
  site: "cloud" as SiteName,
  key: path,
  sizeBytes: 5,
  priority: 10,
});

/** While no mover runs: so many jobs in each of these states. */
async function fill(states: Readonly<Partial<Record<JobState, number>>>): Promise<JobId[]> {
  const ids: JobId[] = [];
  for (const [state, count] of Object.entries(states) as [JobState, number][]) {
    for (let index = 0; index < count; index++) {
      const id = rig.nextJobId();
      ids.push(id);
      await rig.kv.transact((tx) => enqueueJob(tx, spec(`${state}${index}`), { id, nowMs: 1 }));
      await rig.kv.transact(function* (tx): Program<void> {
        if (state === "done" || state === "failed") yield* settleJob(tx, id, { state, nowMs: 1 });
        else if (state === "paused" || state === "canceled") yield* setJobState(tx, id, { state, nowMs: 1 });
      });
    }
  }
  return ids;
}

describe("how many jobs there are", () => {
  it("is told for each state, however many they are", async () => {
    await rig.mover.stop();
    const counts = { waiting: 1_002, running: 0, paused: 4, done: 1_003, failed: 2, canceled: 3 };
    await fill(counts);
    expect(await rig.mover.count()).toEqual(counts);
  });

  it("has those that run apart from those that wait", async () => {
    const { passed, open } = gate();
    rig.store("cloud").script.before = () => passed;
    for (let file = 0; file < 10; file++) await rig.put(`file${file}`, "bytes");
    await rig.until(async () => (await rig.mover.list({ state: "running", limit: 100 })).jobs.length === 8);
    expect(await rig.mover.count()).toEqual({ waiting: 2, running: 8, paused: 0, done: 0, failed: 0, canceled: 0 });
    open();
    await rig.idle();
    expect(await rig.mover.count()).toEqual({ waiting: 0, running: 0, paused: 0, done: 10, failed: 0, canceled: 0 });
  });
});

describe("a list of jobs", () => {
  it("comes in pages, from the oldest or from the newest, and in one state when asked", async () => {
    await rig.mover.stop();
    const ids = await fill({ waiting: 3, done: 2 });
    const first = await rig.mover.list({ limit: 3 });
    expect([first.jobs.map(({ id }) => id), first.continuation]).toEqual([ids.slice(0, 3), ids[2]]);
    const rest = await rig.mover.list({ limit: 3, after: first.continuation as string });
    expect([rest.jobs.map(({ id }) => id), rest.continuation]).toEqual([ids.slice(3), undefined]);
    const newest = await rig.mover.list({ limit: 2, newestFirst: true });
    expect([newest.jobs.map(({ id }) => id), newest.continuation]).toEqual([[ids[4], ids[3]], ids[3]]);
    expect((await rig.mover.list({ state: "done", limit: 10 })).jobs.map(({ id }) => id)).toEqual(ids.slice(3));
  });

  it.each(["waiting", "paused", "done", "failed", "canceled"] as const)(
    "of those that are %s has full pages, however many others lie between",
    async (state) => {
      await rig.mover.stop();
      const ids = await fill({ waiting: 3, paused: 3, done: 3, failed: 3, canceled: 3 });
      const wanted = ids.slice(3 * ["waiting", "paused", "done", "failed", "canceled"].indexOf(state)).slice(0, 3);
      for (const newestFirst of [false, true]) {
        const ordered = newestFirst ? wanted.toReversed() : wanted;
        const first = await rig.mover.list({ state, newestFirst, limit: 2 });
        expect([first.jobs.map(({ id }) => id), first.continuation]).toEqual([ordered.slice(0, 2), ordered[1]]);
        const rest = await rig.mover.list({ state, newestFirst, limit: 2, after: first.continuation as string });
        expect([rest.jobs.map(({ id }) => id), rest.continuation]).toEqual([ordered.slice(2), undefined]);
      }
    },
  );

  it("of those that run comes in pages, too, and they are not among those that wait", async () => {
    const { passed, open } = gate();
    rig.store("cloud").script.before = () => passed;
    for (let file = 0; file < 3; file++) await rig.put(`file${file}`, "bytes");
    await rig.until(async () => (await rig.mover.list({ state: "running", limit: 100 })).jobs.length === 3);
    expect((await rig.mover.list({ state: "waiting", limit: 100 })).jobs).toEqual([]);
    const ids = (await rig.mover.list({ limit: 100 })).jobs.map(({ id }) => id);
    for (const newestFirst of [false, true]) {
      const ordered = newestFirst ? ids.toReversed() : ids;
      const first = await rig.mover.list({ state: "running", newestFirst, limit: 2 });
      expect([first.jobs.map(({ id }) => id), first.continuation]).toEqual([ordered.slice(0, 2), ordered[1]]);
      const after = first.continuation as string;
      const rest = await rig.mover.list({ state: "running", newestFirst, limit: 2, after });
      expect([rest.jobs.map(({ id }) => id), rest.continuation]).toEqual([ordered.slice(2), undefined]);
      expect((await rig.mover.list({ state: "running", newestFirst, limit: 3 })).continuation).toBeUndefined();
    }
    open();
    await rig.idle();
  });
});

it("the uploads in parts that jobs go on with are told for each site", async () => {
  rig.config = { ...rig.config, transferChunkBytes: 100 };
  await rig.restart();
  rig.store("cloud").script.before = ({ operation }) => {
    if (operation === "uploadPart") throw new GfsError("Unavailable", "The site is away.");
  };
  for (const path of ["a", "b"]) await rig.put(path, "x".repeat(150));
  await rig.put("small", "x");
  await rig.idle();
  const uploads = (await rig.jobs()).flatMap(({ upload }) => upload?.uploadId ?? []);
  expect(uploads.length).toBe(2);
  expect(await rig.mover.uploadsAt("cloud" as SiteName)).toEqual(new Set(uploads));
  expect(await rig.mover.uploadsAt("local" as SiteName)).toEqual(new Set());
});

it("every upload is among them, on however many pages their jobs are", async () => {
  await rig.mover.stop();
  const ids = await fill({ waiting: 1_001 });
  for (const id of [ids[0] as JobId, ids[1_000] as JobId])
    await rig.kv.transact(function* (tx): Program<void> {
      const job = yield* getJob(tx, id);
      writeJob(tx, job, { ...job, upload: { uploadId: id, partSizeBytes: 1 } });
    });
  expect(await rig.mover.uploadsAt("cloud" as SiteName)).toEqual(new Set([ids[0], ids[1_000]]));
});

describe("what a job waits for", () => {
  const why = async (id: JobId): Promise<string | undefined> => (await rig.mover.get(id)).waitsFor;

  it("is nothing when it is about to run, or has ended", async () => {
    await rig.mover.stop();
    const [waiting, done] = (await fill({ waiting: 1, done: 1 })) as [JobId, JobId];
    expect([await why(waiting), await why(done)]).toEqual([undefined, undefined]);
  });

  it("is whoever has paused all jobs, and nothing for one that has ended", async () => {
    await rig.mover.stop();
    const [waiting, paused, done] = (await fill({ waiting: 1, paused: 1, done: 1 })) as [JobId, JobId, JobId];
    const since = new Date(rig.clock.nowMs()).toISOString();
    await rig.mover.pauseAll(true, { by: "alice" });
    expect([await why(waiting), await why(done)]).toEqual([`All jobs are paused since ${since} by alice.`, undefined]);
    expect(await why(paused)).toMatch(/^It is paused since/);
  });

  it("is a site that does not answer", async () => {
    await rig.mover.stop();
    const [id] = (await fill({ waiting: 1 })) as [JobId];
    let state: "open" | "closed" = "open";
    rig.sites.set("cloud", { ...(rig.sites.get("cloud") as Site), circuit: () => state });
    expect(await why(id)).toBe("Site cloud does not answer, and is left alone for a while.");
    state = "closed";
    expect(await why(id)).toBeUndefined();
  });

  it("is the moment of the next attempt, until that has come", async () => {
    await rig.mover.stop();
    const [id] = (await fill({ waiting: 1 })) as [JobId];
    const dueMs = rig.clock.nowMs() + 1_000;
    await rig.kv.transact((tx) => settleJob(tx, id, { state: "waiting", nowMs: 1, notBeforeMs: dueMs }));
    expect(await why(id)).toBe(`It failed, and is tried again at ${new Date(dueMs).toISOString()}.`);
    await rig.clock.advance(1_000);
    expect(await why(id)).toBeUndefined();
  });

  it("is the older job of the same key and site", async () => {
    await rig.mover.stop();
    const [first] = (await fill({ waiting: 1 })) as [JobId];
    const second = rig.nextJobId();
    await rig.kv.transact((tx) => enqueueJob(tx, spec("waiting0"), { id: second, nowMs: 1 }));
    expect([await why(first), await why(second)]).toEqual([
      undefined,
      `Job ${first} of the same key and site comes first.`,
    ]);
    expect((await rig.mover.jobsOf("waiting0")).map(({ waitsFor }) => waitsFor)).toEqual([
      undefined,
      `Job ${first} of the same key and site comes first.`,
    ]);
  });

  it("is a person, who may have said who that is and why", async () => {
    await rig.mover.stop();
    const [one, two] = (await fill({ waiting: 2 })) as [JobId, JobId];
    const since = new Date(rig.clock.nowMs()).toISOString();
    await rig.mover.pause(one);
    await rig.mover.pause(two, { by: "alice", reason: "the link is being mended" });
    expect([await why(one), await why(two)]).toEqual([
      `It is paused since ${since}.`,
      `It is paused since ${since} by alice: the link is being mended.`,
    ]);
  });
});
