import { describe, expect, it } from "vitest";
import { childText, parseXml, type XmlRules } from "./xml.ts";

class Refused extends Error {}
const rules: XmlRules = { refuse: (what) => new Refused(`the document ${what}`) };

describe("a document", () => {
  it("keeps attributes, without their prefixes", () => {
    const grantee = parseXml('<Grantee xmlns:xsi="x" xsi:type="CanonicalUser"><ID>1</ID></Grantee>', rules);
    expect(grantee.attributes).toMatchObject({ type: "CanonicalUser" });
    expect(grantee.children[0]?.attributes).toBeUndefined();
    expect(childText(grantee, "ID")).toBe("1");
  });

  it.each([
    ["too long", "<a>12345678901234567890</a>"],
    ["too full", "<a><b/><b/><b/></a>"],
    ["too deep", "<a>".repeat(17) + "</a>".repeat(17)],
    ["not closed", "<a>"],
    ["of a type of its own", "<!DOCTYPE a><a/>"],
    ["full of entities", "<a>&x;</a>"],
    ["empty", " "],
  ])("that is %s is refused with the caller's own error", (_what, document) => {
    const tight: XmlRules = { ...rules, maxElements: 3, maxCharacters: document.includes("123") ? 20 : 200 };
    expect(() => parseXml(document, tight)).toThrow(Refused);
  });
});
