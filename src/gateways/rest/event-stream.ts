import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { GfsError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports/clock.ts";

/** One event of a stream of `text/event-stream`; without data it only tells how far the stream has come. */
export interface StreamEvent {
  readonly id: number;
  readonly event?: string;
  readonly data?: unknown;
}

/** Whoever reads nothing for so long is taken for gone. */
const STALLED_MS = 60_000;

/** JSON has no line breaks, so that one line of data holds it. */
export function frameOf({ id, event, data }: StreamEvent): string {
  const name = event === undefined ? "" : `event: ${event}\n`;
  const line = data === undefined ? "" : `data: ${JSON.stringify(data)}\n`;
  return `id: ${id}\n${name}${line}\n`;
}

/** The reader sets the pace: no more than one page of events is held here. */
export async function writeFrames(
  response: ServerResponse,
  text: string,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  if (text === "" || response.write(text)) return;
  const stalled = new AbortController();
  const cancel = clock.timer(STALLED_MS, () =>
    stalled.abort(new GfsError("Timeout", "The reader of the events takes none.")),
  );
  try {
    await once(response, "drain", { signal: AbortSignal.any([signal, stalled.signal]) });
  } finally {
    cancel();
  }
}
