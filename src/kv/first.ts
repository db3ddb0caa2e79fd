import type { Key, KvEntry, Program, Reader } from "./kv.ts";
import { prefixRange } from "./tuple.ts";

/** Of all keys that begin with these bytes. */
export function* findFirst(tx: Reader, prefix: Key): Program<KvEntry | undefined> {
  return (yield* tx.range({ ...prefixRange(prefix), limit: 1 }))[0];
}

export function* findLast(tx: Reader, prefix: Key): Program<KvEntry | undefined> {
  return (yield* tx.range({ ...prefixRange(prefix), limit: 1, reverse: true }))[0];
}
