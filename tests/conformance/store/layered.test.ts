import { noMetrics } from "../../../src/core/ports/metrics.ts";
import { systemClock } from "../../../src/core/ports/clock.ts";
import { seededRandom } from "../../../src/core/ports/random.ts";
import { chaosLayer, createMemoryStore, stackLayers } from "../../../src/stores/index.ts";
import { describeStore } from "./suite.ts";

/**
 * Every layer at once, over a site whose reads fail every third time: nobody above may notice. So many attempts that running out of
 * them is not to be expected in a life, whatever order the calls of a run come in.
 */
describeStore("memory behind all layers, with reads that fail", async () => {
  const driver = createMemoryStore();
  const { store } = stackLayers(
    driver,
    {
      site: "layered",
      retry: { maxAttempts: 40, initialDelayMs: 0, maxDelayMs: 0, multiplier: 1 },
      breaker: { threshold: 40, cooldownMs: 10 },
      timeout: { requestMs: 10_000, idleMs: 10_000 },
      bandwidthBytesPerSecond: 2 ** 33,
      verifyMaxBytes: 2 ** 30,
    },
    {
      clock: systemClock,
      random: seededRandom(1),
      metrics: noMetrics,
      chaos: chaosLayer({
        random: seededRandom(2),
        errorBefore: 0.2,
        errorAfter: 0.2,
        only: ["head", "get", "list"],
      }),
    },
  );
  return { store, close: async () => await driver.close() };
});
