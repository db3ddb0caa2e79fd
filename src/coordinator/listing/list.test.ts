import { describe, expect, it, onTestFinished } from "vitest";
import { GfsError } from "../../core/errors.ts";
import { createMemoryStore, type Store } from "../../stores/index.ts";
import type { BreakerState } from "../../stores/site.ts";
import { flakyStore } from "../testing/flaky-store.ts";
import { putForeign, type Rig, rigCtx, type RigSite, startRig } from "../testing/rig.ts";

async function start(sites: readonly RigSite[]): Promise<Rig> {
  const rig = await startRig({ sites });
  onTestFinished(async () => await rig.stop());
  return rig;
}

const failing = (): GfsError => new GfsError("Unavailable", "The site is away.");

/** A store whose listings below one prefix fail. */
function failingBelow(prefix: string): Store {
  const store = createMemoryStore();
  const list = store.list.bind(store);
  store.list = async (ctx, query) => {
    if (query.prefix === prefix) throw failing();
    return await list(ctx, query);
  };
  return store;
}

describe("a listing", () => {
  it("is partial, and says so, when a site fails, on whichever page, and whoever else answers", async () => {
    const store = flakyStore(createMemoryStore());
    const { coordinator, put } = await start([
      { name: "local", role: "primary" },
      { name: "cloud", role: "burst", store },
    ]);
    for (const key of ["a", "c", "e"]) await put(key, "ours");
    for (const key of ["b", "d"]) await putForeign(store, key, "theirs");
    const whole = await coordinator.listObjects(rigCtx, { limit: 10 });
    expect([whole.objects.map(({ key }) => key), whole.failedSites]).toEqual([["a", "b", "c", "d", "e"], []]);
    const first = await coordinator.listObjects(rigCtx, { limit: 2 });
    expect([first.objects.map(({ key }) => key), first.failedSites]).toEqual([["a", "b"], []]);
    store.failing.add("list");
    const rest = await coordinator.listObjects(rigCtx, { limit: 10, continuation: first.continuation as string });
    expect([rest.objects.map(({ key }) => key), rest.failedSites.map(({ site }) => site)]).toEqual([
      ["c", "d", "e"].filter((key) => key !== "d"),
      ["cloud"],
    ]);
    expect(rest.failedSites[0]?.error).toContain("away");
  });

  it("names a site whose breaker is open without asking it, and asks it when it may be asked again", async () => {
    let circuit: BreakerState = "open";
    const store = flakyStore(createMemoryStore());
    const { coordinator } = await start([
      { name: "local", role: "primary" },
      { name: "cloud", role: "burst", store, circuit: () => circuit },
    ]);
    await putForeign(store, "theirs", "body");
    store.failing.add("list");
    const partial = await coordinator.listObjects(rigCtx, { limit: 10 });
    expect([partial.objects, partial.failedSites]).toEqual([
      [],
      [{ site: "cloud", error: expect.stringContaining("breaker") as string }],
    ]);
    store.failing.clear();
    circuit = "half-open";
    const whole = await coordinator.listObjects(rigCtx, { limit: 10 });
    expect([whole.objects.map(({ key }) => key), whole.failedSites]).toEqual([["theirs"], []]);
  });

  it("shows a prefix that a site has when nobody can tell what lies below, and not when nothing would show", async () => {
    const store = failingBelow("dir/");
    const { coordinator, put } = await start([
      { name: "local", role: "primary" },
      { name: "cloud", role: "burst", store },
    ]);
    await putForeign(store, "dir/x", "theirs");
    await putForeign(store, "gone/x", "theirs");
    await putForeign(store, "seen/x", "theirs");
    await put("gone/x", "ours");
    await coordinator.deleteObject(rigCtx, "gone/x");
    await putForeign(store, "gone/y", "theirs").catch(() => undefined);
    await coordinator.deleteObject(rigCtx, "gone/y");
    const { prefixes, failedSites } = await coordinator.listObjects(rigCtx, { limit: 10, delimiter: "/" });
    expect([prefixes, failedSites]).toEqual([["dir/", "seen/"], []]);
  });

  it("does not ask sites whose objects do not count", async () => {
    const store = flakyStore(createMemoryStore());
    const { coordinator } = await start([
      { name: "local", role: "primary" },
      { name: "cloud", role: "burst", store, foreign: "ignore" },
    ]);
    await putForeign(store, "theirs", "body");
    store.failing.add("list");
    const { objects, failedSites } = await coordinator.listObjects(rigCtx, { limit: 10 });
    expect([objects, failedSites]).toEqual([[], []]);
  });
});
