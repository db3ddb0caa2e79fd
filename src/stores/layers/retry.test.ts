import { describe, expect, it } from "vitest";
import { backgroundCtx } from "../../core/context.ts";
import { type ErrorCode, GfsError, type GfsErrorDetail } from "../../core/errors.ts";
import { seededRandom } from "../../core/ports/random.ts";
import { createFakeClock } from "../../core/testing/fake-clock.ts";
import { createMemoryStore } from "../drivers/memory/index.ts";
import { bytesOf, putBytes, scriptedStore } from "../testing/scripted-store.ts";
import { delayOf, retryLayer, type RetryPolicy } from "./retry.ts";

const POLICY: RetryPolicy = { maxAttempts: 4, initialDelayMs: 100, maxDelayMs: 1_000, multiplier: 2 };

interface Fault {
  readonly code?: ErrorCode;
  readonly detail?: GfsErrorDetail;
  /** So many calls fail, then they work. */
  readonly times?: number;
}

async function faulty({ code = "Unavailable", detail, times = Infinity }: Fault, policy = POLICY) {
  const clock = createFakeClock();
  const inner = scriptedStore(createMemoryStore());
  await putBytes(inner, "key", "bytes");
  let left = times;
  const fail = (): void => {
    if (left-- > 0) throw new GfsError(code, "The site is away.", detail);
  };
  inner.script.before = fail;
  return { clock, inner, store: retryLayer(policy, { clock, random: seededRandom(1) })(inner) };
}

const ctx = backgroundCtx();

describe("the retry layer", () => {
  it("hides failures of reads that end within the attempts it has", async () => {
    const { clock, inner, store } = await faulty({ times: 3 });
    const reading = store.get(ctx, "key");
    await clock.advance(10_000);
    expect((await bytesOf((await reading).stream)).toString()).toBe("bytes");
    expect(inner.count("get")).toBe(4);
    expect(clock.waiting).toBe(0);
  });

  it.each(["head", "get", "list"] as const)(
    "gives up a %s after its attempts, and says that retries are spent",
    async (operation) => {
      const { clock, inner, store } = await faulty({});
      const calls = {
        head: () => store.head(ctx, "key"),
        get: () => store.get(ctx, "key"),
        list: () => store.list(ctx, { limit: 10 }),
      };
      const failure = calls[operation]().catch((error: unknown) => error);
      await clock.advance(60_000);
      expect(await failure).toMatchObject({ code: "Unavailable", retry: "exhausted", context: { attempts: 4 } });
      expect(inner.count(operation)).toBe(4);
    },
  );

  it("sends writes once: whether a lost one had its effect nobody knows", async () => {
    const { inner, store } = await faulty({});
    const upload = { key: "key", uploadId: "u" };
    const part = { sizeBytes: 0, async *open() {} };
    const writes = [
      () => store.stage(ctx, "key"),
      () => store.delete(ctx, "key"),
      () => store.deleteMany(ctx, ["key"]),
      () => store.copy(ctx, "key", "other"),
      () => store.createMultipart(ctx, "key", { partSizeBytes: 1 }),
      () => store.uploadPart(ctx, upload, 1, part),
      () => store.completeMultipart(ctx, upload, []),
    ];
    const before = inner.calls.length;
    for (const write of writes) await expect(write()).rejects.toMatchObject({ code: "Unavailable", retry: "safe" });
    expect(inner.calls.length - before).toBe(writes.length);
  });

  it.each(["NotFound", "PermissionDenied", "PreconditionFailed", "DataCorrupt", "Internal"] as const)(
    "takes %s for an answer",
    async (code) => {
      const { inner, store } = await faulty({ code });
      await expect(store.head(ctx, "key")).rejects.toMatchObject({ code, retry: "never" });
      expect(inner.count("head")).toBe(1);
    },
  );

  it("waits longer each time, up to the limit, and never all at the same moment", () => {
    const policy: RetryPolicy = { maxAttempts: 99, initialDelayMs: 100, maxDelayMs: 1_500, multiplier: 2 };
    const random = seededRandom(7);
    const seen = new Set<number>();
    for (let attempts = 1; attempts <= 2_000; attempts++) {
      const full = Math.min(1_500, 100 * 2 ** (attempts - 1));
      const delayMs = delayOf(policy, attempts, random);
      expect(delayMs).toBeGreaterThanOrEqual(full / 2);
      expect(delayMs).toBeLessThanOrEqual(full);
      seen.add(delayMs);
    }
    expect(seen.size).toBeGreaterThan(1_900);
  });

  it("comes back no sooner than the site asked for", async () => {
    const { clock, inner, store } = await faulty({ code: "Overloaded", detail: { retryAfterMs: 900 }, times: 1 });
    const reading = store.head(ctx, "key");
    await clock.advance(899);
    expect(inner.count("head")).toBe(1);
    await clock.advance(1);
    expect((await reading).sizeBytes).toBe(5);
  });

  it("does not hold its caller up when the site asks for a longer pause than it would ever make", async () => {
    const { clock, inner, store } = await faulty({ code: "Overloaded", detail: { retryAfterMs: 60_000 } });
    await expect(store.head(ctx, "key")).rejects.toMatchObject({
      code: "Overloaded",
      retry: "exhausted",
      retryAfterMs: 60_000,
    });
    expect([inner.count("head"), clock.waiting]).toEqual([1, 0]);
  });

  it("does not wait beyond the caller's deadline", async () => {
    const { clock, inner, store } = await faulty({});
    const failure = store
      .head({ ...ctx, deadlineMs: clock.monotonicMs() + 120 }, "key")
      .catch((error: unknown) => error);
    await clock.advance(120);
    expect(await failure).toMatchObject({ code: "Unavailable", retry: "exhausted" });
    expect(inner.count("head")).toBeLessThan(POLICY.maxAttempts);
    expect(clock.waiting).toBe(0);
  });

  it("stops waiting as soon as its caller gives up", async () => {
    const { clock, inner, store } = await faulty({});
    const controller = new AbortController();
    const failure = store.head({ ...ctx, signal: controller.signal }, "key").catch((error: unknown) => error);
    await clock.advance(0);
    controller.abort(new Error("gone"));
    expect(await failure).toMatchObject({ code: "Canceled" });
    expect([inner.count("head"), clock.waiting]).toEqual([1, 0]);
  });
});
