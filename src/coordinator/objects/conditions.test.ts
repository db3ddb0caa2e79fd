import { describe, expect, it } from "vitest";
import { checkWriteConditions, readIsNotModified } from "./conditions.ts";
import type { Conditions } from "../service/service.ts";

const SECOND = 1_000;
/** Half a second into second 100: HTTP dates cannot say so. */
const CURRENT = { etag: "e1", modifiedMs: 100_500 };

function outcomeOf(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    const { code, context } = error as { code: string; context: Record<string, unknown> };
    return context["missing"] === true ? "missing" : code;
  }
}

const read = (conditions: Conditions): unknown => outcomeOf(() => readIsNotModified(conditions, CURRENT));
const write = (conditions: Conditions, current: typeof CURRENT | undefined): unknown =>
  outcomeOf(() => checkWriteConditions(conditions, current));
const FAILED = "PreconditionFailed";

describe("conditions of a read", () => {
  it.each<[Conditions, unknown]>([
    [{}, false],
    [{ ifMatch: ["e0", "e1"] }, false],
    [{ ifMatch: ["*"] }, false],
    [{ ifMatch: ["e0"] }, FAILED],
    [{ ifNoneMatch: ["e0", "e1"] }, true],
    [{ ifNoneMatch: ["*"] }, true],
    [{ ifNoneMatch: ["e0"] }, false],
    [{ ifModifiedSinceMs: 99 * SECOND }, false],
    [{ ifModifiedSinceMs: 100 * SECOND }, true],
    [{ ifModifiedSinceMs: 101 * SECOND }, true],
    [{ ifUnmodifiedSinceMs: 99 * SECOND }, FAILED],
    [{ ifUnmodifiedSinceMs: 100 * SECOND }, false],
    [{ ifUnmodifiedSinceMs: 101 * SECOND }, false],
    // An ETag says more than a date, which then counts for nothing.
    [{ ifMatch: ["e1"], ifUnmodifiedSinceMs: 99 * SECOND }, false],
    [{ ifNoneMatch: ["e0"], ifModifiedSinceMs: 101 * SECOND }, false],
    [{ ifNoneMatch: ["e1"], ifModifiedSinceMs: 99 * SECOND }, true],
    [{ ifMatch: ["e1"], ifNoneMatch: ["e1"] }, true],
    [{ ifMatch: ["e0"], ifNoneMatch: ["e1"] }, FAILED],
  ])("%o end in %s", (conditions, expected) => {
    expect(read(conditions)).toBe(expected);
  });
});

describe("conditions of a write", () => {
  it.each<[Conditions, unknown, unknown]>([
    [{}, undefined, undefined],
    [{ ifMatch: ["e0", "e1"] }, undefined, "missing"],
    [{ ifMatch: ["*"] }, undefined, "missing"],
    [{ ifMatch: ["e0"] }, FAILED, "missing"],
    [{ ifNoneMatch: ["*"] }, FAILED, undefined],
    [{ ifNoneMatch: ["e1"] }, FAILED, undefined],
    [{ ifNoneMatch: ["e0"] }, undefined, undefined],
    [{ ifUnmodifiedSinceMs: 99 * SECOND }, FAILED, undefined],
    [{ ifUnmodifiedSinceMs: 100 * SECOND }, undefined, undefined],
    [{ ifMatch: ["e1"], ifUnmodifiedSinceMs: 99 * SECOND }, undefined, "missing"],
  ])("%o end over an object in %s, and where there is none in %s", (conditions, over, alone) => {
    expect([write(conditions, CURRENT), write(conditions, undefined)]).toEqual([over, alone]);
  });
});
