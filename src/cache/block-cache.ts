import { LRUCache } from "lru-cache";
import type { Ctx } from "../core/context.ts";
import type { VersionId } from "../core/ids.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import { Fill, type FetchedRange } from "./fill.ts";

/**
 * Blocks of versions in memory. A version never changes, so a block is never stale and nothing needs invalidating. One fetch for a
 * block however many ask; a later tier (disk, peers) takes the place of `fetch`.
 */
export interface BlockCache {
  /** Objects that would push out everything else go past the cache. */
  admits(sizeBytes: number): boolean;
  /** A small object that is here as a whole, at once. */
  peekWhole(versionId: VersionId, sizeBytes: number): Uint8Array | undefined;
  /** Undefined when as much is being fetched as memory is set aside for: then the read goes past the cache. */
  open(ctx: Ctx, request: CacheRead): Promise<CacheStream> | undefined;
  bytesOf(versionId: VersionId): number;
}

export interface CacheRead {
  readonly versionId: VersionId;
  readonly sizeBytes: number;
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  readonly fetch: (ctx: Ctx, start: number, end: number) => Promise<FetchedRange>;
}

export interface CacheStream {
  readonly stream: AsyncIterable<Uint8Array>;
  cancel(): void;
  /** `cache`, or what the first fetch came from. */
  readonly source: string;
}

export interface BlockCacheConfig {
  readonly maxBytes: number;
  /** 0: blocks stay until room is needed. */
  readonly ttlMs: number;
  readonly blockBytes?: number;
}

const DEFAULT_BLOCK_BYTES = 1024 ** 2;
/** A cold object is fetched in runs of so many blocks: large enough for a distant site, small enough that a waiting reader is not held up. */
const BLOCKS_A_RUN = 8;
const LARGEST_SHARE = 4;
/** What is on its way into the cache is in memory, too, and may be this share of it; one run always may. */
const FILLING_SHARE = 4;

export function createBlockCache(
  config: BlockCacheConfig,
  { clock, metrics }: { readonly clock: Clock; readonly metrics: Metrics },
): BlockCache {
  const blockBytes = Math.min(config.blockBytes ?? DEFAULT_BLOCK_BYTES, Math.max(1, config.maxBytes));
  const hits = metrics.counter({ name: "globalfs_cache_hits_total", help: "Cache hits." });
  const misses = metrics.counter({ name: "globalfs_cache_misses_total", help: "Cache misses." });
  const evictions = metrics.counter({ name: "globalfs_cache_evictions_total", help: "Cache evictions." });
  const gauge = metrics.gauge({ name: "globalfs_cache_bytes", help: "Bytes currently stored in cache." });
  const sizes = new Map<string, number>();
  const blocks = new LRUCache<string, Buffer>({
    maxSize: config.maxBytes,
    sizeCalculation: (block) => Math.max(1, block.length),
    ...(config.ttlMs > 0 ? { ttl: config.ttlMs, perf: { now: () => clock.monotonicMs() }, ttlResolution: 0 } : {}),
    dispose(block, key, reason) {
      const versionId = key.slice(0, key.indexOf(":"));
      const left = (sizes.get(versionId) ?? 0) - block.length;
      if (left > 0) sizes.set(versionId, left);
      else sizes.delete(versionId);
      if (reason !== "set") evictions.add(1);
      gauge.set(blocks.calculatedSize);
    },
  });
  const fills = new Map<string, Fill>();
  let fillingBytes = 0;
  const keyOf = (versionId: VersionId, block: number): string => `${versionId}:${block}`;
  const store = (versionId: VersionId, block: number, bytes: Buffer): void => {
    const key = keyOf(versionId, block);
    if (blocks.has(key)) return;
    sizes.set(versionId, (sizes.get(versionId) ?? 0) + bytes.length);
    blocks.set(key, bytes);
    if (!blocks.has(key)) sizes.delete(versionId);
    gauge.set(blocks.calculatedSize);
  };

  /** One that everybody has left brings nothing any more. */
  const runningFill = (versionId: VersionId, block: number): Fill | undefined => {
    const fill = fills.get(keyOf(versionId, block));
    return fill?.abandoned === true ? undefined : fill;
  };

  /** Begins to fetch the run of missing blocks from `block` on, unless somebody does already. */
  const fillFrom = (ctx: Ctx, request: CacheRead, block: number, lastBlock: number): Fill => {
    const running = runningFill(request.versionId, block);
    if (running !== undefined) return running;
    const isMissing = (index: number): boolean =>
      !blocks.has(keyOf(request.versionId, index)) && runningFill(request.versionId, index) === undefined;
    let end = block + 1;
    while (end <= lastBlock && end - block < BLOCKS_A_RUN && isMissing(end)) end += 1;
    const runBytes = (end - block) * blockBytes;
    fillingBytes += runBytes;
    const fill = new Fill(ctx, {
      firstBlock: block,
      blocks: end - block,
      blockBytes,
      sizeBytes: request.sizeBytes,
      fetch: request.fetch,
      onBlock: (index, bytes) => store(request.versionId, index, bytes),
      onReleased: () => {
        fillingBytes -= runBytes;
      },
      onEnd: () => {
        for (let index = block; index < end; index++)
          if (fills.get(keyOf(request.versionId, index)) === fill) fills.delete(keyOf(request.versionId, index));
      },
    });
    for (let index = block; index < end; index++) fills.set(keyOf(request.versionId, index), fill);
    return fill;
  };

  return {
    admits: (sizeBytes) => sizeBytes > 0 && sizeBytes <= config.maxBytes / LARGEST_SHARE,
    peekWhole(versionId, sizeBytes) {
      if (sizeBytes > blockBytes) return undefined;
      const found = blocks.get(keyOf(versionId, 0));
      if (found !== undefined) hits.add(1);
      return found;
    },
    bytesOf: (versionId) => sizes.get(versionId) ?? 0,
    open(ctx, request) {
      const firstBlock = Math.floor(request.start / blockBytes);
      const lastBlock = Math.floor((request.end - 1) / blockBytes);
      const joins = runningFill(request.versionId, firstBlock) !== undefined;
      if (!joins && !isHere(request.versionId, firstBlock, lastBlock)) {
        const runBytes = Math.min(BLOCKS_A_RUN, lastBlock - firstBlock + 1) * blockBytes;
        if (fillingBytes > 0 && fillingBytes + runBytes > config.maxBytes / FILLING_SHARE) return undefined;
      }
      return openBlocks(ctx, request, firstBlock, lastBlock);
    },
  };

  function isHere(versionId: VersionId, firstBlock: number, lastBlock: number): boolean {
    for (let block = firstBlock; block <= lastBlock; block++) if (!blocks.has(keyOf(versionId, block))) return false;
    return true;
  }

  async function openBlocks(ctx: Ctx, request: CacheRead, firstBlock: number, lastBlock: number): Promise<CacheStream> {
    let canceled = false;
    let waiting: { readonly fill: Fill; readonly leave: () => void } | undefined;
    const join = (fill: Fill): void => {
      if (waiting?.fill === fill) return;
      waiting?.leave();
      waiting = { fill, leave: fill.join() };
    };
    const leave = (): void => {
      waiting?.leave();
      waiting = undefined;
    };
    const take = async (block: number): Promise<Buffer> => {
      // What this reader waits for counts as missed, and is its own even when the cache had to let it go already.
      if (waiting?.fill.covers(block) === true) {
        misses.add(1);
        return await waiting.fill.block(block, ctx.signal);
      }
      leave();
      const found = blocks.get(keyOf(request.versionId, block));
      if (found !== undefined) {
        hits.add(1);
        return found;
      }
      misses.add(1);
      const fill = fillFrom(ctx, request, block, lastBlock);
      join(fill);
      return await fill.block(block, ctx.signal);
    };
    let source = "cache";
    if (!blocks.has(keyOf(request.versionId, firstBlock))) {
      const fill = fillFrom(ctx, request, firstBlock, lastBlock);
      join(fill);
      try {
        source = await fill.source(ctx.signal);
      } catch (error) {
        leave();
        throw error;
      }
    }
    const stream = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for (let block = firstBlock; block <= lastBlock; block++) {
          if (canceled) return;
          const bytes = await take(block);
          const offset = block * blockBytes;
          yield bytes.subarray(Math.max(0, request.start - offset), Math.min(bytes.length, request.end - offset));
        }
      } finally {
        leave();
      }
    };
    return {
      stream: stream(),
      source,
      cancel() {
        canceled = true;
        leave();
      },
    };
  }
}
