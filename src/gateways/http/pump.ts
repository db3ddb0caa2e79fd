import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { giveBack } from "../../core/async/piece-share.ts";
import { GfsError } from "../../core/errors.ts";
import type { OpenedRange } from "../../coordinator/index.ts";

/** Waits for the socket when it is full: no more than one chunk is held here. */
export async function pump(response: ServerResponse, opened: OpenedRange, signal: AbortSignal): Promise<void> {
  try {
    for await (const chunk of opened.stream) {
      if (response.destroyed) throw new GfsError("Canceled", "The client went away.");
      // Once the system has it nobody needs it any more; after a failure it is left to the collector.
      const onWritten = (error: Error | null | undefined): void => (error ? undefined : giveBack(chunk));
      if (!response.write(chunk, onWritten)) await once(response, "drain", { signal });
    }
  } catch (error) {
    opened.cancel();
    throw error;
  }
}
