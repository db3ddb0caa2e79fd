import { describe, expect, it, onTestFinished } from "vitest";
import type { SiteName } from "../core/ids.ts";
import { createMemoryStore } from "../stores/index.ts";
import type { CopyCheck } from "./service-readers.ts";
import { flakyStore, type FlakyStore } from "./testing/flaky-store.ts";
import { bodyAt, putForeign, type Rig, rigCtx, startRig } from "./testing/rig.ts";

const LOCAL = "local" as SiteName;

async function start(
  passedOn?: CopyCheck[],
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
      ...(passedOn === undefined ? {} : { passOnCheck: (check) => void passedOn.push(check) }),
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
