import fc from "fast-check";
import { expect, test } from "vitest";
import { TextBytes } from "./text-bytes.ts";

test("what was added comes out as one text, however short the room was at first", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "binary" })), fc.integer({ min: 1, max: 64 }), (pieces, expectedBytes) => {
      const text = new TextBytes(expectedBytes);
      for (const piece of pieces) text.add(piece);
      expect(text.finish().equals(Buffer.concat(pieces.map((piece) => Buffer.from(piece))))).toBe(true);
    }),
  );
});
