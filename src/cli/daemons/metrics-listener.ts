import http from "node:http";
import type { AddressInfo } from "node:net";
import { presentedToken } from "../../gateways/http/index.ts";
import { grantAllowing, type TokenGate } from "../../security/index.ts";

export interface MetricsListener {
  readonly port: number;
  close(): Promise<void>;
}

export interface MetricsListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly tokens: TokenGate;
  readonly asksForKeys: boolean;
  readonly render: () => Promise<{ readonly contentType: string; readonly body: string }>;
}

/** A port for scrapers alone, so that the API's need not be open to them. */
export async function listenForMetrics({
  host,
  port,
  tokens,
  asksForKeys,
  render,
}: MetricsListenerOptions): Promise<MetricsListener> {
  const server = http.createServer((request, response) => {
    void answer(request, response).catch(() => response.destroy());
  });
  const refusal = async (request: http.IncomingMessage): Promise<number | undefined> => {
    const token = presentedToken(request);
    if (token === undefined) return asksForKeys ? 401 : undefined;
    try {
      const { grants } = await tokens.identify(token);
      return grantAllowing(grants, "globalfs:GetMetrics", "") === undefined ? 403 : undefined;
    } catch {
      return 401;
    }
  };
  const answer = async (request: http.IncomingMessage, response: http.ServerResponse): Promise<void> => {
    const refused = await refusal(request);
    if (refused !== undefined) {
      response.writeHead(refused).end();
      return;
    }
    if (request.method !== "GET" || (request.url ?? "").split("?")[0] !== "/metrics") {
      response.writeHead(404).end();
      return;
    }
    const { contentType, body } = await render();
    response.writeHead(200, { "Content-Type": contentType }).end(body);
  };
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
