import { describe, expect, test } from "vitest";
import { SortedTable } from "./engines/sorted-table.ts";
import type { Program, Reader } from "./kv.ts";
import { answer, reader, readerOf, runAsync, runSync } from "./program.ts";

const key = (text: string): Uint8Array => Buffer.from(text);
const table = new SortedTable();
table.set(key("a"), key("1"));
const all = { start: key("a"), end: key("z") };
/** Runs it in each of the ways, which have to agree. */
async function run<T>(program: (tx: Reader) => Program<T>): Promise<T> {
  const value = runSync(program(reader), table);
  expect(runSync(program(readerOf(table)), table)).toEqual(value);
  expect(await runAsync(program(reader), async (read) => answer(table, read))).toEqual(value);
  return value;
}

describe("programs", () => {
  test("get answers to what they read", async () => {
    const found = await run(function* (tx): Program<unknown> {
      const many = yield* tx.getMany([key("b"), key("a")]);
      const none = yield* tx.getMany([]);
      return [yield* tx.get(key("a")), many, none, (yield* tx.range({ ...all, limit: 5 })).length];
    });
    const one = key("1");
    expect(found).toEqual([one, [undefined, one], [], 1]);
  });

  test("ask for no key when they ask for none", () => {
    expect(reader.getMany([]).next()).toEqual({ done: true, value: [] });
  });

  test("read 1 to 10,000 entries of a range and up to 10,000 keys at once, and hear of it when they ask for more", async () => {
    const codes = await run(function* (tx): Program<string[]> {
      const heard: string[] = [];
      for (const limit of [0, 1, 10_000, 10_001, 1.5]) {
        try {
          yield* tx.range({ ...all, limit });
          heard.push("read");
        } catch (error) {
          heard.push((error as { code: string }).code);
        }
      }
      for (const count of [10_000, 10_001]) {
        try {
          heard.push(String((yield* tx.getMany(Array.from({ length: count }, () => key("a")))).length));
        } catch (error) {
          heard.push((error as { code: string }).code);
        }
      }
      return heard;
    });
    expect(codes).toEqual([
      "InvalidArgument",
      "read",
      "read",
      "InvalidArgument",
      "InvalidArgument",
      "10000",
      "InvalidArgument",
    ]);
  });

  test("run without a stop where the answers are at hand", () => {
    const { get, getMany, range } = readerOf(table);
    const one = key("1");
    for (const [read, value] of [
      [get(key("a")), one],
      [get(key("b")), undefined],
      [getMany([key("b"), key("a")]), [undefined, one]],
      [range({ ...all, limit: 5 }), [{ key: key("a"), value: one }]],
    ] as const)
      expect({ ...read.next() }).toEqual({ done: true, value });
  });

  test("end with the error of a read that they do not catch", async () => {
    const failing = function* (tx: Reader): Program<void> {
      yield* tx.range({ ...all, limit: 0 });
    };
    for (const reads of [reader, readerOf(table)]) expect(() => runSync(failing(reads), table)).toThrow("1 to 10000");
    await expect(runAsync(failing(reader), async (read) => answer(table, read))).rejects.toThrow("1 to 10000");
  });
});
