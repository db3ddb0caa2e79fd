import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isGfsError } from "../../../core/errors.ts";
import { childrenNamed, childText, escapeXml, fitsXml } from "../../../core/xml.ts";
import { parseAnswer } from "./xml.ts";

describe("XML from an endpoint", () => {
  it("becomes a tree, without name space prefixes", () => {
    const root = parseAnswer(
      '\n <?xml version="1.0"?><s:List xmlns:s="x"><s:Key>a &amp; <![CDATA[<b>]]></s:Key><s:Key/></s:List>'.trimStart(),
    );
    expect(root.name).toBe("List");
    expect(childrenNamed(root, "Key").map(({ text }) => text)).toEqual(["a & <b>", ""]);
  });

  it("may have white space before its declaration", () => {
    expect(parseAnswer('  \n\n<?xml version="1.0"?><A><B>1</B></A>').children[0]?.text).toBe("1");
  });

  it("may refer to control characters", () => {
    expect(childText(parseAnswer("<A><B>x&#1;y</B></A>"), "B")).toBe("x\u0001y");
  });

  it.each([
    ["a document type", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'],
    ["an unknown entity", "<a>&lol;</a>"],
    ["an open element", "<a><b></a>"],
    ["nothing", ""],
    ["deep nesting", "<a>".repeat(40) + "</a>".repeat(40)],
    ["too many elements", `<a>${"<b/>".repeat(100_001)}</a>`],
    ["too many bytes", `<a>${" ".repeat(17 * 1024 * 1024)}</a>`],
  ])("is refused with %s", (_what, document) => {
    expect(() => parseAnswer(document)).toThrow(expect.objectContaining({ code: "Unavailable" }));
  });

  it("never fails with anything but a GfsError", () => {
    const piece = fc.oneof(
      fc.constantFrom("<a>", "</a>", "<a/>", "&amp;", "&#x41;", "<![CDATA[", "]]>", "<!--", "-->", "<?x?>"),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        try {
          parseAnswer(pieces.join(""));
        } catch (error) {
          expect(isGfsError(error)).toBe(true);
        }
      }),
    );
  });

  it("brings back whatever was escaped, as far as XML can carry it", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }).filter(fitsXml), (text) => {
        expect(parseAnswer(`<a>${escapeXml(text)}</a>`).text).toBe(text);
      }),
    );
  });
});
