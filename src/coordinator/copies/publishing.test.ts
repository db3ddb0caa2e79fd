import { expect, it, onTestFinished } from "vitest";
import { createFakeClock } from "../../core/testing/fake-clock.ts";
import { createMemoryKv } from "../../kv/index.ts";
import { createMemoryStore } from "../../stores/index.ts";
import { assemblyFor, bodyAt, rigCtx, startRig } from "../testing/rig.ts";

it("what lies below a renamed directory is published under its new name, however much that is", async () => {
  const clock = createFakeClock();
  const kv = createMemoryKv({ clock });
  const local = createMemoryStore({}, { clock });
  const { settings } = assemblyFor(kv);
  const { coordinator, put, stop } = await startRig({
    kv,
    clock,
    sites: [{ name: "local", role: "primary", store: local }],
    overrides: { settings: { ...settings, housekeepingIntervalMs: 1_000 } },
  });
  onTestFinished(stop);
  const names = Array.from({ length: 250 }, (_, index) => `${index % 3}/x${index}`);
  for (const name of names) await put(`d/${name}`, name);
  await coordinator.rename(rigCtx, { from: "d/", to: "e/" });
  await clock.advance(120_000);
  const found: string[] = [];
  for (const name of names) if ((await bodyAt(local, `e/${name}`)) === name) found.push(name);
  expect(found).toEqual(names);
});
