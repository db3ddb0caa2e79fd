import { describe, expect, test } from "vitest";
import { keyOf, locationsOf } from "./location.ts";

describe("what cp is told", () => {
  test.each([
    ["./a", "gfs:b", { at: "local", path: "./a" }, { at: "gfs", key: "b" }],
    ["a", "gfs:b", { at: "local", path: "a" }, { at: "gfs", key: "b" }],
    ["gfs:/b", "a", { at: "gfs", key: "b" }, { at: "local", path: "a" }],
    ["gfs:b", ".", { at: "gfs", key: "b" }, { at: "local", path: "." }],
    ["b", "./a", { at: "gfs", key: "b" }, { at: "local", path: "./a" }],
    ["-", "b", { at: "stdio" }, { at: "gfs", key: "b" }],
    ["b", "-", { at: "gfs", key: "b" }, { at: "stdio" }],
    ["gfs:a", "gfs://b/c", { at: "gfs", key: "a" }, { at: "gfs", key: "b/c" }],
    ["/abs", "b", { at: "local", path: "/abs" }, { at: "gfs", key: "b" }],
    [".hidden", "gfs:b", { at: "local", path: ".hidden" }, { at: "gfs", key: "b" }],
  ])("%s to %s is clear", (source, target, from, to) => {
    expect(locationsOf(source, target)).toEqual([from, to]);
  });

  test("is refused when neither side says where it is", () => {
    expect(() => locationsOf("a", "b")).toThrow(/It is not clear which of "a" and "b" is in GlobalFS/);
  });
});

test("a key may be written plain or with its mark", () => {
  expect(["a/b", "gfs:a/b", "gfs:/a/b", "gfs://a/b"].map(keyOf)).toEqual(["a/b", "a/b", "a/b", "a/b"]);
});
