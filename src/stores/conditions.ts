import { GfsError } from "../core/errors.ts";
import type { ETag, ObjectInfo, WriteConditions } from "./store.ts";

/** For drivers that enforce conditions themselves, under their own lock. */
export function checkConditions(conditions: WriteConditions | undefined, current: ObjectInfo | undefined): void {
  if (conditions === undefined) return;
  const { ifMatch, ifNoneMatch } = conditions;
  if (ifMatch !== undefined && current?.etag !== ifMatch) {
    throw new GfsError(
      "PreconditionFailed",
      current === undefined ? "The object is not there." : "The object is another one by now.",
      {
        op: "store.write",
      },
    );
  }
  if (ifNoneMatch !== undefined && current !== undefined) {
    throw new GfsError("PreconditionFailed", "The object exists already.", { op: "store.write" });
  }
}

export function checkReadCondition(ifMatch: ETag | undefined, current: ObjectInfo): void {
  if (ifMatch !== undefined && ifMatch !== current.etag) {
    throw new GfsError("PreconditionFailed", "The object is another one by now.", { op: "store.get" });
  }
}
