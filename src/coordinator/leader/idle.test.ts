import { expect, it } from "vitest";
import type { FilePath, VersionId } from "../../core/ids.ts";
import { BUDGET, createMemoryKv, type Kv, type Reader } from "../../kv/index.ts";
import { createFakeClock } from "../../core/testing/fake-clock.ts";
import { endUpload, entombKey, findTombstone, oldTombstones, putUpload } from "../../namespace/index.ts";
import { createMemoryStore, type Store } from "../../stores/index.ts";
import { aroundCalls, CALLS, delegateStore } from "../../stores/layers/delegate.ts";
import { startRig } from "../testing/rig.ts";

/** What the leader costs while nobody asks for anything. */

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const TOMBSTONES_A_COMMIT = Math.floor(BUDGET.writes / 2);

async function bury(kv: Kv, count: number, deletedMs: number): Promise<void> {
  for (let from = 0; from < count; from += TOMBSTONES_A_COMMIT) {
    await kv.transact(function* (tx) {
      for (let index = from; index < Math.min(count, from + TOMBSTONES_A_COMMIT); index++) {
        const versionId = `0${String(index).padStart(25, "0")}` as VersionId;
        yield* entombKey(tx, { path: `d/${index}` as FilePath, deletedMs, versionId, etags: ["e"] });
      }
    });
  }
}

function countRows(kv: Kv): { readonly kv: Kv; readonly rows: () => number } {
  let rows = 0;
  const counted = (tx: Reader): Reader => ({
    *get(key) {
      rows += 1;
      return yield* tx.get(key);
    },
    *getMany(keys) {
      rows += keys.length;
      return yield* tx.getMany(keys);
    },
    *range(query) {
      const found = yield* tx.range(query);
      rows += 1 + found.length;
      return found;
    },
  });
  const { viewSync: _, ...rest } = kv;
  return {
    kv: {
      ...rest,
      view: (program) => kv.view((tx) => program(counted(tx))),
      transact: (program, options) => kv.transact((tx) => program({ ...tx, ...counted(tx) }), options),
    },
    rows: () => rows,
  };
}

function countCalls(store: Store, calls: string[]): Store {
  const around = aroundCalls(store, CALLS, (operation, args, call) => {
    calls.push(operation);
    return call(args);
  });
  return delegateStore(store, {
    ...around,
    sweep: (...args) => {
      calls.push("sweep");
      return store.sweep(...args);
    },
  });
}

async function leaveOpen(kv: Kv, count: number, startedMs: number): Promise<void> {
  const perCommit = Math.floor(BUDGET.writes / 6);
  const idOf = (index: number): VersionId => `0${String(index).padStart(25, "0")}` as VersionId;
  for (let from = 0; from < count; from += perCommit) {
    await kv.transact(function* (tx) {
      for (let index = from; index < Math.min(count, from + perCommit); index++) {
        const [path, uploadId] = [`d/${index}` as FilePath, idOf(index)];
        putUpload(tx, { path, uploadId, startedMs, metadata: {}, sites: [], inBucket: true });
        // Of as many what became of them is remembered.
        const ended = { path, uploadId: idOf(count + index), startedMs, metadata: {}, sites: [], inBucket: true };
        yield* endUpload(tx, ended, { path, uploadId: ended.uploadId, endedMs: startedMs });
      }
    });
  }
}

async function start(count: number) {
  const clock = createFakeClock();
  const counted = countRows(createMemoryKv({ clock }));
  const calls: string[] = [];
  await bury(counted.kv, count, clock.nowMs());
  await leaveOpen(counted.kv, count, clock.nowMs());
  const settings = {
    version: "0.0.0-test",
    clusterName: "test",
    maxObjectBytes: 1024 ** 2,
    tombstoneRetentionMs: DAY_MS,
    stagingRetentionMs: DAY_MS,
    uploadRetentionMs: 7 * DAY_MS,
    housekeepingIntervalMs: 60_000,
  };
  const rig = await startRig({
    kv: counted.kv,
    clock,
    sites: [
      { name: "one", role: "primary", store: countCalls(createMemoryStore({}, { clock }), calls) },
      { name: "two", role: "backup", store: countCalls(createMemoryStore({}, { clock }), calls) },
    ],
    overrides: { settings },
  });
  await clock.advance(60_000);
  return { rig, clock, calls, rows: counted.rows };
}

const COUNT = 20_000;

it(
  "asks no site but for its health, and reads the same of 20,000 remembered deletes, uploads under way and ended ones as of none",
  { timeout: 60_000 },
  async () => {
    const read: number[] = [];
    for (const count of [0, COUNT]) {
      const { rig, clock, calls, rows } = await start(count);
      calls.length = 0;
      const before = rows();
      for (let minute = 0; minute < 60; minute++) await clock.advance(60_000);
      read.push(rows() - before);
      expect(calls).toEqual([]);
      await rig.stop();
    }
    expect(read[1]).toBe(read[0]);
  },
);

it(
  "forgets remembered deletes in the first minute of their last, and asks no site for them",
  { timeout: 60_000 },
  async () => {
    const { rig, clock, calls } = await start(0);
    await bury(rig.kv, COUNT, clock.nowMs());
    await clock.advance(HOUR_MS);
    calls.length = 0;
    for (let hour = 0; hour < 24; hour++) await clock.advance(HOUR_MS);
    for (let turn = 0; turn < 20; turn++) await clock.advance(60_000);
    const left = await rig.kv.view((tx) => oldTombstones(tx, { untilMs: clock.nowMs(), limit: 10 }));
    expect(left).toEqual([]);
    expect(await rig.kv.view((tx) => findTombstone(tx, "d/1" as FilePath))).toBeUndefined();
    // Each site is swept once in that time, and asked before whether it is another catalog's, too.
    expect(calls.filter((call) => call === "head").length).toBe(2);
    await rig.stop();
  },
);
