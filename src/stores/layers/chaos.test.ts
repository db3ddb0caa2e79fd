import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import { backgroundCtx } from "../../core/context.ts";
import { noMetrics } from "../../core/ports/metrics.ts";
import { seededRandom } from "../../core/ports/random.ts";
import { createFakeClock } from "../../core/testing/fake-clock.ts";
import { createMemoryStore } from "../drivers/memory/index.ts";
import { bytesOf, putBytes, scriptedStore } from "../testing/scripted-store.ts";
import { type ChaosConfig, chaosLayer } from "./chaos.ts";
import { stackLayers } from "./stack.ts";

const ctx = backgroundCtx();

async function rig(config: Partial<ChaosConfig>, seed = 1) {
  const inner = scriptedStore(createMemoryStore());
  await putBytes(inner, "key", "bytes");
  return { inner, store: chaosLayer({ random: seededRandom(seed), ...config })(inner) };
}

describe("the chaos layer", () => {
  it("keeps a call from the site, or loses its answer after the effect", async () => {
    const before = await rig({ errorBefore: 1 });
    await expect(before.store.delete(ctx, "key")).rejects.toMatchObject({ code: "Unavailable" });
    expect((await before.inner.head(ctx, "key")).sizeBytes).toBe(5);
    const after = await rig({ errorAfter: 1 });
    await expect(after.store.delete(ctx, "key")).rejects.toMatchObject({ code: "Unavailable" });
    await expect(after.inner.head(ctx, "key")).rejects.toMatchObject({ code: "NotFound" });
  });

  it("loses the answer to a commit whose object is there", async () => {
    const { inner, store } = await rig({ errorAfter: 1, only: ["put"] });
    await expect(putBytes(store, "new", "x")).rejects.toMatchObject({ code: "Unavailable" });
    expect((await inner.head(ctx, "new")).sizeBytes).toBe(1);
  });

  it("keeps to the operations it was told", async () => {
    const { store } = await rig({ errorBefore: 1, only: ["list"] });
    await expect(store.list(ctx, { limit: 1 })).rejects.toMatchObject({ code: "Unavailable" });
    await store.head(ctx, "key");
    await putBytes(store, "new", "x");
  });

  it("frees a body whose answer it loses", async () => {
    const { inner, store } = await rig({ errorAfter: 1 });
    let canceled = 0;
    inner.script.body = (body) => ({ ...body, cancel: () => void (canceled += 1) });
    await expect(store.get(ctx, "key")).rejects.toMatchObject({ code: "Unavailable" });
    expect(canceled).toBe(1);
  });

  it("does the same again with the same seed", async () => {
    const pattern = async (seed: number): Promise<string> => {
      const { store } = await rig({ errorBefore: 0.5 }, seed);
      let seen = "";
      for (let call = 0; call < 40; call++)
        seen += await store.head(ctx, "key").then(
          () => "+",
          () => "-",
        );
      return seen;
    };
    expect(await pattern(5)).toBe(await pattern(5));
    expect(await pattern(5)).not.toBe(await pattern(6));
  });

  it("breaks a stream off before its end, brings other bytes, and does neither unasked", async () => {
    const bodyOf = async (config: Partial<ChaosConfig>): Promise<string> => {
      const { store } = await rig(config);
      let seen = "";
      try {
        for await (const chunk of (await store.get(ctx, "key")).stream) {
          expect(chunk.byteLength).toBeGreaterThan(0);
          seen += Buffer.from(chunk).toString("latin1");
        }
        return seen;
      } catch (error) {
        return `${seen} ${(error as { code: string }).code}`;
      }
    };
    expect(await bodyOf({})).toBe("bytes");
    const broken = new Set<string>();
    for (let seed = 0; seed < 40; seed++) {
      broken.add(await bodyOf({ truncatedRead: 1, random: seededRandom(seed) }));
    }
    expect([...broken].sort()).toEqual([
      " Unavailable",
      "b Unavailable",
      "by Unavailable",
      "byt Unavailable",
      "byte Unavailable",
    ]);
    const { inner, store } = await rig({ truncatedRead: 1, random: seededRandom(3) });
    const pieces: number[] = [];
    const body = Buffer.alloc(100, 1);
    await putBytes(inner, "pieces", body);
    inner.script.body = (given) => ({
      ...given,
      stream: Readable.from(Array.from({ length: 50 }, () => body.subarray(0, 2))),
    });
    const read = async (): Promise<void> => {
      for await (const chunk of (await store.get(ctx, "pieces")).stream) pieces.push(chunk.byteLength);
    };
    await expect(read()).rejects.toMatchObject({ code: "Unavailable" });
    expect(pieces.length).toBeGreaterThan(1);
    expect(pieces.slice(0, -1).every((sizeBytes) => sizeBytes === 2)).toBe(true);
    const corrupted = await bodyOf({ corruptRead: 1 });
    expect([corrupted.length, corrupted.slice(1), corrupted === "bytes"]).toEqual([5, "ytes", false]);
  });
});

describe("the whole stack over a site that lies", () => {
  it("never gives wrong bytes for a success, and hides what a second attempt can mend", async () => {
    const clock = createFakeClock();
    const driver = createMemoryStore();
    const bodies = new Map(["a", "b", "c"].map((key, index) => [key, Buffer.alloc(1 + index * 300_000, key)]));
    for (const [key, bytes] of bodies) await putBytes(driver, key, bytes);
    const { store } = stackLayers(
      driver,
      {
        site: "test",
        retry: { maxAttempts: 6, initialDelayMs: 0, maxDelayMs: 0, multiplier: 1 },
        timeout: { requestMs: 1_000, idleMs: 1_000 },
        verifyMaxBytes: 10_000_000,
      },
      {
        clock,
        random: seededRandom(3),
        metrics: noMetrics,
        chaos: chaosLayer({
          random: seededRandom(4),
          errorBefore: 0.1,
          errorAfter: 0.1,
          truncatedRead: 0.2,
          corruptRead: 0.2,
        }),
      },
    );
    const seen = { right: 0, refused: 0 };
    for (let round = 0; round < 300; round++) {
      const [key, bytes] = [...bodies][round % bodies.size] as [string, Buffer];
      const reading = (async () => await bytesOf((await store.get(ctx, key)).stream))().then(
        (read) => read,
        (error: unknown) => error,
      );
      await clock.advance(1);
      const outcome = await reading;
      if (Buffer.isBuffer(outcome)) {
        expect(outcome.equals(bytes)).toBe(true);
        seen.right += 1;
      } else {
        expect((outcome as { code: string }).code).toMatch(/^(DataCorrupt|Unavailable)$/);
        seen.refused += 1;
      }
    }
    expect(seen.right).toBeGreaterThan(150);
    expect(seen.refused).toBeGreaterThan(50);
  });
});
