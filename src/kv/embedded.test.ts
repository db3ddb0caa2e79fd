import { expect, test } from "vitest";
import { GfsError } from "../core/errors.ts";
import { createFakeClock } from "../core/testing/fake-clock.ts";
import { createEmbeddedKv } from "./embedded.ts";
import type { Table, TableWriter } from "./table.ts";
import { SortedTable } from "./engines/sorted-table.ts";
import type { Kv, Program, Transaction } from "./kv.ts";
import { positionOf } from "./position.ts";
import { encodeKey, prefixRange } from "./tuple.ts";

/** Rows in memory that say they have been in use for long. */
function tableSince(revision: number): Table & { failing: boolean } {
  const rows = new SortedTable();
  const writer: TableWriter = {
    get: (key) => rows.get(key),
    range: (query) => rows.range(query),
    put: (key, value) => rows.set(key, value),
    delete: (key) => rows.delete(key),
    revision: () => revision,
    setRevision: (next) => {
      revision = next;
    },
    setEphemeral: () => undefined,
  };
  return {
    engine: "aged",
    committed: rows,
    /** Nothing is written while it does; a batch that fails has been worked out before. */
    failing: false,
    write(work) {
      if (!this.failing) return work(writer);
      const before = revision;
      work({ ...writer, put: () => undefined, delete: () => undefined });
      revision = before;
      throw new GfsError("Unavailable", "The disk does not answer.");
    },
    assertRoom: () => undefined,
    giveRoom: async () => false,
    revision: () => revision,
    hold: () => ({ get: rows.get.bind(rows), range: rows.range.bind(rows), revision, release: () => undefined }),
    stats: () => ({ entries: rows.size, sizeBytes: rows.sizeBytes }),
    close: async () => undefined,
  };
}

const append = async (kv: Kv, ...values: readonly string[]): Promise<void> =>
  await kv.transact(function* (tx: Transaction): Program<void> {
    for (const value of values) tx.append(encodeKey("log"), Buffer.from(value));
  });

test("appends have positions in the order of commits, also after 2^32 and more than 2^33 of these", async () => {
  for (const revision of [7, 2 ** 32 - 2, 2 ** 33 - 2]) {
    const kv = createEmbeddedKv(tableSince(revision), { clock: createFakeClock() });
    await append(kv, "a", "b");
    await append(kv, "c");
    const found = await kv.view((tx) => tx.range({ ...prefixRange(encodeKey("log")), limit: 9 }));
    expect(found.map(({ value }) => Buffer.from(value).toString())).toEqual(["a", "b", "c"]);
    const [first, second, third] = found.map(({ key }) => positionOf(key)) as [number, number, number];
    expect([second - first, third - first]).toEqual([1, 1_024]);
    expect(first).toBe((revision + 1) * 1_024);
    expect(await kv.revision()).toBe(revision + 2);
    await kv.close();
  }
});

test("nothing is answered once it is closed, and closing twice is fine", async () => {
  const kv = createEmbeddedKv(tableSince(0), { clock: createFakeClock() });
  await kv.close();
  await kv.close();
  const closed = { code: "Unavailable" };
  await expect(append(kv, "a")).rejects.toMatchObject(closed);
  await expect(kv.view((tx) => tx.get(encodeKey("a")))).rejects.toMatchObject(closed);
  await expect(kv.revision()).rejects.toMatchObject(closed);
  await expect(kv.lease(1)).rejects.toMatchObject(closed);
  await expect(kv.stats()).rejects.toMatchObject(closed);
  expect(() => kv.revisionSync?.()).toThrow("is closed");
  expect(() => kv.watch(prefixRange(encodeKey("a")), { signal: new AbortController().signal })).toThrow("is closed");
});

test("snapshots that are still held when it is closed are given back, each once", async () => {
  const table = tableSince(0);
  let released = 0;
  const { hold } = table;
  table.hold = () => ({ ...hold.call(table), release: () => void (released += 1) });
  const kv = createEmbeddedKv(table, { clock: createFakeClock() });
  const [closed, held] = [await kv.snapshot(), await kv.snapshot()];
  await closed.close();
  await closed.close();
  expect(released).toBe(1);
  await kv.close();
  await held.close();
  expect(released).toBe(2);
  await expect(held.view((tx) => tx.get(encodeKey("a")))).rejects.toMatchObject({ code: "Unavailable" });
});

test("a transaction that changes nothing makes no revision, and none that fails is told to anybody", async () => {
  const table = tableSince(3);
  const kv = createEmbeddedKv(table, { clock: createFakeClock() });
  const controller = new AbortController();
  const heard: number[] = [];
  const watching = (async () => {
    for await (const { revision } of kv.watch(prefixRange(encodeKey("log")), { signal: controller.signal }))
      heard.push(revision);
  })();
  await append(kv);
  await expect(
    kv.transact(function* (tx): Program<void> {
      tx.append(encodeKey("log"), Buffer.from("x"));
      throw new Error("no");
    }),
  ).rejects.toThrow("no");
  expect(await kv.revision()).toBe(3);
  await append(kv, "a");
  await kv.close();
  await watching;
  expect(heard).toEqual([4]);
});

test("a watch has begun when it returns, and one that was stopped keeps nothing", async () => {
  const kv = createEmbeddedKv(tableSince(0), { clock: createFakeClock() });
  const controller = new AbortController();
  const batches = kv.watch(prefixRange(encodeKey("log")), { signal: controller.signal });
  await append(kv, "a");
  await append(kv, "b");
  const revisions: number[] = [];
  for await (const { revision } of batches) {
    revisions.push(revision);
    if (revisions.length === 2) controller.abort();
  }
  expect(revisions).toEqual([1, 2]);
  const stopped = kv.watch(prefixRange(encodeKey("log")), { signal: controller.signal });
  await append(kv, "c");
  expect(await stopped[Symbol.asyncIterator]().next()).toEqual({ done: true, value: undefined });
  await kv.close();
});

const seat = encodeKey("seat");
const sit = async (kv: Kv, name: string, ttlMs: number) => {
  const lease = await kv.lease(ttlMs);
  await kv.transact(function* (tx): Program<void> {
    tx.put(seat, Buffer.from(name), { lease: lease.id });
  });
  return lease;
};
const sitting = async (kv: Kv): Promise<string | undefined> => {
  const [row] = await kv.view((tx) => tx.range({ ...prefixRange(encodeKey("seat")), limit: 2 }));
  const value = await kv.view((tx) => tx.get(seat));
  expect(row?.value).toEqual(value);
  return value === undefined ? undefined : Buffer.from(value).toString();
};

test("leases have epochs that only grow, also over restarts", async () => {
  const table = tableSince(0);
  const epochs: number[] = [];
  for (let start = 0; start < 2; start++) {
    const kv = createEmbeddedKv(table, { clock: createFakeClock() });
    for (let count = 0; count < 2; count++) epochs.push((await kv.lease(100)).epoch);
    await kv.close();
  }
  expect(epochs).toEqual(epochs.toSorted((one, other) => one - other));
  expect(new Set(epochs).size).toBe(4);
});

test("a lease is granted on a full disk while there is room that is kept, and refused when there is none", async () => {
  const table = tableSince(0);
  const { write } = table;
  let [needed, kept] = [2, 3];
  table.write = (work) => {
    if (needed > 0) throw new GfsError("NoSpace", "The disk is full.");
    write.call(table, work);
  };
  table.giveRoom = async () => {
    if (kept === 0) return false;
    [needed, kept] = [needed - 1, kept - 1];
    return true;
  };
  const kv = createEmbeddedKv(table, { clock: createFakeClock() });
  expect((await kv.lease(100)).epoch).toBe(1);
  needed = 9;
  await expect(kv.lease(100)).rejects.toMatchObject({ code: "NoSpace" });
  expect([kept, await kv.revision()]).toEqual([0, 1]);
  await kv.close();
});

test("nobody sees the key of a lease that ended, also while it cannot be removed; whoever takes it next keeps it", async () => {
  const clock = createFakeClock();
  const table = tableSince(0);
  const kv = createEmbeddedKv(table, { clock });
  const lease = await sit(kv, "first", 100);
  expect(await sitting(kv)).toBe("first");
  table.failing = true;
  await clock.advance(100);
  expect([lease.lost.aborted, await sitting(kv), table.committed.get(seat)]).toEqual([
    true,
    undefined,
    Buffer.from("first"),
  ]);
  // It is tried again until the disk takes it.
  await clock.advance(1_000);
  table.failing = false;
  expect(table.committed.get(seat)).toEqual(Buffer.from("first"));
  await clock.advance(1_000);
  expect(table.committed.get(seat)).toBeUndefined();
  expect(clock.waiting).toBe(0);

  await sit(kv, "second", 100);
  table.failing = true;
  await clock.advance(100);
  table.failing = false;
  const third = await sit(kv, "third", 60_000);
  await clock.advance(5_000);
  expect([await sitting(kv), third.lost.aborted]).toEqual(["third", false]);
  await kv.close();
});

test("a transaction that reads sees no key of a lease that ended, and takes it away with what it writes", async () => {
  const clock = createFakeClock();
  const table = tableSince(0);
  const kv = createEmbeddedKv(table, { clock });
  const lease = await sit(kv, "first", 100);
  table.failing = true;
  await expect(lease.release()).rejects.toMatchObject({ code: "Unavailable" });
  table.failing = false;
  const found = await kv.transact(function* (tx): Program<unknown> {
    const before = yield* tx.get(seat);
    tx.put(encodeKey("other"), Buffer.from("x"));
    return before;
  });
  expect([found, table.committed.get(seat)]).toEqual([undefined, undefined]);
  await kv.close();
});

test("a key that was to live by another lease, or by none, still goes with its own when that commit failed", async () => {
  for (const hasLease of [true, false]) {
    const clock = createFakeClock();
    const table = tableSince(0);
    const kv = createEmbeddedKv(table, { clock });
    const first = await sit(kv, "first", 60_000);
    const second = await kv.lease(60_000);
    table.failing = true;
    await expect(
      kv.transact(function* (tx): Program<void> {
        tx.put(seat, Buffer.from("second"), hasLease ? { lease: second.id } : {});
      }),
    ).rejects.toMatchObject({ code: "Unavailable" });
    table.failing = false;
    await second.release();
    expect(await sitting(kv)).toBe("first");
    await first.release();
    expect(table.committed.get(seat)).toBeUndefined();
    await kv.close();
  }
});

test("commits what needs a lease only while that lives", async () => {
  const clock = createFakeClock();
  const kv = createEmbeddedKv(tableSince(1), { clock });
  const [key, other] = [encodeKey("x", 1), encodeKey("x", 2)];
  const lease = await kv.lease(60_000);
  const write = async (to: Uint8Array): Promise<void> =>
    await kv.transact(function* (tx): Program<void> {
      tx.requireLease(lease.id);
      tx.put(to, Buffer.from("x"));
    });
  await write(key);
  await clock.advance(60_001);
  await expect(write(other)).rejects.toMatchObject({ code: "StaleEpoch" });
  expect(await kv.view((tx) => tx.get(key))).toBeDefined();
  expect(await kv.view((tx) => tx.get(other))).toBeUndefined();
  await kv.close();
});
