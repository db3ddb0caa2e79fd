import { expect, onTestFinished, test } from "vitest";
import { flakyStore } from "../../src/coordinator/testing/flaky-store.ts";
import { bodyAt, rigCtx, startRig } from "../../src/coordinator/testing/rig.ts";
import { createMemoryStore } from "../../src/stores/index.ts";

test("W9 While 256 jobs are ready and wait, whoever writes over an object publishes it before the answer", async () => {
  const site = flakyStore(createMemoryStore());
  const { coordinator, put, read, settled, stop } = await startRig({
    sites: [{ name: "local", role: "primary", store: site }],
  });
  onTestFinished(stop);
  // With x they are as many as it takes.
  const busy = Array.from({ length: 255 }, (_, index) => `busy/${index}`);
  for (const name of [...busy, "x", "y"]) await put(name, "old");
  let open!: () => void;
  const opened = new Promise<void>((resolve) => (open = resolve));
  const copy = site.copy.bind(site);
  site.copy = async (ctx, from, to, options) => {
    if (to !== "y") await opened;
    return await copy(ctx, from, to, options);
  };
  await put("x", "new");
  expect(await bodyAt(site, "x")).toBe("old");
  for (const name of busy) await put(name, "new");
  await put("y", "new");
  expect([await bodyAt(site, "y"), await bodyAt(site, "busy/254")]).toEqual(["new", "old"]);
  expect((await coordinator.explain(rigCtx, "y")).write).toMatchObject({ publish: "soon" });
  open();
  await settled();
  for (const name of [...busy, "x"]) expect([await read(name), await bodyAt(site, name)]).toEqual(["new", "new"]);
  // By then there is a job for it again.
  await coordinator.pauseAllJobs(rigCtx, true);
  await put("y", "newest");
  expect(await bodyAt(site, "y")).toBe("new");
});
