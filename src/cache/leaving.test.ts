import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { backgroundCtx, type Ctx } from "../core/context.ts";
import { GfsError } from "../core/errors.ts";
import type { VersionId } from "../core/ids.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import { createFakeClock, settle } from "../core/testing/fake-clock.ts";
import { type BlockCache, type BlockCacheConfig, type CacheStream, createBlockCache } from "./block-cache.ts";
import type { FetchedRange } from "./fill.ts";

const V1 = "v1" as VersionId;
const V2 = "v2" as VersionId;
const ctx = backgroundCtx();

/** One fetch that a test answers piece by piece. */
class Fetch {
  readonly ctx: Ctx;
  canceled = 0;
  taken = 0;
  readonly #pieces: (Buffer | Error | undefined)[] = [];
  #wake: () => void = () => undefined;
  #begin!: (range: FetchedRange) => void;
  readonly range: Promise<FetchedRange>;

  constructor(fetchCtx: Ctx) {
    this.ctx = fetchCtx;
    this.range = new Promise((resolve) => {
      this.#begin = resolve;
    });
  }

  begin(): void {
    this.#begin({ stream: this.#stream(), source: "origin", cancel: () => void (this.canceled += 1) });
  }

  /** Bytes, an error, or the end. */
  async give(...pieces: readonly (Buffer | Error | undefined)[]): Promise<void> {
    this.#pieces.push(...pieces);
    this.#wake();
    await settle();
  }

  async *#stream(): AsyncGenerator<Uint8Array> {
    for (;;) {
      while (this.#pieces.length === 0)
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      const piece = this.#pieces.shift();
      if (piece === undefined) return;
      if (piece instanceof Error) throw piece;
      this.taken += 1;
      yield piece;
    }
  }
}

function rig(config: Partial<BlockCacheConfig> = {}) {
  const clock = createFakeClock();
  const values: Record<string, number> = {};
  const metrics: Metrics = {
    counter: ({ name }) => ({ add: (amount) => void (values[name] = (values[name] ?? 0) + amount) }),
    gauge: ({ name }) => ({
      set: (value) => void (values[name] = value),
      add: () => undefined,
      remove: () => undefined,
    }),
    histogram: () => ({ observe: () => undefined }),
  };
  const cache: BlockCache = createBlockCache(
    { maxBytes: 1_000, ttlMs: 0, blockBytes: 10, ...config },
    { clock, metrics },
  );
  const fetches: Fetch[] = [];
  const open = (
    versionId: VersionId,
    sizeBytes: number,
    more: { start?: number; end?: number; readCtx?: Ctx } = {},
  ): Promise<CacheStream> | undefined =>
    cache.open(more.readCtx ?? ctx, {
      versionId,
      sizeBytes,
      start: more.start ?? 0,
      end: more.end ?? sizeBytes,
      fetch: async (fetchCtx) => {
        const fetch = new Fetch(fetchCtx);
        fetches.push(fetch);
        return await fetch.range;
      },
    });
  const fetchAt = (index: number): Fetch => fetches[index] as Fetch;
  /** Has all of an object fetched and kept. */
  const fill = async (versionId: VersionId, sizeBytes: number): Promise<void> => {
    const opening = open(versionId, sizeBytes);
    await settle();
    const fetch = fetches.at(-1) as Fetch;
    fetch.begin();
    const reading = readAll(await (opening as Promise<CacheStream>));
    await fetch.give(Buffer.alloc(sizeBytes, 1), undefined);
    await reading;
    await settle();
  };
  return { cache, clock, values, fetches, fetchAt, open, fill };
}

async function readAll(opened: CacheStream): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of opened.stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const failureOf = async (work: Promise<unknown> | undefined): Promise<unknown> =>
  await Promise.resolve(work).catch((error: unknown) => error);

describe("a reader who leaves", () => {
  it("before the read began is told so, and nothing is fetched for nobody", async () => {
    const { open, fetchAt } = rig();
    const failure = await failureOf(open(V1, 10, { readCtx: { ...ctx, signal: AbortSignal.abort("gone") } }));
    expect(failure).toMatchObject({ code: "Canceled", cause: "gone" });
    expect(fetchAt(0).ctx.signal.aborted).toBe(true);
  });

  it("while the site has not answered cancels what it answers with", async () => {
    const { open, fetchAt, cache } = rig();
    const leaver = new AbortController();
    const opening = failureOf(open(V1, 10, { readCtx: { ...ctx, signal: leaver.signal } }));
    await settle();
    leaver.abort();
    expect(await opening).toMatchObject({ code: "Canceled" });
    fetchAt(0).begin();
    await fetchAt(0).give(Buffer.alloc(10), undefined);
    expect([fetchAt(0).canceled, cache.bytesOf(V1)]).toEqual([1, 0]);
  });

  it("is not read on for by a site that does not hear of it", async () => {
    const { open, fetchAt } = rig();
    const opening = open(V1, 30);
    await settle();
    fetchAt(0).begin();
    const opened = (await opening) as CacheStream;
    await fetchAt(0).give(Buffer.alloc(5));
    opened.cancel();
    await fetchAt(0).give(Buffer.alloc(5), Buffer.alloc(5), Buffer.alloc(5));
    expect([fetchAt(0).canceled, fetchAt(0).taken]).toEqual([1, 2]);
  });

  it("by canceling is given nothing more, also of what is here, and has nothing fetched anew", async () => {
    const { open, fill, fetches } = rig();
    await fill(V1, 30);
    const opened = (await open(V1, 30)) as CacheStream;
    opened.cancel();
    expect(await readAll(opened)).toHaveLength(0);
    const half = (await open(V1, 30)) as CacheStream;
    let sizeBytes = 0;
    for await (const chunk of half.stream) {
      sizeBytes += chunk.byteLength;
      half.cancel();
    }
    expect([sizeBytes, fetches.length]).toEqual([10, 1]);
  });

  it("twice counts once: the others still have their fetch", async () => {
    const { open, fetchAt } = rig();
    const opening = [open(V1, 30), open(V1, 30)];
    await settle();
    fetchAt(0).begin();
    const [leaver, other] = (await Promise.all(opening.map(async (each) => await each))) as [CacheStream, CacheStream];
    leaver.cancel();
    leaver.cancel();
    await readAll(leaver);
    await settle();
    expect(fetchAt(0).ctx.signal.aborted).toBe(false);
    const reading = readAll(other);
    await fetchAt(0).give(Buffer.alloc(30, 7), undefined);
    expect(await reading).toEqual(Buffer.alloc(30, 7));
  });

  it("leaves nothing on the signal that it came with", async () => {
    const { open, fetchAt } = rig();
    const { signal } = new AbortController();
    const opening = open(V1, 20, { readCtx: { ...ctx, signal } });
    await settle();
    fetchAt(0).begin();
    const reading = readAll((await opening) as CacheStream);
    await fetchAt(0).give(Buffer.alloc(20), undefined);
    await reading;
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  it("makes room for a new fetch, which those who come later join although the old one ends after it began", async () => {
    const { open, fetches, fetchAt } = rig();
    const leaver = (async () => {
      const opened = (await open(V1, 30)) as CacheStream;
      opened.cancel();
    })();
    await settle();
    fetchAt(0).begin();
    await leaver;
    const second = open(V1, 30);
    await settle();
    await fetchAt(0).give(new GfsError("Canceled", "The fetch was given up."));
    const third = open(V1, 30);
    await settle();
    expect(fetches).toHaveLength(2);
    fetchAt(1).begin();
    const reading = Promise.all([second, third].map(async (opening) => await readAll((await opening) as CacheStream)));
    await fetchAt(1).give(Buffer.alloc(30, 3), undefined);
    expect(await reading).toEqual([Buffer.alloc(30, 3), Buffer.alloc(30, 3)]);
  });
});

describe("a fetch whose bytes were wrong before anybody saw one", () => {
  it("is not canceled once more when the one that took its place is", async () => {
    const { open, fetchAt } = rig();
    const leaver = new AbortController();
    const opening = failureOf(
      (async () =>
        await readAll((await open(V1, 10, { readCtx: { ...ctx, signal: leaver.signal } })) as CacheStream))(),
    );
    await settle();
    fetchAt(0).begin();
    await fetchAt(0).give(new GfsError("DataCorrupt", "The site gave other bytes than were written."));
    fetchAt(1).begin();
    await settle();
    leaver.abort();
    expect(await opening).toMatchObject({ code: "Canceled" });
    await settle();
    expect([fetchAt(0).canceled, fetchAt(1).canceled]).toEqual([0, 1]);
    await fetchAt(1).give(undefined);
  });
});

describe("the memory that the cache uses", () => {
  it("is not held by a slow reader, not even by the one who had the bytes fetched", async () => {
    const { open, fill, fetches, fetchAt } = rig({ maxBytes: 100 });
    const opening = open(V1, 30);
    await settle();
    fetchAt(0).begin();
    const reader = ((await opening) as CacheStream).stream[Symbol.asyncIterator]();
    const first = reader.next();
    await fetchAt(0).give(Buffer.alloc(10, 1));
    expect((await first).value).toEqual(Buffer.alloc(10, 1));
    await fetchAt(0).give(Buffer.alloc(20, 2), undefined);
    await fill(V2, 100);
    const second = reader.next();
    await settle();
    // What it had not come to yet was let go, and comes from the site once more.
    expect(fetches).toHaveLength(3);
    fetchAt(2).begin();
    await fetchAt(2).give(Buffer.concat([Buffer.alloc(10, 1), Buffer.alloc(20, 2)]), undefined);
    expect((await second).value).toEqual(Buffer.alloc(10, 2));
    expect((await reader.next()).value).toEqual(Buffer.alloc(10, 2));
    expect((await reader.next()).done).toBe(true);
  });

  it("may be filled at a time up to its share, to the byte", async () => {
    const { open, fetches, fetchAt } = rig({ maxBytes: 400 });
    void open(V1, 80);
    expect(open("too much" as VersionId, 21)).toBeUndefined();
    void open("fits" as VersionId, 20);
    await settle();
    expect(fetches).toHaveLength(2);
    for (const index of [0, 1]) {
      fetchAt(index).begin();
      await fetchAt(index).give(new GfsError("Unavailable", "The site is away."));
    }
    expect(open("too much" as VersionId, 101)).toBeDefined();
  });

  it("counts a block once when it was fetched again after its time", async () => {
    const { cache, clock, fill, values, fetches } = rig({ ttlMs: 1_000 });
    await fill(V1, 20);
    await clock.advance(1_001);
    await fill(V1, 20);
    expect([cache.bytesOf(V1), values["globalfs_cache_bytes"], fetches.length]).toEqual([20, 20, 2]);
  });

  it("gives an object of just a block at once, and counts it as a hit", async () => {
    const { cache, fill, values } = rig();
    await fill(V1, 10);
    await fill(V2, 11);
    expect(cache.peekWhole(V1, 10)).toHaveLength(10);
    expect([cache.peekWhole(V2, 11), cache.peekWhole("none" as VersionId, 1)]).toEqual([undefined, undefined]);
    expect(values["globalfs_cache_hits_total"]).toBe(1);
  });

  it("holds blocks that are no larger than it is", async () => {
    const { cache, fill } = rig({ maxBytes: 5 });
    await fill(V1, 4);
    expect([cache.bytesOf(V1), cache.peekWhole(V1, 4)?.byteLength]).toEqual([4, 4]);
  });
});
