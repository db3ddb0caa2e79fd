import type { IncomingMessage } from "node:http";
import { GfsError } from "../../core/errors.ts";

export interface IncomingBody {
  /** A body that brings no byte for so long is given up. */
  readonly idleMs: number;
  /** Once, when somebody begins to read: the moment for `100 Continue`. */
  readonly onFirstRead: () => void;
}

/** Ends with an error when the client goes away or sends nothing for too long; what has arrived is thrown away then. */
export async function* incomingBody(
  request: IncomingMessage,
  { idleMs, onFirstRead }: IncomingBody,
): AsyncGenerator<Buffer> {
  onFirstRead();
  let idle = false;
  const timer = setTimeout(() => {
    idle = true;
    request.destroy();
  }, idleMs);
  try {
    // A body that was refused halfway is drained by whoever answers, on the same connection.
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      timer.refresh();
      yield chunk;
      timer.refresh();
    }
  } catch (error) {
    throw new GfsError(
      "IncompleteBody",
      idle
        ? `No byte of the body came for ${Math.round(idleMs / 1_000)} s.`
        : "The connection ended before the body did.",
      { cause: error },
    );
  } finally {
    clearTimeout(timer);
  }
  if (!request.complete) throw new GfsError("IncompleteBody", "The connection ended before the body did.");
}

const DRAINED_BYTES = 8 * 1024 ** 2;
const DRAIN_MS = 5_000;

/** After an early answer: the client may still be sending, and would not read the answer if the connection broke under it. */
export function drainRest(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return;
  let left = DRAINED_BYTES;
  const giveUp = setTimeout(() => request.socket.destroySoon(), DRAIN_MS);
  giveUp.unref();
  request.on("data", (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) request.socket.destroySoon();
  });
  request.once("close", () => clearTimeout(giveUp));
  request.resume();
}
