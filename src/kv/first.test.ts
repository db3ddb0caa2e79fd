import { expect, test } from "vitest";
import { createMemoryKv } from "./engines/memory.ts";
import { findFirst, findLast } from "./first.ts";
import type { Program } from "./kv.ts";
import { encodeKey } from "./tuple.ts";

test("the first and the last row below a prefix are found, and none where there is none", async () => {
  const kv = createMemoryKv();
  await kv.transact(function* (tx): Program<void> {
    for (const [space, number] of [
      ["a", 9],
      ["b", 1],
      ["b", 2],
      ["b", 3],
      ["c", 0],
    ] as const)
      tx.put(encodeKey(space, number), Buffer.from(`${space}${number}`));
  });
  const found = async (find: typeof findFirst, space: string): Promise<string | undefined> => {
    const row = await kv.view((tx) => find(tx, encodeKey(space)));
    return row === undefined ? undefined : Buffer.from(row.value).toString();
  };
  expect([await found(findFirst, "b"), await found(findLast, "b")]).toEqual(["b1", "b3"]);
  expect([await found(findFirst, "bb"), await found(findLast, "bb")]).toEqual([undefined, undefined]);
});
