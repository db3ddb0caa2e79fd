import { GfsError } from "../../core/errors.ts";

/** The continuation of a listing carries the last key of the page before. */
export function continuationAfter(key: string): string {
  return Buffer.from(`a:${key}`).toString("base64url");
}

/** Anything else than one of ours is refused, not guessed at. */
export function placeOfContinuation(continuation: string): string {
  const text = Buffer.from(continuation, "base64url").toString();
  if (text.startsWith("a:")) return text.slice(2);
  throw new GfsError("InvalidArgument", "The continuation is not one of ours; begin the listing anew without it.");
}
