import { GfsError } from "../../../core/errors.ts";

/** What can go wrong where there is neither a disk nor a line. */

export function full(maxBytes: number, op: string): GfsError {
  return new GfsError("NoSpace", `The memory site is full (${maxBytes} bytes); raise its max_bytes.`, { op });
}

export function wrongLength(): GfsError {
  return new GfsError("IncompleteBody", "The body has another length than was announced.", { op: "store.stage" });
}

export function noObject(key: string): GfsError {
  return new GfsError("NotFound", `There is no object ${key}.`, { op: "store.get" });
}

export function noUpload(): GfsError {
  return new GfsError("NotFound", "There is no such upload; it was completed or aborted.", { op: "store.multipart" });
}
