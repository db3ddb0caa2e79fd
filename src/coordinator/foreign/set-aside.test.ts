import { expect, it, onTestFinished } from "vitest";
import { createFakeClock } from "../../core/testing/fake-clock.ts";
import { createMemoryKv, encodeKey, tail } from "../../kv/index.ts";
import { assemblyFor, rigCtx, startRig } from "../testing/rig.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

it("what was set aside goes when its time is over, however much that is younger comes before it", async () => {
  const clock = createFakeClock();
  const kv = createMemoryKv({ clock });
  const { settings } = assemblyFor(kv);
  const ofPath = async (path: string, atMs: number): Promise<void> => {
    const versionId = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    const row = {
      path,
      versionId,
      site: "local",
      key: `.globalfs/set-aside/${versionId}`,
      etag: "1",
      sizeBytes: 1,
      shownEtag: "1",
      modifiedMs: atMs,
      metadata: {},
      reason: "It lost.",
      atMs,
    };
    await kv.transact(function* (tx) {
      tx.put(encodeKey("coordinator-set-aside", path, tail(versionId)), Buffer.from(JSON.stringify(row)));
    });
  };
  for (let index = 0; index < 1_200; index++) await ofPath(`a/${index}`, clock.nowMs());
  await ofPath("z", clock.nowMs() - 29 * DAY_MS);
  const { coordinator, stop } = await startRig({
    kv,
    clock,
    overrides: { settings: { ...settings, housekeepingIntervalMs: HOUR_MS } },
  });
  onTestFinished(stop);
  const isKept = async (key: string): Promise<boolean> =>
    (await coordinator.explain(rigCtx, key)).notes.some((note) => note.includes("set aside"));
  expect(await isKept("z")).toBe(true);
  await coordinator.stop();
  await clock.advance(DAY_MS);
  await coordinator.start(new AbortController().signal);
  // Some at a time.
  await clock.advance(4 * HOUR_MS);
  expect([await isKept("a/0"), await isKept("z")]).toEqual([true, false]);
});
