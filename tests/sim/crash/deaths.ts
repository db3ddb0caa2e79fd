import { describe, expect, it } from "vitest";
import { isGfsError } from "../../../src/core/errors.ts";
import { History } from "./history.ts";
import { MOMENTS, type Stop } from "./life.ts";
import { type Files, World, type WorldOptions } from "./world.ts";

/**
 * The process dies between every two of its steps, which are calls to sites and transactions; a new one starts over the same catalog and
 * sites. Whatever was acknowledged holds, whatever was not is there as a whole or not at all, and in the end nothing is left lying about.
 */
export interface Scenario extends WorldOptions {
  /** Before the steps are counted. */
  readonly prepare?: (history: History) => Promise<void>;
  readonly act: (history: History) => Promise<void>;
}

const LONG = process.env["GLOBALFS_LONG"] === "1";

async function begin(scenario: Scenario, stop?: Stop): Promise<History> {
  const world = new World(scenario);
  const history = new History(world);
  await world.start();
  await scenario.prepare?.(history);
  await world.start(stop);
  world.life.startCounting();
  try {
    await scenario.act(history);
    await world.settle();
  } catch (error) {
    if (!world.life.isDead) throw error;
  }
  return history;
}

/** What was not answered may take effect when a site is read that nobody had looked at; nothing ever goes back. */
function indexOf(possible: readonly Files[], seen: Files, atLeast: number): number {
  const found = possible.findIndex((files, index) => index >= atLeast && sameFiles(files, seen));
  if (found === -1) expect([...seen], "what a user sees").toEqual([...(possible[atLeast] as Files)]);
  return found;
}

function sameFiles(one: Files, other: Files): boolean {
  return one.size === other.size && [...one].every(([key, body]) => other.get(key) === body);
}

async function verify({ world, possible }: History): Promise<void> {
  await world.start();
  await world.settle();
  let known = indexOf(possible, await world.files(), 0);
  await world.settle();
  // Each site is the only one that answers for a while, so that all of them are looked at.
  for (const site of world.stores.keys()) {
    for (const other of world.stores.keys()) if (other !== site) world.away.add(other);
    try {
      known = indexOf(possible, await world.files(), known);
    } catch (error) {
      // The first look finds that the site holds something else, and orders the repair.
      if (!isGfsError(error, "Unavailable")) throw error;
    }
    world.away.clear();
    await world.settle();
  }
  const files = await world.files();
  indexOf(possible, files, known);
  expect(await world.faults(files)).toEqual([]);
}

/** Resolves with how often the process died. */
async function dieEverywhere(scenario: Scenario): Promise<number> {
  let points = 0;
  const unharmed = await begin(scenario);
  const { steps } = unharmed.world.life;
  await verify(unharmed);
  // Where a job is tried again and again, its later tries are like its first.
  const stride = LONG ? 1 : Math.ceil(steps / 60);
  for (let step = 1; step <= steps; step += step < 30 ? 1 : stride) {
    for (const moment of MOMENTS) {
      const history = await begin(scenario, { step, moment });
      if (!history.world.life.isDead) continue;
      points += 1;
      const where = `Dead at step ${step} of ${steps}, ${history.world.life.lastStep}`;
      try {
        await verify(history);
      } catch (error) {
        throw new Error(`${where}: ${(error as Error).message}`, { cause: error });
      }
    }
  }
  return points;
}

/** A test of each scenario, and one that in each of the moments they have died so often altogether. */
export function testDeaths(scenarios: Readonly<Record<string, Scenario>>, fewest: number): void {
  describe("a process that dies between any two steps of", () => {
    let points = 0;
    it.each(Object.entries(scenarios))(
      "%s loses nothing that was acknowledged",
      { timeout: LONG ? 600_000 : 120_000 },
      async (_, scenario) => {
        points += await dieEverywhere(scenario);
      },
    );

    it("all of these, died often enough", () => {
      console.info(`${points} crash points`);
      expect(points).toBeGreaterThan(fewest * MOMENTS.length);
    });
  });
}
