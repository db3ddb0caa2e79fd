import { createConnection, createServer, type Server, type Socket } from "node:net";
import { once } from "node:events";

/** Stands before a server on a port of its own, and can be shut as if the machine behind it were gone. */
export interface Gate {
  readonly url: string;
  /** Breaks every connection and refuses new ones. */
  shut(): Promise<void>;
  /** Takes connections, and bytes on those that there are, and lets nothing through. */
  silence(): void;
  open(): Promise<void>;
  /** What comes from now on goes there, such as to a daemon that was started again at another port. */
  leadTo(target: string): void;
}

export async function openGate(target: string): Promise<Gate> {
  const { pathname } = new URL(target);
  let { hostname, port: targetPort } = new URL(target);
  const sockets = new Set<Socket>();
  let server: Server | undefined;
  let port = 0;
  let isSilent = false;

  const keep = (socket: Socket, other: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => other.destroy());
    socket.once("close", () => {
      sockets.delete(socket);
      other.destroy();
    });
  };

  const open = async (): Promise<void> => {
    isSilent = false;
    const listening = createServer((inside) => {
      if (isSilent) {
        keep(inside, inside);
        inside.resume();
        return;
      }
      const outside = createConnection({ host: hostname, port: Number(targetPort) });
      keep(inside, outside);
      keep(outside, inside);
      inside.pipe(outside).pipe(inside);
    });
    listening.listen(port, "127.0.0.1");
    await once(listening, "listening");
    port = (listening.address() as { port: number }).port;
    server = listening;
  };
  await open();
  return {
    url: `http://127.0.0.1:${port}${pathname === "/" ? "" : pathname}`,
    open,
    leadTo(other) {
      ({ hostname, port: targetPort } = new URL(other));
    },
    silence() {
      isSilent = true;
      for (const socket of sockets) socket.unpipe().resume();
    },
    async shut() {
      const closed = server === undefined ? undefined : once(server, "close");
      server?.close();
      server = undefined;
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
