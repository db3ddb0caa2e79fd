import { chmod, rm } from "node:fs/promises";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import https from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { GfsError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { Logger } from "../../core/ports/log.ts";
import { Connections, SlowReaders } from "./connections.ts";
import { drainRest, type Pace } from "./incoming-body.ts";
import { SomeATurn } from "./some-a-turn.ts";
import { takeWaiting } from "./waiting-connections.ts";

/** What both gateways want of a server: bounds on what a client may do before it is known, and a tidy end. */

const MAX_HEADER_BYTES = 32 * 1024;
const HEADERS_TIMEOUT_MS = 30_000;
const KEEP_ALIVE_MS = 65_000;
/** Each takes some tenths of a millisecond before it waits for the first time. */
const BEGINNINGS_A_TURN = 8;
/** Connections that the system holds until they are taken. Of more at once than fit, some would come seconds late; the system has a bound of its own. */
export const LISTEN_BACKLOG = 4_096;

export interface HttpServerOptions {
  /** `expectsContinue`: the client waits for a word before it sends the body. */
  readonly onRequest: (request: IncomingMessage, response: ServerResponse, expectsContinue: boolean) => void;
  /** The body of the answer to what is no HTTP. */
  readonly malformed: { readonly contentType: string; readonly body: string };
  readonly tls?: TlsFiles;
  /** One more takes the place of one on which nobody has proved who it is, or is closed. Absent: as many as the system lets us have. */
  readonly maxConnections?: number;
  /** A request's head has to have come within so long. */
  readonly headersTimeoutMs?: number;
  /** How much time clients may take to read what is sent to them. Absent: any. */
  readonly pace?: Pace;
}

export interface TlsFiles {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
  /** Who may issue certificates of clients; whoever shows none is let in as before. */
  readonly ca?: string | Buffer;
}

export interface HttpServer {
  readonly server: http.Server;
  /** Somebody has proved on this connection who it is: it is kept when others are too many. */
  vouchFor(socket: Socket): void;
  /** Takes a connection that was accepted elsewhere. */
  accept(socket: Socket): void;
  /** Listens on a socket of the file system that only this user can reach. */
  listenAt(socketPath: string): Promise<void>;
  /** New certificates for connections from now on. Only where the server has TLS. */
  renewTls(files: TlsFiles): void;
  listen(address: {
    readonly host: string;
    readonly port: number;
    /** The configuration field to name when this cannot be. */
    readonly setting: string;
  }): Promise<AddressInfo>;
  /** Takes no more connections, lets what `running` counts finish for so long, then cuts it off. */
  close(options: {
    readonly drainMs: number;
    readonly running: () => number;
    readonly clock: Clock;
    readonly log: Logger;
  }): Promise<void>;
}

export function createHttpServer(options: HttpServerOptions): HttpServer {
  const connections = new Connections(options.maxConnections ?? Number.POSITIVE_INFINITY);
  /** Of each connection, the last answer that was begun, until it has been given: idle connections are to take little room. */
  const answers = new Map<Socket, ServerResponse>();
  const forget = function (this: ServerResponse): void {
    const { req } = this;
    if (answers.get(req.socket) === this) answers.delete(req.socket);
    // What nobody read of the body is not waited for without end.
    if (!req.complete) drainRest(req);
  };
  const headersTimeoutMs = options.headersTimeoutMs ?? HEADERS_TIMEOUT_MS;
  /** Connections that end with the answer that is on its way. */
  const ending = new WeakSet<Socket>();
  /** Of requests with bodies; those without come in between. */
  const beginnings = new SomeATurn(BEGINNINGS_A_TURN);
  let closing = false;
  const settings: http.ServerOptions = {
    maxHeaderSize: MAX_HEADER_BYTES,
    // An upload may take as long as it goes on; its body has an idle time of its own.
    requestTimeout: 0,
    headersTimeout: headersTimeoutMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    noDelay: true,
    connectionsCheckingInterval: Math.min(30_000, Math.ceil(headersTimeoutMs / 2)),
  };
  const server: http.Server =
    options.tls === undefined
      ? http.createServer(settings)
      : https.createServer({
          ...settings,
          ...options.tls,
          handshakeTimeout: HEADERS_TIMEOUT_MS,
          requestCert: options.tls.ca !== undefined,
          // Who shows a certificate of somebody else's is a client like one without.
          rejectUnauthorized: false,
        });
  const handle = (request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void => {
    if (closing) response.setHeader("Connection", "close");
    answers.set(request.socket, response);
    response.once("close", forget);
    const begin = (): void => options.onRequest(request, response, expectsContinue);
    if (!hasBody(request) || beginnings.takes()) begin();
    else beginnings.later(() => (request.destroyed ? undefined : begin()));
  };
  server.on("request", (request: IncomingMessage, response: ServerResponse) => handle(request, response, false));
  server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => handle(request, response, true));
  // Expectations that are none of HTTP's are left unmet, as S3 does; to refuse them keeps clients out that would not mind.
  server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) =>
    handle(request, response, false),
  );
  server.on("connection", (socket: Socket) => {
    // Those that are handed in from outside are not counted by the server itself.
    connections.add(socket);
  });
  void takeWaiting(server);
  if (server instanceof https.Server) server.on("secureConnection", (socket) => connections.pair(socket));
  const stopWatching = options.pace === undefined ? undefined : watchReaders(server, answers, options.pace);
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    // What is still to be sent must not be cut off by more of the same.
    if (ending.has(socket) && error.code !== "ECONNRESET") return;
    if (!socket.writable || error.code === "ECONNRESET") {
      socket.destroy();
      return;
    }
    const answer = answers.get(socket);
    if (answer !== undefined && isToBeFinished(answer)) {
      // The request before this was whole, and its client waits for an answer to it; such is a body longer than it said.
      ending.add(socket);
      closeAfter(answer, socket);
      return;
    }
    const { contentType, body } = options.malformed;
    socket.end(
      `HTTP/1.1 ${statusOf(error.code)}\r\nConnection: close\r\nContent-Type: ${contentType}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
  });

  return {
    server,
    vouchFor: (socket) => connections.vouchFor(socket),
    accept(socket) {
      server.emit("connection", socket);
      socket.resume();
    },
    async listenAt(socketPath) {
      // What a process that died left behind; the directory belongs to one process at a time.
      await rm(socketPath, { force: true });
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen({ path: socketPath }, () => {
          server.off("error", reject);
          resolve();
        });
      });
      await chmod(socketPath, 0o600);
    },
    renewTls(files) {
      if (server instanceof https.Server) server.setSecureContext(files);
    },
    async listen({ host, port, setting }) {
      await new Promise<void>((resolve, reject) => {
        const fail = (error: Error): void => reject(listenFailure(error, { where: `${host}:${port}`, setting }));
        server.once("error", fail);
        server.listen({ host, port, backlog: LISTEN_BACKLOG }, () => {
          server.off("error", fail);
          resolve();
        });
      });
      return server.address() as AddressInfo;
    },
    async close({ drainMs, running, clock, log }) {
      closing = true;
      const closed = new Promise<void>((resolve) => {
        if (server.listening) server.close(() => resolve());
        else resolve();
      });
      server.closeIdleConnections();
      const deadlineMs = clock.monotonicMs() + drainMs;
      while (running() + beginnings.waiting > 0 && clock.monotonicMs() < deadlineMs) {
        await clock.sleep(20);
        server.closeIdleConnections();
      }
      if (running() > 0) log.warn("requests_cut_off", { running: running() });
      for (const socket of connections) socket.destroy();
      stopWatching?.();
      await closed;
    },
  };
}

function hasBody({ headers }: IncomingMessage): boolean {
  const { "content-length": length = "0", "transfer-encoding": encoding } = headers;
  return length !== "0" || encoding !== undefined;
}

const LONGEST_SWEEP_MS = 10_000;

/** Gives up connections whose clients do not take what is sent to them. Returns how to stop. */
function watchReaders(server: http.Server, answers: ReadonlyMap<Socket, ServerResponse>, pace: Pace): () => void {
  // Heads have a timeout of their own, with an answer that says so.
  server.timeout = Math.max(pace.idleMs, 2 * server.headersTimeout);
  server.on("timeout", (socket: Socket) => {
    // Where nothing waits to be taken, a request runs and takes its time, or a body is waited for, which has bounds of its own.
    if (!answers.has(socket) || socket.writableLength > 0) socket.destroy();
  });
  const { idleMs, minBytesPerSecond } = pace;
  if (minBytesPerSecond === undefined || minBytesPerSecond === 0) return () => undefined;
  const slow = new SlowReaders({ idleMs, minBytesPerSecond });
  const sweep = setInterval(
    () => {
      const nowMs = performance.now();
      for (const socket of answers.keys()) if (slow.isHopeless(socket, nowMs)) socket.destroy();
    },
    Math.min(LONGEST_SWEEP_MS, Math.max(1, Math.floor(idleMs / 4))),
  );
  sweep.unref();
  return () => clearInterval(sweep);
}

function isToBeFinished(answer: ServerResponse): boolean {
  return answer.req.complete && !answer.destroyed;
}

function closeAfter(answer: ServerResponse, socket: Socket): void {
  if (!answer.headersSent) answer.setHeader("Connection", "close");
  answer.once("close", () => socket.destroySoon());
}

function statusOf(code: string | undefined): string {
  if (code === "HPE_HEADER_OVERFLOW") return "431 Request Header Fields Too Large";
  return code === "ERR_HTTP_REQUEST_TIMEOUT" ? "408 Request Timeout" : "400 Bad Request";
}

/** A sentence that tells the person what to do. */
export function listenFailure(
  error: unknown,
  { where, setting }: { readonly where: string; readonly setting: string },
): GfsError {
  const { code } = error as { code?: string };
  if (code === "EADDRINUSE")
    return new GfsError("ConfigInvalid", `Something else listens on ${where} already; stop it or set ${setting}.`, {
      cause: error,
    });
  if (code === "EACCES")
    return new GfsError("ConfigInvalid", `This user may not listen on ${where}; choose a port above 1023.`, {
      cause: error,
    });
  return new GfsError("ConfigInvalid", `The coordinator cannot listen on ${where}: ${(error as Error).message}`, {
    cause: error,
  });
}
