import { expect, it } from "vitest";
import { SomeATurn } from "./some-a-turn.ts";

const nextTurn = async (): Promise<void> => await new Promise((resolve) => setImmediate(resolve));

it("So much is done in each turn of the event loop, in the order in which it came", async () => {
  const some = new SomeATurn(3);
  const done: number[] = [];
  for (let index = 0; index < 8; index++) {
    if (some.takes()) done.push(index);
    else some.later(() => done.push(index));
  }
  expect([done, some.waiting]).toEqual([[0, 1, 2], 5]);
  await nextTurn();
  expect(done).toEqual([0, 1, 2, 3, 4, 5]);
  // Nothing overtakes what waits, and what was done late counts, too.
  expect(some.takes()).toBe(false);
  await nextTurn();
  expect([done, some.waiting]).toEqual([[0, 1, 2, 3, 4, 5, 6, 7], 0]);
  expect([some.takes(), some.takes()]).toEqual([true, false]);
});

it("What waits lets other events come in between", async () => {
  const some = new SomeATurn(1);
  const order: string[] = [];
  for (const name of ["first", "second", "third"]) {
    if (some.takes()) order.push(name);
    else some.later(() => order.push(name));
  }
  setTimeout(() => order.push("timer"));
  const sinceMs = performance.now();
  while (performance.now() - sinceMs < 5);
  await expect.poll(() => order.length).toBe(4);
  expect(order.indexOf("timer")).toBeLessThan(order.indexOf("third"));
});
