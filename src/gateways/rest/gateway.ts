import http, { type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import fastify from "fastify";
import type { CoordinatorService } from "../../coordinator/index.ts";
import { GfsError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { Logger } from "../../core/ports/log.ts";
import type { Metrics } from "../../core/ports/metrics.ts";
import type { Keyring } from "../../security/index.ts";
import { addJsonRoutes } from "./json-routes.ts";
import { createObjectHandler, OBJECTS_PREFIX } from "./object-routes.ts";
import { createDoor } from "./request-scope.ts";

export interface RestGatewayDeps {
  readonly service: CoordinatorService;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Absent: there is no `/metrics`. */
  readonly renderMetrics?: () => Promise<{ readonly contentType: string; readonly body: string }>;
}

export interface RestGatewayConfig {
  readonly version: string;
  readonly maxConcurrentRequests: number;
  /** A body that brings no byte for so long is given up. */
  readonly bodyIdleMs: number;
}

export interface RestGateway {
  listen(address: { readonly host: string; readonly port: number }): Promise<AddressInfo>;
  /** Takes no more connections, lets running requests finish for so long, then cuts them off. */
  close(options: { readonly drainMs: number }): Promise<void>;
}

const MAX_JSON_BYTES = 256 * 1024;
const MAX_HEADER_BYTES = 32 * 1024;
const HEADERS_TIMEOUT_MS = 30_000;
const KEEP_ALIVE_MS = 65_000;

export async function createRestGateway(deps: RestGatewayDeps, config: RestGatewayConfig): Promise<RestGateway> {
  const { service, keyring, clock, log, metrics, renderMetrics } = deps;
  const door = createDoor({ keyring, clock, log, metrics, maxConcurrentRequests: config.maxConcurrentRequests });
  const objects = createObjectHandler({ service, door, bodyIdleMs: config.bodyIdleMs });
  const sockets = new Set<Socket>();
  let closing = false;

  const makeServer = (json: RequestListener): http.Server => {
    const handle = (request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void => {
      if (closing) response.setHeader("Connection", "close");
      if ((request.url ?? "").startsWith(OBJECTS_PREFIX)) objects(request, response, expectsContinue);
      else {
        if (expectsContinue) response.writeContinue();
        json(request, response);
      }
    };
    const server = http.createServer({
      maxHeaderSize: MAX_HEADER_BYTES,
      // An upload may take as long as it goes on; its body has an idle time of its own.
      requestTimeout: 0,
      headersTimeout: HEADERS_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      noDelay: true,
    });
    server.on("request", (request: IncomingMessage, response: ServerResponse) => handle(request, response, false));
    server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => handle(request, response, true));
    server.on("connection", (socket: Socket) => {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
    });
    server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
      if (!socket.writable || error.code === "ECONNRESET") {
        socket.destroy();
        return;
      }
      const status = error.code === "HPE_HEADER_OVERFLOW" ? "431 Request Header Fields Too Large" : "400 Bad Request";
      const body = JSON.stringify({
        error: "The request is not HTTP as this server reads it.",
        code: "InvalidArgument",
        request_id: "",
      });
      socket.end(
        `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
      );
    });
    return server;
  };

  const app = fastify({
    bodyLimit: MAX_JSON_BYTES,
    routerOptions: { maxParamLength: 4_096 },
    serverFactory: makeServer,
    forceCloseConnections: false,
  });
  // A POST without a body is one; text/plain is not taken for JSON, so that a page elsewhere cannot send any.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    "application/json",
    { parseAs: "string", bodyLimit: MAX_JSON_BYTES },
    (_request, text: string, done) => {
      if (text.trim() === "") {
        done(null, undefined);
        return;
      }
      try {
        done(null, JSON.parse(text));
      } catch {
        done(new GfsError("InvalidArgument", "The body is no JSON."));
      }
    },
  );
  addJsonRoutes(app, {
    service,
    door,
    version: config.version,
    ...(renderMetrics === undefined ? {} : { renderMetrics }),
  });
  await app.ready();

  return {
    async listen({ host, port }) {
      try {
        await app.listen({ host, port });
      } catch (error) {
        const { code } = error as { code?: string };
        const where = `${host}:${port}`;
        if (code === "EADDRINUSE")
          throw new GfsError(
            "ConfigInvalid",
            `Something else listens on ${where} already; stop it or set coordinator.listen_addr.`,
            { cause: error },
          );
        if (code === "EACCES")
          throw new GfsError("ConfigInvalid", `This user may not listen on ${where}; choose a port above 1023.`, {
            cause: error,
          });
        throw new GfsError("ConfigInvalid", `The coordinator cannot listen on ${where}: ${(error as Error).message}`, {
          cause: error,
        });
      }
      return app.server.address() as AddressInfo;
    },
    async close({ drainMs }) {
      closing = true;
      const closed = app.close();
      app.server.closeIdleConnections();
      const deadlineMs = clock.monotonicMs() + drainMs;
      while (door.running > 0 && clock.monotonicMs() < deadlineMs) {
        await clock.sleep(20);
        app.server.closeIdleConnections();
      }
      if (door.running > 0) log.warn("requests_cut_off", { running: door.running });
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
