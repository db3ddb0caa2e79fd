import { describe, expect, it } from "vitest";
import { spanOf } from "./byte-range.ts";
import type { ByteRange } from "./store.ts";

function codeOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return (error as { readonly code: string }).code;
  }
  return "fine";
}

describe("a range of an object", () => {
  it("is what of it there is", () => {
    const span = (range: ByteRange | undefined, sizeBytes = 10): unknown => {
      const { start, end } = spanOf(range, sizeBytes);
      return [start, end];
    };
    expect([span(undefined), span(undefined, 0)]).toEqual([
      [0, 10],
      [0, 0],
    ]);
    expect([span({ start: 0 }), span({ start: 9 }), span({ start: 2, end: 5 }), span({ start: 2, end: 99 })]).toEqual([
      [0, 10],
      [9, 10],
      [2, 5],
      [2, 10],
    ]);
    expect([span({ suffix: 1 }), span({ suffix: 10 }), span({ suffix: 99 })]).toEqual([
      [9, 10],
      [0, 10],
      [0, 10],
    ]);
  });

  it("is none that has no byte of it", () => {
    const refuse = (range: ByteRange, sizeBytes = 10): unknown => codeOf(() => spanOf(range, sizeBytes));
    expect([
      refuse({ start: 10 }),
      refuse({ start: 5, end: 5 }),
      refuse({ start: -1 }),
      refuse({ suffix: 0 }),
      refuse({ suffix: -1 }),
      refuse({ suffix: 1 }, 0),
      refuse({ start: 0 }, 0),
    ]).toEqual(Array(7).fill("RangeNotSatisfiable"));
  });
});
