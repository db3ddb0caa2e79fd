import { describe, expect, it } from "vitest";
import { backgroundCtx } from "../../core/context.ts";
import { GfsError } from "../../core/errors.ts";
import { type Metrics, noMetrics } from "../../core/ports/metrics.ts";
import { seededRandom } from "../../core/ports/random.ts";
import { createFakeClock } from "../../core/testing/fake-clock.ts";
import { createMemoryStore } from "../drivers/memory/index.ts";
import { bytesOf, putBytes, scriptedStore } from "../testing/scripted-store.ts";
import { type StackConfig, stackLayers } from "./stack.ts";

const ctx = backgroundCtx();
const LAYERS: StackConfig = {
  site: "site",
  retry: { maxAttempts: 5, initialDelayMs: 10, maxDelayMs: 100, multiplier: 2 },
  breaker: { threshold: 3, cooldownMs: 60_000 },
  timeout: { requestMs: 1_000, idleMs: 1_000 },
  verifyMaxBytes: 10_000_000,
};

async function rig(config: Partial<StackConfig> = {}) {
  const clock = createFakeClock();
  const inner = scriptedStore(createMemoryStore());
  await putBytes(inner, "key", Buffer.alloc(1_000_000, 1));
  const latencies: number[] = [];
  const stacked = stackLayers(
    inner,
    { ...LAYERS, ...config },
    {
      clock,
      random: seededRandom(1),
      metrics: noMetrics,
      onLatency: (latencyMs) => latencies.push(latencyMs),
    },
  );
  return { clock, inner, latencies, ...stacked };
}

describe("the stack of layers", () => {
  it("lets every attempt of a retried read count for the breaker, which ends the retries", async () => {
    const { clock, inner, store, circuit } = await rig();
    inner.script.before = () => {
      throw new GfsError("Unavailable", "The site is away.");
    };
    const failure = store.head(ctx, "key").catch((error: unknown) => error);
    await clock.advance(1_000);
    expect(await failure).toMatchObject({ code: "Unavailable", op: "store.breaker" });
    expect([inner.count("head"), circuit?.()]).toEqual([3, "open"]);
  });

  it("does not blame the site for our own limit of bandwidth", async () => {
    const { clock, store, circuit } = await rig({ bandwidthBytesPerSecond: 50_000 });
    const reading = (async () => (await bytesOf((await store.get(ctx, "key")).stream)).length)();
    const writing = putBytes(store, "new", Buffer.alloc(1_000_000));
    await clock.advance(60_000);
    expect(await reading).toBe(1_000_000);
    expect((await writing).sizeBytes).toBe(1_000_000);
    expect(circuit?.()).toBe("closed");
  });

  it("tells how fast the site answered, and nothing of calls that failed or were given up", async () => {
    const { clock, inner, latencies, store } = await rig();
    inner.script.before = () => clock.sleep(25);
    const answered = [store.head(ctx, "key"), store.head(ctx, "none").catch(() => undefined)];
    await clock.advance(25);
    await Promise.all(answered);
    expect(latencies).toEqual([25, 25]);
    for (const code of ["Canceled", "Internal"] as const) {
      inner.script.before = () => {
        throw new GfsError(code, "No.");
      };
      await store.head(ctx, "key").catch(() => undefined);
    }
    expect(latencies.length).toBe(2);
  });

  it("shows whether the circuit is closed, half-open or open", async () => {
    const shown: number[] = [];
    const metrics: Metrics = {
      ...noMetrics,
      gauge: ({ name }) => ({
        set: (value) => void (name === "globalfs_site_circuit_state" && shown.push(value)),
        add: () => undefined,
        remove: () => undefined,
      }),
    };
    const clock = createFakeClock();
    const inner = scriptedStore(createMemoryStore());
    const breaker = { threshold: 1, cooldownMs: 60_000 };
    const deps = { clock, random: seededRandom(1), metrics };
    const { store, circuit } = stackLayers(inner, { site: "a", breaker, verifyMaxBytes: 0 }, deps);
    inner.script.before = () => {
      throw new GfsError("Unavailable", "The site is away.");
    };
    await store.head(ctx, "key").catch(() => undefined);
    expect(circuit?.()).toBe("open");
    inner.script = {};
    await clock.advance(60_000);
    await store.head(ctx, "key").catch(() => undefined);
    expect(circuit?.()).toBe("closed");
    expect(shown).toEqual([0, 2, 1, 0]);
  });

  it("forgets the series of a site that is closed, also when a call from before fails later", async () => {
    const series = new Map<string, number>();
    const metrics: Metrics = {
      ...noMetrics,
      gauge: ({ name }) => ({
        set: (value, labels) => void series.set(`${name} ${labels?.["site"]}`, value),
        add: () => undefined,
        remove: (labels) => void series.delete(`${name} ${labels["site"]}`),
      }),
    };
    const clock = createFakeClock();
    const inner = scriptedStore(createMemoryStore());
    const breaker = { threshold: 1, cooldownMs: 60_000 };
    const deps = { clock, random: seededRandom(1), metrics };
    const { store } = stackLayers(inner, { site: "a", breaker, verifyMaxBytes: 0 }, deps);
    expect([...series]).toEqual([["globalfs_site_circuit_state a", 0]]);
    let fail!: () => void;
    inner.script.before = () =>
      new Promise((_resolve, reject) => (fail = () => reject(new GfsError("Internal", "No."))));
    const late = store.head(ctx, "key").catch(() => undefined);
    await store.close();
    fail();
    await late;
    expect([...series]).toEqual([]);
  });

  it("has no breaker where none is configured", async () => {
    const clock = createFakeClock();
    const stacked = stackLayers(
      createMemoryStore(),
      { site: "site", verifyMaxBytes: 0 },
      { clock, random: seededRandom(1), metrics: noMetrics },
    );
    expect(stacked.circuit).toBeUndefined();
  });
});
