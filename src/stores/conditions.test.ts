import { describe, expect, it } from "vitest";
import { checkConditions, checkReadCondition } from "./conditions.ts";
import type { ObjectInfo } from "./store.ts";

function codeOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return (error as { readonly code: string }).code;
  }
  return "fine";
}

describe("conditions", () => {
  const there = { etag: "e" } as ObjectInfo;

  it("of a write hold while nothing, or that one object, lies under the key", () => {
    const check = (...args: Parameters<typeof checkConditions>): unknown => codeOf(() => checkConditions(...args));
    expect([
      check(undefined, there),
      check({}, there),
      check({ ifMatch: "e" }, there),
      check({ ifNoneMatch: "*" }, undefined),
    ]).toEqual(Array(4).fill("fine"));
    expect([
      check({ ifMatch: "e" }, undefined),
      check({ ifMatch: "other" }, there),
      check({ ifNoneMatch: "*" }, there),
      check({ ifMatch: "e", ifNoneMatch: "*" }, there),
    ]).toEqual(Array(4).fill("PreconditionFailed"));
  });

  it("of a read hold while it is that one object", () => {
    expect([undefined, "e", "other"].map((etag) => codeOf(() => checkReadCondition(etag, there)))).toEqual([
      "fine",
      "fine",
      "PreconditionFailed",
    ]);
  });
});
