import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Clock } from "../../../src/core/ports/clock.ts";
import { seededRandom } from "../../../src/core/ports/random.ts";
import { createFakeClock, type FakeClock } from "../../../src/core/testing/fake-clock.ts";
import { openFileStore, type Store } from "../../../src/stores/index.ts";
import { PowerLossDisk, type PowerLossOptions } from "./power-loss-disk.ts";
import { type Operation, StoreHistory } from "./store-history.ts";

/** Two processes change one site, both by way of its intake as far as they may, and the power goes at any moment. */
const LONG = process.env["GLOBALFS_LONG"] === "1";
const ROOT = "/site";
/** Longer than a segment stands, and than a guest stays one. */
const A_WHILE_MS = 11_000;

const key = fc.constantFrom("a", "b", "c");
type OnOneKey = Exclude<Operation, { readonly kind: "publish" }>;
const operation: fc.Arbitrary<OnOneKey> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom("put" as const, "create" as const),
      key,
      sizeBytes: fc.constantFrom(0, 600, 3_000, 9_000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete" as const), key }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("copy" as const), key, from: key }) },
);
const program = fc.record({
  steps: fc.array(
    fc.record({
      operations: fc.uniqueArray(fc.record({ operation, by: fc.constantFrom(0, 1) }), {
        minLength: 1,
        maxLength: 3,
        selector: ({ operation: { key: touched } }) => touched,
      }),
      rests: fc.boolean(),
    }),
    { minLength: 2, maxLength: 8 },
  ),
  seed: fc.nat(),
});
type Program = typeof program extends fc.Arbitrary<infer T> ? T : never;

/** Nobody has to move it for who waits a moment for the other process. */
function patientClock(): Clock & Pick<FakeClock, "advance"> {
  const clock = createFakeClock();
  return { ...clock, sleep: async () => undefined };
}

interface Life extends Program {
  readonly stopAfterCalls: number;
  readonly broken?: PowerLossOptions["broken"];
}

async function live({ steps, seed, stopAfterCalls, broken }: Life): Promise<number> {
  const disk = new PowerLossDisk({
    random: seededRandom(seed),
    isLocal: true,
    ...(broken === undefined ? {} : { broken }),
  });
  const clock = patientClock();
  const openStore = async (): Promise<Store> =>
    await openFileStore(
      { root: ROOT, intakeBytes: 5_000 },
      { disk, clock, intakeBounds: { segmentBytes: 24 * 1_024, segmentRecords: 4, segments: 2 } },
    );
  const history = new StoreHistory(seed);
  const stores = [await openStore(), await openStore()] as const;
  disk.stopAfter(disk.calls + stopAfterCalls);
  const before = disk.calls;
  for (const { operations, rests } of steps) {
    const distinct = operations.filter(
      ({ operation: each }) =>
        each.kind !== "copy" || operations.every(({ operation: other }) => other === each || other.key !== each.from),
    );
    const results = await Promise.allSettled(
      distinct.map(async ({ operation: each, by }) => await history.run(stores[by], each)),
    );
    for (const result of results) if (result.status === "rejected" && !disk.isStopped) throw result.reason;
    if (disk.isStopped) break;
    if (rests) await clock.advance(A_WHILE_MS);
  }
  const calls = disk.calls - before;
  if (disk.isStopped) for (const store of stores) await store.close();
  disk.crash(seededRandom(seed + stopAfterCalls));
  const again = await Promise.all([openStore(), openStore()]);
  for (const store of again) await history.verify(store);
  for (const store of again) await store.close();
  return calls;
}

describe("two processes at one site with an intake", () => {
  it(
    "lose nothing that one of them acknowledged, and undo no delete",
    { timeout: LONG ? 3_600_000 : 180_000 },
    async () => {
      let stops = 0;
      await fc.assert(
        fc.asyncProperty(program, fc.array(fc.nat(300), { maxLength: 12 }), async (lived, places) => {
          const calls = await live({ ...lived, stopAfterCalls: Number.POSITIVE_INFINITY });
          for (const place of places) await live({ ...lived, stopAfterCalls: place % calls });
          stops += places.length;
        }),
        { numRuns: LONG ? 5_000 : 60, endOnFailure: !LONG },
      );
      expect(stops).toBeGreaterThan(100);
    },
  );

  it(
    "show no torn object when a segment is taken away between its record and its place",
    { timeout: 180_000 },
    async () => {
      const put = (key: string, sizeBytes: number, by: 0 | 1) => ({
        operation: { kind: "put" as const, key, sizeBytes },
        by,
      });
      const copy = { operation: { kind: "copy" as const, key: "a", from: "a" }, by: 0 as const };
      const steps: Program["steps"] = [
        { operations: [put("a", 0, 1)], rests: false },
        {
          operations: [put("a", 0, 0), { operation: { kind: "delete", key: "c" }, by: 0 }, put("b", 600, 1)],
          rests: false,
        },
        { operations: [copy], rests: false },
        { operations: [copy], rests: false },
      ];
      for (const seed of [1_069_547_515, 1, 2]) {
        const calls = await live({ steps, seed, stopAfterCalls: Number.POSITIVE_INFINITY });
        for (let place = 0; place < calls; place++) await live({ steps, seed, stopAfterCalls: place });
      }
    },
  );
});
