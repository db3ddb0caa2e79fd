import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { backgroundCtx } from "../../../src/core/context.ts";
import { seededRandom } from "../../../src/core/ports/random.ts";
import { openFileStore, type Store } from "../../../src/stores/index.ts";
import { PowerLossDisk, type PowerLossOptions } from "./power-loss-disk.ts";
import { type Operation, StoreHistory } from "./store-history.ts";

const LONG = process.env["GLOBALFS_LONG"] === "1";
const KEYS = ["a", "a/b", "a/b/c", "d/e", "d/f", "..", "g/"];
/** From where objects are published. */
const LANDED = ["1", "2", "3"].map((name) => `.globalfs/landed/${name}`);

const key = fc.constantFrom(...KEYS);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom("put" as const, "create" as const),
      key: fc.oneof({ weight: 3, arbitrary: key }, { weight: 1, arbitrary: fc.constantFrom(...LANDED) }),
      sizeBytes: fc.constantFrom(0, 3, 600, 4_096, 9_000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete" as const), key }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("copy" as const), key, from: key }) },
  {
    weight: 1,
    arbitrary: fc
      .uniqueArray(fc.record({ key, from: fc.constantFrom(...LANDED, ...KEYS) }), {
        minLength: 1,
        maxLength: 4,
        selector: ({ key: to }) => to,
      })
      .map((moves) => ({ kind: "publish" as const, moves })),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("multipart" as const),
      key,
      parts: fc.integer({ min: 1, max: 3 }),
      resent: fc.integer({ min: 1, max: 4 }),
      irregular: fc.boolean(),
    }),
  },
);
/** The operations of one step run at once. */
const program = fc.array(fc.array(operation, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 5 });
type Steps = readonly (readonly Operation[])[];

interface Stop {
  readonly afterCalls: number;
  readonly by: "power loss" | "kill";
}

/** What runs at once touches each key once, so that every outcome is known. */
function apart(step: readonly Operation[]): Operation[] {
  const touched = new Set<string>();
  return step.filter((each) => {
    const keys =
      each.kind === "publish"
        ? each.moves.flatMap(({ key: to, from }) => [to, from])
        : each.kind === "copy"
          ? [each.key, each.from]
          : [each.key];
    if (new Set(keys).size < keys.length || keys.some((one) => touched.has(one))) return false;
    for (const one of keys) touched.add(one);
    return true;
  });
}

interface Life {
  readonly steps: Steps;
  readonly seed: number;
  readonly stop: Stop | undefined;
  readonly broken: PowerLossOptions["broken"] | undefined;
  readonly intake: Intake;
}

/**
 * Whether the disk can be flushed as a whole, and small contents are noted in segments as well, which are so small here that they are full all the
 * time.
 */
const INTAKES = ["no intake", "a local disk", "intake"] as const;
type Intake = (typeof INTAKES)[number];
const INTAKE_BYTES = 5_000;
const INTAKE_BOUNDS = { segmentBytes: 24 * 1_024, segmentRecords: 4, segments: 2 };

const ROOT = "/site";
/** The second stop comes within so many calls after the first. */
const SECOND_STOP_CALLS = 60;

/**
 * Runs the program; when it is stopped it recovers, tries again what was interrupted, as a client does, and goes on. Half of the time it is
 * stopped once more. At the end the power goes. Resolves with the number of calls.
 */
async function live({ steps, seed, stop, broken, intake }: Life): Promise<number> {
  const random = seededRandom(seed + (stop === undefined ? 0 : stop.afterCalls * 2 + 1));
  const disk = new PowerLossDisk({
    random: seededRandom(seed),
    isLocal: intake !== "no intake",
    ...(broken === undefined ? {} : { broken }),
  });
  const openStore = async (): Promise<Store> =>
    await openFileStore(
      { root: ROOT, intakeBytes: intake === "intake" ? INTAKE_BYTES : 0 },
      { disk, intakeBounds: INTAKE_BOUNDS },
    );
  const history = new StoreHistory(seed);
  if (stop !== undefined) disk.stopAfter(stop.afterCalls);
  let mayStopAgain = random.fraction() < 0.5;

  const recover = async (stopped?: Store): Promise<Store> => {
    // What it does beside its calls comes to its end, too.
    await stopped?.close();
    if (stop?.by === "kill") disk.restart();
    else disk.crash(random);
    const store = await openStore();
    if (stop?.by !== "kill") await history.verify(store);
    await history.resumeUploads(store);
    if (mayStopAgain) disk.stopAfter(disk.calls + Math.floor(random.fraction() * SECOND_STOP_CALLS));
    mayStopAgain = false;
    return store;
  };
  /** A failure counts only while the disk works. */
  const unlessStopped = (error: unknown): undefined => {
    if (!disk.isStopped) throw error;
    return undefined;
  };

  let store = await openStore().catch(unlessStopped);
  store ??= await recover();
  for (const step of steps) {
    for (let left = apart(step); left.length > 0;) {
      const current = store;
      const results = await Promise.allSettled(left.map(async (each) => await history.run(current, each)));
      for (const result of results) if (result.status === "rejected") unlessStopped(result.reason);
      left = left.filter((each, index) => results[index]?.status === "rejected" && each.kind !== "multipart");
      if (disk.isStopped) store = await recover(store);
    }
  }
  const { calls } = disk;
  if (random.fraction() < 0.2) await store.close();
  disk.crash(random);
  const last = await openStore();
  await history.verify(last);
  await last.sweep(backgroundCtx(), SWEEP_ALL_MS);
  await history.verify(last);
  return calls;
}

/** Younger than any age: sweeps whatever is staged. */
const SWEEP_ALL_MS = -1_000_000_000_000_000;

async function liveThroughEveryStop(life: Omit<Life, "stop">): Promise<number> {
  const calls = await live({ ...life, stop: undefined });
  for (let afterCalls = 0; afterCalls < calls; afterCalls++) {
    for (const by of ["power loss", "kill"] as const) {
      try {
        await live({ ...life, stop: { afterCalls, by } });
      } catch (error) {
        throw new Error(`After a ${by} at call ${afterCalls}: ${String(error)}`, { cause: error });
      }
    }
  }
  return calls;
}

const put = (name: string, sizeBytes = 9_000): Operation => ({ kind: "put", key: name, sizeBytes });
const publish = (...moves: readonly (readonly [string | undefined, string])[]): Operation => ({
  kind: "publish",
  moves: moves.map(([from, to]) => ({ from: from as string, key: to })),
});
const remove = (name: string): Operation => ({ kind: "delete", key: name });

/** Of the writes every so many go through the intake, where there is one. */
function smaller(steps: Steps, every: number): Steps {
  let count = 0;
  return steps.map((step) =>
    step.map((each) =>
      (each.kind === "put" || each.kind === "create") && count++ % every === 0 ? { ...each, sizeBytes: 3_000 } : each,
    ),
  );
}

/** Programs that random ones come upon seldom. */
const PROGRAMS: readonly { readonly what: string; readonly steps: Steps; readonly firstSeed?: number }[] = [
  {
    what: "an object that steps aside for a directory and comes back",
    steps: [[put("a")], [put("a/b")], [remove("a/b")], [put("a")], [remove("a")]],
  },
  {
    what: "a directory that is made and emptied by two at once",
    steps: [[put("d/e"), put("d/f")], [remove("d/e"), remove("d/f")], [put("d/e")]],
  },
  {
    what: "an object and keys below it, changed at once",
    steps: [
      [put("a"), put("a/b")],
      [remove("a"), put("a/b/c")],
      [remove("a/b"), put("a")],
    ],
  },
  {
    what: "an upload in parts below an object",
    steps: [[{ kind: "multipart", key: "a/b", parts: 2, resent: 1 }], [put("a")], [remove("a/b")]],
  },
  {
    what: "an upload of parts that have to be put in their places",
    steps: [[put("a")], [{ kind: "multipart", key: "a", parts: 3, resent: 2, irregular: true }]],
  },
  {
    what: "a part that is sent anew to a file of its own, beside other writes",
    steps: [[put(".."), { kind: "multipart", key: "g/", parts: 1, resent: 1, irregular: true }, put("d/e", 0)]],
    firstSeed: 580_739_426,
  },
  {
    what: "objects that are published together, over others and beside them",
    steps: [
      [put(LANDED[0] as string), put(LANDED[1] as string), put(LANDED[2] as string), put("a"), put("d/e")],
      [publish([LANDED[0], "a"], [LANDED[1], "d/e"], [LANDED[2], "a/b/c"])],
      [put("d/e"), put(LANDED[0] as string, 100)],
      [publish([LANDED[0], "a"]), remove("a/b/c")],
    ],
  },
  {
    what: "an object whose directories a delete beside it takes away while they are made",
    steps: [[put("a/b/c"), put("g/"), remove("a/b"), remove("a/b/d")]],
  },
];

describe.each(INTAKES)("the file driver with %s", (intake) => {
  it(
    "keeps what it acknowledged and tears nothing, at whichever disk call the machine stops",
    { timeout: LONG ? 3_600_000 : 180_000 },
    async () => {
      let stops = 0;
      await fc.assert(
        fc.asyncProperty(program, fc.nat(), async (steps, seed) => {
          stops += (await liveThroughEveryStop({ steps, seed, intake, broken: undefined })) * 2;
        }),
        { numRuns: LONG ? 2_000 : intake === "intake" ? 3 : 12, endOnFailure: !LONG },
      );
      expect(stops).toBeGreaterThan(100);
    },
  );

  it.each(PROGRAMS)(
    "survives every stop of $what",
    { timeout: LONG ? 600_000 : 180_000 },
    async ({ steps, firstSeed = 1 }) => {
      const programs = intake === "intake" ? [smaller(steps, 3), smaller(steps, 2), smaller(steps, 1)] : [steps];
      for (let count = 0; count < (LONG ? 200 : 3); count++) {
        const program = programs[count % programs.length] as Steps;
        await liveThroughEveryStop({ steps: program, seed: firstSeed + count, intake, broken: undefined });
      }
    },
  );

  const flushes = {
    "no intake": ["file sync", "directory sync"],
    "a local disk": ["file sync", "directory sync", "file system sync"],
    intake: ["file system sync", "log write"],
  } as const;

  it.each(flushes[intake])("is caught when a disk's %s does nothing", async (broken) => {
    const published = [
      [put(LANDED[0] as string), put(LANDED[1] as string), put(LANDED[2] as string)],
      [publish([LANDED[0], "a"], [LANDED[1], "d/e"], [LANDED[2], "d/f"])],
    ];
    const written = smaller([[put("a"), put("d/e")], [put("a/b")], [put("a")], [put("d/e")]], 1);
    const steps = intake === "a local disk" && broken === "file system sync" ? published : written;
    const survived: number[] = [];
    for (let seed = 1; seed <= 5; seed++) {
      await liveThroughEveryStop({ steps, seed, broken, intake }).then(
        () => survived.push(seed),
        (error: unknown) => expect(String(error)).toMatch(/possible:|checksum|lost|differ|NotFound|DataCorrupt/),
      );
    }
    expect(survived).toEqual([]);
  });
});
