import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { GfsError } from "../../core/errors.ts";
import type { OpenedRange } from "../../coordinator/index.ts";

/** Waits for the socket when it is full: no more than one chunk is held here. */
export async function pump(response: ServerResponse, opened: OpenedRange, signal: AbortSignal): Promise<void> {
  try {
    for await (const chunk of opened.stream) {
      if (response.destroyed) throw new GfsError("Canceled", "The client went away.");
      if (!response.write(chunk)) await once(response, "drain", { signal });
    }
  } catch (error) {
    opened.cancel();
    throw error;
  }
}
