import { type ChildProcess, fork } from "node:child_process";
import { realpathSync } from "node:fs";
import net, { type AddressInfo, type Socket } from "node:net";
import { dirname, join } from "node:path";
import type { CopyCheck, ReaderService } from "../../coordinator/index.ts";
import { GfsError } from "../../core/errors.ts";
import type { SiteName } from "../../core/ids.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { Logger } from "../../core/ports/log.ts";
import { LISTEN_BACKLOG, listenFailure, takeWaiting } from "../../gateways/http/index.ts";
import type { SiteHealth } from "../../placement/index.ts";
import type { AuditFields } from "../../security/index.ts";
import type { Config } from "../config/index.ts";

/**
 * Several processes behind one port. This process takes the connections and deals them out in turn, to itself and to its workers, which read the
 * catalog themselves and pass everything else on to this one.
 */
export interface S3Workers {
  listen(address: { readonly host: string; readonly port: number }): Promise<AddressInfo>;
  /** Read certificates and reopen logs anew. */
  renew(): void;
  /** What the workers counted; one that does not answer in time is left out. */
  collectMetrics(): Promise<readonly unknown[]>;
  close(options: { readonly drainMs: number }): Promise<void>;
}

export interface S3WorkersDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** Takes a worker's line for the audit trail. */
  readonly audit: (fields: AuditFields) => void;
  /** Takes a connection in this process. */
  readonly acceptHere: (socket: Socket) => void;
  readonly service: ReaderService;
}

export interface S3WorkersOptions {
  /** Besides this process. */
  readonly count: number;
  readonly start: WorkerStart;
}

/** What a worker is told first. */
export interface WorkerStart {
  readonly kind: "start";
  readonly config: Config;
  /** Where this process takes what workers pass on. */
  readonly socketPath: string;
  /** Among how many processes memory and connections are shared out. */
  readonly processes: number;
}

export type ToWorker =
  | WorkerStart
  | { readonly kind: "connection" }
  | { readonly kind: "health"; readonly site: SiteName; readonly health: SiteHealth | undefined }
  | { readonly kind: "renew" }
  | { readonly kind: "metrics"; readonly id: number }
  | { readonly kind: "stop"; readonly drainMs: number };

export type FromWorker =
  | { readonly kind: "ready" }
  | { readonly kind: "check"; readonly check: CopyCheck }
  | { readonly kind: "doubt"; readonly site: SiteName }
  | { readonly kind: "audit"; readonly fields: AuditFields }
  | { readonly kind: "metrics"; readonly id: number; readonly metrics: unknown };

interface Worker {
  readonly process: ChildProcess;
  ready: boolean;
}

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 30_000;
/** A worker that ran so long did not fail at its start. */
const STEADY_MS = 60_000;
const METRICS_TIMEOUT_MS = 1_000;

export async function startS3Workers(
  { clock, log, acceptHere, service, audit }: S3WorkersDeps,
  { count, start }: S3WorkersOptions,
): Promise<S3Workers> {
  // Whichever of the commands runs, the one that knows workers lies beside it.
  const program = join(dirname(realpathSync(process.argv[1] as string)), "globalfs.js");
  const workers: (Worker | undefined)[] = Array.from({ length: count });
  const answers = new Map<number, (metrics: unknown) => void>();
  let requests = 0;
  let turn = 0;
  let stopping = false;

  const spawn = (index: number, pauseMs: number): Promise<void> =>
    new Promise((resolve) => {
      const child = fork(program, ["coordinator", "worker"], { serialization: "advanced" });
      const worker: Worker = { process: child, ready: false };
      const startedMs = clock.monotonicMs();
      let unwatch = (): void => undefined;
      workers[index] = worker;
      child.on("message", (message: FromWorker) => {
        if (message.kind === "metrics") answers.get(message.id)?.(message.metrics);
        else if (message.kind === "check") void service.checkCopy(message.check);
        else if (message.kind === "doubt") service.doubtSite(message.site);
        else if (message.kind === "audit") audit(message.fields);
        else {
          worker.ready = true;
          unwatch = service.watchHealth((site, health) => tell(worker, { kind: "health", site, health }));
          resolve();
        }
      });
      child.once("exit", (code, signal) => {
        unwatch();
        workers[index] = undefined;
        resolve();
        if (stopping) return;
        log.error("s3_worker_ended", { pid: child.pid, code, signal });
        const steady = clock.monotonicMs() - startedMs > STEADY_MS;
        const nextMs = steady ? FIRST_PAUSE_MS : Math.min(LONGEST_PAUSE_MS, pauseMs * 2);
        clock.timer(nextMs, () => {
          if (!stopping) void spawn(index, nextMs);
        });
      });
      child.on("error", (error) => log.error("s3_worker_failed", { pid: child.pid, error: error.message }));
      tell(worker, start);
    });

  const tell = (worker: Worker, message: ToWorker, socket?: Socket): void => {
    worker.process.send(message, socket, {}, (error) => {
      if (error !== null) log.debug("s3_worker_not_told", { kind: message.kind, error: error.message });
      if (error !== null) socket?.destroy();
    });
  };

  const living = (): Worker[] => workers.filter((worker) => worker?.ready === true) as Worker[];

  const server = net.createServer({ pauseOnConnect: true, noDelay: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    const takers = living();
    turn = (turn + 1) % (takers.length + 1);
    const worker = takers[turn - 1];
    if (worker === undefined) acceptHere(socket);
    else tell(worker, { kind: "connection" }, socket);
  });

  await takeWaiting(server);
  await Promise.all(Array.from({ length: count }, async (_, index) => await spawn(index, FIRST_PAUSE_MS)));
  if (living().length < count) {
    stopping = true;
    for (const worker of workers) worker?.process.kill();
    throw new GfsError("Unavailable", "A worker of the S3 endpoint did not start; what it wrote above says why.");
  }

  return {
    async listen({ host, port }) {
      await new Promise<void>((resolve, reject) => {
        const fail = (error: Error): void =>
          reject(listenFailure(error, { where: `${host}:${port}`, setting: "s3.listen_addr" }));
        server.once("error", fail);
        server.listen({ host, port, backlog: LISTEN_BACKLOG }, () => {
          server.off("error", fail);
          resolve();
        });
      });
      return server.address() as AddressInfo;
    },
    renew() {
      for (const worker of living()) tell(worker, { kind: "renew" });
    },
    async collectMetrics() {
      const collected = await Promise.all(
        living().map(
          async (worker) =>
            await new Promise<unknown>((resolve) => {
              requests += 1;
              const id = requests;
              const finish = (metrics: unknown): void => {
                cancel();
                answers.delete(id);
                resolve(metrics);
              };
              const cancel = clock.timer(METRICS_TIMEOUT_MS, () => finish(undefined));
              answers.set(id, finish);
              tell(worker, { kind: "metrics", id });
            }),
        ),
      );
      return collected.filter((metrics) => metrics !== undefined);
    },
    async close({ drainMs }) {
      stopping = true;
      const closed = new Promise<void>((resolve) => {
        if (server.listening) server.close(() => resolve());
        else resolve();
      });
      const ended = workers
        .filter((worker) => worker !== undefined)
        .map(async ({ process: child }) => {
          await new Promise<void>((resolve) => {
            child.once("exit", () => resolve());
            if (child.connected) child.send({ kind: "stop", drainMs } satisfies ToWorker);
            clock.timer(drainMs + STOP_MARGIN_MS, () => child.kill("SIGKILL"));
          });
        });
      await Promise.all(ended);
      await closed;
    },
  };
}

const STOP_MARGIN_MS = 5_000;
