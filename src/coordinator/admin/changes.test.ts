import { expect, it, onTestFinished } from "vitest";
import { createMemoryKv } from "../../kv/index.ts";
import { rigCtx, startRig } from "../testing/rig.ts";

it("the change feed is read in pages, and its readers find their place again after a restart", async () => {
  const kv = createMemoryKv();
  const first = await startRig({ kv });
  for (const key of ["a", "b", "c"]) await first.put(key, "x");
  expect(await first.coordinator.findFeedPlace(rigCtx, "events")).toBeUndefined();
  const last = await first.coordinator.lastChange(rigCtx);
  const all = await first.coordinator.readChanges(rigCtx, { after: 0, limit: 1_000 });
  expect([all.after, all.changes.at(-1)?.position]).toEqual([0, last]);
  const [one] = (await first.coordinator.readChanges(rigCtx, { after: 0, limit: 1 })).changes;
  expect(one).toEqual(all.changes[0]);
  await first.coordinator.keepFeedPlace(rigCtx, "events", one?.position as number);
  await first.coordinator.keepFeedPlace(rigCtx, "others", last);
  await first.stop();
  const second = await startRig({ kv });
  onTestFinished(async () => await second.stop());
  const place = await second.coordinator.findFeedPlace(rigCtx, "events");
  expect([place, await second.coordinator.findFeedPlace(rigCtx, "others")]).toEqual([one?.position, last]);
  const rest = await second.coordinator.readChanges(rigCtx, { after: place as number, limit: 1_000 });
  expect(rest.changes).toEqual(all.changes.slice(1));
});
