import os from "node:os";
import { monotonicFactory } from "ulidx";
import { assembleCoordinator, type CoordinatorService } from "../../coordinator/index.ts";
import { toGfsError } from "../../core/errors.ts";
import { systemClock } from "../../core/ports/clock.ts";
import { systemRandom } from "../../core/ports/random.ts";
import { createRestGateway } from "../../gateways/rest/index.ts";
import { createMemoryKv, type Kv, openLmdbKv } from "../../kv/index.ts";
import { createLatencyTracker } from "../../placement/index.ts";
import {
  assertSafeListen,
  createEndpointGuard,
  createKeyring,
  hashApiKey,
  isLoopbackHost,
  type Keyring,
  parseListenAddress,
} from "../../security/index.ts";
import { createLogger, createMetrics, type RootLogger } from "../../telemetry/index.ts";
import type { Config } from "../config/index.ts";
import { VERSION } from "../version.ts";
import { watchCatalogSpace } from "./catalog-space.ts";
import { listenForMetrics, type MetricsListener } from "./metrics-listener.ts";
import { openSecrets } from "./open-secrets.ts";
import type { SiteDeps } from "./open-site.ts";
import { openAddedSite, openSites } from "./open-sites.ts";
import { openS3Endpoint, type S3Endpoint } from "./s3-endpoint.ts";

export interface RunCoordinator {
  readonly config: Config;
  readonly configPath?: string;
  /** Aborts to stop: running requests finish first. */
  readonly signal: AbortSignal;
  readonly onReady: (ready: Ready) => void | Promise<void>;
}

export interface Ready {
  readonly url: string;
  /** Of the S3 endpoint, where there is one. */
  readonly s3Url?: string;
  readonly service: CoordinatorService;
}

const DRAIN_MS = 30_000;
const HEALTH_TIMEOUT_MS = 10_000;
const TOMBSTONE_RETENTION_MS = 86_400_000;
const STAGING_RETENTION_MS = 2 * 86_400_000;
const UPLOAD_RETENTION_MS = 7 * 86_400_000;
const HOUSEKEEPING_INTERVAL_MS = 60_000;

/** The coordinator daemon: everything is made here, in order, and unmade in the opposite one. */
export async function runCoordinator({ config, signal, onReady }: RunCoordinator): Promise<void> {
  const keyring = keyringOf(config);
  const listen = parseListenAddress(config.coordinator.listenAddress, !keyring.isEmpty);
  assertSafeListen(listen, !keyring.isEmpty);
  const log = createLogger({
    level: config.global.logLevel,
    format: config.global.logFormat,
    ...(config.global.logFile === undefined ? {} : { file: config.global.logFile }),
  });
  const undo: (() => Promise<void> | void)[] = [() => log.flush()];
  try {
    await run(config, { keyring, listen, log, signal, onReady, undo });
  } finally {
    for (const step of undo.toReversed()) {
      try {
        await step();
      } catch (error) {
        log.error("stop_failed", { error: toGfsError(error).message });
      }
    }
  }
}

interface Setting {
  readonly keyring: Keyring;
  readonly listen: { readonly host: string; readonly port: number };
  readonly log: RootLogger;
  readonly signal: AbortSignal;
  readonly onReady: RunCoordinator["onReady"];
  readonly undo: (() => Promise<void> | void)[];
}

async function run(config: Config, { keyring, listen, log, signal, onReady, undo }: Setting): Promise<void> {
  const clock = systemClock;
  const random = systemRandom;
  const metrics = createMetrics({ processMetrics: true });
  if (config.security.environmentApiKey !== undefined && config.security.environmentApiKey.length < 16) {
    log.warn("short_api_key", { advice: "GLOBALFS_API_KEY has fewer than 16 characters and could be guessed." });
  }
  const kv = await openCatalog(config);
  undo.push(() => kv.close());
  const secrets = await openSecrets(config, random);
  const space =
    config.coordinator.kv.engine === "memory"
      ? undefined
      : await watchCatalogSpace(config.coordinator.dataDirectory, clock);
  undo.push(() => space?.stop());

  const latency = createLatencyTracker();
  const siteDeps: SiteDeps = { config, clock, random, log, metrics, latency };
  const guard = createEndpointGuard(config.security);
  const sites = await openSites(config, siteDeps, signal);
  const nextUlid = monotonicFactory(pooledChance());
  const { coordinator, sites: registry } = assembleCoordinator(
    {
      kv,
      clock,
      random,
      secrets,
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
        maxObjectBytes: config.limits.maxObjectBytes,
        maxQueuedJobs: config.limits.maxQueuedJobs,
        tombstoneRetentionMs: TOMBSTONE_RETENTION_MS,
        stagingRetentionMs: STAGING_RETENTION_MS,
        uploadRetentionMs: UPLOAD_RETENTION_MS,
        ...(config.s3 === undefined ? {} : { lifecycleDayMs: config.s3.lifecycleDayMs }),
        housekeepingIntervalMs: HOUSEKEEPING_INTERVAL_MS,
      },
      identity: `${os.hostname()}:${process.pid}`,
      leaseMs: config.coordinator.leaseMs,
      openSite: async (request, requestSignal) => await openAddedSite(request, siteDeps, guard, requestSignal),
      assertCatalogSpace: () => space?.assert(),
    },
    sites,
  );
  undo.push(() => registry.close());
  await coordinator.start(signal);
  undo.push(() => coordinator.stop());

  const renderMetrics = config.global.metricsEnabled ? () => metrics.render() : undefined;
  const gateway = await createRestGateway(
    { service: coordinator, keyring, clock, log, metrics, ...(renderMetrics === undefined ? {} : { renderMetrics }) },
    {
      version: VERSION,
      maxConcurrentRequests: config.limits.maxConcurrentRequests,
      bodyIdleMs: config.limits.bodyIdleTimeoutMs,
    },
  );
  const { port } = await gateway.listen(listen);
  undo.push(() => gateway.close({ drainMs: DRAIN_MS }));
  if (renderMetrics !== undefined && config.global.metricsPort > 0) {
    const listener = await openMetricsPort(config.global.metricsPort, {
      host: listen.host,
      keyring,
      log,
      render: renderMetrics,
    });
    undo.push(() => listener?.close());
  }

  const s3 = await openS3(config, { service: coordinator, clock, log, metrics, random }, keyring);
  undo.push(() => s3?.close({ drainMs: DRAIN_MS }));

  const onHangUp = (): void => {
    log.reopen();
    void s3?.renew();
  };
  process.on("SIGHUP", onHangUp);
  undo.push(() => void process.off("SIGHUP", onHangUp));
  const url = `http://${urlHost(listen.host)}:${port}`;
  const s3Url = s3 === undefined ? undefined : `http${s3.secure ? "s" : ""}://${urlHost(s3.host)}:${s3.port}`;
  log.info("coordinator_ready", {
    url,
    ...(s3Url === undefined ? {} : { s3Url }),
    version: VERSION,
    cluster: config.global.clusterName,
    sites: registry.list().length,
    engine: kv.engine,
  });
  await onReady({ url, service: coordinator, ...(s3Url === undefined ? {} : { s3Url }) });
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  log.info("coordinator_stopping");
}

function keyringOf({ security }: Config): Keyring {
  const { environmentApiKey } = security;
  return createKeyring([
    ...security.apiKeys,
    ...(environmentApiKey === undefined ? [] : [{ name: "environment", hash: hashApiKey(environmentApiKey) }]),
  ]);
}

async function openS3(
  config: Config,
  deps: Parameters<typeof openS3Endpoint>[2]["deps"],
  keyring: Keyring,
): Promise<S3Endpoint | undefined> {
  if (config.s3 === undefined) return undefined;
  return await openS3Endpoint(config, config.s3, { deps, hasKeys: !keyring.isEmpty });
}

function urlHost(host: string): string {
  if (host === "::" || host === "0.0.0.0" || isLoopbackHost(host)) return "localhost";
  return host.includes(":") ? `[${host}]` : host;
}

async function openCatalog({ coordinator }: Config): Promise<Kv> {
  const { engine, mapSizeBytes } = coordinator.kv;
  return engine === "memory" ? createMemoryKv() : await openLmdbKv({ path: coordinator.dataDirectory, mapSizeBytes });
}

/** Numbers from 0 to 1 out of a pool of random bytes: the library asks for each digit of an id by itself. */
function pooledChance(): () => number {
  let pool = new Uint8Array(0);
  let used = 0;
  return () => {
    if (used === pool.length) {
      pool = systemRandom.bytes(4_096) as Uint8Array<ArrayBuffer>;
      used = 0;
    }
    return (pool[used++] as number) / 256;
  };
}

interface MetricsPort {
  readonly host: string;
  readonly keyring: Keyring;
  readonly log: RootLogger;
  readonly render: () => Promise<{ readonly contentType: string; readonly body: string }>;
}

/** The API serves metrics, too, so that a taken port (Prometheus itself likes 9090) is no reason not to start. */
async function openMetricsPort(
  port: number,
  { host, keyring, log, render }: MetricsPort,
): Promise<MetricsListener | undefined> {
  try {
    return await listenForMetrics({ host, port, keyring, render });
  } catch (error) {
    const reason = (error as { code?: string }).code === "EADDRINUSE" ? "the port is taken" : (error as Error).message;
    log.warn("metrics_port_unavailable", {
      port,
      reason,
      advice: "global.metrics_port sets another; /metrics of the API works all the same",
    });
    return undefined;
  }
}
