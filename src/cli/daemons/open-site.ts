import { backgroundCtx } from "../../core/context.ts";
import { GfsError, toGfsError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { Logger } from "../../core/ports/log.ts";
import type { Metrics } from "../../core/ports/metrics.ts";
import type { Random } from "../../core/ports/random.ts";
import type { LatencyTracker } from "../../placement/index.ts";
import { probeStore, type Site, type Store, stackLayers } from "../../stores/index.ts";
import type { Config, SiteConfig } from "../config/index.ts";
import { openStore } from "./open-store.ts";

export interface SiteDeps {
  readonly config: Config;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly latency: LatencyTracker;
}

const PROBE_TIMEOUT_MS = 15_000;
/** Whole reads up to this size are hashed on the way; larger ones are checked by `verify` jobs. */
const VERIFY_MAX_BYTES = 64 * 1024 ** 2;

/** Opens the driver, has it prove what it can do, and puts the layers on. */
export async function openSite(
  site: SiteConfig,
  deps: SiteDeps,
  options: { readonly mustAnswer: boolean; readonly signal: AbortSignal },
): Promise<Site> {
  const opened = await openStore(site.store, { ...deps, connectTimeoutMs: deps.config.resilience.timeout.connectMs });
  for (const finding of opened.findings ?? []) deps.log.warn("site_probe_finding", { site: site.name, finding });
  let driver: Store;
  try {
    driver = opened.probe ? await probed(site, opened.store, deps, options) : opened.store;
  } catch (error) {
    await opened.store.close();
    throw error;
  }
  const { circuitBreaker, retry, timeout } = deps.config.resilience;
  if (site.network?.latencyMs !== undefined) deps.latency.expect(site.name, site.network.latencyMs);
  const bandwidth = site.network?.bandwidthBytesPerSecond;
  const { store, circuit } = stackLayers(
    driver,
    {
      site: site.name,
      verifyMaxBytes: VERIFY_MAX_BYTES,
      timeout: { requestMs: timeout.requestMs, idleMs: timeout.idleMs },
      ...(retry.enabled ? { retry } : {}),
      ...(circuitBreaker.enabled ? { breaker: circuitBreaker } : {}),
      ...(bandwidth === undefined ? {} : { bandwidthBytesPerSecond: bandwidth }),
    },
    {
      clock: deps.clock,
      random: deps.random,
      metrics: deps.metrics,
      onLatency: (latencyMs) => deps.latency.observe(site.name, latencyMs),
    },
  );
  return {
    name: site.name,
    role: site.role,
    store,
    foreign: site.foreign,
    label: opened.label,
    ...(circuit === undefined ? {} : { circuit }),
    ...(site.network === undefined ? {} : { network: site.network }),
  };
}

/** A configured site that does not answer at the start is taken as its driver describes it; one that is added must answer. */
async function probed(
  site: SiteConfig,
  store: Store,
  { log }: SiteDeps,
  { mustAnswer, signal }: { readonly mustAnswer: boolean; readonly signal: AbortSignal },
): Promise<Store> {
  const ctx = backgroundCtx({
    signal: AbortSignal.any([signal, AbortSignal.timeout(PROBE_TIMEOUT_MS)]),
    log,
    requestId: "probe",
  });
  try {
    const { store: proven, report } = await probeStore(ctx, store);
    for (const finding of report.findings) log.warn("site_probe_finding", { site: site.name, finding });
    return proven;
  } catch (error) {
    const failure = toGfsError(error, "site.probe");
    if (mustAnswer || failure.code === "DataCorrupt") {
      throw new GfsError(failure.code, `Site ${site.name} cannot be used: ${failure.message}`, { cause: failure });
    }
    log.warn("site_not_probed", { site: site.name, error: failure.message });
    return store;
  }
}
