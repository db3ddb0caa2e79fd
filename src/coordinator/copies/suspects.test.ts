import { expect, it } from "vitest";
import type { SiteName, VersionId } from "../../core/ids.ts";
import { createFakeClock } from "../../core/testing/fake-clock.ts";
import { createSuspects } from "./suspects.ts";

it("a copy that gave wrong bytes is suspected for a minute, which is news once, and no other copy is with it", async () => {
  const clock = createFakeClock();
  const suspects = createSuspects(clock);
  const [version, other] = ["v", "w"] as VersionId[] as [VersionId, VersionId];
  const [cloud, tape] = ["cloud", "tape"] as SiteName[] as [SiteName, SiteName];
  expect(suspects.has(version, cloud)).toBe(false);
  expect([suspects.note(version, cloud), suspects.note(version, cloud)]).toEqual([true, false]);
  expect([suspects.has(version, cloud), suspects.has(version, tape), suspects.has(other, cloud)]).toEqual([
    true,
    false,
    false,
  ]);
  await clock.advance(59_999);
  expect([suspects.has(version, cloud), suspects.note(version, cloud)]).toEqual([true, false]);
  await clock.advance(1);
  expect([suspects.has(version, cloud), suspects.note(version, cloud)]).toEqual([false, true]);
});
