import type { IncomingMessage } from "node:http";
import { GfsError } from "../../core/errors.ts";
import type { BodyTurn, BodyTurns } from "./body-turns.ts";

/** How much time a client may take with what it sends. */
export interface Pace {
  /** In which it may be silent; and in all, unless it keeps to the rate. */
  readonly idleMs: number;
  /** On average over the time that we waited for it. Absent: any. */
  readonly minBytesPerSecond?: number;
  /** Absent: all bodies are read at once. */
  readonly turns?: BodyTurns;
}

/** Until when a body has to have come as a whole; lifted once it is known who sends it. */
export interface Deadline {
  atMs: number | undefined;
}

export interface IncomingBody extends Pace {
  /** Once, when somebody begins to read: the moment for `100 Continue`. */
  readonly onFirstRead: () => void;
  /** On the clock of `performance.now()`. */
  readonly deadline?: Deadline;
}

/**
 * Ends with an error when the client goes away, sends nothing for too long, or so little that it would go on for ever; what has arrived is thrown away
 * then. The connection stays as it is, so that the error can be answered: whoever answers drains what is left, within bounds.
 */
export async function* incomingBody(
  request: IncomingMessage,
  { idleMs, minBytesPerSecond = 0, turns, onFirstRead, deadline }: IncomingBody,
): AsyncGenerator<Buffer> {
  const turn = turns?.turnOf(sizeOf(request));
  if (turn !== undefined && !turn.takeAtOnce()) await myTurn(turn, request);
  onFirstRead();
  let isIdle = false;
  let sizeBytes = 0;
  let waitedMs = 0;
  let wake: (() => void) | undefined;
  const onNews = (): void => wake?.();
  const timer = setTimeout(() => {
    isIdle = true;
    onNews();
  }, idleMs);
  let lastCall: NodeJS.Timeout | undefined;
  for (const event of NEWS) request.on(event, onNews);
  try {
    for (;;) {
      const chunk = request.destroyed ? null : (request.read() as Buffer | null);
      if (chunk !== null) {
        const waited = turn?.take();
        if (waited !== undefined) await waited;
        sizeBytes += chunk.byteLength;
        timer.refresh();
        yield chunk;
        timer.refresh();
        isIdle = false;
      } else if (request.complete || request.readableEnded || request.destroyed) {
        // Of a whole body nothing is left to be read, and its end is not waited for.
        break;
      } else if (isIdle) {
        throw tooSlow(`No byte of the body came for ${Math.round(idleMs / 1_000)} s.`);
      } else {
        const sinceMs = performance.now();
        if (deadline?.atMs !== undefined) {
          if (sinceMs >= deadline.atMs) throw tooSlow("The body took longer than the server waits for one like it.");
          clearTimeout(lastCall);
          lastCall = setTimeout(onNews, deadline.atMs - sinceMs);
        }
        if (waitedMs > idleMs && sizeBytes * 1_000 < waitedMs * minBytesPerSecond)
          throw tooSlow(`The body came with fewer than ${minBytesPerSecond} bytes a second.`);
        turn?.pause();
        await new Promise<void>((resolve) => (wake = resolve));
        // What we do with the bytes is no time that the client takes.
        waitedMs += performance.now() - sinceMs;
      }
    }
  } finally {
    turn?.end();
    clearTimeout(timer);
    clearTimeout(lastCall);
    for (const event of NEWS) request.off(event, onNews);
    // It may fail yet, and then nobody is left to hear of it.
    if (!request.readableEnded) request.on("error", ignore);
  }
  if (!request.complete) throw new GfsError("IncompleteBody", "The connection ended before the body did.");
}

function sizeOf({ headers }: IncomingMessage): number | undefined {
  const length = headers["content-length"];
  return length === undefined ? undefined : Number(length);
}

/** A client that leaves while it waits keeps nobody behind it waiting. */
async function myTurn(turn: BodyTurn, request: IncomingMessage): Promise<void> {
  const gone = new AbortController();
  const leave = (): void => gone.abort(new GfsError("IncompleteBody", "The connection ended before the body did."));
  request.once("close", leave);
  try {
    await turn.take(gone.signal);
  } finally {
    request.off("close", leave);
  }
}

/** The whole of a small body. More than the limit ends with `TooLarge`, at once where the client says how much will come. */
export async function readWhole(request: IncomingMessage, body: IncomingBody, limitBytes: number): Promise<Buffer> {
  if (Number(request.headers["content-length"] ?? 0) > limitBytes) throw tooLarge(limitBytes);
  const pieces: Buffer[] = [];
  let sizeBytes = 0;
  for await (const piece of incomingBody(request, body)) {
    sizeBytes += piece.byteLength;
    if (sizeBytes > limitBytes) throw tooLarge(limitBytes);
    pieces.push(piece);
  }
  return Buffer.concat(pieces, sizeBytes);
}

const NEWS = ["readable", "end", "error", "close"] as const;
const ignore = (): void => undefined;

function tooSlow(message: string): GfsError {
  return new GfsError("IncompleteBody", message, { context: { s3: "RequestTimeout" } });
}

function tooLarge(limitBytes: number): GfsError {
  return new GfsError("TooLarge", `The body has more than the ${limitBytes} bytes that are taken here.`);
}

const DRAINED_BYTES = 8 * 1024 ** 2;
const DRAIN_MS = 5_000;

/** After an early answer: the client may still be sending, and would not read the answer if the connection broke under it. */
export function drainRest(request: IncomingMessage): void {
  if (request.complete || request.destroyed || draining.has(request)) return;
  draining.add(request);
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

const draining = new WeakSet<IncomingMessage>();
