import { expect, test } from "vitest";
import { bodyAt, putForeign, readAll, rigCtx } from "../../src/coordinator/testing/rig.ts";
import { createMemoryStore } from "../../src/stores/index.ts";
import { codeOf, keysOf, NO_CACHE, start, startTimed } from "./setting.ts";

const THREE = { local: "primary", archive: "backup", cloud: "burst" } as const;

test("F1 An object of another tool can be read, listed, renamed and deleted", async () => {
  const before = createMemoryStore();
  for (const key of ["old", "d/1", "d/2"]) await putForeign(before, key, `${key} from before`);
  const setting = await start(THREE, {
    openStore: async (name) => (name === "cloud" ? before : createMemoryStore()),
  });
  const { coordinator, read, settled, sites } = setting;
  await putForeign(sites.local, "new", "put while it runs");
  expect(await keysOf(setting)).toEqual(["d/1", "d/2", "new", "old"]);
  expect([await read("old"), await read("new")]).toEqual(["old from before", "put while it runs"]);
  expect((await readAll(coordinator, "d/1", { start: 4, end: 8 })).toString()).toBe("from");
  await coordinator.rename(rigCtx, { from: "new", to: "d/3" });
  await coordinator.rename(rigCtx, { from: "d/", to: "e/" });
  await coordinator.deleteObject(rigCtx, "old");
  await coordinator.deleteObject(rigCtx, "e/2");
  await settled();
  expect(await keysOf(setting)).toEqual(["e/1", "e/3"]);
  expect([await read("e/1"), await read("e/3")]).toEqual(["d/1 from before", "put while it runs"]);
  expect([await bodyAt(before, "old"), await bodyAt(before, "d/2")]).toEqual([undefined, undefined]);
  expect(await codeOf(read("d/1"))).toBe("NotFound");
});

test("F2 An object that another tool replaced at a primary is the new version, everywhere", async () => {
  const { clock, coordinator, put, pass, read, sites } = await startTimed(THREE, { overrides: NO_CACHE });
  await put("x", "ours");
  await pass();
  const before = (await coordinator.headObject(rigCtx, "x")).meta;
  await putForeign(sites.local, "x", "them");
  expect(await read("x")).toBe("them");
  const { meta } = await coordinator.headObject(rigCtx, "x");
  expect(meta.versionId).not.toBe(before.versionId);
  expect(meta.etag).not.toBe(before.etag);
  await pass();
  for (const site of Object.values(sites)) expect(await bodyAt(site, "x")).toBe("them");
  // And once more, by a read of a part.
  await clock.advance(1_000);
  await putForeign(sites.local, "x", "their second");
  expect((await readAll(coordinator, "x", { suffix: 6 })).toString()).toBe("second");
});

test("F3 A copy that another tool replaced at a site of lower rank is mended, and never served", async () => {
  const { coordinator, put, pass, read, sites } = await startTimed(THREE, { overrides: NO_CACHE });
  await put("x", "ours");
  await pass();
  const { meta } = await coordinator.headObject(rigCtx, "x");
  await putForeign(sites.archive, "x", "them");
  expect(await read("x")).toBe("ours");
  // It is noticed when it is read, which is when the primary does not answer.
  sites.local.failing.add("get");
  expect(await read("x")).toBe("ours");
  await pass();
  sites.local.failing.clear();
  expect((await coordinator.headObject(rigCtx, "x")).meta).toEqual(meta);
  await pass();
  for (const site of Object.values(sites)) expect(await bodyAt(site, "x")).toBe("ours");
  const { copies } = await coordinator.explain(rigCtx, "x");
  expect(copies.map(({ state }) => state)).toEqual(["present", "present", "present"]);
});
