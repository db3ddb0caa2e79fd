import { describe, expect, it } from "vitest";
import { World, type WorldOptions } from "./sessions/world.ts";

/**
 * Coordinators that serve sessions over one catalog. Lines are slow and are cut, clients stand still or vanish, coordinators die between any two of their steps, clocks
 * run apart, and all the while nobody trusts what is older than its mode promises, nothing is locked or leased twice, and every wait ends.
 */

const FIRST = Number(process.env["GLOBALFS_SEED"] ?? 1);
const SEEDS = process.env["GLOBALFS_LONG"] === undefined ? 10 : 1_000;
const STEPS = 600;

async function play(seed: number, options: Omit<WorldOptions, "seed">): Promise<Record<string, number>> {
  const world = await new World({ seed, ...options }).start();
  await world.time.pass(2_000);
  for (let step = 0; step < STEPS; step++) {
    world.step();
    await world.time.pass(world.below(60));
    expect({ seed, step, faults: world.faults }).toEqual({ seed, step, faults: [] });
  }
  await world.end();
  expect({ seed, faults: world.faults }).toEqual({ seed, faults: [] });
  return world.counts;
}

const seeds = Array.from({ length: SEEDS }, (_, index) => index + FIRST);

describe("sessions", () => {
  it.each(seeds)(
    "of three coordinators trust nothing stale and hold nothing twice (seed %i)",
    { timeout: 60_000 },
    async (seed) => {
      const counts = await play(seed, { nodes: 3, clients: 5, drift: 0.04 });
      if (process.env["GLOBALFS_TELL"] !== undefined) console.log(seed, counts);
    },
  );

  it.each(seeds)(
    "of one coordinator, which starts again when it dies, neither (seed %i)",
    { timeout: 60_000 },
    async (seed) => {
      await play(seed, { nodes: 1, clients: 5, drift: 0.04 });
    },
  );
});
