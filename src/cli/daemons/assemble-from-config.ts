import os from "node:os";
import { monotonicFactory } from "ulidx";
import {
  type Assembled,
  assembleCoordinator,
  type CopyCheck,
  createPlaceBook,
  createUploadBook,
  isAdded,
  type Settings,
} from "../../coordinator/index.ts";
import type { SiteName } from "../../core/ids.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { Logger } from "../../core/ports/log.ts";
import type { Metrics } from "../../core/ports/metrics.ts";
import type { Random } from "../../core/ports/random.ts";
import type { Kv } from "../../kv/index.ts";
import { createLatencyTracker } from "../../placement/index.ts";
import { createEndpointGuard, type SecretBox } from "../../security/index.ts";
import type { PlaceBook, UploadBook } from "../../stores/index.ts";
import type { Config } from "../config/index.ts";
import { VERSION } from "../version.ts";
import type { SiteDeps } from "./open-site.ts";
import { openAddedSite, openSites } from "./open-sites.ts";

const HEALTH_TIMEOUT_MS = 10_000;
const TOMBSTONE_RETENTION_MS = 86_400_000;
const STAGING_RETENTION_MS = 2 * 86_400_000;
const UPLOAD_RETENTION_MS = 7 * 86_400_000;
const HOUSEKEEPING_INTERVAL_MS = 60_000;

export interface AssemblyDeps {
  readonly kv: Kv;
  readonly secrets: SecretBox;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly signal: AbortSignal;
  readonly assertCatalogSpace: () => void;
  /** In a process that only reads the catalog. */
  readonly passOnCheck?: (check: CopyCheck) => void;
  readonly passOnDoubt?: (site: SiteName) => void;
}

/** Opens the configured sites and puts a coordinator together over them; nothing runs before it is started. */
export async function assembleFromConfig(config: Config, deps: AssemblyDeps): Promise<Assembled> {
  const { clock, random, log, metrics, signal } = deps;
  const latency = createLatencyTracker();
  const configured = new Set<string>(config.sites.map(({ name }) => name));
  const bookOf = (site: SiteName): PlaceBook =>
    createPlaceBook(
      { kv: deps.kv, random, isCurrent: async (name) => configured.has(name) || (await isAdded(deps.kv, name)) },
      site,
    );
  const uploadsOf = (site: SiteName): UploadBook => createUploadBook(deps.kv, clock, site);
  const siteDeps: SiteDeps = { config, clock, random, log, metrics, latency, bookOf, uploadsOf };
  const guard = createEndpointGuard(config.security);
  const sites = await openSites(config, siteDeps, signal);
  const nextUlid = monotonicFactory(pooledChance(random));
  return assembleCoordinator(
    {
      kv: deps.kv,
      clock,
      random,
      secrets: deps.secrets,
      log,
      metrics,
      latency,
      nextId: () => nextUlid(),
      rules: config.rules,
      health: { intervalMs: config.resilience.healthPollIntervalMs, timeoutMs: HEALTH_TIMEOUT_MS },
      ...(config.cache.enabled ? { cache: config.cache } : {}),
      mover: {
        maxConcurrentTransfers: config.performance.maxConcurrentTransfers,
        transferChunkBytes: config.performance.transferChunkBytes,
        maxQueuedJobs: config.limits.maxQueuedJobs,
        verify: config.performance.verify,
        bandwidth: config.performance.bandwidth,
      },
      settings: {
        version: VERSION,
        clusterName: config.global.clusterName,
        open: config.security.open,
        maxObjectBytes: config.limits.maxObjectBytes,
        tombstoneRetentionMs: TOMBSTONE_RETENTION_MS,
        stagingRetentionMs: STAGING_RETENTION_MS,
        uploadRetentionMs: UPLOAD_RETENTION_MS,
        maxSetAsideBytes: config.limits.maxSetAsideBytes,
        ...backupOf(config),
        ...(config.s3 === undefined ? {} : { lifecycleDayMs: config.s3.lifecycleDayMs }),
        housekeepingIntervalMs: HOUSEKEEPING_INTERVAL_MS,
      },
      identity: `${os.hostname()}:${process.pid}`,
      leaseMs: config.coordinator.leaseMs,
      // Both engines belong to the one process that has opened them.
      isShared: false,
      openSite: async (request, options) => await openAddedSite(request, siteDeps, guard, options),
      assertCatalogSpace: deps.assertCatalogSpace,
      ...(deps.passOnCheck === undefined ? {} : { passOnCheck: deps.passOnCheck }),
      ...(deps.passOnDoubt === undefined ? {} : { passOnDoubt: deps.passOnDoubt }),
    },
    sites,
  );
}

function backupOf({ coordinator: { backup, kv } }: Config): Pick<Settings, "backup"> {
  return backup.everyMs === 0 || kv.engine === "memory" ? {} : { backup };
}

/** Numbers from 0 to 1 out of a pool of random bytes: the library asks for each digit of an id by itself. */
function pooledChance(random: Random): () => number {
  let pool = new Uint8Array(0);
  let used = 0;
  return () => {
    if (used === pool.length) {
      pool = random.bytes(4_096) as Uint8Array<ArrayBuffer>;
      used = 0;
    }
    return (pool[used++] as number) / 256;
  };
}

/** What one process may use of what all may use together. */
export function shareOf(config: Config, processes: number): Config {
  const s3 = config.s3;
  return {
    ...config,
    cache: { ...config.cache, maxBytes: Math.max(1, Math.floor(config.cache.maxBytes / processes)) },
    ...(s3 === undefined ? {} : { s3: { ...s3, maxConnections: Math.ceil(s3.maxConnections / processes) } }),
  };
}
