import { expect } from "vitest";
import { bodyAt, rigCtx, startRig } from "../../src/coordinator/testing/rig.ts";
import { GfsError } from "../../src/core/errors.ts";
import type { JobId } from "../../src/core/ids.ts";
import type { Job } from "../../src/mover/index.ts";
import type { StagedWrite, Store } from "../../src/stores/index.ts";
import { everywhere } from "./matrix.ts";
import { Gate, jobsIn } from "./setting.ts";

const TWO = { local: "primary", cloud: "burst" } as const;

everywhere("J2 Jobs of one path run one after another in the order in which they were made", async ({ start }) => {
  const setting = await start(TWO);
  const { coordinator, put, sites, settled } = setting;
  const done: string[] = [];
  const remove = sites.cloud.delete.bind(sites.cloud);
  sites.cloud.delete = async (...args) => {
    await remove(...args);
    done.push(`removed ${args[1]}`);
  };
  watchCommits(sites.cloud, (key) => done.push(`brought ${key}`));
  const gate = new Gate();
  sites.cloud.beforeCommit = gate.pass;
  await put("x", "first");
  await gate.reached;
  // All the others wait behind the one that is held up, those of another path do not.
  const replicated = coordinator.replicate(rigCtx, { key: "x", from: "local", to: "cloud" });
  await replicated;
  expect((await jobsIn(setting, "running")).filter(({ path }) => path === "x")).toHaveLength(1);
  await put("y", "other");
  gate.open();
  sites.cloud.beforeCommit = undefined;
  await settled();
  await coordinator.pauseAllJobs(rigCtx, true);
  await coordinator.deleteObject(rigCtx, "x");
  await put("x", "second");
  await coordinator.deleteObject(rigCtx, "x");
  await put("x", "third");
  done.length = 0;
  await coordinator.pauseAllJobs(rigCtx, false);
  await settled();
  expect(await bodyAt(sites.cloud, "x")).toBe("third");
  expect(done.at(-1)).toBe("brought x");
  const finished = (await jobsIn(setting, "done")).filter(({ path, site }) => path === "x" && site === "cloud");
  const made = finished.map(({ id }) => id);
  const ended = finished.toSorted((one, other) => one.changedMs - other.changedMs).map(({ id }) => id);
  expect(made.length).toBeGreaterThan(4);
  expect(ended).toEqual(made);
});

everywhere("J2 A job that is ready waits for an older one of its path that is not", async ({ startTimed }) => {
  const setting = await startTimed(TWO);
  const { clock, coordinator, put, pass, sites } = setting;
  sites.cloud.failing.add("stage");
  await put("x", "1");
  await put("y", "2");
  await clock.advance(10);
  await coordinator.deleteObject(rigCtx, "x");
  sites.cloud.failing.clear();
  await clock.advance(10);
  expect((await jobsIn(setting, "waiting")).map(({ kind, path }) => `${kind} ${path}`)).toEqual([
    "replicate x",
    "replicate y",
    "remove x",
  ]);
  await pass();
  const done = (await jobsIn(setting, "done")).filter(({ path, site }) => path === "x" && site === "cloud");
  expect(done.map(({ kind }) => kind)).toEqual(["replicate", "remove"]);
  expect((done[0] as Job).changedMs).toBeLessThanOrEqual((done[1] as Job).changedMs);
});

function watchCommits(store: Store, onCommit: (key: string) => void): void {
  const stage = store.stage.bind(store);
  store.stage = async (ctx, key, options): Promise<StagedWrite> => {
    const staged = await stage(ctx, key, options);
    return {
      ...staged,
      async commit(commitCtx, conditions) {
        const info = await staged.commit(commitCtx, conditions);
        onCommit(key);
        return info;
      },
    };
  };
}

everywhere(
  "J3 A copy counts as present only after its checksum was read back at the target",
  async ({ startTimed }) => {
    const { clock, coordinator, put, pass, sites } = await startTimed(TWO);
    const stateAt = async (): Promise<string | undefined> =>
      (await coordinator.explain(rigCtx, "x")).copies.find(({ site }) => site === "cloud")?.state;
    // The bytes arrive, and the site does not say what it has.
    sites.cloud.failing.add("head");
    await put("x", "some bytes");
    await clock.advance(5_000);
    expect([await bodyAt(sites.cloud, "x"), await stateAt()]).toEqual(["some bytes", "pending"]);
    // It says that it has something else.
    sites.cloud.failing.clear();
    const head = sites.cloud.head.bind(sites.cloud);
    sites.cloud.head = async (...args) => ({ ...(await head(...args)), sha256: "0".repeat(64) });
    await clock.advance(10_000);
    expect(await stateAt()).toBe("pending");
    sites.cloud.head = head;
    await pass();
    expect(await stateAt()).toBe("present");
  },
);

everywhere(
  "J3 With verify: read a target that stored other bytes than it says is found out",
  async ({ startTimed }) => {
    const { clock, coordinator, put, pass, sites } = await startTimed(TWO, {
      overrides: {
        mover: {
          maxConcurrentTransfers: 2,
          transferChunkBytes: 1_000_000,
          maxQueuedJobs: 100,
          verify: "read",
          bandwidth: [],
        },
      },
    });
    let lying = true;
    const stage = sites.cloud.stage.bind(sites.cloud);
    sites.cloud.stage = async (...args) => {
      const staged = await stage(...args);
      return { ...staged, write: (chunk) => staged.write(lying ? Buffer.alloc(chunk.byteLength, "!") : chunk) };
    };
    const copy = async () => (await coordinator.explain(rigCtx, "x")).copies.find(({ site }) => site === "cloud");
    await put("x", "some bytes");
    await clock.advance(3_000);
    expect([await bodyAt(sites.cloud, "x"), (await copy())?.state]).toEqual(["!!!!!!!!!!", "pending"]);
    lying = false;
    await pass();
    expect([await bodyAt(sites.cloud, "x"), (await copy())?.state]).toEqual(["some bytes", "present"]);
  },
);

everywhere(
  "J5 Everything that stands still says since when, by whom and why, over a restart, too",
  async ({ startTimed }) => {
    const setting = await startTimed(TWO);
    const { clock, coordinator, kv, put, pass, sites } = setting;
    const why = async (path: string): Promise<readonly (string | undefined)[]> =>
      (await coordinator.listJobs(rigCtx, { limit: 100 })).jobs
        .filter((job) => job.path === path && job.state !== "done")
        .map(({ waitsFor }) => waitsFor);
    expect((await coordinator.info(rigCtx)).jobsPaused).toBeUndefined();
    const sinceMs = clock.nowMs();
    await coordinator.pauseAllJobs(rigCtx, true, { by: "alice", reason: "the link is being mended" });
    await clock.advance(5_000);
    await coordinator.pauseAllJobs(rigCtx, true, { by: "bob" });
    const paused = { sinceMs, by: "alice", reason: "the link is being mended" };
    const sentence = `All jobs are paused since ${new Date(sinceMs).toISOString()} by alice: the link is being mended`;
    await put("x", "1");
    await put("x/y", "1");
    await coordinator.replicate(rigCtx, { key: "x", from: "local", to: "cloud" });
    const seen = async (service: typeof coordinator): Promise<void> => {
      expect((await service.info(rigCtx)).jobsPaused).toEqual(paused);
      expect((await service.listJobs(rigCtx, { limit: 1 })).paused).toEqual(paused);
      const { jobs, notes } = await service.explain(rigCtx, "x/y");
      expect(jobs.map(({ waitsFor }) => waitsFor)).toEqual([`${sentence}.`]);
      expect(notes.join(" ")).toContain(sentence);
    };
    await seen(coordinator);
    await coordinator.stop();
    const again = await startRig({
      kv,
      clock,
      sites: (["local", "cloud"] as const).map((name) => ({ name, role: TWO[name], store: sites[name] })),
    });
    await seen(again.coordinator);
    await again.stop();
    await coordinator.start(new AbortController().signal);

    sites.cloud.failing.add("stage");
    const [held] = (await coordinator.explain(rigCtx, "x/y")).jobs;
    const job = await coordinator.pauseJob(rigCtx, held?.id as JobId, { by: "carol", reason: "too large" });
    expect(job.waitsFor).toMatch(/^It is paused since .* by carol: too large\.$/);
    await coordinator.pauseAllJobs(rigCtx, false);
    await clock.advance(100);
    expect((await coordinator.info(rigCtx)).jobsPaused).toBeUndefined();
    const [first, second] = await why("x");
    expect([first, second]).toEqual([
      expect.stringMatching(/^It failed, and is tried again at /),
      expect.stringMatching(/^Job \w+ of the same key and site comes first\.$/),
    ]);
    sites.cloud.failing.clear();
    expect((await coordinator.resumeJob(rigCtx, held?.id as JobId)).waitsFor).toBeUndefined();
    await pass();
    expect([...(await why("x")), ...(await why("x/y"))]).toEqual([]);
  },
);

everywhere(
  "J6 A list of jobs begins where it is asked to, tells how many there are in each state, and a waiting job has done nothing",
  async ({ startTimed }) => {
    const setting = await startTimed(TWO);
    const { clock, coordinator, put, pass, sites } = setting;
    for (let index = 0; index < 5; index++) await put(`done/${index}`, "1234");
    await pass();
    const gate = { open: false };
    const stage = sites.cloud.stage.bind(sites.cloud);
    sites.cloud.stage = async (ctx, key, options) => {
      const staged = await stage(ctx, key, options);
      return {
        ...staged,
        async seal(final) {
          if (!gate.open) throw new GfsError("Unavailable", "It fails when all bytes are there.");
          await staged.seal(final);
        },
      };
    };
    for (let index = 0; index < 3; index++) await put(`waiting/${index}`, "1234");
    await clock.advance(100);
    const page = await coordinator.listJobs(rigCtx, { limit: 2, newestFirst: true, counts: true });
    expect(page.counts).toEqual({ waiting: 3, running: 0, paused: 0, done: 5, failed: 0, canceled: 0 });
    expect(page.jobs.map(({ path, attempts, bytesDone }) => [path, attempts > 0, bytesDone])).toEqual([
      ["waiting/2", true, 0],
      ["waiting/1", true, 0],
    ]);
    const listed: string[] = [];
    let after: string | undefined;
    do {
      const next = await coordinator.listJobs(rigCtx, {
        limit: 3,
        newestFirst: true,
        ...(after === undefined ? {} : { after }),
      });
      listed.push(...next.jobs.map(({ id }) => id));
      after = next.continuation;
    } while (after !== undefined);
    const oldest = (await coordinator.listJobs(rigCtx, { limit: 100 })).jobs.map(({ id }) => id);
    expect(listed).toEqual(oldest.toReversed());
    gate.open = true;
    await pass();
  },
);

everywhere("J4 A job that gave up keeps its reason, and explain shows it", async ({ startTimed }) => {
  const setting = await startTimed(TWO);
  const { coordinator, put, pass, sites } = setting;
  const reason = "The bucket refuses objects on Tuesdays.";
  const stage = sites.cloud.stage.bind(sites.cloud);
  sites.cloud.stage = async () => {
    throw new GfsError("PermissionDenied", reason);
  };
  await put("x", "1");
  await pass();
  const [job] = await jobsIn(setting, "failed");
  expect(job).toMatchObject({ kind: "replicate", path: "x", site: "cloud", reason });
  const { copies, notes } = await coordinator.explain(rigCtx, "x");
  expect(copies.find(({ site }) => site === "cloud")).toMatchObject({ state: "failed", reason });
  expect(notes.join()).toContain(reason);
  sites.cloud.stage = stage;
  await coordinator.resumeJob(rigCtx, (job as Job).id);
  await pass();
  expect(await bodyAt(sites.cloud, "x")).toBe("1");
  expect((await coordinator.explain(rigCtx, "x")).notes).toEqual([]);
});
