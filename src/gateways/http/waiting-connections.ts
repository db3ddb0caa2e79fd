import { closeSync } from "node:fs";
import net from "node:net";

/**
 * Node takes one connection in each turn of its event loop. Where turns are long because there is much to do, whoever comes behind some hundreds of
 * others would be taken seconds later, a probe among them. So with each connection that Node takes, the others that wait are taken, too.
 */
export async function takeWaiting(server: net.Server): Promise<void> {
  const accept = await loadAccept();
  if (accept === undefined) return;
  let isTaking = false;
  server.on("connection", () => {
    const listening = descriptorOf(server);
    if (isTaking || listening === undefined) return;
    isTaking = true;
    try {
      for (let count = 0; count < MOST_A_TURN; count++) {
        const descriptor = accept(listening, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
        // None waits, or there are too many open files: what is left to take Node takes, or says why not.
        if (descriptor < 0) break;
        const socket = socketOf(server, descriptor);
        if (socket !== undefined) server.emit("connection", socket);
      }
    } finally {
      isTaking = false;
    }
  });
}

/** So many take some ten milliseconds. */
const MOST_A_TURN = 256;

/** The same on all processors for which there are builds. */
const SOCK_NONBLOCK = 0o4_000;
const SOCK_CLOEXEC = 0o2_000_000;

type Accept = (listening: number, address: null, addressBytes: null, flags: number) => number;

let loading: Promise<Accept | undefined> | undefined;

async function loadAccept(): Promise<Accept | undefined> {
  loading ??= (async () => {
    if (process.platform !== "linux") return undefined;
    try {
      const { default: koffi } = await import("koffi");
      return koffi.load(null).func("int accept4(int listening, void *address, void *address_bytes, int flags)");
    } catch {
      // There is no build of it for this processor: Node takes one at a time.
      return undefined;
    }
  })();
  return await loading;
}

/** What Node keeps of a server without having it in its types. */
interface Inside {
  readonly _handle: { readonly fd: number } | null;
  readonly allowHalfOpen: boolean;
  readonly pauseOnConnect: boolean;
}

function descriptorOf(server: net.Server): number | undefined {
  const descriptor = (server as unknown as Partial<Inside>)._handle?.fd;
  return descriptor === undefined || descriptor < 0 ? undefined : descriptor;
}

/** As Node makes those that it takes itself, but that the server does not wait for their end when it closes. Undefined: it ended in this moment. */
function socketOf(server: net.Server, fd: number): net.Socket | undefined {
  const { allowHalfOpen, pauseOnConnect } = server as unknown as Inside;
  const settings = { fd, readable: true, writable: true, allowHalfOpen, pauseOnCreate: pauseOnConnect };
  try {
    return new net.Socket(settings).setNoDelay(true);
  } catch {
    closeSync(fd);
    return undefined;
  }
}
