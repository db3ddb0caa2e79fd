import { describe, expect, it } from "vitest";
import { chunksOf, rigCtx } from "../../src/coordinator/testing/rig.ts";
import { listUploads } from "../../src/namespace/index.ts";
import { MOMENTS } from "./crash/life.ts";
import { fixedKeys } from "../support/fixed-keys.ts";
import { type Files, World, type WorldOptions } from "./crash/world.ts";

/**
 * A client whose answer to the completion never came asks again, or does not. When it asks again the object is there in the end, once and whole. When it does
 * not, the completion has happened or it has not: nothing of it lands later over what was written, deleted or renamed since.
 */

const TWO = { local: "primary", second: "primary" } as const;
const ONE = { local: "primary", cloud: "burst" } as const;
const KEY = "d/x";
const OLD = "old";
const BODY = "part".repeat(200);
const NEWER = "written after the process had died";

interface Lost {
  readonly world: World;
  /** What the process died of. */
  readonly lastStep: string;
  readonly complete: () => Promise<string>;
  readonly abort: () => Promise<void>;
}

interface Stage {
  readonly sites?: WorldOptions["sites"];
  readonly wrap?: WorldOptions["wrap"];
  /** Before the upload is begun; absent: the key has an object. */
  readonly prepare?: (world: World) => Promise<void>;
  /** Between the upload and its completion. */
  readonly before?: (world: World) => Promise<void>;
}

async function putOld(world: World): Promise<void> {
  await world.put(KEY, OLD);
}

/** The process dies at the given step of the completion; undefined once there are not so many. */
async function loseCompletion(
  step: number,
  moment: "before" | "after",
  { sites = TWO, wrap, prepare = putOld, before }: Stage,
): Promise<Lost | undefined> {
  const world = new World({ sites, ...(wrap === undefined ? {} : { wrap }) });
  await world.start();
  await prepare(world);
  await world.settle();
  const { uploadId } = await world.rig.coordinator.createUpload(rigCtx, { key: KEY });
  const bytes = Buffer.from(BODY);
  const part = { key: KEY, uploadId, partNumber: 1, sizeBytes: bytes.length };
  const { etag } = await world.rig.coordinator.putPart(rigCtx, { ...part, body: chunksOf(bytes) });
  const complete = async (): Promise<string> => {
    const request = { key: KEY, uploadId, parts: [{ partNumber: 1, etag }] };
    return (await world.rig.coordinator.completeUpload(rigCtx, request)).meta.versionId;
  };
  const abort = async (): Promise<void> => await world.rig.coordinator.abortUpload(rigCtx, { key: KEY, uploadId });
  await before?.(world);
  await world.start({ step, moment });
  world.life.startCounting();
  await complete().catch(() => undefined);
  if (!world.life.isDead) return undefined;
  const { lastStep } = world.life;
  await world.start();
  return { world, lastStep, complete, abort };
}

async function everywhere(check: (lost: Lost) => Promise<void>, stage: Stage = {}): Promise<number> {
  let points = 0;
  for (let step = 1; ; step++) {
    for (const moment of MOMENTS) {
      const lost = await loseCompletion(step, moment, stage);
      if (lost === undefined) return points;
      points += 1;
      try {
        await check(lost);
      } catch (error) {
        throw new Error(`Dead ${lost.lastStep}, step ${step}: ${(error as Error).message}`, { cause: error });
      }
    }
  }
}

/** Long enough for the leader to take up what a dead process has left. */
async function recover(world: World): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await world.settle();
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "done",
    (error: unknown) => (error as { code: string }).code,
  );
}

it("repeating a completion whose process died completes it, with one answer", { timeout: 60_000 }, async () => {
  const points = await everywhere(async ({ world, complete }) => {
    const versionId = await complete();
    expect(await complete()).toBe(versionId);
    await world.settle();
    expect(await world.files()).toEqual(new Map([[KEY, BODY]]));
    expect(await world.faults(new Map([[KEY, BODY]]))).toEqual([]);
  });
  expect(points).toBeGreaterThan(3);
});

it(
  "a completion whose process died leaves the key as it was, until somebody asks again",
  { timeout: 60_000 },
  async () => {
    let done = 0;
    await everywhere(async ({ world }) => {
      const { uploads: before } = await world.rig.coordinator.listUploads(rigCtx, { prefix: "", limit: 10 });
      await recover(world);
      const files = await world.files();
      // Its last step is the commit, which makes the version and ends the upload at once.
      expect(files.get(KEY)).toBe(before.length === 0 ? BODY : OLD);
      if (before.length === 0) done += 1;
      const { uploads } = await world.rig.coordinator.listUploads(rigCtx, { prefix: "", limit: 10 });
      expect(uploads).toHaveLength(before.length);
      expect(await world.faults(files)).toEqual([]);
    });
    expect(done).toBeGreaterThan(0);
  },
);

describe("at sites whose uploads keep their keys, where somebody has put an object under the key meanwhile", () => {
  const stage: Stage = {
    wrap: (_site, store) => ({ store: fixedKeys(store) }),
    prepare: async () => undefined,
    before: putOld,
  };

  it(
    "repeating a completion whose process died completes it over that, as long as there are its parts",
    { timeout: 60_000 },
    async () => {
      let done = 0;
      const points = await everywhere(async ({ world, complete }) => {
        const outcome = await codeOf(complete());
        await recover(world);
        const files = await world.files();
        // What was there may have been brought back over what the dead process had made of the parts.
        expect([outcome, files.get(KEY)]).toEqual(outcome === "done" ? ["done", BODY] : ["Unavailable", OLD]);
        if (outcome === "done") done += 1;
        expect(await world.faults(files)).toEqual([]);
      }, stage);
      expect(points).toBeGreaterThan(10);
      expect(done).toBeGreaterThan(points / 2);
    },
  );

  it("a completion whose process died leaves that, under its key in the end", { timeout: 60_000 }, async () => {
    await everywhere(async ({ world }) => {
      const { uploads } = await world.rig.coordinator.listUploads(rigCtx, { prefix: "", limit: 10 });
      await recover(world);
      const files = await world.files();
      expect(files.get(KEY)).toBe(uploads.length === 0 ? BODY : OLD);
      expect(await world.faults(files)).toEqual([]);
    }, stage);
  });
});

interface Between {
  readonly name: string;
  readonly stage?: Stage;
  readonly change: (world: World) => Promise<void>;
  /** What a user may find from then on. */
  readonly possible: readonly Files[];
  /** A rename of a directory takes in what lies at the sites below it, as it finds it, and sends it nowhere else. */
  readonly takesIn?: string;
}

const nothing = async (): Promise<void> => undefined;
const deleteKey = async ({ rig }: World): Promise<void> => void (await rig.coordinator.deleteObject(rigCtx, KEY));
const empty: Stage = { prepare: nothing };
const filesOf = (...entries: readonly (readonly [string, string])[]): Files => new Map(entries);

const CHANGES: readonly Between[] = [
  { name: "a DELETE", change: deleteKey, possible: [filesOf()] },
  { name: "a DELETE of a key that was not there", stage: empty, change: deleteKey, possible: [filesOf()] },
  {
    name: "a DELETE of many keys",
    change: async ({ rig }) => void (await rig.coordinator.deleteObjects(rigCtx, [{ key: "other" }, { key: KEY }])),
    possible: [filesOf()],
  },
  {
    name: "a DELETE of many keys that were not there",
    stage: empty,
    change: async ({ rig }) => void (await rig.coordinator.deleteObjects(rigCtx, [{ key: "other" }, { key: KEY }])),
    possible: [filesOf()],
  },
  { name: "a PUT", change: (world) => world.put(KEY, NEWER), possible: [filesOf([KEY, NEWER])] },
  {
    name: "a PUT of a new key",
    stage: empty,
    change: (world) => world.put(KEY, NEWER),
    possible: [filesOf([KEY, NEWER])],
  },
  {
    name: "a PUT after the upload had been begun and one now",
    stage: { before: (world) => world.put(KEY, "older") },
    change: (world) => world.put(KEY, NEWER),
    possible: [filesOf([KEY, NEWER])],
  },
  {
    name: "a PUT and a DELETE",
    stage: empty,
    change: async (world) => {
      await world.put(KEY, NEWER);
      await deleteKey(world);
    },
    possible: [filesOf()],
  },
  {
    name: "a rename of the file",
    change: async ({ rig }) => await rig.coordinator.rename(rigCtx, { from: KEY, to: "e/y" }),
    possible: [filesOf(["e/y", OLD]), filesOf(["e/y", BODY])],
  },
  {
    name: "a rename of the file and back",
    change: async ({ rig }) => {
      await rig.coordinator.rename(rigCtx, { from: KEY, to: "e/y" });
      await rig.coordinator.rename(rigCtx, { from: "e/y", to: KEY });
    },
    possible: [filesOf([KEY, OLD]), filesOf([KEY, BODY])],
  },
  {
    name: "a rename of the directory",
    change: async ({ rig }) => await rig.coordinator.rename(rigCtx, { from: "d/", to: "e/" }),
    possible: [filesOf(["e/x", OLD]), filesOf(["e/x", BODY])],
  },
  {
    name: "a rename of the directory with another file in it",
    stage: { prepare: (world) => world.put("d/y", OLD) },
    change: async ({ rig }) => await rig.coordinator.rename(rigCtx, { from: "d/", to: "e/" }),
    possible: [filesOf(["e/y", OLD]), filesOf(["e/y", OLD], ["e/x", BODY])],
    takesIn: "e/x",
  },
  {
    name: "a rename of another file to the key",
    stage: { prepare: (world) => world.put("y", NEWER) },
    change: async ({ rig }) => await rig.coordinator.rename(rigCtx, { from: "y", to: KEY, overwrite: true }),
    possible: [filesOf([KEY, NEWER])],
  },
  {
    name: "a copy to the key",
    stage: {
      prepare: async (world) => {
        await putOld(world);
        await world.put("y", NEWER);
      },
    },
    change: async ({ rig }) => void (await rig.coordinator.copyObject(rigCtx, { from: { key: "y" }, key: KEY })),
    possible: [filesOf([KEY, NEWER], ["y", NEWER])],
  },
];

describe.each(CHANGES)("after $name that came before the recovery", ({ stage, change, possible, takesIn }) => {
  const stateOf = (files: Files): string =>
    JSON.stringify([...files].toSorted(([one], [other]) => (one < other ? -1 : 1)));
  const allowed = possible.map(stateOf);

  const settleAndCheck = async (world: World): Promise<void> => {
    await recover(world);
    const files = await world.files();
    expect(allowed).toContain(stateOf(files));
    await world.settle();
    if (takesIn !== undefined && files.has(takesIn)) return;
    expect(await world.faults(files)).toEqual([]);
    // Once more in another life, without the site that was told first.
    await world.start();
    world.away.add("local");
    expect(stateOf(await world.files())).toBe(stateOf(files));
  };

  it("an interrupted completion never lands", { timeout: 60_000 }, async () => {
    await everywhere(async ({ world }) => {
      expect(await codeOf(change(world))).toBe("done");
      const seen = stateOf(await world.files());
      expect(allowed).toContain(seen);
      await recover(world);
      expect(stateOf(await world.files())).toBe(seen);
      await settleAndCheck(world);
    }, stage);
  });

  it("repeating it completes it, unless it has happened", { timeout: 60_000 }, async () => {
    await everywhere(
      async ({ world, complete }) => {
        const { uploads } = await world.catalog.view((tx) => listUploads(tx, { prefix: "", limit: 10 }));
        expect(await codeOf(change(world))).toBe("done");
        const before = await world.files();
        const code = await codeOf(complete());
        // What the dead process had made under the path may have been deleted or taken in since: then that is said, and nothing is done.
        expect(["done", "Unavailable", "Conflict"]).toContain(code);
        await recover(world);
        const files = await world.files();
        const happened = code === "done" && uploads.length > 0;
        expect(stateOf(files)).toBe(stateOf(happened ? new Map([...before, [KEY, BODY]]) : before));
        if (takesIn !== undefined && files.has(takesIn)) return;
        expect(await world.faults(files)).toEqual([]);
      },
      { ...stage, sites: ONE },
    );
  });
});

it("aborting it ends it, or comes too late", { timeout: 60_000 }, async () => {
  await everywhere(async ({ world, abort }) => {
    const aborted = await codeOf(abort());
    await recover(world);
    expect([aborted, (await world.files()).get(KEY)]).toEqual(aborted === "done" ? ["done", OLD] : ["NotFound", BODY]);
    expect(await world.faults(await world.files())).toEqual([]);
  });
});

it("labels that were changed before the recovery stay", { timeout: 60_000 }, async () => {
  const tags = { colour: "green" };
  await everywhere(async ({ world }) => {
    const { coordinator } = world.rig;
    await coordinator.changeLabels(rigCtx, KEY, { tags });
    const { meta } = await coordinator.headObject(rigCtx, KEY);
    await recover(world);
    const found = (await coordinator.headObject(rigCtx, KEY)).meta;
    expect([found.versionId, found.details?.labels?.tags]).toEqual([meta.versionId, tags]);
    expect([OLD, BODY]).toContain((await world.files()).get(KEY));
  });
});

describe("in a bucket that keeps versions", () => {
  const stage: Stage = {
    prepare: async (world) => {
      const { coordinator } = world.rig;
      await coordinator.createBucket(rigCtx, { name: "d" });
      await coordinator.changeBucket(rigCtx, "d", { versioning: "enabled" });
      await putOld(world);
    },
  };
  const latestOf = async ({ rig }: World): Promise<string | undefined> =>
    (await rig.coordinator.listVersions(rigCtx, { prefix: KEY, limit: 10 })).entries.find((entry) => entry.isLatest)
      ?.versionId;

  it.each([
    { name: "a PUT", change: async (world: World) => await world.put(KEY, NEWER) },
    { name: "a DELETE", change: deleteKey },
  ])("an interrupted completion never becomes the latest after $name", { timeout: 60_000 }, async ({ change }) => {
    await everywhere(async ({ world, complete }) => {
      const { uploads } = await world.catalog.view((tx) => listUploads(tx, { prefix: "", limit: 10 }));
      await change(world);
      const latest = await latestOf(world);
      await recover(world);
      expect(await latestOf(world)).toBe(latest);
      expect(await codeOf(complete())).toBe("done");
      expect((await latestOf(world)) === latest).toBe(uploads.length === 0);
    }, stage);
  });
});
