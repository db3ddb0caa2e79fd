import type { AddressInfo, Socket } from "node:net";
import type { CoordinatorService } from "../../coordinator/index.ts";
import { GfsError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { Logger } from "../../core/ports/log.ts";
import type { Metrics } from "../../core/ports/metrics.ts";
import {
  type BodyTurns,
  createHttpServer,
  createPassOn,
  methodLabel,
  nextRequestId,
  type PassOn,
  pathOf,
  takeOrigin,
  type TlsFiles,
} from "../http/index.ts";
import { type AuditTrail, noAudit } from "../../security/index.ts";
import { XML_DECLARATION } from "./wire/answer.ts";
import { createGate, paceOf } from "./auth/index.ts";
import { sendFailure } from "./wire/error-answer.ts";
import { createHandler } from "./handler.ts";
import type { S3Settings } from "./wire/request.ts";
import { createRouter } from "./wire/router.ts";
import { ROUTES } from "./routes.ts";

export interface S3GatewayDeps {
  readonly service: CoordinatorService;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Absent: nothing is kept of who did what. */
  readonly audit?: AuditTrail;
  /** Whose body is read now; shared with other gateways. */
  readonly turns?: BodyTurns;
}

export interface S3GatewayConfig {
  readonly settings: S3Settings;
  /** Below which the first part of the host is the bucket, such as `s3.example.org`. */
  readonly domains: readonly string[];
  readonly maxConnections: number;
  readonly maxConcurrentRequests: number;
  /** Of those who do not say, or have not said yet, who they are; beside the others. */
  readonly maxStrangers: number;
  readonly tls?: TlsFiles;
  /** A client that has not sent its headers for so long is cut off. */
  readonly headersTimeoutMs?: number;
  /** The socket of the process that answers what this one, which only reads, cannot. */
  readonly passOnTo?: string;
}

export interface S3Gateway {
  listen(address: { readonly host: string; readonly port: number }): Promise<AddressInfo>;
  /** Takes what the processes that only read pass on. */
  listenForReaders(socketPath: string): Promise<void>;
  /** Takes a connection that was accepted elsewhere. */
  accept(socket: Socket): void;
  /** New certificates, for connections from now on. */
  renewTls(files: TlsFiles): void;
  /** Takes no more connections, lets running requests finish for so long, then cuts them off. */
  close(options: { readonly drainMs: number }): Promise<void>;
}

const NOT_HTTP = {
  contentType: "application/xml",
  body: `${XML_DECLARATION}<Error><Code>InvalidRequest</Code><Message>The request is not HTTP as this server reads it.</Message><RequestId></RequestId></Error>`,
};

export function createS3Gateway(deps: S3GatewayDeps, config: S3GatewayConfig): S3Gateway {
  const { service, clock, log } = deps;
  const { settings } = config;
  const pace = paceOf(settings);
  const handler = createHandler({
    ...deps,
    audit: deps.audit ?? noAudit,
    settings,
    gate: createGate({
      findAccessKey: (id) => service.findAccessKey(id),
      clock,
      settings,
      ...(deps.turns === undefined ? {} : { turns: deps.turns }),
    }),
    router: createRouter(ROUTES),
    domains: config.domains,
    maxConcurrentRequests: config.maxConcurrentRequests,
    maxStrangers: config.maxStrangers,
    vouchFor: (socket) => server.vouchFor(socket),
    ...(config.passOnTo === undefined ? {} : { passOn: passOnTo(config.passOnTo, deps, config) }),
  });
  const readers = createHttpServer({
    malformed: NOT_HTTP,
    onRequest(request, response) {
      takeOrigin(request);
      handler.handle(request, response);
    },
  });
  const server = createHttpServer({
    malformed: NOT_HTTP,
    pace,
    maxConnections: config.maxConnections,
    // The gate sends `100 Continue`, once it is known who asks and somebody begins to read.
    onRequest: (request, response) => handler.handle(request, response),
    ...(config.tls === undefined ? {} : { tls: config.tls }),
    ...(config.headersTimeoutMs === undefined ? {} : { headersTimeoutMs: config.headersTimeoutMs }),
  });
  return {
    listen: async (address) => await server.listen({ ...address, setting: "s3.listen_addr" }),
    listenForReaders: async (socketPath) => await readers.listenAt(socketPath),
    accept: (socket) => server.accept(socket),
    renewTls: (files) => server.renewTls(files),
    async close({ drainMs }) {
      const end = { drainMs, running: () => handler.running, clock, log };
      await Promise.all([server.close(end), readers.close(end)]);
    },
  };
}

function passOnTo(socketPath: string, { log }: S3GatewayDeps, config: S3GatewayConfig): PassOn {
  return createPassOn({
    socketPath,
    maxConnections: config.maxConcurrentRequests,
    onFailure(request, response, error) {
      const ctx = { requestId: nextRequestId(), log, signal: NEVER };
      log.warn("s3_request_not_passed_on", {
        requestId: ctx.requestId,
        method: methodLabel(request.method),
        path: pathOf(request.url ?? ""),
        error: error.message,
      });
      const away = new GfsError("Unavailable", "The coordinator is starting anew; try again in a moment.", {
        cause: error,
      });
      sendFailure(response, { ctx, http: request, target: undefined }, away);
    },
  });
}

const NEVER = new AbortController().signal;
