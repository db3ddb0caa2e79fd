import fc from "fast-check";
import { expect, test } from "vitest";
import { keyWriter } from "./page-query.ts";

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
