import { expect, test } from "vitest";
import { bodyAt, rigCtx } from "../../src/coordinator/testing/rig.ts";
import { GfsError } from "../../src/core/errors.ts";
import type { Job } from "../../src/mover/index.ts";
import type { StagedWrite, Store } from "../../src/stores/index.ts";
import { Gate, jobsIn, start, startTimed } from "./setting.ts";

const TWO = { local: "primary", cloud: "burst" } as const;

test("J2 Jobs of one path run one after another in the order in which they were made", async () => {
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

test("J2 A job that is ready waits for an older one of its path that is not", async () => {
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

test("J3 A copy counts as present only after its checksum was read back at the target", async () => {
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
});

test("J3 With verify: read a target that stored other bytes than it says is found out", async () => {
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
});

test("J4 A job that gave up keeps its reason, and explain shows it", async () => {
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
