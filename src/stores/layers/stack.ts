import type { Clock } from "../../core/ports/clock.ts";
import type { Metrics } from "../../core/ports/metrics.ts";
import type { Random } from "../../core/ports/random.ts";
import type { BreakerState } from "../site.ts";
import type { Store, StoreLayer } from "../store.ts";
import { bandwidthLayer } from "./bandwidth.ts";
import { type BreakerConfig, breakerLayer, createBreaker } from "./breaker.ts";
import { checksumLayer } from "./checksum.ts";
import { metricsLayer } from "./metrics.ts";
import { retryLayer, type RetryPolicy } from "./retry.ts";
import { timeoutLayer, type TimeoutPolicy } from "./timeout.ts";

export interface StackConfig {
  readonly site: string;
  readonly retry?: RetryPolicy;
  readonly breaker?: BreakerConfig;
  readonly timeout?: TimeoutPolicy;
  /** Each way. */
  readonly bandwidthBytesPerSecond?: number;
  /** Whole reads up to this size are held against their checksum. */
  readonly verifyMaxBytes: number;
}

export interface StackDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  readonly onLatency?: (latencyMs: number) => void;
  /** Tests put faults next to the driver. */
  readonly chaos?: StoreLayer;
}

export interface Stacked {
  readonly store: Store;
  readonly circuit?: () => BreakerState;
}

const STATE_VALUE: Record<BreakerState, number> = { closed: 0, "half-open": 1, open: 2 };

/**
 * The one order of layers, outermost first:
 * - metrics: what callers see, retries included.
 * - retry: every attempt below it is a new one, with its own time and its own verdict of the breaker.
 * - bandwidth: holds back bytes on their way, above all that judges the site: our own limit must not look like a slow site.
 * - breaker: judges single attempts, timeouts included.
 * - timeout: the time of an attempt at the site itself.
 * - checksum: closest to the driver, so that nobody above ever sees wrong bytes.
 */
export function stackLayers(driver: Store, config: StackConfig, deps: StackDeps): Stacked {
  const { clock, random, metrics, onLatency } = deps;
  const { site } = config;
  const layers: StoreLayer[] = [
    metricsLayer({ site, metrics, clock, ...(onLatency === undefined ? {} : { onLatency }) }),
  ];
  if (config.retry !== undefined && config.retry.maxAttempts > 1)
    layers.push(retryLayer(config.retry, { clock, random }));
  if (config.bandwidthBytesPerSecond !== undefined) layers.push(bandwidthLayer(config.bandwidthBytesPerSecond, clock));
  const gauge = metrics.gauge({
    name: "globalfs_site_circuit_state",
    help: "0 closed, 1 half-open, 2 open.",
    labels: ["site"],
    // Each process has a breaker of its own; the worst of them is what somebody meets.
    combine: "largest",
  });
  let closed = false;
  const breaker =
    config.breaker === undefined
      ? undefined
      : createBreaker(config.breaker, clock, (state) => {
          if (!closed) gauge.set(STATE_VALUE[state], { site });
        });
  if (breaker !== undefined) {
    gauge.set(0, { site });
    layers.push(breakerLayer(breaker));
  }
  if (config.timeout !== undefined) layers.push(timeoutLayer(config.timeout, clock));
  layers.push(checksumLayer({ maxBytes: config.verifyMaxBytes }));
  if (deps.chaos !== undefined) layers.push(deps.chaos);
  const store = layers.reduceRight((inner, layer) => layer(inner), driver);
  if (breaker === undefined) return { store };
  const close = async (): Promise<void> => {
    closed = true;
    gauge.remove({ site });
    await store.close();
  };
  return { store: { ...store, close }, circuit: breaker.state };
}
