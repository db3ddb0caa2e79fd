import { describe, expect, it } from "vitest";
import { MOMENTS, type Stop } from "./crash/life.ts";
import { Versions } from "./crash/versions.ts";

/**
 * The process dies between every two of its steps in a bucket that keeps versions. Every version that was acknowledged is there and can be read
 * at each site alone, whatever was not answered is there as a whole or not at all, and nothing lies about that no version leads to.
 */
const LONG = process.env["GLOBALFS_LONG"] === "1";

const ACTIONS: Readonly<
  Record<string, { prepare?: (on: Versions) => Promise<void>; act: (on: Versions) => Promise<void> }>
> = {
  "PUTs over each other": {
    act: async (on) => {
      await on.put("b/d/x", "1");
      await on.put("b/d/x", "2");
    },
  },
  "a DELETE behind a marker, and a PUT over it": {
    prepare: async (on) => {
      await on.put("b/d/x", "1");
    },
    act: async (on) => {
      await on.delete("b/d/x");
      await on.put("b/d/x", "2");
    },
  },
  "the removal of the newest version, and of the marker below": {
    prepare: async (on) => {
      await on.put("b/d/x", "1");
      await on.delete("b/d/x");
      await on.put("b/d/x", "2");
    },
    act: async (on) => {
      await on.deleteVersion("b/d/x", 0);
      await on.deleteVersion("b/d/x", 0);
    },
  },
  "the removal of an older version": {
    prepare: async (on) => {
      for (const body of ["1", "2", "3"]) await on.put("b/y", body);
    },
    act: async (on) => await on.deleteVersion("b/y", 1),
  },
  "the removal of the version that another is below": {
    prepare: async (on) => {
      for (const body of ["1", "2"]) await on.put("b/y", body);
    },
    act: async (on) => await on.deleteVersion("b/y", 0),
  },
  "the rename of a directory with histories": {
    prepare: async (on) => {
      await on.put("b/d/x", "1");
      await on.put("b/d/x", "2");
    },
    act: async (on) => await on.renameDirectory(),
  },
};

async function begin(name: string, stop?: Stop): Promise<Versions> {
  const on = new Versions();
  const action = ACTIONS[name];
  await on.prepare();
  await action?.prepare?.(on);
  await on.world.start(stop);
  on.world.life.startCounting();
  try {
    await action?.act(on);
    await on.world.settle();
  } catch (error) {
    if (!on.world.life.isDead) throw error;
  }
  return on;
}

describe("in a bucket that keeps versions a process that dies between any two steps of", () => {
  it.each(Object.keys(ACTIONS))("%s loses no version and leaves nothing behind", { timeout: 120_000 }, async (name) => {
    const unharmed = await begin(name);
    const { steps } = unharmed.world.life;
    await unharmed.verify();
    const stride = LONG ? 1 : Math.max(1, Math.ceil(steps / 40));
    let deaths = 0;
    for (let step = 1; step <= steps; step += step < 20 ? 1 : stride) {
      for (const moment of MOMENTS) {
        const on = await begin(name, { step, moment });
        if (!on.world.life.isDead) continue;
        deaths += 1;
        const where = `Dead at step ${step} of ${steps}, ${on.world.life.lastStep}`;
        await on.verify().catch((error: unknown) => {
          throw new Error(`${where}: ${(error as Error).message}`, { cause: error });
        });
      }
    }
    expect(deaths).toBeGreaterThan(5);
  });
});
