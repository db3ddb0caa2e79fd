import type { Socket } from "node:net";

/**
 * The open connections of a server. When there are as many as there may be, a new one takes the place of the oldest of those on which nobody has
 * proved yet who it is; who is known stays.
 */
export class Connections {
  readonly #most: number;
  readonly #strangers = new Set<Socket>();
  readonly #known = new Set<Socket>();
  /** Where connections are encrypted: requests come on another socket than the one that was accepted. */
  readonly #byPeer = new Map<string, Socket>();
  readonly #accepted = new WeakMap<Socket, Socket>();

  constructor(most: number) {
    this.#most = most;
  }

  /** False: there is no room, and the connection has been closed. */
  add(socket: Socket): boolean {
    if (this.#strangers.size + this.#known.size >= this.#most) {
      const [oldest] = this.#strangers;
      if (oldest === undefined) {
        socket.destroy();
        return false;
      }
      this.#strangers.delete(oldest);
      oldest.destroy();
    }
    this.#strangers.add(socket);
    const peer = peerOf(socket);
    this.#byPeer.set(peer, socket);
    socket.once("close", () => {
      this.#strangers.delete(socket);
      this.#known.delete(socket);
      if (this.#byPeer.get(peer) === socket) this.#byPeer.delete(peer);
    });
    return true;
  }

  /** The encrypted side of a connection that was added. */
  pair(encrypted: Socket): void {
    const accepted = this.#byPeer.get(peerOf(encrypted));
    if (accepted !== undefined) this.#accepted.set(encrypted, accepted);
  }

  /** Somebody has proved on this one who it is. */
  vouchFor(socket: Socket): void {
    const accepted = this.#accepted.get(socket) ?? socket;
    if (this.#strangers.delete(accepted)) this.#known.add(accepted);
  }

  *[Symbol.iterator](): Generator<Socket> {
    yield* this.#strangers;
    yield* this.#known;
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress ?? ""} ${remotePort ?? ""}`;
}

interface Mark {
  readonly atMs: number;
  readonly sentBytes: number;
}

/**
 * Finds clients that take what is sent to them so slowly that it would never end. Who takes nothing at all is found by the socket's own timeout; this one
 * is for those who take a little again and again.
 */
export class SlowReaders {
  readonly #marks = new WeakMap<Socket, Mark>();
  readonly #idleMs: number;
  readonly #minBytesPerSecond: number;

  constructor({ idleMs, minBytesPerSecond }: { readonly idleMs: number; readonly minBytesPerSecond: number }) {
    this.#idleMs = idleMs;
    this.#minBytesPerSecond = minBytesPerSecond;
  }

  /** Whether this one is to be given up. To be asked from time to time, while something waits to be taken. */
  isHopeless(socket: Socket, nowMs: number): boolean {
    const waitingBytes = socket.writableLength;
    if (waitingBytes === 0) {
      this.#marks.delete(socket);
      return false;
    }
    const sentBytes = socket.bytesWritten - waitingBytes;
    const mark = this.#marks.get(socket);
    const elapsedMs = nowMs - (mark?.atMs ?? nowMs);
    if (mark === undefined || (sentBytes - mark.sentBytes) * 1_000 > elapsedMs * this.#minBytesPerSecond) {
      this.#marks.set(socket, { atMs: nowMs, sentBytes });
      return false;
    }
    // What waits is counted as taken when the last byte of it is, so that it has the time that it needs at that rate.
    return elapsedMs > this.#idleMs + (waitingBytes * 1_000) / this.#minBytesPerSecond;
  }
}
