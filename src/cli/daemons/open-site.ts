import { backgroundCtx } from "../../core/context.ts";
import { GfsError, toGfsError } from "../../core/errors.ts";
import type { SiteName } from "../../core/ids.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { Logger } from "../../core/ports/log.ts";
import type { Metrics } from "../../core/ports/metrics.ts";
import type { Random } from "../../core/ports/random.ts";
import type { LatencyTracker } from "../../placement/index.ts";
import {
  createPlace,
  type Place,
  type PlaceBook,
  probeStore,
  type Site,
  type Store,
  stackLayers,
  type UploadBook,
} from "../../stores/index.ts";
import type { Config, SiteConfig } from "../config/index.ts";
import { openStore, type StoreDeps } from "./open-store.ts";

export interface SiteDeps {
  readonly config: Config;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly latency: LatencyTracker;
  /** What the catalog knows of where a site lies. */
  readonly bookOf: (site: SiteName) => PlaceBook;
  /** What it knows of uploads in parts that were begun there. */
  readonly uploadsOf: (site: SiteName) => UploadBook;
}

export interface OpenSite {
  readonly mustAnswer: boolean;
  readonly signal: AbortSignal;
  /** It is put there on purpose, wherever a site of this name was before. */
  readonly moves: boolean;
  /** Also when another catalog uses the place. */
  readonly adopts: boolean;
}

const PROBE_TIMEOUT_MS = 15_000;
/** Whole reads up to this size are hashed on the way; larger ones are checked by `verify` jobs. */
const VERIFY_MAX_BYTES = 64 * 1024 ** 2;

/** Opens the driver, has it prove what it can do, and puts the layers on. */
export async function openSite(site: SiteConfig, deps: SiteDeps, options: OpenSite): Promise<Site> {
  const book = deps.bookOf(site.name);
  const existing = !options.moves && (await knowsPlace(book));
  const opened = await openStore(site.store, {
    ...deps,
    connectTimeoutMs: deps.config.resilience.timeout.connectMs,
    existing,
    onIntake: intakeGauges(site.name, deps.metrics),
    uploads: deps.uploadsOf(site.name),
  });
  for (const finding of opened.findings ?? []) deps.log.warn("site_probe_finding", { site: site.name, finding });
  const { clock, log } = deps;
  const place = createPlace({
    site: site.name,
    label: opened.label,
    store: opened.store,
    book,
    // A catalog in memory is a new one at each start, and the one before is gone.
    unknownMarkers: options.adopts ? "share" : deps.config.coordinator.kv.engine === "memory" ? "take" : "ask",
    moves: options.moves || opened.isVolatile === true,
    clock,
    log,
  });
  let driver: Store;
  try {
    const isThere = await isAtItsPlace(site, place, deps, options);
    driver = opened.probe && isThere ? await probed(site, opened.store, deps, options) : opened.store;
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
    store: place.guard(store),
    adopt: place.adopt,
    foreign: site.foreign,
    ...(site.listingStandsMs === undefined ? {} : { listingStandsMs: site.listingStandsMs }),
    label: opened.label,
    ...(circuit === undefined ? {} : { circuit }),
    ...(site.network === undefined ? {} : { network: site.network }),
  };
}

function intakeGauges(site: SiteName, metrics: Metrics): NonNullable<StoreDeps["onIntake"]> {
  const records = metrics.gauge({
    name: "globalfs_site_intake_records",
    help: "Small writes that are noted in segments and not flushed as files yet.",
    labels: ["site"],
  });
  const bytes = metrics.gauge({
    name: "globalfs_site_intake_bytes",
    help: "Bytes of these segments.",
    labels: ["site"],
  });
  return (standing) => {
    records.set(standing.records, { site });
    bytes.set(standing.bytes, { site });
  };
}

async function knowsPlace(book: PlaceBook): Promise<boolean> {
  try {
    return (await book.read()).state === "held";
  } catch {
    // A process that only reads the catalog, before the coordinator has seen the site; nothing is made then.
    return true;
  }
}

/** Before anything is written to it. A configured site may come to its place later; one that is added must be there. */
async function isAtItsPlace(
  site: SiteConfig,
  place: Place,
  { log }: SiteDeps,
  { mustAnswer }: OpenSite,
): Promise<boolean> {
  try {
    await place.verify();
    return true;
  } catch (error) {
    if (mustAnswer) throw error;
    log.error("site_not_at_its_place", { site: site.name, error: toGfsError(error).message });
    return false;
  }
}

/** A configured site that does not answer at the start is taken as its driver describes it; one that is added must answer. */
async function probed(
  site: SiteConfig,
  store: Store,
  { log }: SiteDeps,
  { mustAnswer, signal }: OpenSite,
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
