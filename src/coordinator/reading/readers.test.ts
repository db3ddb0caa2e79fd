import { describe, expect, it, onTestFinished } from "vitest";
import type { SiteName } from "../../core/ids.ts";
import type { SiteHealth } from "../../placement/index.ts";
import { createMemoryStore } from "../../stores/index.ts";
import type { CopyCheck } from "../service/readers.ts";
import { flakyStore, type FlakyStore } from "../testing/flaky-store.ts";
import { bodyAt, putForeign, type Rig, rigCtx, startRig } from "../testing/rig.ts";

const LOCAL = "local" as SiteName;

async function start(
  passedOn?: CopyCheck[],
  doubts: SiteName[] = [],
): Promise<Rig & { readonly local: FlakyStore; readonly cloud: FlakyStore }> {
  const local = flakyStore(createMemoryStore());
  const cloud = flakyStore(createMemoryStore());
  const rig = await startRig({
    sites: [
      { name: "local", role: "primary", store: local },
      { name: "cloud", role: "burst", store: cloud },
    ],
    overrides: {
      cache: { maxBytes: 1, ttlMs: 0 },
      ...(passedOn === undefined
        ? {}
        : { passOnCheck: (check) => void passedOn.push(check), passOnDoubt: (site) => void doubts.push(site) }),
    },
  });
  onTestFinished(async () => await rig.stop());
  return { ...rig, local, cloud };
}

describe("a process that only reads the catalog", () => {
  it("asks a site last of which it was told that it is not well, and no site that was removed", async () => {
    const { coordinator, put } = await start();
    await put("x", "body");
    const order = async (): Promise<readonly string[]> => (await coordinator.explain(rigCtx, "x")).read.order;
    expect(await order()).toEqual(["local", "cloud"]);
    await coordinator.learnHealth(LOCAL, { healthy: false, error: "The site is away.", checkedAtMs: 1 });
    expect(await order()).toEqual(["cloud", "local"]);
    await coordinator.learnHealth(LOCAL, { healthy: true, checkedAtMs: 2 });
    expect(await order()).toEqual(["local", "cloud"]);
    await coordinator.learnHealth(LOCAL, undefined);
    expect(await order()).toEqual(["cloud"]);
  });

  it("passes on which copy gave wrong bytes, once, and reads another first from then on", async () => {
    const passedOn: CopyCheck[] = [];
    const { put, read, settled, local } = await start(passedOn);
    const { meta } = await put("x", "body");
    await settled();
    local.rottenAt = 2;
    for (let time = 0; time < 3; time++) expect(await read("x")).toBe("body");
    expect(passedOn).toEqual([{ path: "x", versionId: meta.versionId, sizeBytes: 4, site: "local", key: "x" }]);
  });

  it("passes on which site a read found away, once, and reads at another first until it is told how the site is", async () => {
    const doubts: SiteName[] = [];
    const { coordinator, put, read, settled, local } = await start([], doubts);
    await put("x", "body");
    await settled();
    local.failing.add("get");
    let asked = 0;
    const { get } = local;
    local.get = async (...request) => {
      asked += 1;
      return await get(...request);
    };
    for (let time = 0; time < 3; time++) expect(await read("x")).toBe("body");
    expect([doubts, asked]).toEqual([[LOCAL], 1]);
    await coordinator.learnHealth(LOCAL, { healthy: true, checkedAtMs: Date.now() });
    expect(await read("x")).toBe("body");
    expect([doubts, asked]).toEqual([[LOCAL, LOCAL], 2]);
  });

  it("decides nothing about what a site holds instead, so that the request is passed on", async () => {
    const { coordinator, put, read, settled, local } = await start([]);
    const { meta } = await put("x", "body");
    await settled();
    await putForeign(local, "x", "news of another tool");
    await expect(read("x")).rejects.toMatchObject({ code: "ReadOnly" });
    expect((await coordinator.headObject(rigCtx, "x")).meta.versionId).toBe(meta.versionId);
    expect((await local.list(rigCtx, { prefix: ".globalfs/", limit: 10 })).objects).toEqual([]);
  });
});

describe("the process that writes the catalog", () => {
  it("asks a site at once that it, or another process, found away, and tells all", async () => {
    const { coordinator, put, read, settled, local } = await start();
    await put("x", "body");
    await settled();
    local.failing.add("*");
    const told: (SiteHealth | undefined)[] = [];
    onTestFinished(coordinator.watchHealth((site, health) => void (site === LOCAL && told.push(health))));
    expect(await read("x")).toBe("body");
    await expect.poll(() => told.length).toBe(3);
    expect(told).toMatchObject([{ healthy: true }, { healthy: true, doubted: true }, { healthy: false }]);
    // That it is away is known now, and asked again when its time comes.
    coordinator.doubtSite(LOCAL);
    coordinator.doubtSite("unknown" as SiteName);
    expect(told).toHaveLength(3);
  });

  it("takes a site to be well again as soon as it says so", async () => {
    const { coordinator, put, read, settled, local } = await start();
    await put("x", "body");
    await settled();
    const told: (SiteHealth | undefined)[] = [];
    onTestFinished(coordinator.watchHealth((site, health) => void (site === LOCAL && told.push(health))));
    local.failing.add("get");
    expect(await read("x")).toBe("body");
    await expect.poll(() => told.length).toBe(3);
    expect(told.map((health) => [health?.healthy, health?.doubted])).toEqual([
      [true, undefined],
      [true, true],
      [true, undefined],
    ]);
    expect((await coordinator.explain(rigCtx, "x")).read.order).toEqual(["local", "cloud"]);
  });

  it("has a copy checked that another process was given wrong bytes of, and mended", async () => {
    const { coordinator, put, settled, local } = await start();
    const { meta } = await put("x", "body");
    await settled();
    await local.delete(rigCtx, "x");
    await coordinator.checkCopy({
      path: "x" as CopyCheck["path"],
      versionId: meta.versionId as CopyCheck["versionId"],
      sizeBytes: 4,
      site: LOCAL,
      key: "x",
    });
    await expect.poll(async () => await bodyAt(local, "x"), { timeout: 15_000 }).toBe("body");
  });
});
