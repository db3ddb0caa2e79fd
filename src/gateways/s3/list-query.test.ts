import fc from "fast-check";
import { expect, test } from "vitest";
import { isoTime, keyWriter } from "./list-query.ts";

test("times are in whole seconds of UTC", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4_102_444_800_000 }), (timeMs) => {
      expect(isoTime(timeMs)).toBe(`${new Date(timeMs).toISOString().slice(0, 19)}.000Z`);
    }),
  );
});

test("percent-encoded keys decode to what they were, and leave nothing that XML minds", () => {
  const { write } = keyWriter({ query: new Map([["encoding-type", "url"]]) });
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (key) => {
      const written = write(key);
      expect(decodeURIComponent(written)).toBe(key);
      expect(written).toMatch(/^[A-Za-z0-9_.~/*%-]*$/);
    }),
  );
});
