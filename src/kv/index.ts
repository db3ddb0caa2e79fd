/** The ordered transactional KV: the port, its programs, its engines. */
export type * from "./kv.ts";
export { BUDGET, VISIBLE_BOUNDS } from "./kv.ts";
export { positionAt, positionOf } from "./position.ts";
export { createMemoryKv } from "./engines/memory.ts";
export { type LmdbOptions, openLmdbKv } from "./engines/lmdb.ts";
export { type FreshCatalog, makeLmdbCatalog } from "./engines/lmdb-fresh.ts";
export { openLmdbReader } from "./engines/lmdb-reader.ts";
export { findFirst, findLast } from "./first.ts";
export { answer, reader, runAsync, runSync, type Snapshot } from "./program.ts";
export { Staged } from "./staged.ts";
export {
  afterPrefix,
  compareBytes,
  decodeKey,
  encodeKey,
  keyAfter,
  type KeyPart,
  type PartShape,
  prefixRange,
  type Tail,
  tail,
} from "./tuple.ts";
