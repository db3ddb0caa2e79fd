import { describe, expect, it } from "vitest";
import { metadataHeaders, readMetadata } from "./metadata.ts";

describe("user metadata", () => {
  it("goes plain when it can, so that other programs can read it", () => {
    expect(metadataHeaders({ colour: "light blue" }, undefined)).toEqual({ "x-amz-meta-colour": "light blue" });
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
