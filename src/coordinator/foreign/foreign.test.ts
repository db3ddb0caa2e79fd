import { createHash } from "node:crypto";
import { describe, expect, it, onTestFinished } from "vitest";
import type { BreakerState } from "../../stores/site.ts";
import { createMemoryStore, type Store } from "../../stores/index.ts";
import { flakyStore } from "../testing/flaky-store.ts";
import { putForeign, type Rig, rigCtx, type RigSite, startRig } from "../testing/rig.ts";

async function start(sites: readonly RigSite[], overrides = {}): Promise<Rig> {
  const rig = await startRig({ sites, ...overrides });
  onTestFinished(async () => await rig.stop());
  return rig;
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "done",
    (error: unknown) => (error as { code: string }).code,
  );
}

describe("a key that the catalog does not know", () => {
  it("is unknown while a primary is left out for its open breaker, and the sentence names it", async () => {
    let circuit: BreakerState = "open";
    const { coordinator } = await start([
      { name: "local", role: "primary" },
      { name: "second", role: "primary", circuit: () => circuit },
    ]);
    const failure = await coordinator.headObject(rigCtx, "absent").catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "Unavailable", message: expect.stringContaining("second") as string });
    circuit = "closed";
    expect(await codeOf(coordinator.headObject(rigCtx, "absent"))).toBe("NotFound");
  });

  it("is absent when only sites are left out that do not speak for it", async () => {
    for (const silent of [
      { role: "burst", foreign: "merge" },
      { role: "backup", foreign: "merge" },
      { role: "primary", foreign: "ignore" },
    ] as const) {
      const { coordinator } = await start([
        { name: "local", role: "primary" },
        { name: "other", ...silent, circuit: () => "open" },
      ]);
      expect(await codeOf(coordinator.headObject(rigCtx, "absent"))).toBe("NotFound");
    }
  });

  it("is found at a site that answers, whichever other is silent", async () => {
    const cloud = createMemoryStore();
    const local = flakyStore(createMemoryStore());
    const { coordinator, read } = await start([
      { name: "local", role: "primary", store: local },
      { name: "cloud", role: "burst", store: cloud },
    ]);
    await putForeign(cloud, "theirs", "body");
    local.failing.add("head");
    expect(await codeOf(coordinator.headObject(rigCtx, "theirs"))).toBe("done");
    expect(await read("theirs")).toBe("body");
    expect(await codeOf(coordinator.headObject(rigCtx, "absent"))).toBe("Unavailable");
  });

  it("is adopted with every site that has the same bytes for sure, the best first, and others are no copies", async () => {
    const stores = { local: createMemoryStore(), second: createMemoryStore(), cloud: createMemoryStore() };
    const { coordinator, read } = await start([
      { name: "cloud", role: "burst", store: stores.cloud },
      { name: "local", role: "primary", store: stores.local },
      { name: "second", role: "primary", store: stores.second },
    ]);
    for (const store of Object.values(stores)) await putSummed(store, "x", "same");
    await putForeign(stores.cloud, "y", "other");
    await putForeign(stores.local, "y", "mine!");
    expect([await read("x"), await read("y")]).toEqual(["same", "mine!"]);
    const sitesOf = async (key: string): Promise<string[]> =>
      (await coordinator.explain(rigCtx, key)).copies.map(({ site, state }) => `${site} ${state}`);
    expect(await sitesOf("x")).toEqual(["local foreign", "second foreign", "cloud foreign"]);
    expect(await sitesOf("y")).toEqual(["local foreign"]);
  });
});

/** By a tool that keeps a SHA-256 with what it writes. */
async function putSummed(store: Store, key: string, body: string): Promise<void> {
  const staged = await store.stage(rigCtx, key);
  await staged.write(Buffer.from(body));
  await staged.seal({ sha256: createHash("sha256").update(body).digest("hex") });
  await staged.commit(rigCtx);
}
