import fc from "fast-check";
import { expect, test } from "vitest";
import { isoTime } from "./elements.ts";

test("times are in whole seconds of UTC", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4_102_444_800_000 }), (timeMs) => {
      expect(isoTime(timeMs)).toBe(`${new Date(timeMs).toISOString().slice(0, 19)}.000Z`);
    }),
  );
});
