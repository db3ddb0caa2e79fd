import type { IncomingMessage } from "node:http";
import { GfsError } from "../../core/errors.ts";

export interface IncomingBody {
  /** A body that brings no byte for so long is given up. */
  readonly idleMs: number;
  /** Once, when somebody begins to read: the moment for `100 Continue`. */
  readonly onFirstRead: () => void;
}

/**
 * Ends with an error when the client goes away or sends nothing for too long; what has arrived is thrown away then. The connection stays as it is,
 * so that the error can be answered: whoever answers drains what is left, within bounds.
 */
export async function* incomingBody(
  request: IncomingMessage,
  { idleMs, onFirstRead }: IncomingBody,
): AsyncGenerator<Buffer> {
  onFirstRead();
  let isIdle = false;
  let wake: (() => void) | undefined;
  const onNews = (): void => wake?.();
  const timer = setTimeout(() => {
    isIdle = true;
    onNews();
  }, idleMs);
  for (const event of NEWS) request.on(event, onNews);
  try {
    for (;;) {
      const chunk = request.destroyed ? null : (request.read() as Buffer | null);
      if (chunk !== null) {
        timer.refresh();
        yield chunk;
        timer.refresh();
        isIdle = false;
      } else if (request.readableEnded || request.destroyed) {
        break;
      } else if (isIdle) {
        throw new GfsError("IncompleteBody", `No byte of the body came for ${Math.round(idleMs / 1_000)} s.`, {
          context: { s3: "RequestTimeout" },
        });
      } else {
        await new Promise<void>((resolve) => (wake = resolve));
      }
    }
  } finally {
    clearTimeout(timer);
    for (const event of NEWS) request.off(event, onNews);
    // It may fail yet, and then nobody is left to hear of it.
    if (!request.readableEnded) request.on("error", ignore);
  }
  if (!request.complete) throw new GfsError("IncompleteBody", "The connection ended before the body did.");
}

const NEWS = ["readable", "end", "error", "close"] as const;
const ignore = (): void => undefined;

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
