import type { IncomingMessage, RequestListener, Server } from "node:http";
import type { AddressInfo } from "node:net";
import fastify, { type FastifyRequest } from "fastify";
import type { CoordinatorService } from "../../coordinator/index.ts";
import { GfsError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { Logger } from "../../core/ports/log.ts";
import type { Metrics } from "../../core/ports/metrics.ts";
import { type AuditTrail, createTokenGate, type Keyring, noAudit } from "../../security/index.ts";
import {
  type BodyTurns,
  createHttpServer,
  createPageGuard,
  type HttpServer,
  LISTEN_BACKLOG,
  listenFailure,
  type Pace,
  type PageGuard,
  readWhole,
  type TlsFiles,
} from "../http/index.ts";
import { addJsonRoutes } from "./json-routes.ts";
import { OBJECTS_PREFIX } from "./object-key.ts";
import { createObjectHandler } from "./object-routes.ts";
import { createDoor } from "./request-scope.ts";

export interface RestGatewayDeps {
  readonly service: CoordinatorService;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Absent: nothing is kept of who did what. */
  readonly audit?: AuditTrail;
  /** Whose body is read now; shared with other gateways. */
  readonly turns?: BodyTurns;
  /** Absent: there is no `/metrics`. */
  readonly renderMetrics?: () => Promise<{ readonly contentType: string; readonly body: string }>;
}

export interface RestGatewayConfig {
  readonly version: string;
  readonly maxConcurrentRequests: number;
  /** Absent: clear text. */
  readonly tls?: TlsFiles;
  /** A body that brings no byte for so long is given up. */
  readonly bodyIdleMs: number;
  /** Bodies, and what clients read, come and go at this rate at least, on average. Absent: at any. */
  readonly minBytesPerSecond?: number;
  /** Within which a request's head has to come, and a body of JSON. */
  readonly headTimeoutMs?: number;
  /** One more takes the place of one on which nobody has proved who it is, or is closed. Absent: as many as the system lets us have. */
  readonly maxConnections?: number;
  /** Further names by which the API is reached, such as that of a proxy in front of it. */
  readonly hostNames?: readonly string[];
}

export interface RestGateway {
  listen(address: { readonly host: string; readonly port: number }): Promise<AddressInfo>;
  /** New certificates, for connections from now on. */
  renewTls(files: TlsFiles): void;
  /** Takes no more connections, lets running requests finish for so long, then cuts them off. */
  close(options: { readonly drainMs: number }): Promise<void>;
}

const MAX_JSON_BYTES = 256 * 1024;
const HEAD_TIMEOUT_MS = 30_000;

export async function createRestGateway(deps: RestGatewayDeps, config: RestGatewayConfig): Promise<RestGateway> {
  const { service, keyring, clock, log, metrics, audit = noAudit, turns, renderMetrics } = deps;
  const { headTimeoutMs = HEAD_TIMEOUT_MS, minBytesPerSecond, maxConnections } = config;
  const pace: Pace = {
    idleMs: config.bodyIdleMs,
    ...(minBytesPerSecond === undefined ? {} : { minBytesPerSecond }),
  };
  let http: HttpServer | undefined;
  let pages: PageGuard | undefined;
  const door = createDoor({
    tokens: createTokenGate({ keyring, findAccessKey: (id) => service.findAccessKey(id), clock }),
    asksForKeys: !keyring.isEmpty,
    audit,
    clock,
    log,
    metrics,
    maxConcurrentRequests: config.maxConcurrentRequests,
    // Which names are ours is known once it is known where we listen.
    pages: { check: (request) => pages?.check(request) },
    vouchFor: (socket) => http?.vouchFor(socket),
  });
  const bodies = turns === undefined ? pace : { ...pace, turns };
  const objects = createObjectHandler({ service, door, clock, pace: bodies });
  const makeServer = (json: RequestListener): Server => {
    http = createHttpServer({
      pace,
      ...(config.tls === undefined ? {} : { tls: config.tls }),
      headersTimeoutMs: headTimeoutMs,
      ...(maxConnections === undefined ? {} : { maxConnections }),
      malformed: {
        contentType: "application/json",
        body: JSON.stringify({
          error: "The request is not HTTP as this server reads it.",
          code: "InvalidArgument",
          request_id: "",
        }),
      },
      onRequest(request, response, expectsContinue) {
        if ((request.url ?? "").startsWith(OBJECTS_PREFIX)) objects(request, response, expectsContinue);
        else json(request, response);
      },
    });
    return http.server;
  };

  const app = fastify({
    bodyLimit: MAX_JSON_BYTES,
    routerOptions: { maxParamLength: 4_096 },
    serverFactory: makeServer,
    forceCloseConnections: false,
  });
  // A POST without a body is one; text/plain is not taken for JSON, so that a page elsewhere cannot send any.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", async ({ scope }: FastifyRequest, body: IncomingMessage) => {
    const bytes = await readWhole(
      body,
      {
        ...pace,
        deadline: { atMs: performance.now() + headTimeoutMs },
        onFirstRead: () => {
          if (body.headers.expect?.toLowerCase() === "100-continue") scope.response.writeContinue();
        },
      },
      MAX_JSON_BYTES,
    );
    const text = bytes.toString();
    if (text.trim() === "") return undefined;
    try {
      return JSON.parse(text) as unknown;
    } catch {
      throw new GfsError("InvalidArgument", "The body is no JSON.");
    }
  });
  const ending = new AbortController();
  addJsonRoutes(app, {
    ending: ending.signal,
    service,
    door,
    clock,
    version: config.version,
    audit,
    ...(renderMetrics === undefined ? {} : { renderMetrics }),
  });
  await app.ready();

  return {
    async listen({ host, port }) {
      pages = createPageGuard({ listensOn: host, names: config.hostNames ?? [] });
      try {
        await app.listen({ host, port, backlog: LISTEN_BACKLOG });
      } catch (error) {
        throw listenFailure(error, { where: `${host}:${port}`, setting: "coordinator.listen_addr" });
      }
      return app.server.address() as AddressInfo;
    },
    renewTls: (files) => http?.renewTls(files),
    async close({ drainMs }) {
      ending.abort(new Error("The server ends."));
      const closed = app.close();
      await (http as HttpServer).close({ drainMs, running: () => door.running, clock, log });
      await closed;
    },
  };
}
