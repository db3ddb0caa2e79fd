import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BUDGET, encodeKey, type Key, type Kv, type Program, type Transaction } from "../../../src/kv/index.ts";
import type { EngineUnderTest } from "./suite.ts";

const text = (value: string): Buffer => Buffer.from(value);
const ALL = { start: Buffer.from([0x00]), end: Buffer.from([0xff]) };

const put = (key: Key, value: Uint8Array) =>
  function* (tx: Transaction): Program<void> {
    tx.put(key, value);
  };

/** In this turn where the engine can. */
async function atOnce<T>(kv: Kv, program: (tx: Transaction) => Program<T>): Promise<T> {
  if (kv.transactSync === undefined) return await kv.transact(program, { durability: "visible" });
  return kv.transactSync(program);
}

/** What every engine promises of transactions that are answered before they are durable. What power loss leaves of them is for the simulation. */
export function describeDurability(engine: EngineUnderTest): void {
  describe(`durability of the ${engine.name} engine`, () => {
    let kv: Kv;
    let dispose: () => Promise<void>;

    beforeEach(async () => {
      ({ kv, dispose } = await engine.open());
    });
    afterEach(async () => await dispose());

    it("shows a visible transaction to every reader when it is answered, in order with the durable ones", async () => {
      const seen = async (name: string): Promise<boolean> => (await kv.view((tx) => tx.get(text(name)))) !== undefined;
      const batches = kv.watch(ALL, { signal: AbortSignal.timeout(5_000) })[Symbol.asyncIterator]();
      await kv.transact(put(text("a"), text("1")), { durability: "visible" });
      expect(await seen("a")).toBe(true);
      await kv.transact(put(text("b"), text("1")), { durability: "durable" });
      const before = await atOnce(kv, function* (tx): Program<string> {
        const found = yield* tx.get(text("b"));
        tx.put(text("c"), text("1"));
        return Buffer.from(found as Uint8Array).toString();
      });
      expect([before, await seen("b"), await seen("c")]).toEqual(["1", true, true]);
      await kv.flush();
      const revisions: number[] = [];
      const names: string[] = [];
      for (let count = 0; count < 3; count++) {
        const { value } = (await batches.next()) as { value: { revision: number; events: { key: Key }[] } };
        revisions.push(value.revision);
        names.push(...value.events.map(({ key }) => Buffer.from(key).toString()));
      }
      expect(names).toEqual(["a", "b", "c"]);
      expect(revisions).toEqual(revisions.toSorted((one, other) => one - other));
      expect(new Set(revisions).size).toBe(3);
      expect(await kv.revision()).toBe(revisions[2]);
    });

    it("tells who commits the revision that watchers get, and nothing of what staged nothing", async () => {
      const told: number[] = [];
      const committed = (revision: number): void => void told.push(revision);
      const batches = kv.watch(ALL, { signal: AbortSignal.timeout(5_000) });
      await kv.transact(put(text("a"), text("1")), { committed });
      await kv.transact(put(text("b"), text("2")), { committed, durability: "visible" });
      await kv.transact((tx) => tx.get(text("a")), { committed });
      const seen: number[] = [];
      for await (const { revision } of batches) if (seen.push(revision) === 2) break;
      expect(told).toEqual(seen);
    });

    it("leaves nothing of a synchronous transaction that throws, or that is larger than the budget", async () => {
      const failure = new Error("on purpose");
      const throwing = function* (tx: Transaction): Program<void> {
        tx.put(text("a"), text("1"));
        yield* tx.get(text("a"));
        throw failure;
      };
      await expect(atOnce(kv, throwing)).rejects.toBe(failure);
      await expect(
        atOnce(kv, function* (tx): Program<void> {
          for (let index = 0; index <= BUDGET.writes; index++) tx.put(encodeKey("k", index), text("x"));
        }),
      ).rejects.toMatchObject({ code: "TooLarge" });
      expect(await kv.view((tx) => tx.range({ ...ALL, limit: 10 }))).toEqual([]);
    });

    it("loses no update when durable, visible and synchronous transactions change one key at once", async () => {
      const increment = function* (tx: Transaction): Program<void> {
        const before = yield* tx.get(text("counter"));
        tx.put(text("counter"), text(String(Number(before === undefined ? 0 : Buffer.from(before).toString()) + 1)));
      };
      await Promise.all(
        Array.from({ length: 90 }, async (_, index) => {
          if (index % 3 === 0) await kv.transact(increment);
          else if (index % 3 === 1) await kv.transact(increment, { durability: "visible" });
          else await atOnce(kv, increment);
        }),
      );
      expect(Buffer.from((await kv.view((tx) => tx.get(text("counter")))) as Uint8Array).toString()).toBe("90");
    });

    it("refuses what is visible, and flushes, once it is closed", async () => {
      await kv.close();
      const refused = { code: "Unavailable" };
      await expect(kv.flush()).rejects.toMatchObject(refused);
      await expect(atOnce(kv, put(text("a"), text("1")))).rejects.toMatchObject(refused);
      await expect(kv.transact(put(text("a"), text("1")), { durability: "visible" })).rejects.toMatchObject(refused);
    });
  });
}
