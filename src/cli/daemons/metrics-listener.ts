import http from "node:http";
import type { AddressInfo } from "node:net";
import type { Keyring } from "../../security/index.ts";

export interface MetricsListener {
  readonly port: number;
  close(): Promise<void>;
}

export interface MetricsListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly keyring: Keyring;
  readonly render: () => Promise<{ readonly contentType: string; readonly body: string }>;
}

/** A port for scrapers alone, so that the API's need not be open to them. */
export async function listenForMetrics({
  host,
  port,
  keyring,
  render,
}: MetricsListenerOptions): Promise<MetricsListener> {
  const server = http.createServer((request, response) => {
    void answer(request, response).catch(() => response.destroy());
  });
  const answer = async (request: http.IncomingMessage, response: http.ServerResponse): Promise<void> => {
    const presented =
      request.headers["x-globalfs-api-key"] ?? /^Bearer\s+(\S+)$/i.exec(request.headers.authorization ?? "")?.[1];
    if (!keyring.isEmpty && (typeof presented !== "string" || keyring.verify(presented) === undefined)) {
      response.writeHead(401).end();
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
