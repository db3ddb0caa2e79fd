/** A line to a server that breaks now and then: before a request arrives, or after it was answered and before we hear of it. */
import { connect, createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import type { Random } from "../../src/core/ports/random.ts";

export interface CuttingProxy {
  readonly endpoint: string;
  readonly cuts: { requests: number; answers: number };
  close(): Promise<void>;
}

/** `chance` is that of each chunk, in either direction, to be the last one, unseen by the other side. */
export async function startCuttingProxy(target: string, chance: number, random: Random): Promise<CuttingProxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  const cuts = { requests: 0, answers: 0 };
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    const end = (): void => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", end);
      socket.on("close", () => {
        sockets.delete(socket);
        end();
      });
    }
    const forward = (from: Socket, to: Socket, direction: "requests" | "answers"): void => {
      from.on("data", (chunk: Buffer) => {
        if (random.fraction() < chance) {
          cuts[direction] += 1;
          end();
        } else if (!to.write(chunk)) {
          from.pause();
          to.once("drain", () => from.resume());
        }
      });
    };
    forward(client, upstream, "requests");
    forward(upstream, client, "answers");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cuts,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
