import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SortedTable } from "./engines/sorted-table.ts";
import type { RangeQuery } from "./kv.ts";
import type { Snapshot } from "./program.ts";
import { Staged } from "./staged.ts";

const keyOf = (number: number): Uint8Array => Buffer.from(String(number).padStart(4, "0"));
const numberOf = (bytes: Uint8Array): number => Number(Buffer.from(bytes).toString());
const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return (error as { code: string }).code;
  }
  return "none";
};
const staging = (base: Snapshot = new SortedTable()) => {
  const staged = new Staged(base);
  return { staged, tx: staged.transaction };
};

const write = fc.record({ number: fc.nat(60), value: fc.option(fc.nat(9), { nil: undefined }) });
const query = fc.record({
  from: fc.nat(60),
  to: fc.nat(61),
  limit: fc.integer({ min: 1, max: 8 }),
  reverse: fc.boolean(),
});
const step = fc.oneof(
  fc.record({ write }),
  fc.record({ query }),
  fc.record({ write: fc.array(write, { minLength: 101, maxLength: 130 }) }),
);

describe("writes that wait for their commit", () => {
  test("are seen by reads of the same transaction as if they had been made, whatever lies below", () => {
    fc.assert(
      fc.property(fc.array(write, { maxLength: 60 }), fc.array(step, { maxLength: 30 }), (below, steps) => {
        const table = new SortedTable();
        const model = new Map<number, number>();
        for (const { number, value } of below) {
          if (value === undefined) continue;
          table.set(keyOf(number), Buffer.from(String(value)));
          model.set(number, value);
        }
        const { staged, tx } = staging(table);
        for (const one of steps) {
          if ("query" in one) {
            const { from, to, limit, reverse } = one.query;
            const within = [...model].filter(([number]) => number >= from && number < to).sort(([a], [b]) => a - b);
            const found = staged.range({ start: keyOf(from), end: keyOf(to), limit, reverse });
            expect(found.map(({ key, value }) => [numberOf(key), numberOf(value)])).toEqual(
              (reverse ? within.toReversed() : within).slice(0, limit),
            );
            continue;
          }
          for (const { number, value } of [one.write].flat()) {
            if (value === undefined) {
              tx.delete(keyOf(number));
              model.delete(number);
            } else {
              tx.put(keyOf(number), Buffer.from(String(value)));
              model.set(number, value);
            }
            const found = staged.get(keyOf(number));
            expect(found === undefined ? undefined : numberOf(found)).toBe(value);
          }
        }
      }),
      { numRuns: 200 },
    );
  });

  test("ask below in pages that grow, to 10,000 entries at most, when all that comes back is deleted", () => {
    const table = new SortedTable();
    for (let number = 0; number < 60; number++) table.set(keyOf(number), Buffer.from("1"));
    const limits: number[] = [];
    const { staged, tx } = staging({
      get: (key) => table.get(key),
      range: (asked: RangeQuery) => {
        limits.push(asked.limit);
        return table.range(asked);
      },
    });
    for (let number = 0; number < 50; number++) tx.delete(keyOf(number));
    const found = staged.range({ start: keyOf(0), end: keyOf(99), limit: 2 });
    expect(found.map(({ key }) => numberOf(key))).toEqual([50, 51]);
    expect(limits).toEqual([2, 4, 8, 16, 32]);
    for (let number = 50; number < 60; number++) tx.delete(keyOf(number));
    tx.put(keyOf(3), Buffer.from("2"));
    table.set(keyOf(100), Buffer.from("1"));
    const below = staged.range({ start: keyOf(0), end: keyOf(100), limit: 2, reverse: true });
    expect(below.map(({ key }) => numberOf(key))).toEqual([3]);
    expect(limits.slice(5)).toEqual([2, 4, 8, 16, 32]);
  });

  test("have keys of 1 to 1,900 bytes and values of at most 448 KiB, appends, too", () => {
    const whole = Buffer.alloc(448 * 1_024);
    const over = Buffer.alloc(448 * 1_024 + 1);
    const [puts, appends] = [staging(), staging()];
    puts.tx.put(Buffer.alloc(1_900), whole);
    puts.tx.delete(Buffer.alloc(1));
    appends.tx.append(Buffer.alloc(1_900), whole);
    const { tx } = puts;
    const tooLarge = [
      () => tx.put(Buffer.alloc(0), Buffer.alloc(0)),
      () => tx.put(Buffer.alloc(1_901), Buffer.alloc(0)),
      () => tx.put(Buffer.alloc(1), over),
      () => tx.delete(Buffer.alloc(1_901)),
      () => tx.append(Buffer.alloc(1_901), Buffer.alloc(0)),
      () => tx.append(Buffer.alloc(1), over),
    ];
    expect(tooLarge.map(codeOf)).toEqual(tooLarge.map(() => "TooLarge"));
    expect([[...puts.staged.writes].length, appends.staged.appends.length]).toEqual([2, 1]);
  });

  test("are at most 512 KiB of keys and values, to the byte, and what is written over counts no more", () => {
    const { tx } = staging();
    tx.put(Buffer.from([1]), Buffer.alloc(400 * 1_024));
    tx.put(Buffer.from([1]), Buffer.alloc(300 * 1_024 - 1));
    tx.delete(Buffer.alloc(100));
    // An append's key has eight bytes more.
    tx.append(Buffer.alloc(92), Buffer.alloc(212 * 1_024 - 201));
    expect(tx.hasRoom({ writes: 1, sizeBytes: 1 })).toBe(true);
    expect(tx.hasRoom({ writes: 1, sizeBytes: 2 })).toBe(false);
    expect(codeOf(() => tx.delete(Buffer.alloc(2)))).toBe("TooLarge");
    const { tx: other } = staging();
    other.put(Buffer.from([1]), Buffer.alloc(300 * 1_024 - 1));
    other.append(Buffer.alloc(92), Buffer.alloc(212 * 1_024 - 100));
    expect(other.hasRoom({ writes: 1, sizeBytes: 0 })).toBe(true);
    expect(codeOf(() => other.delete(Buffer.alloc(1)))).toBe("TooLarge");
  });

  test("lie over a key that is read once, however often it is asked for", () => {
    const table = new SortedTable();
    table.set(keyOf(1), Buffer.from("one"));
    const asked: number[] = [];
    const { staged, tx } = staging({
      get: (key) => {
        asked.push(numberOf(key));
        return table.get(key);
      },
      range: (each) => table.range(each),
    });
    const read = (number: number): string | undefined => staged.get(keyOf(number))?.toString();
    expect([read(1), read(2), read(1), read(2)]).toEqual(["one", undefined, "one", undefined]);
    tx.put(keyOf(1), Buffer.from("other"));
    tx.put(keyOf(3), Buffer.from("new"));
    expect([read(1), read(3)]).toEqual(["other", "new"]);
    tx.delete(keyOf(1));
    expect([read(1), asked]).toEqual([undefined, [1, 2]]);
  });

  test("are at most a hundred, with the appends among them", () => {
    const { tx } = staging();
    const nothing = Buffer.alloc(0);
    for (let index = 0; index < 40; index++) tx.append(Buffer.from("a"), nothing);
    for (let index = 0; index < 60; index++) {
      expect(tx.hasRoom({ writes: 60 - index, sizeBytes: 0 })).toBe(true);
      expect(tx.hasRoom({ writes: 61 - index, sizeBytes: 0 })).toBe(false);
      tx.put(keyOf(index), nothing);
    }
    tx.put(keyOf(0), nothing);
    expect(codeOf(() => tx.put(keyOf(100), nothing))).toBe("TooLarge");
    const appends = staging().tx;
    for (let index = 0; index < 100; index++) appends.append(Buffer.from("a"), nothing);
    expect(codeOf(() => appends.append(Buffer.from("a"), nothing))).toBe("TooLarge");
  });

  test("grow the table unless all of them are deletes", () => {
    const [none, deletes, puts, appends] = [staging(), staging(), staging(), staging()];
    deletes.tx.delete(keyOf(1));
    puts.tx.delete(keyOf(1));
    puts.tx.put(keyOf(2), Buffer.alloc(0));
    appends.tx.append(keyOf(1), Buffer.alloc(0));
    const all = [none, deletes, puts, appends].map(({ staged }) => [staged.isEmpty, staged.growsTable]);
    expect(all).toEqual([
      [true, false],
      [false, false],
      [false, true],
      [false, true],
    ]);
  });
});
