import { encodeKey, type Key } from "../../../src/kv/index.ts";

/** What a numbered transaction of the crash test writes. */
export const ROWS = 3;
export const COUNT = encodeKey("count");
export const LOG = encodeKey("log");
export const ROW_SPACE = encodeKey("row");

export function rowOf(number: number, index: number): Key {
  return encodeKey("row", number, index);
}

/** Some values take many pages, so that a commit is many writes to the disk. */
export function valueOf(number: number, index: number): Buffer {
  return Buffer.alloc(index === 1 && number % 8 === 0 ? 20_000 : 40, `${number}/${index};`);
}
