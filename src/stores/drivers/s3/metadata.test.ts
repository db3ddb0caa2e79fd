import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeMetadataValue, encodeMetadataValue, metadataHeaders, readMetadata } from "./metadata.ts";

describe("user metadata", () => {
  it("comes back as it was, in headers of printable ASCII", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (value) => {
        const encoded = encodeMetadataValue(value);
        expect(encoded).toMatch(/^[\x20-\x7e]*$/);
        expect(encoded).toBe(encoded.trim());
        expect(decodeMetadataValue(encoded)).toBe(value);
      }),
    );
  });

  it("goes plain when it can, so that other programs can read it", () => {
    expect(metadataHeaders({ colour: "light blue" }, undefined)).toEqual({ "x-amz-meta-colour": "light blue" });
  });

  it.each([
    ["=?UTF-8?Q?caf=C3=A9_au_lait?=", "café au lait"],
    ["=?UTF-8?B?Y2Fmw6k=?= =?utf-8?b?ISE=?=", "café!!"],
    ["plain =?ISO-8859-1?Q?=E9?=", "plain =?ISO-8859-1?Q?=E9?="],
  ])("is read as AWS writes it: %s", (header, value) => {
    expect(decodeMetadataValue(header)).toBe(value);
  });

  it("keeps the checksum apart, and believes only what looks like one", () => {
    const sha256 = "a".repeat(64);
    const headers = metadataHeaders({ a: "b" }, sha256);
    expect(readMetadata({ ...headers, "content-length": "1" })).toEqual({ metadata: { a: "b" }, sha256 });
    expect(readMetadata({ "x-amz-meta-globalfs-sha256": "nonsense" })).toEqual({ metadata: {} });
  });

  it.each([["with space"], ["Upper"], ["ä"], [""], ["a:b"], ["globalfs-sha256"]])("can not be named %j", (name) => {
    expect(() => metadataHeaders({ [name]: "x" }, undefined)).toThrow(
      expect.objectContaining({ code: "InvalidArgument" }),
    );
  });
});
