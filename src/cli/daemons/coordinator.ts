import { join } from "node:path";
import type { CoordinatorService } from "../../coordinator/index.ts";
import { toGfsError } from "../../core/errors.ts";
import { type Clock, systemClock } from "../../core/ports/clock.ts";
import { systemRandom } from "../../core/ports/random.ts";
import { BodyTurns, type TlsFiles } from "../../gateways/http/index.ts";
import { createRestGateway } from "../../gateways/rest/index.ts";
import { createMemoryKv, type Kv, openLmdbKv } from "../../kv/index.ts";
import {
  AUDIT_DIRECTORY,
  assertAccessChosen,
  assertNotInClear,
  createKeyring,
  createTokenGate,
  type FileTrail,
  hashApiKey,
  isAccessToken,
  isLoopbackHost,
  type Keyring,
  openAuditTrail,
  parseListenAddress,
  type TokenGate,
} from "../../security/index.ts";
import { createLogger, createMetrics, type RootLogger } from "../../telemetry/index.ts";
import type { Config } from "../config/index.ts";
import { VERSION } from "../version.ts";
import { watchCatalogSpace } from "./catalog-space.ts";
import { memoryOfThisProcess, watchIdleMemory } from "./idle-memory.ts";
import { listenForMetrics, type MetricsListener } from "./metrics-listener.ts";
import { assembleFromConfig, shareOf } from "./assemble-from-config.ts";
import { openSecrets } from "./open-secrets.ts";
import { listenForProbes, type ProbeListener } from "./probe-listener.ts";
import { readTls, renewTls } from "./tls-files.ts";
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

/** The coordinator daemon: everything is made here, in order, and unmade in the opposite one. */
export async function runCoordinator({ config, signal, onReady }: RunCoordinator): Promise<void> {
  const keyring = keyringOf(config);
  const { coordinator, security } = config;
  const safe = coordinator.tls !== undefined || security.behindProxy;
  const listen = parseListenAddress(coordinator.listenAddress, !keyring.isEmpty && safe);
  const hasToken = security.environmentApiKey !== undefined && isAccessToken(security.environmentApiKey);
  assertAccessChosen(listen, { hasKeys: !keyring.isEmpty, hasToken, open: security.open });
  assertNotInClear(listen, {
    tls: coordinator.tls !== undefined,
    behindProxy: security.behindProxy,
    section: "coordinator",
  });
  const log = createLogger({
    level: config.global.logLevel,
    format: config.global.logFormat,
    ...(config.global.logFile === undefined ? {} : { file: config.global.logFile }),
  });
  const undo: (() => Promise<void> | void)[] = [() => log.flush()];
  try {
    await run(config, { keyring, listen, safe, log, signal, onReady, undo });
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
  /** What goes over the network is encrypted. */
  readonly safe: boolean;
  readonly log: RootLogger;
  readonly signal: AbortSignal;
  readonly onReady: RunCoordinator["onReady"];
  readonly undo: (() => Promise<void> | void)[];
}

async function run(config: Config, { keyring, listen, safe, log, signal, onReady, undo }: Setting): Promise<void> {
  const clock = systemClock;
  const random = systemRandom;
  const metrics = createMetrics({ processMetrics: true });
  if (config.security.environmentApiKey !== undefined && isAccessToken(config.security.environmentApiKey)) {
    log.warn("environment_key_opens_nothing_more", {
      advice:
        "GLOBALFS_API_KEY is the token of a key in the catalog, and stays what that key is; the coordinator's own first key is one of `globalfs key generate`.",
    });
  }
  if (config.security.environmentApiKey !== undefined && config.security.environmentApiKey.length < 16) {
    log.warn("short_api_key", { advice: "GLOBALFS_API_KEY has fewer than 16 characters and could be guessed." });
  }
  if (config.security.open) {
    log.warn("open_to_everybody", {
      advice:
        "Every user of this machine may read, change and delete everything, without a key; set GLOBALFS_API_KEY or security.api_keys instead of security.open.",
    });
  }
  // First, so that probes hear of a start that takes its time, and last until the end of a stop.
  const probes = await openProbePort(config, { safe, keyring, clock, log });
  undo.push(() => probes?.close());
  const kv = await openCatalog(config);
  undo.push(() => kv.close());
  const audit = await openAudit(config, { clock, log, metrics });
  undo.push(() => audit?.close());
  const secrets = await openSecrets(config, random);
  const space =
    config.coordinator.kv.engine === "memory"
      ? undefined
      : await watchCatalogSpace(config.coordinator.dataDirectory, clock);
  undo.push(() => space?.stop());

  const { coordinator, sites: registry } = await assembleFromConfig(shareOf(config, config.s3?.workers ?? 1), {
    kv,
    secrets,
    clock,
    random,
    log,
    metrics,
    signal,
    assertCatalogSpace: () => space?.assert(),
  });
  undo.push(() => registry.close());
  await coordinator.start(signal);
  undo.push(() => coordinator.stop());

  const { tls: tlsFiles } = config.coordinator;
  const tls = tlsFiles === undefined ? undefined : await readTls(tlsFiles, "coordinator.tls");
  let s3: S3Endpoint | undefined;
  const renderMetrics = config.global.metricsEnabled
    ? async () => await metrics.render(await s3?.collectMetrics())
    : undefined;
  const turns = new BodyTurns({ maxBytes: config.limits.maxBodyBytesInFlight, clock });
  const gateway = await createRestGateway(
    {
      service: coordinator,
      keyring,
      clock,
      log,
      metrics,
      ...(audit === undefined ? {} : { audit }),
      turns,
      ...(renderMetrics === undefined ? {} : { renderMetrics }),
    },
    {
      version: VERSION,
      ...(tls === undefined ? {} : { tls }),
      maxConcurrentRequests: config.limits.maxConcurrentRequests,
      bodyIdleMs: config.limits.bodyIdleTimeoutMs,
      minBytesPerSecond: config.limits.minBytesPerSecond,
      headTimeoutMs: config.limits.headTimeoutMs,
      hostNames: config.coordinator.hostNames,
      maxConnections: config.coordinator.maxConnections,
    },
  );
  const { port } = await gateway.listen(listen);
  undo.push(() => gateway.close({ drainMs: DRAIN_MS }));
  let listener: MetricsListener | undefined;
  if (renderMetrics !== undefined && config.global.metricsPort > 0) {
    listener = await openMetricsPort(config.global.metricsPort, {
      host: listen.host,
      tls,
      hostNames: config.coordinator.hostNames,
      tokens: createTokenGate({ keyring, findAccessKey: (id) => coordinator.findAccessKey(id), clock }),
      asksForKeys: !keyring.isEmpty,
      ...(audit === undefined ? {} : { audit }),
      log,
      render: renderMetrics,
    });
    undo.push(() => listener?.close());
  }

  const s3Deps = {
    service: coordinator,
    clock,
    log,
    metrics,
    random,
    turns,
    ...(audit === undefined ? {} : { audit }),
  };
  if (config.s3 !== undefined) s3 = await openS3Endpoint(config, config.s3, s3Deps);
  undo.push(() => s3?.close({ drainMs: DRAIN_MS }));

  const memory = watchIdleMemory({ ...(await memoryOfThisProcess(clock)), clock, log });
  undo.push(() => memory.stop());
  const onHangUp = (): void => {
    log.reopen();
    if (tlsFiles !== undefined)
      void renewTls(tlsFiles, {
        section: "coordinator.tls",
        log,
        use(files) {
          gateway.renewTls(files);
          listener?.renewTls(files);
        },
      });
    void s3?.renew();
  };
  process.on("SIGHUP", onHangUp);
  undo.push(() => void process.off("SIGHUP", onHangUp));
  const url = `http${tls === undefined ? "" : "s"}://${urlHost(listen.host)}:${port}`;
  const s3Url = s3 === undefined ? undefined : `http${s3.secure ? "s" : ""}://${urlHost(s3.host)}:${s3.port}`;
  const healthUrl = probes === undefined ? undefined : `http://${urlHost(probes.host)}:${probes.port}`;
  // What is made at a first start is there once the log says that the coordinator is ready.
  await onReady({ url, service: coordinator, ...(s3Url === undefined ? {} : { s3Url }) });
  probes?.say("OK");
  log.info("coordinator_ready", {
    url,
    ...(s3Url === undefined ? {} : { s3Url }),
    ...(healthUrl === undefined ? {} : { healthUrl }),
    version: VERSION,
    cluster: config.global.clusterName,
    sites: registry.list().length,
    engine: kv.engine,
  });
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  probes?.say("STOPPING");
  log.info("coordinator_stopping");
}

/** A catalog that ends with the process has none. */
async function openAudit(
  { coordinator, security }: Config,
  deps: Parameters<typeof openAuditTrail>[0],
): Promise<FileTrail | undefined> {
  const { enabled, ...options } = security.audit;
  if (!enabled || coordinator.kv.engine === "memory") return undefined;
  return await openAuditTrail(deps, { directory: join(coordinator.dataDirectory, AUDIT_DIRECTORY), ...options });
}

function keyringOf({ security }: Config): Keyring {
  const { environmentApiKey } = security;
  return createKeyring([
    ...security.apiKeys,
    // The token of a key in the catalog is what that key is, and opens nothing more for standing in the daemon's environment.
    ...(environmentApiKey === undefined || isAccessToken(environmentApiKey)
      ? []
      : [{ name: "environment", hash: hashApiKey(environmentApiKey) }]),
  ]);
}

function urlHost(host: string): string {
  if (host === "::" || host === "0.0.0.0" || isLoopbackHost(host)) return "localhost";
  return host.includes(":") ? `[${host}]` : host;
}

async function openCatalog({ coordinator }: Config): Promise<Kv> {
  const { engine, mapSizeBytes } = coordinator.kv;
  return engine === "memory" ? createMemoryKv() : await openLmdbKv({ path: coordinator.dataDirectory, mapSizeBytes });
}

async function openProbePort(
  { coordinator }: Config,
  { safe, keyring, ...deps }: Pick<Setting, "safe" | "keyring" | "log"> & { readonly clock: Clock },
): Promise<ProbeListener | undefined> {
  const { healthListenAddress } = coordinator;
  if (healthListenAddress === undefined) return undefined;
  return await listenForProbes({ ...deps, ...parseListenAddress(healthListenAddress, safe && !keyring.isEmpty) });
}

interface MetricsPort {
  readonly host: string;
  readonly tls: TlsFiles | undefined;
  readonly hostNames: readonly string[];
  readonly tokens: TokenGate;
  readonly asksForKeys: boolean;
  readonly audit?: FileTrail;
  readonly log: RootLogger;
  readonly render: () => Promise<{ readonly contentType: string; readonly body: string }>;
}

/** The API serves metrics, too, so that a taken port (Prometheus itself likes 9090) is no reason not to start. */
async function openMetricsPort(port: number, listener: MetricsPort): Promise<MetricsListener | undefined> {
  try {
    return await listenForMetrics({ ...listener, port });
  } catch (error) {
    const reason = toGfsError(error).message;
    listener.log.warn("metrics_port_unavailable", {
      port,
      reason,
      advice: "global.metrics_port sets another; /metrics of the API works all the same",
    });
    return undefined;
  }
}
