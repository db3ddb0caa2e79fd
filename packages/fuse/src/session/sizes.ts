import { maxWriteBytes, type Features } from "../protocol/negotiation.ts";
import type { DispatcherLimits } from "./dispatcher.ts";

/** The kernel insists on room for its headers before the data. */
const FRAME_OVERHEAD_BYTES = 4096;
/** The kernel never offers less than this much memory for a request. */
const SMALLEST_FRAME_BYTES = 8192;
/** What a listing, an extended attribute or a link may take, and a read of the kernel's own, however small writes are. */
const SMALLEST_REPLY_BYTES = 1_048_576;
/** How much memory asynchronous reads and writes may keep at the same time. */
const KEPT_BYTES = 67_108_864;

export interface SessionSizes {
  readonly frameBytes: number;
  readonly limits: DispatcherLimits;
}

/** All sizes of a session follow from the largest write and the number of requests in flight. */
export function sessionSizes(features: Features, maxInFlight: number): SessionSizes {
  const writeBytes = maxWriteBytes(features);
  const frameBytes = Math.max(writeBytes + FRAME_OVERHEAD_BYTES, SMALLEST_FRAME_BYTES);
  const replyBytes = Math.max(writeBytes, SMALLEST_REPLY_BYTES);
  const maxKept = Math.max(Math.floor(KEPT_BYTES / Math.max(frameBytes, replyBytes)), 4);
  return { frameBytes, limits: { maxInFlight, maxKept: Math.min(maxKept, maxInFlight), replyBytes } };
}
