import { afterEach, expect, it } from "vitest";
import { silentLogger } from "../../core/ports/log.ts";
import { createFakeClock } from "../../core/testing/fake-clock.ts";
import { type IdleMemory, watchIdleMemory } from "./idle-memory.ts";

const MIB = 1024 ** 2;
let watch: IdleMemory | undefined;
afterEach(() => watch?.stop());

function watched() {
  const clock = createFakeClock();
  const process = { residentBytes: 90 * MIB, busyMs: 0, times: 0 };
  watch = watchIdleMemory({
    clock,
    log: silentLogger,
    residentBytes: () => process.residentBytes,
    busyMs: () => process.busyMs,
    letGo: () => {
      process.times += 1;
      process.residentBytes = 100 * MIB;
      return Promise.resolve();
    },
  });
  return { clock, process };
}

it("Memory is given back within a minute of a rush, once", async () => {
  const { clock, process } = watched();
  process.residentBytes = 800 * MIB;
  await clock.advance(20_000);
  expect(process).toMatchObject({ times: 1, residentBytes: 100 * MIB });
  await clock.advance(600_000);
  expect(process.times).toBe(1);
});

it("Nothing is asked of a process that is busy, or hardly larger than it was", async () => {
  const { clock, process } = watched();
  process.residentBytes = 110 * MIB;
  await clock.advance(60_000);
  process.residentBytes = 800 * MIB;
  for (let second = 0; second < 60; second++) {
    process.busyMs += 500;
    await clock.advance(1_000);
  }
  expect(process.times).toBe(0);
  await clock.advance(20_000);
  expect(process.times).toBe(1);
});
