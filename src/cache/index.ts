/** Blocks of versions close at hand. Memory is the first tier; disk and peers come behind the same `open`. */
export {
  type BlockCache,
  type BlockCacheConfig,
  type CacheRead,
  type CacheStream,
  createBlockCache,
} from "./block-cache.ts";
export type { FetchedRange } from "./fill.ts";
