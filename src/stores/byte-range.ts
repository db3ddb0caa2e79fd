import { GfsError } from "../core/errors.ts";
import type { ByteRange } from "./store.ts";

export interface Span {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

/** What of an object with this size a range asks for. RFC 9110 section 14.1: an end past the object is cut, a start past it is an error. */
export function spanOf(range: ByteRange | undefined, sizeBytes: number): Span {
  if (range === undefined) return { start: 0, end: sizeBytes };
  if ("suffix" in range) {
    if (range.suffix <= 0 || sizeBytes === 0) throw unsatisfiable(sizeBytes);
    return { start: Math.max(0, sizeBytes - range.suffix), end: sizeBytes };
  }
  const end = Math.min(range.end ?? sizeBytes, sizeBytes);
  if (range.start < 0 || range.start >= end) throw unsatisfiable(sizeBytes);
  return { start: range.start, end };
}

function unsatisfiable(sizeBytes: number): GfsError {
  return new GfsError("RangeNotSatisfiable", `The range lies outside the object, which has ${sizeBytes} bytes.`, {
    context: { sizeBytes },
  });
}
