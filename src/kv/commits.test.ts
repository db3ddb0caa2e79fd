import { expect, test } from "vitest";
import { createFakeClock } from "../core/testing/fake-clock.ts";
import { createEmbeddedKv } from "./embedded.ts";
import type { Table, TableWriter } from "./table.ts";
import { SortedTable } from "./engines/sorted-table.ts";
import { type Kv, type Program, type Transaction, VISIBLE_BOUNDS } from "./kv.ts";
import { encodeKey } from "./tuple.ts";

/** Rows in memory before a disk that flushes when it is told to. */
function slowDisk() {
  const rows = new SortedTable();
  const flushes: { readonly rows: number; readonly end: (error?: Error) => void }[] = [];
  let revision = 0;
  let writes = 0;
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
  const table: Table = {
    engine: "slow",
    committed: rows,
    write(work) {
      writes += 1;
      work(writer);
    },
    flush: async () =>
      await new Promise<void>((resolve, reject) =>
        flushes.push({ rows: rows.size, end: (error) => (error === undefined ? resolve() : reject(error)) }),
      ),
    assertRoom: () => undefined,
    giveRoom: async () => false,
    revision: () => revision,
    hold: () => ({ get: rows.get.bind(rows), range: rows.range.bind(rows), revision, release: () => undefined }),
    stats: () => ({ entries: rows.size, sizeBytes: rows.sizeBytes }),
    close: async () => undefined,
  };
  return { table, flushes, writes: () => writes };
}

const put = (name: string) =>
  function* (tx: Transaction): Program<void> {
    tx.put(encodeKey(name), Buffer.from("x"));
  };
// oxlint-disable-next-line eslint/require-yield -- It reads nothing.
const nothing = function* (): Program<string> {
  return "nothing";
};
const seen = async (kv: Kv, name: string): Promise<boolean> =>
  (await kv.view((tx) => tx.get(encodeKey(name)))) !== undefined;
/** What has been answered so far. */
const answers = () => {
  const answered: string[] = [];
  return {
    answered,
    of: (name: string, promise: Promise<unknown>) =>
      void promise.then(
        () => answered.push(name),
        (error: { code: string }) => answered.push(`${name}: ${error.code}`),
      ),
  };
};
const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
};

test("a durable transaction is answered by a flush that began after it, a visible one at once, and those that gather share one", async () => {
  const { table, flushes, writes } = slowDisk();
  const kv = createEmbeddedKv(table, { clock: createFakeClock() });
  const { answered, of } = answers();
  of("one", kv.transact(put("one")));
  await turns();
  expect([flushes.length, answered, await seen(kv, "one")]).toEqual([1, [], true]);
  for (const name of ["two", "three"]) of(name, kv.transact(put(name)));
  await turns();
  expect([writes(), await seen(kv, "two")]).toEqual([1, false]);
  of("four", kv.transact(put("four"), { durability: "visible" }));
  await turns();
  expect([answered, writes()]).toEqual([["four"], 2]);
  flushes[0]?.end();
  await turns();
  expect([answered, flushes.map(({ rows }) => rows)]).toEqual([
    ["four", "one"],
    [1, 4],
  ]);
  flushes[1]?.end();
  await turns();
  expect(answered).toEqual(["four", "one", "two", "three"]);
  await kv.close();
  expect(flushes).toHaveLength(2);
});

test("a flush waits for what could be seen before it, as does a durable transaction that only looked", async () => {
  const { table, flushes } = slowDisk();
  const kv = createEmbeddedKv(table, { clock: createFakeClock() });
  const { answered, of } = answers();
  await kv.flush();
  expect(await kv.transact(nothing)).toBe("nothing");
  expect(flushes).toHaveLength(0);
  kv.transactSync?.(put("one"));
  of("first", kv.flush());
  kv.transactSync?.(put("two"));
  of("second", kv.flush());
  of("looked", kv.transact(nothing));
  expect(await kv.transact(nothing, { durability: "visible" })).toBe("nothing");
  await turns();
  flushes[0]?.end();
  await turns();
  expect(answered).toEqual(["first"]);
  flushes[1]?.end();
  await turns();
  expect(answered).toEqual(["first", "second", "looked"]);
  await kv.close();
});

test("what stands undurable is bounded: in time, and in number by a flush at the half and by waiting at the end", async () => {
  const { table, flushes } = slowDisk();
  const clock = createFakeClock();
  const kv = createEmbeddedKv(table, { clock });
  kv.transactSync?.(put("one"));
  await clock.advance(VISIBLE_BOUNDS.ms - 1);
  expect(flushes).toHaveLength(0);
  await clock.advance(1);
  expect(flushes).toHaveLength(1);
  flushes[0]?.end();
  await turns();
  for (let count = 1; count < VISIBLE_BOUNDS.commits / 2; count++) kv.transactSync?.(put("one"));
  expect(flushes).toHaveLength(1);
  for (let count = 0; count <= VISIBLE_BOUNDS.commits / 2; count++) kv.transactSync?.(put("one"));
  expect(flushes).toHaveLength(2);
  expect(() => kv.transactSync?.(put("more"))).toThrow("does not keep up");
  const { answered, of } = answers();
  of("more", kv.transact(put("more"), { durability: "visible" }));
  await turns();
  expect([answered, await seen(kv, "more")]).toEqual([[], false]);
  flushes[1]?.end();
  await turns();
  flushes[2]?.end();
  await turns();
  expect(answered).toEqual(["more"]);
  kv.transactSync?.(put("again"));
  const closed = kv.close();
  await turns();
  flushes[3]?.end();
  await closed;
});

test("after a flush that failed nothing is written any more, and whoever waits is told", async () => {
  const { table, flushes, writes } = slowDisk();
  const kv = createEmbeddedKv(table, { clock: createFakeClock() });
  const { answered, of } = answers();
  of("one", kv.transact(put("one")));
  await turns();
  of("two", kv.transact(put("two")));
  of("flush", kv.flush());
  flushes[0]?.end(new Error("EIO"));
  await turns();
  of("three", kv.transact(put("three"), { durability: "visible" }));
  await turns();
  expect(answered.toSorted()).toEqual(["flush", "one", "three", "two"].map((name) => `${name}: Unavailable`));
  expect(() => kv.transactSync?.(put("four"))).toThrow("could not be made durable");
  expect([writes(), await seen(kv, "one")]).toEqual([1, true]);
  await kv.close();
});
