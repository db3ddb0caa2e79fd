import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ErrorCode, isGfsError } from "../core/errors.ts";
import { isNameable, keyOf, parseKey } from "./index.ts";

function codeOf(key: string): ErrorCode | "ok" {
  try {
    parseKey(key);
    return "ok";
  } catch (error) {
    if (isGfsError(error)) return error.code;
    throw error;
  }
}

describe("keys", () => {
  it.each([
    ["", "InvalidKey"],
    ["/", "InvalidKey"],
    ["/a", "InvalidKey"],
    ["a//b", "InvalidKey"],
    ["a/b//", "InvalidKey"],
    [".", "InvalidKey"],
    ["a/../b", "InvalidKey"],
    ["..", "InvalidKey"],
    ["a/./b", "InvalidKey"],
    ["a\0b", "InvalidKey"],
    ["a\nb", "InvalidKey"],
    ["a\u007fb", "InvalidKey"],
    ["a\ud800b", "InvalidKey"],
    [".globalfs/x", "InvalidKey"],
    ["x".repeat(256), "KeyTooLong"],
    ["é".repeat(128), "KeyTooLong"],
    [Array.from({ length: 5 }, () => "x".repeat(255)).join("/"), "KeyTooLong"],
    ["x".repeat(255), "ok"],
    ["a/.globalfs", "ok"],
    ["...", "ok"],
    ["a b/%2F/\u{1F600}", "ok"],
    [Array.from({ length: 4 }, () => "x".repeat(255)).join("/"), "ok"],
  ])("%j is %s", (key, expected) => {
    expect(codeOf(key)).toBe(expected);
  });

  it("that end in a slash name directories", () => {
    expect(parseKey("a/b/")).toEqual({ path: "a/b", directory: true });
    expect(keyOf(parseKey("a/b/").path, true)).toBe("a/b/");
  });

  it("are taken or refused without any other failure", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 40 }), (key) => {
        const verdict = codeOf(key);
        expect(["ok", "InvalidKey", "KeyTooLong"]).toContain(verdict);
        expect(isNameable(key)).toBe(verdict === "ok");
      }),
    );
  });
});
