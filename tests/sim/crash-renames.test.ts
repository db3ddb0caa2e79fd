import type { History } from "./crash/history.ts";
import { type Scenario, testDeaths } from "./crash/deaths.ts";

const ONE = { local: "primary", cloud: "burst" } as const;
const TWO = { local: "primary", second: "primary", cloud: "burst" } as const;

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

const SCENARIOS: Readonly<Record<string, Scenario>> = {
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
};

testDeaths(SCENARIOS, 250);
