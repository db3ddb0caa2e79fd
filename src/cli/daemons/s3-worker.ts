import type { Socket } from "node:net";
import type { CoordinatorService } from "../../coordinator/index.ts";
import { toGfsError } from "../../core/errors.ts";
import { systemClock } from "../../core/ports/clock.ts";
import { systemRandom } from "../../core/ports/random.ts";
import { createS3Gateway, type S3Gateway } from "../../gateways/s3/index.ts";
import { openLmdbReader } from "../../kv/index.ts";
import { type AuditTrail, boundKeyUses, noAudit } from "../../security/index.ts";
import { createLogger, createMetrics, type MetricsRegistry, type RootLogger } from "../../telemetry/index.ts";
import type { S3Config } from "../config/index.ts";
import { assembleFromConfig, shareOf } from "./assemble-from-config.ts";
import { openSecrets } from "./open-secrets.ts";
import { s3Settings } from "./s3-endpoint.ts";
import { readTls, renewTls } from "./tls-files.ts";
import type { FromWorker, ToWorker, WorkerStart } from "./s3-workers.ts";

/**
 * A process that answers reads: it looks into the catalog itself, fetches from the sites itself, and has a cache of its own. It writes nothing; what it
 * cannot answer it passes on to the coordinator that started it, and it ends with that.
 */
export async function runS3Worker(): Promise<void> {
  if (process.send === undefined) throw toGfsError(new Error("A worker is started by its coordinator only."));
  const stop = new AbortController();
  // Ctrl-C reaches the whole group; the coordinator says when its workers are to stop.
  process.on("SIGINT", () => undefined);
  process.on("SIGTERM", () => undefined);
  let running: Promise<Running> | undefined;
  const ended = new Promise<void>((resolve) => {
    process.on("disconnect", () => {
      stop.abort();
      process.exit(0);
    });
    process.on("message", (message: ToWorker, handle: unknown) => {
      if (message.kind === "start") {
        running = start(message, stop.signal);
        running.then(
          () => tell({ kind: "ready" }),
          (error: unknown) => {
            process.stderr.write(`globalfs: a worker could not start: ${toGfsError(error).message}\n`);
            process.exit(1);
          },
        );
      } else if (message.kind === "stop") {
        void running?.then(async (worker) => await worker.close(message.drainMs)).finally(resolve);
      } else void running?.then(async (worker) => await obey(worker, message, handle as Socket | undefined));
    });
  });
  await ended;
  process.disconnect();
}

interface Running {
  readonly gateway: S3Gateway;
  readonly metrics: MetricsRegistry;
  readonly log: RootLogger;
  readonly s3: S3Config;
  readonly service: CoordinatorService;
  close(drainMs: number): Promise<void>;
}

function tell(message: FromWorker): void {
  // The coordinator may have gone in this moment; then nobody waits for the word.
  process.send?.(message, undefined, {}, () => undefined);
}

async function obey(
  { gateway, metrics, log, s3, service }: Running,
  message: Exclude<ToWorker, WorkerStart>,
  socket: Socket | undefined,
): Promise<void> {
  switch (message.kind) {
    case "connection":
      if (socket !== undefined) gateway.accept(socket);
      return;
    case "metrics":
      tell({ kind: "metrics", id: message.id, metrics: await metrics.collect() });
      return;
    case "health":
      await service.learnHealth(message.site, message.health);
      return;
    case "renew":
      log.reopen();
      if (s3.tls === undefined) return;
      await renewTls(s3.tls, { section: "s3.tls", log, use: (files) => gateway.renewTls(files) });
      return;
    case "stop":
      return;
  }
}

async function start({ config: whole, socketPath, processes }: WorkerStart, signal: AbortSignal): Promise<Running> {
  const config = shareOf(whole, processes);
  const s3 = config.s3 as S3Config;
  const clock = systemClock;
  const random = systemRandom;
  const { logLevel: level, logFormat: format, logFile: file } = config.global;
  const log = createLogger({ level, format, ...(file === undefined ? {} : { file }) });
  const metrics = createMetrics({ processMetrics: true });
  const kv = await openLmdbReader(config.coordinator.dataDirectory);
  const secrets = await openSecrets(config, random);
  const { coordinator, sites } = await assembleFromConfig(config, {
    kv,
    secrets,
    clock,
    random,
    log,
    metrics,
    signal,
    assertCatalogSpace: () => undefined,
    passOnCheck: (check) => tell({ kind: "check", check }),
    passOnDoubt: (site) => tell({ kind: "doubt", site }),
  });
  // What this process cannot answer well it passes on, refusals among it: only the use of keys is left to tell.
  const uses = boundKeyUses((fields) => tell({ kind: "audit", fields }), clock);
  const audit: AuditTrail = { ...noAudit, used: (...use) => uses.add(...use) };
  const gateway = createS3Gateway(
    { service: coordinator, clock, log, metrics, audit },
    {
      settings: s3Settings(config, s3),
      domains: s3.domains,
      maxConnections: s3.maxConnections,
      maxConcurrentRequests: config.limits.maxConcurrentRequests,
      maxStrangers: config.limits.maxUnauthenticatedRequests,
      headersTimeoutMs: config.limits.headTimeoutMs,
      passOnTo: socketPath,
      ...(s3.tls === undefined ? {} : { tls: await readTls(s3.tls, "s3.tls") }),
    },
  );
  log.debug("s3_worker_ready", { pid: process.pid });
  return {
    gateway,
    metrics,
    log,
    s3,
    service: coordinator,
    async close(drainMs) {
      await gateway.close({ drainMs });
      uses.close();
      await sites.close();
      await kv.close();
      log.flush();
    },
  };
}
