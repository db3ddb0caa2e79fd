import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CoordinatorService } from "../../coordinator/index.ts";
import { fromErrno, GfsError, toGfsError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { Logger } from "../../core/ports/log.ts";
import type { Metrics } from "../../core/ports/metrics.ts";
import type { Random } from "../../core/ports/random.ts";
import { createEventDelivery, createS3Gateway, type S3Gateway, type S3Settings } from "../../gateways/s3/index.ts";
import { type FileTrail, parseListenAddress } from "../../security/index.ts";
import type { Config, S3Config } from "../config/index.ts";
import { type S3Workers, startS3Workers } from "./s3-workers.ts";

export interface S3EndpointDeps {
  readonly service: CoordinatorService;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly random: Random;
  readonly audit?: FileTrail;
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

/**
 * Listens for S3 clients. `hasKeys`: the operator has set the REST API up for others than this machine, so that the same holds here where the address
 * names no host. Any host that is named is taken: no request passes without a signature, unless the operator opened buckets to strangers.
 */
export async function openS3Endpoint(
  config: Config,
  s3: S3Config,
  { deps, hasKeys }: { readonly deps: S3EndpointDeps; readonly hasKeys: boolean },
): Promise<S3Endpoint> {
  const address = parseListenAddress(s3.listenAddress, hasKeys);
  const tls = s3.tls === undefined ? undefined : await readTls(s3.tls);
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
      try {
        gateway.renewTls(await readTls(s3.tls));
        deps.log.info("s3_certificate_renewed");
      } catch (error) {
        deps.log.error("s3_certificate_not_renewed", { error: toGfsError(error).message });
      }
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
  return {
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

export async function readTls(
  files: NonNullable<S3Config["tls"]>,
): Promise<{ readonly cert: Buffer; readonly key: Buffer }> {
  const read = async (path: string, field: string): Promise<Buffer> => {
    try {
      return await readFile(path);
    } catch (error) {
      const reason = fromErrno(error, "s3.tls").message;
      throw new GfsError("ConfigInvalid", `${field} names ${path}, which cannot be read: ${reason}`, { cause: error });
    }
  };
  return { cert: await read(files.certFile, "s3.tls.cert_file"), key: await read(files.keyFile, "s3.tls.key_file") };
}
