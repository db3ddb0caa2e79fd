import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  BUDGET,
  encodeKey,
  type Key,
  type Kv,
  type KvEntry,
  positionOf,
  type Program,
  prefixRange,
  type RangeQuery,
  type Transaction,
} from "../../../src/kv/index.ts";

/** What every engine must do. `open` gives an empty one. */
export interface EngineUnderTest {
  readonly name: string;
  open(): Promise<{ kv: Kv; dispose(): Promise<void> }>;
}

const text = (value: string): Buffer => Buffer.from(value);
const ALL = { start: Buffer.from([0x00]), end: Buffer.from([0xff]) };

function put(key: Key, value: Uint8Array) {
  return function* (tx: { put(key: Key, value: Uint8Array): void }): Program<void> {
    tx.put(key, value);
  };
}

function* clearSome(tx: Transaction): Program<boolean> {
  const rows = yield* tx.range({ ...ALL, limit: BUDGET.writes });
  for (const { key } of rows) tx.delete(key);
  return rows.length > 0;
}

export function describeEngine(engine: EngineUnderTest): void {
  describe(`the ${engine.name} engine`, () => {
    let kv: Kv;
    let dispose: () => Promise<void>;

    beforeAll(async () => {
      ({ kv, dispose } = await engine.open());
    });
    afterAll(async () => {
      await dispose();
    });
    beforeEach(async () => {
      while (await kv.transact(clearSome));
    });

    const read = async (query: RangeQuery): Promise<string[]> =>
      (await kv.view((tx) => tx.range(query))).map(({ key }) => Buffer.from(key).toString());

    it("keeps the state of a snapshot while commits go on, until it is closed", async () => {
      const large = Buffer.alloc(300_000, "large");
      await kv.transact(put(text("a"), text("1")));
      await kv.transact(put(text("z"), large));
      const snapshot = await kv.snapshot();
      expect(snapshot.revision).toBe(await kv.revision());
      expect(await snapshot.view((tx) => tx.get(text("z")))).toEqual(large);
      await kv.transact(function* (tx): Program<void> {
        tx.delete(text("z"));
      });
      expect(await snapshot.view((tx) => tx.get(text("z")))).toEqual(large);
      await kv.transact(function* (tx): Program<void> {
        tx.put(text("a"), text("2"));
        tx.put(text("b"), text("2"));
      });
      const later = await kv.snapshot();
      expect(later.revision).toBeGreaterThan(snapshot.revision);
      for (const [state, rows] of [
        [snapshot, ["a", "z"]],
        [later, ["a", "b"]],
      ] as const) {
        await new Promise((resolve) => setImmediate(resolve));
        expect((await state.view((tx) => tx.range({ ...ALL, limit: 10 }))).map(({ key }) => String(key))).toEqual(rows);
      }
      expect(await snapshot.view((tx) => tx.get(text("a")))).toEqual(text("1"));
      expect(await snapshot.view((tx) => tx.get(text("b")))).toBeUndefined();
      await snapshot.close();
      await snapshot.close();
      await expect(snapshot.view((tx) => tx.get(text("a")))).rejects.toMatchObject({ code: "Unavailable" });
      expect(await later.view((tx) => tx.getMany([text("a"), text("b")]))).toEqual([text("2"), text("2")]);
      await later.close();
      expect(await kv.view((tx) => tx.get(text("a")))).toEqual(text("2"));
    });

    it("returns what was put, and nothing for what was deleted", async () => {
      await kv.transact(put(text("a"), text("1")));
      expect(await kv.view((tx) => tx.get(text("a")))).toEqual(text("1"));
      await kv.transact(function* (tx): Program<void> {
        tx.delete(text("a"));
      });
      expect(await kv.view((tx) => tx.get(text("a")))).toBeUndefined();
    });

    it("keeps empty values apart from absent ones", async () => {
      await kv.transact(put(text("a"), text("")));
      expect((await kv.view((tx) => tx.get(text("a"))))?.byteLength).toBe(0);
    });

    it("reads many keys at once, in their order, with what the transaction wrote itself", async () => {
      await kv.transact(function* (tx): Program<void> {
        tx.put(text("a"), text("1"));
        tx.put(text("b"), Buffer.alloc(5_000, 2));
      });
      const keys = [text("b"), text("none"), text("a"), text("b")];
      const found = await kv.view((tx) => tx.getMany(keys));
      expect(found).toEqual([Buffer.alloc(5_000, 2), undefined, text("1"), Buffer.alloc(5_000, 2)]);
      const staged = await kv.transact(function* (tx): Program<unknown> {
        tx.delete(text("a"));
        tx.put(text("none"), text("3"));
        return yield* tx.getMany(keys);
      });
      expect(staged).toEqual([Buffer.alloc(5_000, 2), text("3"), undefined, Buffer.alloc(5_000, 2)]);
      expect(await kv.view((tx) => tx.getMany([]))).toEqual([]);
      await expect(kv.view((tx) => tx.getMany(Array.from({ length: 10_001 }, () => text("a"))))).rejects.toMatchObject({
        code: "InvalidArgument",
      });
    });

    it("reads ranges between the many writes of one transaction as if each had been committed", async () => {
      const name = (index: number): Buffer => text(`k${String((index * 7) % 100).padStart(3, "0")}`);
      await kv.transact(function* (tx): Program<void> {
        for (let index = 0; index < 100; index += 2) tx.put(name(index), text("old"));
      });
      await kv.transact(function* (tx): Program<void> {
        const model = new Map<string, string>();
        for (let index = 0; index < 100; index += 2) model.set(name(index).toString(), "old");
        // Each key is written again and again; ranges come seldom at first, then after every write.
        for (let index = 0; index < 400; index++) {
          const key = name(index);
          if (index % 3 === 0) tx.delete(key);
          else tx.put(key, text(`new ${index}`));
          if (index % 3 === 0) model.delete(key.toString());
          else model.set(key.toString(), `new ${index}`);
          if (index < 200 && index % 150 !== 0) continue;
          const expected = [...model].sort(([one], [other]) => (one < other ? -1 : 1));
          for (const reverse of [false, true]) {
            const found = yield* tx.range({ start: text("k"), end: text("l"), limit: 3, reverse });
            const [first, second, third] = reverse ? expected.toReversed() : expected;
            expect(
              found.map(({ key: each, value }) => [Buffer.from(each).toString(), Buffer.from(value).toString()]),
            ).toEqual([first, second, third]);
          }
        }
      });
    });

    it("orders keys as unsigned bytes and reads ranges both ways, within bounds and limits", async () => {
      const keys = [
        Buffer.from([1]),
        Buffer.from([1, 0]),
        Buffer.from([0x7f]),
        Buffer.from([0x80]),
        Buffer.from([0xfe, 0xff]),
      ];
      await kv.transact(function* (tx): Program<void> {
        for (const key of keys.toReversed()) tx.put(key, text("x"));
      });
      const found = async (query: RangeQuery): Promise<Buffer[]> =>
        (await kv.view((tx) => tx.range(query))).map((entry) => Buffer.from(entry.key));
      expect(await found({ ...ALL, limit: 10 })).toEqual(keys);
      expect(await found({ ...ALL, limit: 10, reverse: true })).toEqual(keys.toReversed());
      expect(await found({ start: Buffer.from([1]), end: Buffer.from([0x80]), limit: 10 })).toEqual(keys.slice(0, 3));
      expect(await found({ start: Buffer.from([1]), end: Buffer.from([0x80]), limit: 2, reverse: true })).toEqual([
        keys[2],
        keys[1],
      ]);
      expect(await found({ start: Buffer.from([0x80]), end: Buffer.from([0x80]), limit: 2 })).toEqual([]);
    });

    it("shows a transaction its own writes, also in ranges of both directions", async () => {
      await kv.transact(function* (tx): Program<void> {
        for (const name of ["b", "d", "f"]) tx.put(text(name), text("old"));
      });
      await kv.transact(function* (tx): Program<void> {
        tx.put(text("a"), text("new"));
        tx.put(text("e"), text("new"));
        tx.delete(text("d"));
        expect(yield* tx.get(text("d"))).toBeUndefined();
        expect(yield* tx.get(text("e"))).toEqual(text("new"));
        const forward = yield* tx.range({ ...ALL, limit: 3 });
        expect(forward.map(({ key }) => Buffer.from(key).toString())).toEqual(["a", "b", "e"]);
        const backward = yield* tx.range({ ...ALL, limit: 3, reverse: true });
        expect(backward.map(({ key }) => Buffer.from(key).toString())).toEqual(["f", "e", "b"]);
      });
    });

    it("behaves like a sorted map under any sequence of transactions", async () => {
      const key = fc
        .uint8Array({ minLength: 1, maxLength: 3 })
        .map((bytes) => Buffer.from(bytes.map((byte) => byte % 4)));
      const write = fc.tuple(key, fc.option(fc.uint8Array({ maxLength: 4 })));
      const step = fc.record({
        writes: fc.array(write, { maxLength: 6 }),
        fails: fc.boolean(),
        from: key,
        to: key,
        limit: fc.integer({ min: 1, max: 5 }),
        reverse: fc.boolean(),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
          await kv.transact(function* (tx): Program<void> {
            for (const entry of yield* tx.range({ start: Buffer.alloc(1), end: Buffer.from([0xff]), limit: 10_000 }))
              tx.delete(entry.key);
          });
          const model = new Map<string, Buffer>();
          for (const { writes, fails, from, to, limit, reverse } of steps) {
            const next = new Map(model);
            for (const [name, value] of writes) {
              if (value === null) next.delete(name.toString("hex"));
              else next.set(name.toString("hex"), Buffer.from(value));
            }
            const expected = [...next.keys()]
              .map((name) => Buffer.from(name, "hex"))
              .sort(Buffer.compare)
              .filter((name) => Buffer.compare(name, from) >= 0 && Buffer.compare(name, to) < 0);
            if (reverse) expected.reverse();
            const work = kv.transact(function* (tx): Program<Buffer[]> {
              for (const [name, value] of writes) {
                if (value === null) tx.delete(name);
                else tx.put(name, value);
              }
              const inside = (yield* tx.range({ start: from, end: to, limit, reverse })).map((entry) =>
                Buffer.from(entry.key),
              );
              if (fails) throw new Error("undo");
              return inside;
            });
            if (fails) {
              await expect(work).rejects.toThrow("undo");
              continue;
            }
            expect(await work).toEqual(expected.slice(0, limit));
            model.clear();
            for (const [name, value] of next) model.set(name, value);
            const after = await kv.view((tx) => tx.range({ start: from, end: to, limit, reverse }));
            expect(after.map((entry) => Buffer.from(entry.key))).toEqual(expected.slice(0, limit));
            for (const entry of after)
              expect(Buffer.from(entry.value)).toEqual(model.get(Buffer.from(entry.key).toString("hex")));
          }
        }),
        { numRuns: 60 },
      );
    });

    it("loses no update when many transactions change one key at once", async () => {
      const counter = text("counter");
      const increment = function* (tx: Parameters<Parameters<Kv["transact"]>[0]>[0]): Program<void> {
        const before = yield* tx.get(counter);
        tx.put(counter, text(String(Number(before === undefined ? 0 : Buffer.from(before).toString()) + 1)));
      };
      await Promise.all(Array.from({ length: 200 }, async () => await kv.transact(increment)));
      expect(Buffer.from((await kv.view((tx) => tx.get(counter))) as Uint8Array).toString()).toBe("200");
    });

    it("lets no two transactions each act on what the other changes", async () => {
      await kv.transact(function* (tx): Program<void> {
        tx.put(text("on-call/one"), text("yes"));
        tx.put(text("on-call/two"), text("yes"));
      });
      const leave = (name: string) => async (): Promise<boolean> =>
        await kv.transact(function* (tx): Program<boolean> {
          const present = yield* tx.range({ ...prefixRange(text("on-call/")), limit: 10 });
          if (present.length < 2) return false;
          tx.delete(text(`on-call/${name}`));
          return true;
        });
      const left = await Promise.all([leave("one")(), leave("two")()]);
      expect(left.filter(Boolean)).toHaveLength(1);
    });

    it("leaves nothing of a program that throws, and passes its error on as it was", async () => {
      const failure = new Error("on purpose");
      await expect(
        kv.transact(function* (tx): Program<void> {
          tx.put(text("a"), text("1"));
          yield* tx.get(text("a"));
          throw failure;
        }),
      ).rejects.toBe(failure);
      expect(await read({ ...ALL, limit: 10 })).toEqual([]);
    });

    it("refuses keys, values, ranges and transactions beyond its limits and changes nothing", async () => {
      const attempts: [string, Parameters<Kv["transact"]>[0]][] = [
        ["empty key", put(Buffer.alloc(0), text("x"))],
        ["long key", put(Buffer.alloc(1_901, 1), text("x"))],
        ["large value", put(text("a"), Buffer.alloc(BUDGET.valueBytes + 1))],
        [
          "large transaction",
          function* (tx): Program<void> {
            for (let index = 0; index < 5; index++) tx.put(text(`k${index}`), Buffer.alloc(128 * 1024));
          },
        ],
        [
          "many writes",
          function* (tx): Program<void> {
            for (let index = 0; index <= BUDGET.writes; index++) tx.put(encodeKey("k", index), text("x"));
          },
        ],
        [
          "many appends",
          function* (tx): Program<void> {
            for (let index = 0; index <= BUDGET.writes; index++) tx.append(encodeKey("k"), text("x"));
          },
        ],
        ["range without bound", (tx) => tx.range({ ...ALL, limit: 10_001 })],
      ];
      for (const [what, program] of attempts) {
        await expect(kv.transact(program), what).rejects.toMatchObject({
          code: expect.stringMatching(/TooLarge|InvalidArgument/) as string,
        });
      }
      expect(await read({ ...ALL, limit: 10 })).toEqual([]);
      await kv.transact(put(Buffer.alloc(1_900, 1), Buffer.alloc(BUDGET.valueBytes, 7)));
      expect((await kv.view((tx) => tx.get(Buffer.alloc(1_900, 1))))?.byteLength).toBe(BUDGET.valueBytes);
      await kv.transact(function* (tx): Program<void> {
        for (let index = 0; index < BUDGET.writes; index++) tx.put(encodeKey("k", index), text("x"));
      });
      expect(await read({ ...prefixRange(encodeKey("k")), limit: 1_000 })).toHaveLength(BUDGET.writes);
    });

    it("says for what a transaction has room, and takes that", async () => {
      await kv.transact(function* (tx): Program<void> {
        let index = 0;
        while (tx.hasRoom({ writes: 1, sizeBytes: 10_000 })) tx.put(encodeKey("k", index++), Buffer.alloc(9_900));
        expect(index).toBeGreaterThan(45);
        expect(tx.hasRoom({ writes: BUDGET.writes - index, sizeBytes: 0 })).toBe(true);
        expect(tx.hasRoom({ writes: BUDGET.writes - index + 1, sizeBytes: 0 })).toBe(false);
      });
      expect((await read({ ...ALL, limit: 1_000 })).length).toBeGreaterThan(45);
    });

    it("gives appends positions in the order of the commits, by their revisions", async () => {
      const prefix = encodeKey("log");
      await Promise.all(
        Array.from(
          { length: 50 },
          async (_, index) =>
            await kv.transact(function* (tx): Program<void> {
              tx.append(prefix, text(`${index}a`));
              tx.append(prefix, text(`${index}b`));
            }),
        ),
      );
      const rows = await kv.view((tx) => tx.range({ ...prefixRange(prefix), limit: 1_000 }));
      const values = rows.map(({ value }) => Buffer.from(value).toString());
      expect(values).toHaveLength(100);
      for (let index = 0; index < 100; index += 2) expect(values[index + 1]).toBe(values[index]?.replace("a", "b"));
      expect(positionOf((rows.at(-1) as KvEntry).key)).toBe((await kv.revision()) * 1_024 + 1);
    });

    it("begins a watch before it returns, so that nothing that comes after is missed", async () => {
      const batches = kv.watch(prefixRange(text("w/")), { signal: AbortSignal.timeout(5_000) });
      await kv.transact(put(text("w/1"), text("a")));
      const { value: batch } = (await batches[Symbol.asyncIterator]().next()) as { value: { events: unknown[] } };
      expect(batch.events).toHaveLength(1);
    });

    it("gives each lease a higher epoch than all before", async () => {
      const leases = await Promise.all(Array.from({ length: 5 }, async () => await kv.lease(60_000)));
      const epochs = leases.map(({ epoch }) => epoch);
      expect(new Set(epochs).size).toBe(5);
      await leases[0]?.release();
      expect((await kv.lease(60_000)).epoch).toBeGreaterThan(Math.max(...epochs));
      await expect(kv.lease(0)).rejects.toMatchObject({ code: "InvalidArgument" });
    });

    it("tells watchers of every commit in their range, once, in order", async () => {
      const stop = new AbortController();
      const seen: string[] = [];
      const range = prefixRange(text("w/"));
      const watching = (async () => {
        for await (const batch of kv.watch(range, { signal: stop.signal })) {
          for (const { key, value } of batch.events)
            seen.push(`${Buffer.from(key).toString()}=${value === undefined ? "-" : Buffer.from(value).toString()}`);
          if (seen.length === 4) stop.abort();
        }
      })();
      await Promise.resolve();
      await kv.transact(put(text("w/1"), text("a")));
      await kv.transact(put(text("other"), text("x")));
      await kv.transact(function* (tx): Program<void> {
        tx.put(text("w/2"), text("b"));
        tx.put(text("w/3"), text("c"));
      });
      await kv.transact(function* (tx): Program<void> {
        tx.delete(text("w/1"));
      });
      await watching;
      expect(seen).toEqual(["w/1=a", "w/2=b", "w/3=c", "w/1=-"]);
    });

    it("replays commits after a revision, and refuses one that it has forgotten", async () => {
      const before = await kv.revision();
      await kv.transact(put(text("w/1"), text("a")));
      expect(await kv.revision()).toBeGreaterThan(before);
      const stop = new AbortController();
      for await (const batch of kv.watch(ALL, { afterRevision: before, signal: stop.signal })) {
        expect(batch.revision).toBeGreaterThan(before);
        expect(batch.events).toHaveLength(1);
        stop.abort();
      }
      for (let index = 0; index < 210; index++) {
        await kv.transact(function* (tx): Program<void> {
          for (let inner = 0; inner < 100; inner++) tx.put(encodeKey("many", inner), text("x"));
        });
      }
      const watch = kv.watch(ALL, { afterRevision: before, signal: new AbortController().signal });
      await expect(watch[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "StaleEpoch" });
    });

    it("cuts off a watcher that does not keep up, instead of remembering without bound", async () => {
      const watch = kv.watch(ALL, { signal: new AbortController().signal })[Symbol.asyncIterator]();
      const first = watch.next();
      await kv.transact(put(text("first"), text("x")));
      await first;
      for (let index = 0; index < 250; index++) {
        await kv.transact(function* (tx): Program<void> {
          for (let inner = 0; inner < 100; inner++) tx.put(encodeKey("many", inner), text("x"));
        });
      }
      await expect(watch.next()).rejects.toMatchObject({ code: "Overloaded" });
    });

    it("removes the keys of a lease that is released, and of no other", async () => {
      const lease = await kv.lease(60_000);
      await kv.transact(function* (tx): Program<void> {
        tx.put(text("seat/1"), text("x"), { lease: lease.id });
        tx.put(text("seat/2"), text("x"), { lease: lease.id });
        tx.put(text("seat/3"), text("x"));
      });
      await kv.transact(put(text("seat/2"), text("kept")));
      await lease.keepAlive();
      await lease.release();
      expect(lease.lost.aborted).toBe(true);
      expect(await read({ ...prefixRange(text("seat/")), limit: 10 })).toEqual(["seat/2", "seat/3"]);
      await expect(lease.keepAlive()).rejects.toMatchObject({ code: "StaleEpoch" });
      await expect(
        kv.transact(function* (tx): Program<void> {
          tx.put(text("seat/4"), text("x"), { lease: lease.id });
        }),
      ).rejects.toMatchObject({ code: "StaleEpoch" });
    });

    it("removes the keys of a lease whose time is over", async () => {
      const lease = await kv.lease(30);
      await kv.transact(function* (tx): Program<void> {
        tx.put(text("seat/1"), text("x"), { lease: lease.id });
      });
      const batches = kv.watch(prefixRange(text("seat/")), { signal: AbortSignal.timeout(5_000) });
      const gone = batches[Symbol.asyncIterator]().next();
      const { value: batch } = (await gone) as { value: { events: { value: unknown }[] } };
      expect(batch.events[0]?.value).toBeUndefined();
      expect(lease.lost.aborted).toBe(true);
    });

    it("finishes what runs when it is closed, tells watchers of it, and is closed once", async () => {
      const other = await engine.open();
      const seen: string[] = [];
      const watching = (async () => {
        const { signal } = new AbortController();
        for await (const { events } of other.kv.watch({ start: text("a"), end: text("b") }, { signal }))
          seen.push(...events.map(({ key }) => Buffer.from(key).toString()));
      })();
      const names = Array.from({ length: 20 }, (_, index) => `a${String(index).padStart(2, "0")}`);
      const running = names.map(async (name) => await other.kv.transact(put(text(name), text("1"))));
      await other.kv.close();
      await Promise.all(running);
      await watching;
      expect(seen).toEqual(names);
      await other.kv.close();
      await other.dispose();
    });

    it("refuses every call once it is closed", async () => {
      const other = await engine.open();
      const { kv: gone } = other;
      await gone.close();
      const refused = { code: "Unavailable" };
      await expect(gone.view((tx) => tx.get(text("a")))).rejects.toMatchObject(refused);
      await expect(gone.revision()).rejects.toMatchObject(refused);
      await expect(gone.flush()).rejects.toMatchObject(refused);
      await expect(gone.lease(1_000)).rejects.toMatchObject(refused);
      await expect(gone.stats()).rejects.toMatchObject(refused);
      await other.dispose();
    });

    it("refuses work once it is closed", async () => {
      const other = await engine.open();
      await other.kv.close();
      await expect(other.kv.transact(put(text("a"), text("1")))).rejects.toMatchObject({ code: "Unavailable" });
      await other.dispose();
    });
  });
}
