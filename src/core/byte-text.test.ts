import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { byteLengthOfText, bytesOfText, compareTexts, isByteText, textOfBytes, writeText } from "./byte-text.ts";

/** Bytes of which many are near to valid UTF-8. */
const nearlyUtf8 = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 3 }),
      fc.string({ unit: "grapheme", maxLength: 3 }).map((text) => Buffer.from(text)),
      fc
        .constantFrom("c3", "e282", "f09f98", "eda080", "edb280", "c0af", "f4908080", "efbfbd")
        .map((hex) => Buffer.from(hex, "hex")),
    ),
    { maxLength: 8 },
  )
  .map((parts) => Buffer.concat(parts));

describe("texts that stand for bytes", () => {
  it("give back the bytes that they came from, whatever those are", () => {
    fc.assert(
      fc.property(nearlyUtf8, (bytes) => {
        const text = textOfBytes(bytes);
        expect(bytesOfText(text)).toEqual(bytes);
        expect(byteLengthOfText(text)).toBe(bytes.length);
        expect(isByteText(text)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it("are the UTF-8 that the bytes hold where they hold any", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        expect(textOfBytes(Buffer.from(text))).toBe(text);
        expect(bytesOfText(text)).toEqual(Buffer.from(text));
      }),
    );
    // A replacement character that was written as one is no damage.
    expect(textOfBytes(Buffer.from("a\ufffdb"))).toBe("a\ufffdb");
  });

  it.each([
    ["61ff62", "a\udcffb"],
    ["c3", "\udcc3"],
    ["c0af", "\udcc0\udcaf"],
    ["eda080", "\udced\udca0\udc80"],
    ["f4908080", "\udcf4\udc90\udc80\udc80"],
    ["e0808a", "\udce0\udc80\udc8a"],
    ["f08f8080", "\udcf0\udc8f\udc80\udc80"],
    ["e28261", "\udce2\udc82a"],
    ["ed9fbfeebfbf", "\ud7ff\uefff"],
    ["f09f9880ff", "\u{1f600}\udcff"],
  ])("write %s as escapes where nothing is valid", (hex, text) => {
    expect(textOfBytes(Buffer.from(hex, "hex"))).toBe(text);
    expect(bytesOfText(text).toString("hex")).toBe(hex);
  });

  it("are not the second halves of pairs, nor surrogates that stand for no byte", () => {
    // U+100FF has 0xdcff as its second half.
    expect(bytesOfText("\u{100ff}\udcff").toString("hex")).toBe("f09083bfff");
    expect(isByteText("\u{100ff}")).toBe(true);
    for (const text of ["\ud800", "\udc7f", "\udc00", "\udd00", "\udcc3\udca9"]) expect(isByteText(text)).toBe(false);
  });

  it("are in the order of their bytes", () => {
    const ordered = ["", "a", "a/", "é", "\udcff"];
    expect(ordered.toReversed().sort(compareTexts)).toEqual(ordered);
    expect(compareTexts("\u{1f600}", "\uff00")).toBe(1);
    expect(compareTexts("a", "a")).toBe(0);
  });

  it("are read and written in the middle of other bytes", () => {
    const target = Buffer.from("........");
    expect(writeText(target, "é\udcff", 2)).toBe(5);
    expect(target.toString("hex")).toBe("2e2ec3a9ff2e2e2e");
    expect(textOfBytes(target, 2, 5)).toBe("é\udcff");
    expect(textOfBytes(target, 2, 3)).toBe("\udcc3");
  });
});
