import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkObjectKey, compareKeys } from "./object-key.ts";

function codeOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return (error as { readonly code: string }).code;
  }
  return "fine";
}

describe("keys of objects", () => {
  it("have 1 to 1,024 bytes of UTF-8, without NUL", () => {
    const check = (key: string): unknown => codeOf(() => checkObjectKey(key));
    expect([check("a"), check("x".repeat(1_024)), check("é".repeat(512)), check("\u{1F600}".repeat(256))]).toEqual(
      Array(4).fill("fine"),
    );
    expect([check("x".repeat(1_025)), check("é".repeat(513)), check("\u{1F600}".repeat(256) + "x")]).toEqual(
      Array(3).fill("KeyTooLong"),
    );
    expect([check(""), check("a\0b"), check("a\ud800b"), check("\udc00")]).toEqual(Array(4).fill("InvalidKey"));
  });

  it("are in the order of their bytes, also where that is not the order of their UTF-16 units", () => {
    const character = fc.constantFrom("a", "b", "\u007f", "é", "\ud7ff", "\ue000", "\uffff", "\u{10000}", "\u{1F600}");
    const key = fc.array(character, { maxLength: 6 }).map((characters) => characters.join(""));
    fc.assert(
      fc.property(key, key, (one, other) => {
        const order = Buffer.compare(Buffer.from(one), Buffer.from(other));
        expect(Math.sign(compareKeys(one, other))).toBe(order);
      }),
      { numRuns: 500 },
    );
    expect([compareKeys("a", "a"), compareKeys("a", "ab") < 0, compareKeys("ab", "a") > 0]).toEqual([0, true, true]);
  });
});
