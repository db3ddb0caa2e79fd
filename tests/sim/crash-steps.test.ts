import { describe, expect, it } from "vitest";
import { isGfsError } from "../../src/core/errors.ts";
import { putForeign } from "../../src/coordinator/testing/rig.ts";
import type { Stop } from "./crash/life.ts";
import { History } from "./crash/history.ts";
import { type Files, World, type WorldOptions } from "./crash/world.ts";

/**
 * The process dies between every two of its steps, which are calls to sites and transactions; a new one starts over the same catalog and
 * sites. Whatever was acknowledged holds, whatever was not is there as a whole or not at all, and in the end nothing is left lying about.
 */
interface Scenario extends WorldOptions {
  /** Before the steps are counted. */
  readonly prepare?: (history: History) => Promise<void>;
  readonly act: (history: History) => Promise<void>;
}

const LONG = process.env["GLOBALFS_LONG"] === "1";
const ONE = { local: "primary", cloud: "burst" } as const;
const TWO = { local: "primary", second: "primary", cloud: "burst" } as const;
const LARGE = "0123456789".repeat(120);

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

/** The process dies when the object has landed at the first site, before the catalog knows. */
async function loseWrite(history: History, key: string, body: string): Promise<void> {
  const { world, possible } = history;
  for (let step = 1; world.life.lastStep !== "after commit at local"; step++) {
    history.possible = possible;
    await world.start({ step, moment: "after" });
    world.life.startCounting();
    await history.put(key, body).catch(() => undefined);
    if (!world.life.isDead) throw new Error("The write was not lost.");
  }
}

async function prepareLostWrite(history: History): Promise<void> {
  await history.put("d/x", "old");
  await history.world.settle();
  await loseWrite(history, "d/x", "lost");
}

let points = 0;

async function dieEverywhere(scenario: Scenario): Promise<void> {
  const unharmed = await begin(scenario);
  const { steps } = unharmed.world.life;
  await verify(unharmed);
  // Where a job is tried again and again, its later tries are like its first.
  const stride = LONG ? 1 : Math.ceil(steps / 60);
  for (let step = 1; step <= steps; step += step < 30 ? 1 : stride) {
    for (const moment of ["before", "after"] as const) {
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
}

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  "the PUT of a new object": { sites: ONE, act: (history) => history.put("d/new", "new") },
  "a PUT that replaces an object": {
    sites: ONE,
    prepare: async (history) => {
      await history.put("d/x", "old");
      await history.world.settle();
    },
    act: (history) => history.put("d/x", "the new bytes"),
  },
  "the PUT of a new object to two primaries and a burst site": {
    sites: TWO,
    act: (history) => history.put("new", "new"),
  },
  "a PUT that replaces an object at two primaries and a burst site": {
    sites: TWO,
    prepare: async (history) => {
      await history.put("x", "old");
      await history.world.settle();
    },
    act: (history) => history.put("x", LARGE),
  },
  "a DELETE": {
    sites: TWO,
    prepare: async (history) => {
      await history.put("d/x", "old");
      await history.put("kept", "kept");
      await history.world.settle();
    },
    act: (history) => history.delete("d/x"),
  },
  "a DELETE of many keys, one of them never there": {
    sites: TWO,
    prepare: async (history) => {
      for (const key of ["d/x", "d/deep/y", "z"]) await history.put(key, `of ${key}`);
      await history.put("kept", "kept");
      await history.world.settle();
    },
    act: (history) => history.deleteMany("d/x", "d/deep/y", "z", "absent"),
  },
  "a DELETE of many keys while they are replicated, and PUTs after it": {
    sites: ONE,
    act: async (history) => {
      await history.put("x", "first");
      await history.put("y", "first");
      await history.deleteMany("x", "y");
      await history.put("x", "second");
    },
  },
  "a DELETE while the object is replicated, and a PUT after it": {
    sites: ONE,
    act: async (history) => {
      await history.put("x", "first");
      await history.delete("x");
      await history.put("x", "second");
    },
  },
  "the rename of a file with its relocation": {
    sites: ONE,
    prepare: async (history) => {
      await history.put("a", "1");
      await history.world.settle();
    },
    act: (history) => history.rename("a", "d/b"),
  },
  "the rename of a file over another, and a PUT under the old name": {
    sites: ONE,
    prepare: async (history) => {
      await history.put("a", "1");
      await history.put("b", "2");
      await history.world.settle();
    },
    act: async (history) => {
      await history.rename("a", "b", true);
      await history.put("a", "another");
    },
  },
  "the rename of a directory with its relocation": {
    sites: ONE,
    prepare: async (history) => {
      await history.put("old/1", "1");
      await history.put("old/deep/2", "2");
      await history.world.settle();
    },
    act: (history) => history.rename("old/", "new/"),
  },
  "the rename of a file that is still being replicated": {
    sites: ONE,
    act: async (history) => {
      await history.put("a", "1");
      await history.rename("a", "d/b");
    },
  },
  "renames that change the names of two files": {
    sites: ONE,
    prepare: async (history) => {
      await history.put("a", "1");
      await history.put("b", "2");
      await history.world.settle();
    },
    act: async (history) => {
      await history.rename("a", "c");
      await history.rename("b", "a");
      await history.rename("c", "b");
    },
  },
  "the DELETE of a file whose last write was lost": {
    sites: TWO,
    prepare: prepareLostWrite,
    act: (history) => history.delete("d/x"),
  },
  "the rename of a file whose last write was lost": {
    sites: TWO,
    prepare: prepareLostWrite,
    act: (history) => history.rename("d/x", "y"),
  },
  "the rename of a directory in which a write was lost, and a PUT under the old name": {
    sites: ONE,
    prepare: prepareLostWrite,
    act: async (history) => {
      await history.rename("d/", "e/");
      await history.put("d/x", "another");
    },
  },
  "replication in parts": {
    sites: ONE,
    transferChunkBytes: 500,
    act: (history) => history.put("large", LARGE),
  },
  "an upload in parts": { sites: TWO, act: (history) => history.upload("d/new", LARGE) },
  "an upload in parts that replaces an object": {
    sites: TWO,
    prepare: async (history) => {
      await history.put("x", "old");
      await history.world.settle();
    },
    act: (history) => history.upload("x", LARGE),
  },
  "an upload in parts, and a PUT after it": {
    sites: ONE,
    act: async (history) => {
      await history.upload("x", LARGE);
      await history.world.settle();
      await history.put("x", "newer");
    },
  },
  "a copy within the sites": {
    sites: TWO,
    prepare: async (history) => {
      await history.put("a", "1");
      await history.put("b", "2");
      await history.world.settle();
    },
    act: (history) => history.copy("a", "b"),
  },
  "a copy to a new name, and the DELETE of its source": {
    sites: TWO,
    prepare: async (history) => {
      await history.put("a", "1");
      await history.world.settle();
    },
    act: async (history) => {
      await history.copy("a", "d/b");
      await history.delete("a");
    },
  },
  "the repair of an object that another tool replaced": {
    sites: ONE,
    prepare: async (history) => {
      await history.put("x", "ours");
      await history.world.settle();
      await putForeign(history.world.stores.get("cloud") as never, "x", "theirs!");
    },
    act: async ({ world }) => {
      world.away.add("local");
      await world.files().catch(() => undefined);
      world.away.clear();
    },
  },
};

describe("a process that dies between any two steps of", () => {
  it.each(Object.keys(SCENARIOS))(
    "%s loses nothing that was acknowledged",
    { timeout: LONG ? 600_000 : 60_000 },
    async (name) => {
      await dieEverywhere(SCENARIOS[name] as Scenario);
    },
  );

  it("all of these, died more than 500 times", () => {
    console.info(`${points} crash points`);
    expect(points).toBeGreaterThan(500);
  });
});
