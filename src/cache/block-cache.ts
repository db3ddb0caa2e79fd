import { LRUCache } from "lru-cache";
import type { Ctx } from "../core/context.ts";
import type { VersionId } from "../core/ids.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import { Fill, type FetchedRange } from "./fill.ts";

/**
 * Blocks of versions in memory. A version never changes, so a block is never stale and nothing needs invalidating; and what is here was held against
 * the version's checksum, since only whole objects can be, only whole objects come in. One fetch for an object however many ask; a later tier (disk,
 * peers) takes the place of `fetch`.
 */
export interface BlockCache {
  /** Objects that would push out everything else go past the cache. */
  admits(sizeBytes: number): boolean;
  /** A small object that is here as a whole, at once. */
  peekWhole(versionId: VersionId, sizeBytes: number): Uint8Array | undefined;
  /**
   * Undefined when the read goes past the cache: as much is being fetched as memory is set aside for, or it is a piece of a large object that is not here.
   * Bytes that are still on their way are given out before the whole was found right; when it was not, the stream breaks.
   */
  open(ctx: Ctx, request: CacheRead): Promise<CacheStream> | undefined;
  bytesOf(versionId: VersionId): number;
}

export interface CacheRead {
  readonly versionId: VersionId;
  readonly sizeBytes: number;
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  /** The whole object. */
  readonly fetch: (ctx: Ctx) => Promise<FetchedRange>;
}

export interface CacheStream {
  readonly stream: AsyncIterable<Uint8Array>;
  cancel(): void;
  /** `cache`, or what the fetch came from. */
  readonly source: string;
}

export interface BlockCacheConfig {
  readonly maxBytes: number;
  /** 0: blocks stay until room is needed. */
  readonly ttlMs: number;
  readonly blockBytes?: number;
}

const DEFAULT_BLOCK_BYTES = 1024 ** 2;
const LARGEST_SHARE = 4;
/** What is on its way into the cache is in memory, too, and may be this share of it; one object always may. */
const FILLING_SHARE = 4;
/** A piece of an object of so many blocks brings all of it; of a larger one only when pieces were asked for that make as much as the whole. */
const SMALL_BLOCKS = 8;
/** A reader of a piece waits for so many blocks before it; for one that is farther away it asks the site itself. */
const BLOCKS_AHEAD = 8;
/** Large objects whose pieces are counted. */
const COUNTED_OBJECTS = 4_096;

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
    sizeCalculation: (block) => block.length,
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
  const fills = new Map<VersionId, Fill>();
  const piecesBytes = new LRUCache<VersionId, number>({ max: COUNTED_OBJECTS });
  let fillingBytes = 0;
  const keyOf = (versionId: VersionId, block: number): string => `${versionId}:${block}`;
  const store = (versionId: VersionId, block: number, bytes: Buffer): void => {
    const key = keyOf(versionId, block);
    if (blocks.has(key)) return;
    sizes.set(versionId, (sizes.get(versionId) ?? 0) + bytes.length);
    blocks.set(key, bytes);
    gauge.set(blocks.calculatedSize);
  };

  /** One that everybody has left brings nothing any more. */
  const runningFill = (versionId: VersionId): Fill | undefined => {
    const fill = fills.get(versionId);
    return fill?.abandoned === true ? undefined : fill;
  };

  const beginFill = (ctx: Ctx, { versionId, sizeBytes, fetch }: CacheRead, lingers: boolean): Fill => {
    fillingBytes += sizeBytes;
    const fill = new Fill(ctx, {
      blockBytes,
      sizeBytes,
      fetch,
      lingers,
      onVerified: (found) => found.forEach((bytes, block) => store(versionId, block, bytes)),
      onEnd: () => {
        fillingBytes -= sizeBytes;
        if (fills.get(versionId) === fill) fills.delete(versionId);
      },
    });
    fills.set(versionId, fill);
    return fill;
  };

  /** Whether a piece is worth the whole. */
  const isWorthAll = ({ versionId, sizeBytes, start, end }: CacheRead): boolean => {
    if (sizeBytes <= SMALL_BLOCKS * blockBytes) return true;
    const askedBytes = (piecesBytes.get(versionId) ?? 0) + end - start;
    piecesBytes.set(versionId, askedBytes);
    return askedBytes > sizeBytes;
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
      const { versionId, sizeBytes, start, end } = request;
      const span = { first: Math.floor(start / blockBytes), last: Math.floor((end - 1) / blockBytes) };
      if (isHere(versionId, span)) return openBlocks(ctx, request, span, undefined);
      const whole = start === 0 && end === sizeBytes;
      let fill = runningFill(versionId);
      if (fill === undefined) {
        if (!whole && !isWorthAll(request)) return undefined;
        if (fillingBytes > 0 && fillingBytes + sizeBytes > config.maxBytes / FILLING_SHARE) return undefined;
        fill = beginFill(ctx, request, !whole);
      }
      if (!whole && span.first >= fill.deliveredBlocks + BLOCKS_AHEAD) return undefined;
      return openBlocks(ctx, request, span, fill);
    },
  };

  function isHere(versionId: VersionId, { first, last }: Blocks): boolean {
    for (let block = first; block <= last; block++) if (!blocks.has(keyOf(versionId, block))) return false;
    return true;
  }

  async function openBlocks(
    ctx: Ctx,
    request: CacheRead,
    { first, last }: Blocks,
    running: Fill | undefined,
  ): Promise<CacheStream> {
    const { versionId } = request;
    let canceled = false;
    let waiting: { readonly fill: Fill; readonly leave: () => void } | undefined;
    const join = (fill: Fill): Fill => {
      waiting = { fill, leave: fill.join() };
      return fill;
    };
    const leave = (): void => {
      waiting?.leave();
      waiting = undefined;
    };
    const take = async (block: number): Promise<Buffer> => {
      if (waiting?.fill.verified === false) {
        misses.add(1);
        return await waiting.fill.block(block, ctx.signal);
      }
      // What a slow reader does not hold the cache may let go.
      leave();
      const found = blocks.get(keyOf(versionId, block));
      // What this reader had fetched counts as missed.
      (found === undefined || running !== undefined ? misses : hits).add(1);
      if (found !== undefined) return found;
      // It was let go meanwhile. What is read on has to come from a whole that is found right, too.
      const fill = join(runningFill(versionId) ?? beginFill(ctx, request, false));
      return await fill.block(block, ctx.signal);
    };
    let source = "cache";
    if (running !== undefined) {
      join(running);
      try {
        source = await running.source(ctx.signal);
      } catch (error) {
        leave();
        throw error;
      }
    }
    const stream = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for (let block = first; block <= last; block++) {
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

interface Blocks {
  readonly first: number;
  readonly last: number;
}
