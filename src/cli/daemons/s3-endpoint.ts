import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CoordinatorService } from "../../coordinator/index.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { Logger } from "../../core/ports/log.ts";
import type { Metrics } from "../../core/ports/metrics.ts";
import type { Random } from "../../core/ports/random.ts";
import type { BodyTurns } from "../../gateways/http/index.ts";
import { createEventDelivery, createS3Gateway, type S3Gateway, type S3Settings } from "../../gateways/s3/index.ts";
import { assertNotInClear, type FileTrail, isLoopbackHost, parseListenAddress } from "../../security/index.ts";
import type { Config, S3Config } from "../config/index.ts";
import { readTls, renewTls } from "./tls-files.ts";
import { type S3Workers, startS3Workers } from "./s3-workers.ts";

export interface S3EndpointDeps {
  readonly service: CoordinatorService;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly random: Random;
  readonly audit?: FileTrail;
  /** Whose body is read now. */
  readonly turns?: BodyTurns;
}

export interface S3Endpoint {
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
  /** What other processes of the endpoint counted. */
  collectMetrics(): Promise<readonly unknown[]>;
  /** Reads the certificate anew; what cannot be read leaves the old one. */
  renew(): Promise<void>;
  close(options: { readonly drainMs: number }): Promise<void>;
}

/** Listens for S3 clients. No request passes without a signature, unless the operator opened buckets to strangers. */
export async function openS3Endpoint(config: Config, s3: S3Config, deps: S3EndpointDeps): Promise<S3Endpoint> {
  const { behindProxy } = config.security;
  const address = parseListenAddress(s3.listenAddress, s3.tls !== undefined || behindProxy);
  assertNotInClear(address, { tls: s3.tls !== undefined, behindProxy, section: "s3" });
  const tls = s3.tls === undefined ? undefined : await readTls(s3.tls, "s3.tls");
  const gateway = createS3Gateway(deps, {
    settings: s3Settings(config, s3),
    domains: s3.domains,
    maxConnections: Math.ceil(s3.maxConnections / s3.workers),
    maxConcurrentRequests: config.limits.maxConcurrentRequests,
    maxStrangers: config.limits.maxUnauthenticatedRequests,
    headersTimeoutMs: config.limits.headTimeoutMs,
    ...(tls === undefined ? {} : { tls }),
  });
  const workers = s3.workers > 1 ? await startWorkers(config, s3.workers, gateway, deps) : undefined;
  const { port } = await (workers ?? gateway).listen(address);
  const events = createEventDelivery({
    ...deps,
    region: s3.region,
    webhooks: Object.fromEntries(s3.webhooks.map(({ name, ...webhook }) => [name, webhook])),
  });
  events.start();
  return {
    host: address.host,
    port,
    secure: tls !== undefined,
    collectMetrics: async () => (await workers?.collectMetrics()) ?? [],
    async renew() {
      workers?.renew();
      if (s3.tls === undefined) return;
      await renewTls(s3.tls, { section: "s3.tls", log: deps.log, use: (files) => gateway.renewTls(files) });
    },
    async close(options) {
      // What workers pass on is still answered while they end.
      await workers?.close(options);
      await gateway.close(options);
      await events.stop();
    },
  };
}

async function startWorkers(
  config: Config,
  processes: number,
  gateway: S3Gateway,
  { clock, log, service, audit }: S3EndpointDeps,
): Promise<S3Workers> {
  // Addresses of such sockets are short, and the data directory's may be long.
  const directory = await mkdtemp(join(tmpdir(), "globalfs-s3-"));
  const socketPath = join(directory, "coordinator.sock");
  await gateway.listenForReaders(socketPath);
  const workers = await startS3Workers(
    {
      clock,
      log,
      service,
      acceptHere: (socket) => gateway.accept(socket),
      audit: (fields) => audit?.append(fields),
    },
    { count: processes - 1, start: { kind: "start", config, socketPath, processes } },
  );
  return {
    ...workers,
    async close(options) {
      await workers.close(options);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export function s3Settings(config: Config, s3: S3Config): S3Settings {
  const { host } = parseListenAddress(s3.listenAddress, s3.tls !== undefined || config.security.behindProxy);
  return {
    // Who listens to a network opens to it what strangers may do, under whatever name.
    ...(isLoopbackHost(host) ? { ownNames: { listensOn: host, names: config.coordinator.hostNames } } : {}),
    region: s3.region,
    allowAnonymous: s3.allowAnonymous,
    webhooks: Object.fromEntries(s3.webhooks.map(({ name, url }) => [name, url])),
    bodyIdleMs: config.limits.bodyIdleTimeoutMs,
    minBytesPerSecond: config.limits.minBytesPerSecond,
    formHeadMs: config.limits.headTimeoutMs,
    strangerBodyMs: config.limits.unauthenticatedBodyTimeoutMs,
    signatureV2: s3.signatureV2,
    ...(s3.rootBucket === undefined ? {} : { rootBucket: s3.rootBucket }),
  };
}
