import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { backgroundCtx, type Ctx } from "../core/context.ts";
import { GfsError } from "../core/errors.ts";
import type { VersionId } from "../core/ids.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import { seededRandom } from "../core/ports/random.ts";
import { createFakeClock, settle } from "../core/testing/fake-clock.ts";
import { type BlockCache, type BlockCacheConfig, createBlockCache } from "./block-cache.ts";
import type { FetchedRange } from "./fill.ts";

const BLOCK = 10;
const V1 = "v1" as VersionId;
const ctx = backgroundCtx();

/** Instruments that remember their sums. */
function measuring(): { readonly metrics: Metrics; readonly values: Record<string, number> } {
  const values: Record<string, number> = {};
  const adding =
    (name: string) =>
    (amount: number): void => {
      values[name] = (values[name] ?? 0) + amount;
    };
  const metrics: Metrics = {
    counter: ({ name }) => ({ add: adding(name) }),
    gauge: ({ name }) => ({ set: (value) => void (values[name] = value), add: adding(name), remove: () => undefined }),
    histogram: () => ({ observe: () => undefined }),
  };
  return { metrics, values };
}

/** Objects that can be fetched, and what was asked of them. */
class Origin {
  readonly objects = new Map<VersionId, Buffer>();
  readonly fetches: string[] = [];
  readonly signals: AbortSignal[] = [];
  readonly deadlines: (number | undefined)[] = [];
  canceled = 0;
  /** Awaited before each piece is given. */
  pace: () => Promise<void> = async () => undefined;
  pieceBytes = 7;
  fault: GfsError | undefined;
  /** Gives so many bytes too few or too many. */
  excess = 0;
  /** Finds at the end of so many streams that the bytes are wrong, and has given none of the last so many. */
  rotten = 0;
  heldBackBytes = 1;

  put(versionId: VersionId, sizeBytes: number): Buffer {
    const bytes = Buffer.from(seededRandom(sizeBytes).bytes(sizeBytes));
    this.objects.set(versionId, bytes);
    return bytes;
  }

  fetch(versionId: VersionId) {
    return async (fetchCtx: Ctx): Promise<FetchedRange> => {
      this.fetches.push(versionId);
      this.signals.push(fetchCtx.signal);
      this.deadlines.push(fetchCtx.deadlineMs);
      if (this.fault !== undefined) throw this.fault;
      const whole = this.objects.get(versionId) as Buffer;
      const bytes =
        this.excess > 0
          ? Buffer.concat([whole, Buffer.alloc(this.excess)])
          : whole.subarray(0, whole.length + this.excess);
      return { stream: this.#pieces(fetchCtx, bytes), source: "origin", cancel: () => void (this.canceled += 1) };
    };
  }

  async *#pieces(fetchCtx: Ctx, bytes: Buffer): AsyncGenerator<Uint8Array> {
    const rotten = this.rotten > 0;
    if (rotten) this.rotten -= 1;
    const givenBytes = rotten ? bytes.length - this.heldBackBytes : bytes.length;
    for (let offset = 0; offset < givenBytes; offset += this.pieceBytes) {
      await this.pace();
      if (fetchCtx.signal.aborted) throw fetchCtx.signal.reason;
      const piece = bytes.subarray(offset, Math.min(givenBytes, offset + this.pieceBytes));
      yield rotten ? Buffer.alloc(piece.length) : piece;
    }
    if (rotten) throw new GfsError("DataCorrupt", "The site gave other bytes than were written.");
  }
}

function rig(config: Partial<BlockCacheConfig> = {}) {
  const clock = createFakeClock();
  const origin = new Origin();
  const { metrics, values } = measuring();
  const cache = createBlockCache({ maxBytes: 1_000, ttlMs: 0, blockBytes: BLOCK, ...config }, { clock, metrics });
  const read = async (
    versionId: VersionId,
    start: number,
    end: number,
    readCtx: Ctx = ctx,
  ): Promise<{ bytes: Buffer; source: string }> => {
    const whole = origin.objects.get(versionId) as Buffer;
    const fetch = origin.fetch(versionId);
    const opened = await cache.open(readCtx, { versionId, sizeBytes: whole.length, start, end, fetch });
    if (opened === undefined) return { bytes: whole.subarray(start, end), source: "past" };
    const chunks: Buffer[] = [];
    for await (const chunk of opened.stream) chunks.push(Buffer.from(chunk));
    return { bytes: Buffer.concat(chunks), source: opened.source };
  };
  return { clock, origin, cache, read, values };
}

/** Holds every piece of the origin up until it is opened. */
function gate(origin: Origin): () => void {
  let open!: () => void;
  const held = new Promise<void>((resolve) => {
    open = resolve;
  });
  origin.pace = () => held;
  return open;
}

describe("the cache of blocks", () => {
  it("fetches what it does not have, and gives it from memory the next time", async () => {
    const { origin, cache, read, values } = rig();
    const bytes = origin.put(V1, 25);
    expect(await read(V1, 0, 25)).toEqual({ bytes, source: "origin" });
    expect(await read(V1, 0, 25)).toEqual({ bytes, source: "cache" });
    expect(origin.fetches).toEqual(["v1"]);
    expect(cache.bytesOf(V1)).toBe(25);
    expect(values).toEqual({ globalfs_cache_misses_total: 3, globalfs_cache_hits_total: 3, globalfs_cache_bytes: 25 });
  });

  it("brings all of a small object for a piece of it, and goes on when its reader has left", async () => {
    const { origin, cache, read } = rig();
    const bytes = origin.put(V1, 80);
    expect(await read(V1, 41, 42)).toEqual({ bytes: bytes.subarray(41, 42), source: "origin" });
    await settle();
    expect(cache.bytesOf(V1)).toBe(80);
    expect(await read(V1, 25, 77)).toEqual({ bytes: bytes.subarray(25, 77), source: "cache" });
    expect(origin.fetches).toEqual(["v1"]);
  });

  it("keeps no piece of a large object that nobody reads whole, until pieces of it were asked for that make more than all", async () => {
    const { origin, cache, read } = rig();
    const bytes = origin.put(V1, 81);
    for (const [start, end] of [
      [0, 40],
      [40, 80],
      [10, 11],
    ] as const)
      expect(await read(V1, start, end)).toEqual({ bytes: bytes.subarray(start, end), source: "past" });
    expect([origin.fetches, cache.bytesOf(V1)]).toEqual([[], 0]);
    expect((await read(V1, 3, 4)).source).toBe("origin");
    await settle();
    expect([origin.fetches, cache.bytesOf(V1)]).toEqual([["v1"], 81]);
    expect(await read(V1, 40, 80)).toEqual({ bytes: bytes.subarray(40, 80), source: "cache" });
  });

  it("does not let a reader of a piece wait for more than a few blocks before it", async () => {
    const { origin, cache } = rig();
    origin.put(V1, 200);
    const open = gate(origin);
    const piece = (start: number) =>
      cache.open(ctx, { versionId: V1, sizeBytes: 200, start, end: start + 5, fetch: origin.fetch(V1) });
    const whole = cache.open(ctx, { versionId: V1, sizeBytes: 200, start: 0, end: 200, fetch: origin.fetch(V1) });
    await settle();
    expect([piece(79) === undefined, piece(80) === undefined]).toEqual([false, true]);
    open();
    for await (const chunk of (await whole)?.stream ?? []) expect(chunk.byteLength).toBe(BLOCK);
    await settle();
    expect((await piece(195))?.source).toBe("cache");
  });

  it("gives any range of any object as the source has it, whatever is in the cache and however small it is", async () => {
    const readArbitrary = fc.record({
      version: fc.nat(2),
      start: fc.nat(119),
      length: fc.integer({ min: 1, max: 120 }),
      together: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 10, max: 300 }),
        fc.integer({ min: 1, max: 40 }),
        fc.array(readArbitrary, { maxLength: 25 }),
        async (maxBytes, pieceBytes, reads) => {
          const { origin, cache, read, values } = rig({ maxBytes });
          origin.pieceBytes = pieceBytes;
          const versions = ["a", "b", "c"].map((name) => name as VersionId);
          versions.forEach((version, index) => origin.put(version, 120 - index * 37));
          const running: Promise<void>[] = [];
          for (const { version, start, length, together } of reads) {
            const id = versions[version] as VersionId;
            const whole = origin.objects.get(id) as Buffer;
            const from = Math.min(start, whole.length - 1);
            const to = Math.min(whole.length, from + length);
            const work = read(id, from, to).then(({ bytes }) =>
              expect(bytes.equals(whole.subarray(from, to))).toBe(true),
            );
            running.push(work);
            if (!together) await work;
            expect(values["globalfs_cache_bytes"] ?? 0).toBeLessThanOrEqual(maxBytes);
          }
          await Promise.all(running);
          const held = versions.reduce((sum, id) => sum + cache.bytesOf(id), 0);
          expect(held).toBe(values["globalfs_cache_bytes"] ?? 0);
          expect(held).toBeLessThanOrEqual(maxBytes);
        },
      ),
      { numRuns: 150 },
    );
  });

  it("lets go of what was not used for longest when room is needed, and counts it", async () => {
    const { origin, cache, read, values } = rig({ maxBytes: 30 });
    const ids = ["a", "b", "c", "d"].map((name) => name as VersionId);
    for (const id of ids) origin.put(id, 10);
    const [a, b, c, d] = ids as [VersionId, VersionId, VersionId, VersionId];
    for (const id of [a, b, c]) await read(id, 0, 10);
    await read(a, 0, 10);
    await read(d, 0, 10);
    expect(ids.map((id) => cache.bytesOf(id))).toEqual([10, 0, 10, 10]);
    expect([values["globalfs_cache_evictions_total"], values["globalfs_cache_bytes"]]).toEqual([1, 30]);
  });

  it("fetches an object once for its reader even when it is larger than what the cache can keep of it", async () => {
    const { origin, read, values } = rig({ maxBytes: 30 });
    const bytes = origin.put(V1, 80);
    origin.pace = async () => await settle();
    expect((await read(V1, 0, 80)).bytes.equals(bytes)).toBe(true);
    expect(origin.fetches).toEqual(["v1"]);
    await settle();
    expect(values["globalfs_cache_bytes"]).toBe(30);
  });

  it("goes on from a new fetch of the whole when it let go of what a slow reader has not come to yet", async () => {
    const { origin, cache, read } = rig({ maxBytes: 100 });
    const bytes = origin.put(V1, 50);
    const other = "other" as VersionId;
    origin.put(other, 100);
    await read(V1, 0, 50);
    const slow = await cache.open(ctx, { versionId: V1, sizeBytes: 50, start: 0, end: 50, fetch: origin.fetch(V1) });
    const chunks: Uint8Array[] = [];
    for await (const chunk of slow?.stream ?? []) {
      chunks.push(chunk);
      if (chunks.length === 2) await read(other, 0, 100);
    }
    expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
    expect([slow?.source, origin.fetches]).toEqual(["cache", ["v1", "other", "v1"]]);
  });

  it("forgets blocks when their time is over, and only when one is set", async () => {
    const timed = rig({ ttlMs: 1_000 });
    const untimed = rig();
    for (const { origin, read } of [timed, untimed]) {
      origin.put(V1, 10);
      await read(V1, 0, 10);
    }
    await timed.clock.advance(1_000);
    expect((await timed.read(V1, 0, 10)).source).toBe("cache");
    await timed.clock.advance(1);
    expect(timed.cache.peekWhole(V1, 10)).toBeUndefined();
    expect((await timed.read(V1, 0, 10)).source).toBe("origin");
    await untimed.clock.advance(10_000_000);
    expect((await untimed.read(V1, 0, 10)).source).toBe("cache");
  });

  it("gives a small object that is here at once, in memory of its own size", async () => {
    const { origin, cache, read } = rig();
    origin.pieceBytes = 4;
    const bytes = origin.put(V1, 6);
    expect(cache.peekWhole(V1, 6)).toBeUndefined();
    await read(V1, 0, 6);
    const whole = cache.peekWhole(V1, 6) as Buffer;
    expect(whole.equals(bytes)).toBe(true);
    expect(whole.buffer.byteLength).toBe(6);
    origin.put("large" as VersionId, 25);
    await read("large" as VersionId, 0, 25);
    expect(cache.peekWhole("large" as VersionId, 25)).toBeUndefined();
  });

  it("lets objects pass that would push out everything else", () => {
    const { cache } = rig({ maxBytes: 400 });
    expect([0, 1, 100, 101].map((sizeBytes) => cache.admits(sizeBytes))).toEqual([false, true, true, false]);
  });
});

describe("readers of the same bytes at the same time", () => {
  it("share one fetch, however many they are", async () => {
    const { origin, read } = rig();
    const bytes = origin.put(V1, 30);
    const open = gate(origin);
    const reads = Array.from({ length: 50 }, () => read(V1, 0, 30, { ...ctx, signal: new AbortController().signal }));
    await settle();
    expect(origin.fetches).toEqual(["v1"]);
    open();
    for (const { bytes: each } of await Promise.all(reads)) expect(each.equals(bytes)).toBe(true);
    expect(origin.fetches.length).toBe(1);
  });

  it("are not disturbed by one that leaves, not even by the one that came first", async () => {
    const { origin, read } = rig();
    const bytes = origin.put(V1, 30);
    const open = gate(origin);
    const leaver = new AbortController();
    const first = read(V1, 0, 30, { ...ctx, signal: leaver.signal, deadlineMs: 0 }).catch((error: unknown) => error);
    const second = read(V1, 0, 30);
    await settle();
    leaver.abort(new Error("gone"));
    expect(await first).toMatchObject({ code: "Canceled" });
    expect([origin.signals[0]?.aborted, origin.deadlines]).toEqual([false, [undefined]]);
    open();
    expect((await second).bytes.equals(bytes)).toBe(true);
    expect(origin.fetches.length).toBe(1);
  });

  it("end the fetch when the last one has left, and nothing of it stays", async () => {
    const { origin, cache, read } = rig();
    origin.put(V1, 30);
    gate(origin);
    const leavers = [new AbortController(), new AbortController()];
    const reads = leavers.map(({ signal }) => read(V1, 0, 30, { ...ctx, signal }).catch((error: unknown) => error));
    await settle();
    leavers[0]?.abort();
    await settle();
    expect(origin.signals[0]?.aborted).toBe(false);
    leavers[1]?.abort();
    await settle();
    expect([origin.signals[0]?.aborted, origin.canceled]).toEqual([true, 1]);
    await Promise.all(reads);
    expect(cache.bytesOf(V1)).toBe(0);
    origin.pace = async () => undefined;
    expect((await read(V1, 0, 30)).bytes.length).toBe(30);
    expect(origin.fetches.length).toBe(2);
  });

  it("end the fetch by stopping half-way or by canceling without a read", async () => {
    const { origin, cache } = rig();
    const bytes = origin.put(V1, 80);
    const openings: (() => void)[] = [];
    origin.pieceBytes = BLOCK;
    origin.pace = () => new Promise((resolve) => openings.push(resolve));
    const request = { versionId: V1, sizeBytes: 80, start: 0, end: 80, fetch: origin.fetch(V1) };
    const unread = await cache.open(ctx, request);
    unread?.cancel();
    await settle();
    expect(origin.signals[0]?.aborted).toBe(true);
    const half = await cache.open(ctx, request);
    const reading = (async () => {
      for await (const chunk of half?.stream ?? []) {
        expect(Buffer.from(chunk).equals(bytes.subarray(0, BLOCK))).toBe(true);
        break;
      }
    })();
    await settle();
    openings[1]?.();
    await reading;
    await settle();
    expect(origin.signals[1]?.aborted).toBe(true);
  });

  it("all hear of a failure, and the next one tries anew", async () => {
    const { origin, cache, read } = rig();
    const bytes = origin.put(V1, 30);
    origin.fault = new GfsError("Unavailable", "The site is away.");
    const outcomes = await Promise.allSettled([read(V1, 0, 30), read(V1, 5, 12), read(V1, 0, 30)]);
    expect(
      outcomes.map((outcome) => (outcome.status === "rejected" ? (outcome.reason as GfsError).code : "read")),
    ).toEqual(["Unavailable", "Unavailable", "Unavailable"]);
    expect([origin.fetches.length, cache.bytesOf(V1)]).toEqual([1, 0]);
    origin.fault = undefined;
    expect((await read(V1, 0, 30)).bytes.equals(bytes)).toBe(true);
  });

  it("get an error, and never padding, from a source that brings too few or too many bytes, and nothing of it is kept", async () => {
    const { origin, cache, read } = rig();
    origin.put(V1, 30);
    origin.excess = -3;
    await expect(read(V1, 0, 30)).rejects.toMatchObject({ code: "Unavailable" });
    origin.excess = 3;
    origin.put("v2" as VersionId, 20);
    await read("v2" as VersionId, 0, 20).catch(() => undefined);
    await settle();
    expect([cache.bytesOf("v2" as VersionId), cache.bytesOf(V1)]).toEqual([0, 0]);
  });

  it("never find bytes in the cache of a whole that turned out wrong", async () => {
    const { origin, cache, read } = rig();
    const bytes = origin.put(V1, 45);
    origin.rotten = 1;
    await expect(read(V1, 0, 45)).rejects.toMatchObject({ code: "DataCorrupt" });
    expect([cache.bytesOf(V1), cache.peekWhole(V1, 45)]).toEqual([0, undefined]);
    expect(await read(V1, 0, 45)).toEqual({ bytes, source: "origin" });
    expect(cache.bytesOf(V1)).toBe(45);
  });

  it("see nothing of wrong bytes that were found wrong before a block of them was whole", async () => {
    const { origin, read } = rig();
    const bytes = origin.put(V1, BLOCK);
    origin.rotten = 1;
    expect(await read(V1, 0, BLOCK)).toEqual({ bytes, source: "origin" });
    expect(origin.fetches.length).toBe(2);
    origin.put("v2" as VersionId, BLOCK);
    origin.rotten = 5;
    await expect(read("v2" as VersionId, 0, BLOCK)).rejects.toMatchObject({ code: "DataCorrupt" });
    expect(origin.fetches.length).toBe(4);
  });

  it("go past the cache while as much is on its way as memory is set aside for, and join what is", async () => {
    const { origin, cache } = rig({ maxBytes: 400, blockBytes: BLOCK });
    const openings: (() => void)[] = [];
    origin.pace = () => new Promise((resolve) => openings.push(resolve));
    const open = (versionId: VersionId) =>
      cache.open(ctx, { versionId, sizeBytes: 80, start: 0, end: 80, fetch: origin.fetch(versionId) });
    for (const versionId of ["a", "b", "c"] as VersionId[]) origin.put(versionId, 80);
    const first = open("a" as VersionId);
    expect(first).toBeDefined();
    expect(open("b" as VersionId)).toBeUndefined();
    const joined = open("a" as VersionId);
    expect(joined).toBeDefined();
    const reading = Promise.all(
      [first, joined].map(async (opened) => {
        let sizeBytes = 0;
        for await (const chunk of (await opened)?.stream ?? []) sizeBytes += chunk.byteLength;
        return sizeBytes;
      }),
    );
    for (let round = 0; round < 20; round++) {
      for (const opening of openings.splice(0)) opening();
      await settle();
    }
    expect(await reading).toEqual([80, 80]);
    expect(origin.fetches.length).toBe(1);
    // Now there is room again, and what is here needs none.
    const later = open("c" as VersionId);
    expect(later).toBeDefined();
    expect(open("a" as VersionId)).toBeDefined();
    expect(open("b" as VersionId)).toBeUndefined();
    (await Promise.race([later, Promise.resolve(undefined)]))?.cancel();
    for (const opening of openings.splice(0)) opening();
  });

  it("leave a fetch alone that has brought everything, so that its connection ends in peace", async () => {
    const { origin, cache } = rig();
    origin.put(V1, 10);
    let finish!: () => void;
    const ending = new Promise<void>((resolve) => {
      finish = resolve;
    });
    let ended = false;
    async function* lateEnd(): AsyncGenerator<Uint8Array> {
      yield origin.objects.get(V1) as Buffer;
      await ending;
      ended = true;
    }
    let signal: AbortSignal | undefined;
    const fetch = async (fetchCtx: Ctx): Promise<FetchedRange> => {
      signal = fetchCtx.signal;
      return { stream: lateEnd(), source: "origin", cancel: () => undefined };
    };
    const opened = await (cache satisfies BlockCache).open(ctx, {
      versionId: V1,
      sizeBytes: 10,
      start: 0,
      end: 10,
      fetch,
    });
    for await (const chunk of opened?.stream ?? []) expect(chunk.byteLength).toBe(10);
    expect(signal?.aborted).toBe(false);
    finish();
    await settle();
    expect([ended, signal?.aborted]).toEqual([true, false]);
  });
});
