import type { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { MessagePort } from "node:worker_threads";

/** What the daemon says of itself, in memory that both threads see. */
export const STATES = ["STARTING", "OK", "STOPPING"] as const;

export interface ProbeData {
  readonly host: string;
  readonly port: number;
  /** An `Int32` with the index of the state, and from byte 8 on a `BigInt64` with the time of the last beat, as `process.hrtime.bigint()` has it. */
  readonly shared: SharedArrayBuffer;
  readonly states: typeof STATES;
  /** Without a beat for so long, the daemon takes no requests; or it does nothing at all any more. */
  readonly readyMs: number;
  readonly liveMs: number;
}

export type FromProbeThread = { readonly port: number } | { readonly failed: NodeJS.ErrnoException };

/**
 * What the thread does that answers probes. It goes to the thread as text, so it may use nothing but its parameters and what every thread has.
 */
export function answerProbes(port: MessagePort, data: ProbeData, serve: typeof createServer): void {
  const MOST_CONNECTIONS = 256;
  const HEAD_TIMEOUT_MS = 10_000;
  const state = new Int32Array(data.shared, 0, 1);
  const beat = new BigInt64Array(data.shared, 8, 1);

  const answerTo = (path: string): readonly [number, string] => {
    const silentMs = Number(process.hrtime.bigint() - Atomics.load(beat, 0)) / 1e6;
    if (path === "/livez") return silentMs > data.liveMs ? [503, "STUCK"] : [200, "OK"];
    if (path !== "/readyz") return [404, "There are /livez and /readyz here."];
    const word = data.states[Atomics.load(state, 0)] as string;
    if (silentMs > data.readyMs) return [503, "STUCK"];
    return [word === "OK" ? 200 : 503, word];
  };
  const server = serve({ headersTimeout: HEAD_TIMEOUT_MS, requestTimeout: HEAD_TIMEOUT_MS }, (request, response) => {
    const [status, word] = answerTo((request.url ?? "").split("?")[0] as string);
    response.writeHead(status, {
      "Content-Type": "text/plain",
      "Content-Length": word.length,
      "Cache-Control": "no-store",
      "X-Content-Type-Options": "nosniff",
    });
    response.end(word);
  });
  // Nobody says who it is: one too many takes the place of the oldest.
  const connections = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    connections.add(socket);
    socket.once("close", () => connections.delete(socket));
    const [oldest] = connections;
    if (connections.size > MOST_CONNECTIONS) oldest?.destroy();
  });
  server.once("error", (error: NodeJS.ErrnoException) => {
    const { code, message } = error;
    port.postMessage({
      failed: { name: "Error", message, ...(code === undefined ? {} : { code }) },
    } satisfies FromProbeThread);
  });
  server.listen({ host: data.host, port: data.port }, () => {
    port.postMessage({ port: (server.address() as AddressInfo).port } satisfies FromProbeThread);
  });
}
