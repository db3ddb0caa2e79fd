import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LockedSpan } from "./rows.ts";
import { conflictOf, packSpans, unpackSpans, withSpan } from "./spans.ts";

const SIZE = 24;

const change = fc.record({
  start: fc.integer({ min: 0, max: SIZE - 1 }),
  length: fc.integer({ min: 1, max: SIZE }),
  mode: fc.constantFrom("shared" as const, "exclusive" as const, undefined),
});

function byteByByte(spans: readonly LockedSpan[]): (string | undefined)[] {
  return Array.from({ length: SIZE }, (_, at) => spans.find(({ start, end }) => start <= at && at < end)?.mode);
}

describe("locked spans", () => {
  it("are cut, replaced and merged as a map of single bytes would be, and stay as few as can be", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
        let spans: LockedSpan[] = [];
        const bytes = Array.from({ length: SIZE }, (): string | undefined => undefined);
        for (const { start, length, mode } of changes) {
          const end = Math.min(SIZE, start + length);
          spans = withSpan(spans, { start, end }, mode);
          bytes.fill(mode, start, end);
          expect(byteByByte(spans)).toEqual(bytes);
          const runs = bytes.filter((each, at) => each !== undefined && each !== bytes[at - 1]);
          expect(spans).toHaveLength(runs.length);
          expect(unpackSpans(packSpans(spans))).toEqual(spans);
        }
      }),
    );
  });

  it("are in the way where they meet and either is exclusive", () => {
    const spans = withSpan(withSpan([], { start: 0, end: 10 }, "shared"), { start: 20, end: 30 }, "exclusive");
    expect(conflictOf(spans, { start: 0, end: 20, mode: "shared" })).toBeUndefined();
    expect(conflictOf(spans, { start: 9, end: 10, mode: "exclusive" })).toMatchObject({ start: 0 });
    expect(conflictOf(spans, { start: 10, end: 20, mode: "exclusive" })).toBeUndefined();
    expect(conflictOf(spans, { start: 29, end: 99, mode: "shared" })).toMatchObject({ start: 20 });
  });
});
