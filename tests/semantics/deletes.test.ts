import { expect } from "vitest";
import { bodyAt, putForeign, readAll, rigCtx, startRig } from "../../src/coordinator/testing/rig.ts";
import { everywhere } from "./matrix.ts";
import { codeOf, Gate, jobsIn, keysOf } from "./setting.ts";

const THREE = { local: "primary", second: "primary", cloud: "burst" } as const;

everywhere("D1 No site that was away and no restart brings a deleted object back", async ({ startTimed }) => {
  const setting = await startTimed(THREE);
  const { clock, coordinator, kv, put, pass, sites } = setting;
  await put("x", "1");
  await pass();
  sites.cloud.failing.add("*");
  await coordinator.deleteObject(rigCtx, "x");
  await clock.advance(120_000);
  expect(await bodyAt(sites.cloud, "x")).toBeUndefined();
  sites.cloud.failing.clear();
  expect(await bodyAt(sites.cloud, "x")).toBe("1");
  // It is back, and still has the object: nobody must see it, nor after a restart.
  const unseen = async (seen: typeof coordinator): Promise<void> => {
    expect(await codeOf(seen.headObject(rigCtx, "x"))).toBe("NotFound");
    expect((await seen.listObjects(rigCtx, { limit: 10 })).objects).toEqual([]);
    expect(await codeOf(readAll(seen, "x"))).toBe("NotFound");
  };
  await unseen(coordinator);
  await coordinator.stop();
  const again = await startRig({
    kv,
    clock,
    sites: (Object.keys(THREE) as (keyof typeof THREE)[]).map((name) => ({
      name,
      role: THREE[name],
      store: sites[name],
    })),
  });
  await unseen(again.coordinator);
  for (let turn = 0; turn < 3; turn++) await clock.advance(61_000);
  expect(await bodyAt(sites.cloud, "x")).toBeUndefined();
  await unseen(again.coordinator);
  await again.stop();
});

for (const moment of ["seal", "commit"] as const)
  everywhere(`D1 No copy in flight brings a deleted object back, held up before its ${moment}`, async ({ start }) => {
    const setting = await start({ local: "primary", cloud: "burst" });
    const { coordinator, put, settled, sites } = setting;
    const gate = new Gate();
    let deleted = false;
    const late: string[] = [];
    const stage = sites.cloud.stage.bind(sites.cloud);
    sites.cloud.stage = async (ctx, key, options) => {
      const staged = await stage(ctx, key, options);
      return {
        ...staged,
        async seal(final) {
          if (moment === "seal") await gate.pass();
          await staged.seal(final);
        },
        async commit(commitCtx, conditions) {
          if (moment === "commit") await gate.pass();
          if (deleted) late.push(key);
          return await staged.commit(commitCtx, conditions);
        },
      };
    };
    await put("x", "1");
    await gate.reached;
    const deleting = coordinator.deleteObject(rigCtx, "x");
    if (moment === "seal") {
      await deleting;
      deleted = true;
    }
    gate.open();
    await deleting;
    expect(await codeOf(coordinator.headObject(rigCtx, "x"))).toBe("NotFound");
    await settled();
    expect(late).toEqual([]);
    expect([await bodyAt(sites.local, "x"), await bodyAt(sites.cloud, "x")]).toEqual([undefined, undefined]);
    expect(await keysOf(setting)).toEqual([]);
    expect(await jobsIn(setting, "failed")).toEqual([]);
  });

everywhere(
  "D2 Deleting what is not there succeeds, says so, and leaves nothing behind when nobody has it",
  async ({ start }) => {
    const setting = await start(THREE);
    const { coordinator, kv, put, settled } = setting;
    await put("d/x", "1");
    await settled();
    const before = await kv.stats();
    expect(await coordinator.deleteObject(rigCtx, "never")).toEqual({ deleted: false, pendingSites: [] });
    expect(await coordinator.deleteObject(rigCtx, "no/directory/")).toEqual({ deleted: false, pendingSites: [] });
    const keys = Array.from({ length: 40 }, (_, index) => ({ key: `never/${index}` }));
    expect(await coordinator.deleteObjects(rigCtx, keys)).toEqual(
      keys.map(() => ({ result: { deleted: false, pendingSites: [] } })),
    );
    expect((await kv.stats()).entries).toBe(before.entries);
    expect(await jobsIn(setting, "done")).toHaveLength(1);
    expect(await coordinator.deleteObject(rigCtx, "d/x")).toEqual({ deleted: true, pendingSites: ["cloud"] });
    await settled();
    const after = await kv.stats();
    for (let time = 0; time < 2; time++) expect((await coordinator.deleteObject(rigCtx, "d/x")).deleted).toBe(false);
    expect((await coordinator.deleteObject(rigCtx, "d/")).deleted).toBe(false);
    expect((await kv.stats()).entries).toBe(after.entries);
  },
);

everywhere(
  "D2 What only a site knows is deleted there, and what a site that is away may have is deleted when it is back",
  async ({ startTimed }) => {
    const setting = await startTimed(THREE);
    const { coordinator, pass, sites } = setting;
    await putForeign(sites.cloud, "seen", "1");
    await putForeign(sites.cloud, "d/unseen", "1");
    await putForeign(sites.second, "many", "1");
    expect(await coordinator.deleteObject(rigCtx, "seen")).toEqual({ deleted: true, pendingSites: ["cloud"] });
    const [many, none] = await coordinator.deleteObjects(rigCtx, [{ key: "many" }, { key: "none" }]);
    expect([many, none]).toEqual([
      { result: { deleted: true, pendingSites: [] } },
      { result: { deleted: false, pendingSites: [] } },
    ]);
    sites.cloud.failing.add("*");
    expect(await coordinator.deleteObject(rigCtx, "d/unseen")).toEqual({ deleted: false, pendingSites: ["cloud"] });
    sites.cloud.failing.clear();
    expect(await keysOf(setting)).toEqual([]);
    await pass();
    for (const key of ["seen", "d/unseen"]) expect(await bodyAt(sites.cloud, key)).toBeUndefined();
    expect(await bodyAt(sites.second, "many")).toBeUndefined();
  },
);

everywhere(
  "D3 When DELETE is acknowledged the primaries do not hold the object, and the other sites have a durable job",
  async ({ startTimed }) => {
    const setting = await startTimed(THREE);
    const { coordinator, put, pass, sites } = setting;
    await put("x", "1");
    await pass();
    sites.cloud.failing.add("delete");
    expect(await coordinator.deleteObject(rigCtx, "x")).toEqual({ deleted: true, pendingSites: ["cloud"] });
    expect([await bodyAt(sites.local, "x"), await bodyAt(sites.second, "x")]).toEqual([undefined, undefined]);
    const { jobs } = await coordinator.listJobs(rigCtx, { limit: 10 });
    const left = jobs.find(({ kind, site, path }) => kind === "remove" && site === "cloud" && path === "x");
    expect(["waiting", "running"]).toContain(left?.state);
    sites.cloud.failing.clear();
    await pass();
    expect(await bodyAt(sites.cloud, "x")).toBeUndefined();
  },
);

everywhere(
  "D3 When a primary does not answer the caller hears so, and a job finishes what the namespace has done",
  async ({ startTimed }) => {
    const setting = await startTimed(THREE);
    const { coordinator, put, pass, sites } = setting;
    await put("x", "1");
    await pass();
    sites.second.failing.add("delete");
    await expect(coordinator.deleteObject(rigCtx, "x")).rejects.toMatchObject({
      code: "Unavailable",
      message: expect.stringMatching(/second.*job/) as string,
    });
    expect(await codeOf(coordinator.headObject(rigCtx, "x"))).toBe("NotFound");
    expect(await keysOf(setting)).toEqual([]);
    expect([await bodyAt(sites.local, "x"), await bodyAt(sites.second, "x")]).toEqual([undefined, "1"]);
    sites.second.failing.clear();
    await pass();
    expect(await bodyAt(sites.second, "x")).toBeUndefined();
    expect(await jobsIn(setting, "failed")).toEqual([]);
  },
);

everywhere(
  "D4 An object that another tool puts at a site after the delete is a new object, and shows",
  async ({ startTimed }) => {
    const setting = await startTimed(THREE);
    const { clock, coordinator, put, pass, read, sites } = setting;
    await put("x", "ours");
    await put("y", "ours");
    await pass();
    await coordinator.deleteObject(rigCtx, "x");
    await coordinator.deleteObject(rigCtx, "y");
    await pass();
    await clock.advance(1);
    await putForeign(sites.cloud, "x", "theirs");
    await putForeign(sites.local, "y", "at the primary");
    expect(await keysOf(setting)).toEqual(["x", "y"]);
    expect([await read("x"), await read("y")]).toEqual(["theirs", "at the primary"]);
    await pass();
    expect([await read("x"), await bodyAt(sites.cloud, "x")]).toEqual(["theirs", "theirs"]);
  },
);
