import { GfsError } from "../../core/errors.ts";
import type { Conditions } from "../service/service.ts";

/** Preconditions as RFC 9110 section 13 orders them. Etags here carry no quotes; weak ones never match. */

export interface Current {
  readonly etag: string;
  readonly modifiedMs: number;
}

function matches(etags: readonly string[], current: Current | undefined): boolean {
  if (current === undefined) return false;
  return etags.some((etag) => etag === "*" || etag === current.etag);
}

/** HTTP dates have whole seconds, so a change within the second counts as not newer. */
function newerThan(modifiedMs: number, sinceMs: number): boolean {
  return Math.floor(modifiedMs / 1_000) > Math.floor(sinceMs / 1_000);
}

function refuse(what: string, context: Readonly<Record<string, unknown>> = {}): never {
  throw new GfsError("PreconditionFailed", `${what}; read the object again and decide anew.`, { context });
}

/** For GET and HEAD of an object that exists. Returns whether the caller's copy is current; throws `PreconditionFailed`. */
export function readIsNotModified(conditions: Conditions | undefined, current: Current): boolean {
  if (conditions === undefined) return false;
  const { ifMatch, ifNoneMatch, ifModifiedSinceMs, ifUnmodifiedSinceMs } = conditions;
  if (ifMatch !== undefined) {
    if (!matches(ifMatch, current)) refuse("The object has another ETag than If-Match asks for");
  } else if (ifUnmodifiedSinceMs !== undefined && newerThan(current.modifiedMs, ifUnmodifiedSinceMs)) {
    refuse("The object was modified after If-Unmodified-Since");
  }
  if (ifNoneMatch !== undefined) return matches(ifNoneMatch, current);
  return ifModifiedSinceMs !== undefined && !newerThan(current.modifiedMs, ifModifiedSinceMs);
}

/** For PUT and DELETE; `current` is undefined when there is no object. */
export function checkWriteConditions(conditions: Conditions | undefined, current: Current | undefined): void {
  if (conditions === undefined) return;
  const { ifMatch, ifNoneMatch, ifUnmodifiedSinceMs } = conditions;
  if (ifMatch !== undefined && !matches(ifMatch, current)) {
    if (current === undefined) refuse("The object does not exist, so If-Match cannot hold", { missing: true });
    refuse("The object has another ETag than If-Match asks for");
  }
  if (
    ifMatch === undefined &&
    ifUnmodifiedSinceMs !== undefined &&
    current !== undefined &&
    newerThan(current.modifiedMs, ifUnmodifiedSinceMs)
  ) {
    refuse("The object was modified after If-Unmodified-Since");
  }
  if (ifNoneMatch !== undefined && matches(ifNoneMatch, current))
    refuse("The object exists already, and If-None-Match forbids to replace it");
}
