import { setTimeout as sleep } from "node:timers/promises";
import { errorOfTransport, GlobalFsError } from "./errors.ts";

const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 10_000;

/** Whether the same request may succeed later: the coordinator is away, starts, or is too busy. */
export function mayComeBack(error: unknown): boolean {
  if (!(error instanceof GlobalFsError)) return false;
  const { code, status } = error;
  return code === "Unreachable" || code === "BrokenStream" || code === "Timeout" || status === 503 || status === 504;
}

/** Longer after each failure in a row, and not the same for all clients that lost the same coordinator. */
export async function pauseAfter(failures: number, signal: AbortSignal | undefined, endpoint: string): Promise<void> {
  const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 10));
  try {
    await sleep(pauseMs * (0.5 + Math.random() / 2), undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    throw errorOfTransport(error, endpoint, signal);
  }
}
