import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeHeaderText, encodeHeaderText } from "./header-text.ts";

describe("text in headers", () => {
  it("comes back as it was, in headers of printable ASCII", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (value) => {
        const encoded = encodeHeaderText(value);
        expect(encoded).toMatch(/^[\x20-\x7e]*$/);
        expect(encoded).toBe(encoded.trim());
        expect(decodeHeaderText(encoded)).toBe(value);
      }),
    );
  });

  it.each([
    ["=?UTF-8?Q?caf=C3=A9_au_lait?=", "café au lait"],
    ["=?UTF-8?B?Y2Fmw6k=?= =?utf-8?b?ISE=?=", "café!!"],
    ["plain =?ISO-8859-1?Q?=E9?=", "plain =?ISO-8859-1?Q?=E9?="],
  ])("is read as AWS writes it: %s", (header, value) => {
    expect(decodeHeaderText(header)).toBe(value);
  });
});
