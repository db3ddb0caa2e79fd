import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SortedTable } from "./sorted-table.ts";

const keyOf = (number: number): Uint8Array => Buffer.from(String(number).padStart(5, "0"));
const numbersOf = (entries: readonly { readonly key: Uint8Array }[]): number[] =>
  entries.map(({ key }) => Number(Buffer.from(key).toString()));

/** So many keys that there are several blocks. */
const change = fc.record({ number: fc.nat(1_500), sizeBytes: fc.option(fc.nat(20), { freq: 3, nil: undefined }) });

describe("a sorted table", () => {
  test("holds, counts, measures and lists what a plain map does", () => {
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 900, maxLength: 2_500, size: "max" }),
        fc.array(fc.record({ from: fc.nat(1_500), to: fc.nat(1_500), limit: fc.integer({ min: 1, max: 1_000 }) }), {
          maxLength: 20,
        }),
        (changes, queries) => {
          const table = new SortedTable();
          const model = new Map<number, number>();
          for (const { number, sizeBytes } of changes) {
            if (sizeBytes === undefined) {
              table.delete(keyOf(number));
              model.delete(number);
            } else {
              table.set(keyOf(number), Buffer.alloc(sizeBytes));
              model.set(number, sizeBytes);
            }
          }
          expect(table.size).toBe(model.size);
          expect(table.sizeBytes).toBe(Array.from(model.values()).reduce((sum, sizeBytes) => sum + 5 + sizeBytes, 0));
          for (const [number, sizeBytes] of model) expect(table.get(keyOf(number))?.byteLength).toBe(sizeBytes);
          expect(table.get(keyOf(1_501))).toBeUndefined();
          const sorted = [...model.keys()].sort((a, b) => a - b);
          for (const { from, to, limit } of [...queries, { from: 0, to: 1_501, limit: 2_000 }]) {
            const within = sorted.filter((number) => number >= from && number < to);
            const range = { start: keyOf(from), end: keyOf(to), limit };
            expect(numbersOf(table.range(range))).toEqual(within.slice(0, limit));
            expect(numbersOf(table.range({ ...range, reverse: true }))).toEqual(within.toReversed().slice(0, limit));
          }
        },
      ),
      { numRuns: 20 },
    );
  });

  test("is empty again when all is deleted, in whatever order, and takes new keys", () => {
    for (const order of [1, -1]) {
      const table = new SortedTable();
      const numbers = Array.from({ length: 1_000 }, (_, index) => index);
      for (const number of numbers) table.set(keyOf(number), Buffer.alloc(1));
      for (const number of order === 1 ? numbers : numbers.toReversed()) table.delete(keyOf(number));
      table.delete(keyOf(1));
      expect([table.size, table.sizeBytes]).toEqual([0, 0]);
      const all = { start: keyOf(0), end: keyOf(9_999), limit: 10 };
      expect([table.range(all), table.range({ ...all, reverse: true })]).toEqual([[], []]);
      table.set(keyOf(5), Buffer.alloc(1));
      expect(numbersOf(table.range(all))).toEqual([5]);
    }
  });

  test("keeps its own copies of what it is given", () => {
    const table = new SortedTable();
    const [key, value] = [keyOf(1), Buffer.from("v")];
    table.set(key, value);
    key.fill(0);
    value.fill(0);
    expect(table.get(keyOf(1))).toEqual(Buffer.from("v"));
  });

  test("finds nothing in a range that ends where it begins or before", () => {
    const table = new SortedTable();
    for (const number of [0, 1, 2]) table.set(keyOf(number), Buffer.alloc(1));
    for (const end of [keyOf(1), keyOf(0)])
      for (const reverse of [false, true]) expect(table.range({ start: keyOf(1), end, limit: 5, reverse })).toEqual([]);
  });
});
