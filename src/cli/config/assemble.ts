import { dirname, isAbsolute, resolve } from "node:path";
import type { z } from "zod";
import { defined } from "../../core/config/defined.ts";
import type { SiteName } from "../../core/ids.ts";
import type { Operation } from "../../placement/types.ts";
import type { SiteRole } from "../../stores/site.ts";
import type { Config, S3Config, TlsConfig, SiteConfig, StoreConfig } from "./config.ts";
import type { configSchema } from "./schema.ts";

export type Written = z.output<typeof configSchema>;
type WrittenSite = Written["sites"][number];

/** From the names of the file to the names of the program. Relative paths start from the file's own directory. */
export function assembleConfig(written: Written, file: string | undefined, apiKey: string | undefined): Config {
  const { global, coordinator, s3, resilience, cache, performance, security, limits } = written;
  const base = file === undefined ? process.cwd() : dirname(resolve(file));
  const place = (path: string): string => (isAbsolute(path) ? path : resolve(base, path));
  return {
    global: {
      clusterName: global.cluster_name,
      logLevel: global.log_level.toLowerCase() as Config["global"]["logLevel"],
      ...(global.log_file === "" ? {} : { logFile: place(global.log_file) }),
      logFormat: global.log_format,
      metricsEnabled: global.metrics_enabled,
      metricsPort: global.metrics_port,
    },
    coordinator: {
      listenAddress: coordinator.listen_addr,
      ...(coordinator.health_listen_addr === undefined ? {} : { healthListenAddress: coordinator.health_listen_addr }),
      ...(coordinator.tls === undefined ? {} : { tls: assembleTls(coordinator.tls, place) }),
      hostNames: coordinator.host_names,
      maxConnections: coordinator.max_connections,
      dataDirectory: place(coordinator.data_dir),
      kv: { engine: coordinator.kv.engine, mapSizeBytes: coordinator.kv.map_size },
      leaseMs: coordinator.lease_timeout,
      backup: { everyMs: coordinator.backup.every, keep: coordinator.backup.keep, sites: coordinator.backup.sites },
    },
    ...(s3 === undefined ? {} : { s3: assembleS3(s3, place) }),
    sites: written.sites.map((site) => assembleSite(site, place)),
    rules: written.policy.rules.map((rule) => ({
      name: rule.name,
      keyPattern: rule.key_pattern,
      operations: rule.operations as Operation[],
      targetRoles: rule.target_roles as SiteRole[],
      priority: rule.priority,
      publish: rule.publish,
      consistency: rule.consistency,
    })),
    resilience: {
      healthPollIntervalMs: resilience.health_poll_interval ?? coordinator.health_check_interval,
      circuitBreaker: {
        enabled: resilience.circuit_breaker.enabled,
        threshold: resilience.circuit_breaker.threshold,
        cooldownMs: resilience.circuit_breaker.cooldown,
      },
      retry: {
        enabled: resilience.retry.enabled,
        maxAttempts: resilience.retry.max_attempts,
        initialDelayMs: resilience.retry.initial_delay,
        maxDelayMs: resilience.retry.max_delay,
        multiplier: resilience.retry.multiplier,
      },
      timeout: {
        connectMs: resilience.timeout.connect,
        requestMs: resilience.timeout.request,
        idleMs: resilience.timeout.idle,
      },
    },
    cache: { enabled: cache.enabled, maxBytes: cache.max_bytes, ttlMs: cache.ttl },
    performance: {
      maxConcurrentTransfers: performance.max_concurrent_transfers,
      transferChunkBytes: performance.transfer_chunk_size,
      verify: performance.verify,
      bandwidth: performance.bandwidth.map(({ from, to, limit }) => ({ from, to, bytesPerSecond: limit })),
    },
    security: {
      open: security.open,
      behindProxy: security.behind_proxy,
      apiKeys: security.api_keys.map(({ name, hash, certificate, grants, expires }) => ({
        name,
        ...(hash === undefined ? {} : { hash }),
        ...(certificate === undefined ? {} : { certificate }),
        ...(grants.length === 0
          ? {}
          : { grants: grants.map(({ path: at, role }) => ({ path: at.replace(/^\/|\/$/g, ""), role })) }),
        ...(expires === undefined ? {} : { expiresMs: Date.parse(expires) }),
      })),
      audit: {
        enabled: security.audit.enabled,
        maxBytes: security.audit.max_size,
        onFailure: security.audit.on_failure,
      },
      ...(apiKey === undefined ? {} : { environmentApiKey: apiKey }),
      allowedEndpoints: security.allowed_endpoints,
      allowedPaths: security.allowed_paths.map(place),
    },
    limits: {
      maxObjectBytes: limits.max_object_bytes,
      maxConcurrentRequests: limits.max_concurrent_requests,
      maxQueuedJobs: limits.max_queued_jobs,
      maxSetAsideBytes: limits.max_set_aside_bytes,
      maxUnauthenticatedRequests: limits.max_unauthenticated_requests,
      maxBodyBytesInFlight: limits.max_body_bytes_in_flight,
      headTimeoutMs: limits.head_timeout,
      bodyIdleTimeoutMs: limits.body_idle_timeout,
      unauthenticatedBodyTimeoutMs: limits.unauthenticated_body_timeout,
      minBytesPerSecond: limits.min_rate,
    },
  };
}

function assembleTls(
  tls: { readonly cert_file: string; readonly key_file: string; readonly client_ca_file?: string | undefined },
  place: (path: string) => string,
): TlsConfig {
  return defined({
    certFile: place(tls.cert_file),
    keyFile: place(tls.key_file),
    clientCaFile: tls.client_ca_file === undefined ? undefined : place(tls.client_ca_file),
  });
}

function assembleS3(s3: NonNullable<Written["s3"]>, place: (path: string) => string): S3Config {
  return defined({
    listenAddress: s3.listen_addr,
    domains: s3.domains,
    region: s3.region,
    rootBucket: s3.root_bucket,
    tls: s3.tls === undefined ? undefined : assembleTls(s3.tls, place),
    allowAnonymous: s3.allow_anonymous,
    signatureV2: s3.signature_v2,
    maxConnections: s3.max_connections,
    workers: s3.workers,
    lifecycleDayMs: s3.lifecycle_day,
    webhooks: s3.webhooks.map(({ name, url, secret }) => defined({ name, url, secret })),
  });
}

function assembleSite(site: WrittenSite, place: (path: string) => string): SiteConfig {
  const { network } = site;
  return {
    name: site.name as SiteName,
    role: site.role,
    store: assembleStore(site, place),
    foreign: site.foreign,
    ...(site.foreign_listing_stands === 0 ? {} : { listingStandsMs: site.foreign_listing_stands }),
    ...(network === undefined
      ? {}
      : { network: defined({ bandwidthBytesPerSecond: network.bandwidth, latencyMs: network.latency }) }),
  };
}

function assembleStore({ store, objectfs }: WrittenSite, place: (path: string) => string): StoreConfig {
  if (store === undefined) {
    if (objectfs === undefined) throw new Error("A site without a store passed validation.");
    const { s3_bucket: bucket, s3_region: region, s3_endpoint: endpoint } = objectfs;
    return defined({ driver: "s3" as const, bucket, region, endpoint, anonymous: false });
  }
  switch (store.driver) {
    case "file":
      return { driver: store.driver, path: place(store.path), intakeBytes: store.intake };
    case "memory":
      return defined({ driver: store.driver, maxBytes: store.max_bytes });
    case "s3":
      return defined({
        driver: store.driver,
        bucket: store.bucket,
        region: store.region,
        endpoint: store.endpoint,
        prefix: store.prefix,
        pathStyle: store.path_style,
        accessKeyId: store.access_key_id,
        secretAccessKey: store.secret_access_key,
        sessionToken: store.session_token,
        profile: store.profile,
        anonymous: store.anonymous,
      });
    case "gcs":
      return defined({
        driver: store.driver,
        bucket: store.bucket,
        endpoint: store.endpoint,
        prefix: store.prefix,
        accessKeyId: store.access_key_id,
        secretAccessKey: store.secret_access_key,
        anonymous: store.anonymous,
      });
    case "azure":
      return defined({
        driver: store.driver,
        container: store.container,
        account: store.account,
        accountKey: store.account_key,
        sas: store.sas,
        connectionString: store.connection_string,
        endpoint: store.endpoint,
        prefix: store.prefix,
      });
  }
}
