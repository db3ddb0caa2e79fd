import { afterEach, describe, expect, it } from "vitest";
import { checkCatalog } from "../../namespace/index.ts";
import { createMemoryStore } from "../../stores/index.ts";
import { bodyAt, type Rig, rigCtx, type RigOptions, startRig } from "../testing/rig.ts";

let rig: Rig;
const start = async (options?: RigOptions): Promise<Rig> => (rig = await startRig(options));
afterEach(async () => {
  expect((await checkCatalog(rig.kv)).faults).toEqual([]);
  await rig.stop();
});

describe("many deletes at once", () => {
  const keys = Array.from({ length: 300 }, (_, index) => `data/${index}`);
  const all = keys.map((key) => ({ key }));

  it("share commits, remove the objects, and leave no job where nothing is left to do", async () => {
    const local = createMemoryStore();
    const { coordinator, put, settled, kv } = await start({
      sites: [{ name: "local", role: "primary", store: local }],
    });
    for (const key of keys) await put(key, key);
    await settled();
    const before = await kv.revision();
    expect(await coordinator.deleteObjects(rigCtx, all)).toEqual(
      keys.map(() => ({ result: { deleted: true, pendingSites: [] } })),
    );
    await settled();
    // Some keys share each, and their jobs go thirty at a time.
    expect((await kv.revision()) - before).toBeLessThan(keys.length / 3);
    expect((await coordinator.listObjects(rigCtx, { limit: 10 })).objects).toEqual([]);
    for (const key of keys) expect(await bodyAt(local, key)).toBeUndefined();
    expect((await coordinator.listJobs(rigCtx, { limit: 10 })).jobs).toEqual([]);
  });

  it("reach the other sites by jobs", async () => {
    const { coordinator, put, settled, stores } = await start();
    for (const key of keys) await put(key, key);
    await settled();
    const outcomes = await coordinator.deleteObjects(rigCtx, all);
    expect(outcomes).toEqual(keys.map(() => ({ result: { deleted: true, pendingSites: ["cloud"] } })));
    await settled();
    for (const key of keys) expect(await bodyAt(stores["cloud"] as never, key)).toBeUndefined();
  });

  it("tell of each key by itself what became of it, in the order they were asked for", async () => {
    const { coordinator, put } = await start();
    await put("kept", "1");
    await put("gone", "2");
    await put("twice", "3");
    const outcomes = await coordinator.deleteObjects(rigCtx, [
      { key: "kept", conditions: { ifMatch: ["another"] } },
      { key: "gone" },
      { key: "a/../b" },
      { key: "twice" },
      { key: "twice" },
      { key: "never there" },
    ]);
    expect(outcomes).toMatchObject([
      { error: { code: "PreconditionFailed" } },
      { result: {} },
      { error: { code: "InvalidKey" } },
      { result: {} },
      { result: {} },
      { result: {} },
    ]);
    const { objects } = await coordinator.listObjects(rigCtx, { limit: 10 });
    expect(objects.map(({ key }) => key)).toEqual(["kept"]);
  });

  it("leave the job of an object that is another one by now to the mover", async () => {
    const { coordinator, put, stores, settled } = await start();
    await put("x", "ours");
    const local = stores["local"] as NonNullable<(typeof stores)[string]>;
    const staged = await local.stage(rigCtx, "x", {});
    await staged.write(Buffer.from("another tool's"));
    await staged.seal({});
    await staged.commit(rigCtx);
    expect(await coordinator.deleteObjects(rigCtx, [{ key: "x" }])).toMatchObject([{ result: {} }]);
    await settled();
    expect(await bodyAt(local as never, "x")).toBe("another tool's");
    const { jobs } = await coordinator.listJobs(rigCtx, { limit: 10 });
    expect(jobs.filter(({ kind, site }) => kind === "remove" && site === "local")).toMatchObject([{ state: "done" }]);
  });
});
