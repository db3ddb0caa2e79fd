import { expect, test } from "vitest";
import { createFakeClock } from "../core/testing/fake-clock.ts";
import { type Counters, createEmbeddedKv, type Table, type TableWriter } from "./embedded.ts";
import { SortedTable } from "./engines/sorted-table.ts";
import type { Kv, Program, Transaction } from "./kv.ts";
import { encodeKey, prefixRange } from "./tuple.ts";

/** Rows in memory that say they have been in use for long. */
function tableSince(counters: Counters): Table {
  const rows = new SortedTable();
  const writer: TableWriter = {
    get: (key) => rows.get(key),
    range: (query) => rows.range(query),
    put: (key, value) => rows.set(key, value),
    delete: (key) => rows.delete(key),
    counters: () => counters,
    setCounters: (next) => {
      counters = next;
    },
    setEphemeral: () => undefined,
  };
  return {
    engine: "aged",
    committed: rows,
    commit: async (work) => work(writer),
    assertRoom: () => undefined,
    counters: () => counters,
    stats: () => ({ entries: rows.size, sizeBytes: rows.sizeBytes }),
    close: async () => undefined,
  };
}

const append = async (kv: Kv, ...values: readonly string[]): Promise<void> =>
  await kv.transact(function* (tx: Transaction): Program<void> {
    for (const value of values) tx.append(encodeKey("log"), Buffer.from(value));
  });

test("appends sort in the order of commits, also when there have been more than 2^32 and more than 2^33", async () => {
  for (const appended of [2 ** 32 - 2, 2 ** 33 - 2]) {
    const kv = createEmbeddedKv(tableSince({ revision: 7, appended }), { clock: createFakeClock() });
    await append(kv, "a", "b");
    await append(kv, "c");
    const found = await kv.view((tx) => tx.range({ ...prefixRange(encodeKey("log")), limit: 9 }));
    expect(found.map(({ value }) => Buffer.from(value).toString())).toEqual(["a", "b", "c"]);
    const sequences = found.map(({ key }) => Number(Buffer.from(key).readBigUInt64BE(key.byteLength - 8)));
    expect(sequences).toEqual([appended + 1, appended + 2, appended + 3]);
    expect(await kv.revision()).toBe(9);
    await kv.close();
  }
});

test("nothing is answered once it is closed, and closing twice is fine", async () => {
  const kv = createEmbeddedKv(tableSince({ revision: 0, appended: 0 }), { clock: createFakeClock() });
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

test("a transaction that changes nothing makes no revision, and none that fails is told to anybody", async () => {
  const table = tableSince({ revision: 3, appended: 0 });
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
