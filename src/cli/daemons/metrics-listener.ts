import type { IncomingMessage, ServerResponse } from "node:http";
import { systemClock } from "../../core/ports/clock.ts";
import type { Logger } from "../../core/ports/log.ts";
import {
  certifiedNames,
  createHttpServer,
  createPageGuard,
  pathOf,
  presentedToken,
  type TlsFiles,
} from "../../gateways/http/index.ts";
import { type AuditTrail, grantAllowing, noAudit, type TokenGate } from "../../security/index.ts";

export interface MetricsListener {
  readonly port: number;
  renewTls(files: TlsFiles): void;
  close(): Promise<void>;
}

export interface MetricsListenerOptions {
  readonly host: string;
  readonly port: number;
  /** Absent: clear text. */
  readonly tls: TlsFiles | undefined;
  /** Further names by which scrapers reach it. */
  readonly hostNames: readonly string[];
  readonly tokens: TokenGate;
  readonly asksForKeys: boolean;
  readonly audit?: AuditTrail;
  readonly log: Logger;
  readonly render: () => Promise<{ readonly contentType: string; readonly body: string }>;
}

/** Scrapers are few. */
const MAX_CONNECTIONS = 64;
const HEAD_TIMEOUT_MS = 10_000;

/** A port for scrapers alone, so that the API's need not be open to them. */
export async function listenForMetrics(options: MetricsListenerOptions): Promise<MetricsListener> {
  const { host, port, tls, hostNames, tokens, asksForKeys, audit = noAudit, log, render } = options;
  const pages = createPageGuard({ listensOn: host, names: hostNames });
  const refusal = async (request: IncomingMessage): Promise<number | undefined> => {
    try {
      pages.check(request);
    } catch {
      return 403;
    }
    try {
      const token = presentedToken(request);
      const identity =
        token === undefined ? tokens.identifyCertificate(certifiedNames(request)) : await tokens.identify(token);
      if (identity === undefined) return asksForKeys ? 401 : undefined;
      const { grants } = identity;
      return grantAllowing(grants, "globalfs:GetMetrics", "") === undefined ? 403 : undefined;
    } catch {
      return 401;
    }
  };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const refused = await refusal(request);
    if (refused !== undefined) {
      const asked = { door: "metrics", user: "", key: "", from: request.socket.remoteAddress ?? "" };
      audit.refused(
        { ...asked, op: "GET /metrics", path: pathOf(request.url ?? ""), requestId: "" },
        { status: refused },
      );
      response.writeHead(refused).end();
      return;
    }
    http.vouchFor(request.socket);
    if (request.method !== "GET" || (request.url ?? "").split("?")[0] !== "/metrics") {
      response.writeHead(404).end();
      return;
    }
    const { contentType, body } = await render();
    response.writeHead(200, { "Content-Type": contentType, "X-Content-Type-Options": "nosniff" }).end(body);
  };
  const http = createHttpServer({
    malformed: { contentType: "text/plain", body: "The request is not HTTP as this server reads it.\n" },
    maxConnections: MAX_CONNECTIONS,
    ...(tls === undefined ? {} : { tls }),
    headersTimeoutMs: HEAD_TIMEOUT_MS,
    pace: { idleMs: HEAD_TIMEOUT_MS },
    onRequest: (request, response) => void answer(request, response).catch(() => response.destroy()),
  });
  const { port: taken } = await http.listen({ host, port, setting: "global.metrics_port" });
  return {
    port: taken,
    renewTls: (files) => http.renewTls(files),
    close: async () => await http.close({ drainMs: 0, running: () => 0, clock: systemClock, log }),
  };
}
