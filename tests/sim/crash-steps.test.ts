import { putForeign } from "../../src/coordinator/testing/rig.ts";
import { type Scenario, testDeaths } from "./crash/deaths.ts";

const ONE = { local: "primary", cloud: "burst" } as const;
const TWO = { local: "primary", second: "primary", cloud: "burst" } as const;
/** More levels than a transaction makes or takes away. */
const deep = (top: string): string => `${top}${"/a".repeat(30)}/x`;
const LARGE = "0123456789".repeat(120);

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
  "a PUT below more new directories than a transaction makes": {
    sites: ONE,
    act: (history) => history.put(deep("d"), "new"),
  },
  "a rename to below many new directories, and its DELETE": {
    sites: ONE,
    prepare: async (history) => {
      await history.put(deep("d"), "old");
      await history.world.settle();
    },
    act: async (history) => {
      await history.rename(deep("d"), deep("e"));
      await history.delete(deep("e"));
    },
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

testDeaths(SCENARIOS, 500);
