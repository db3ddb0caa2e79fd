import { describe, expect, test } from "vitest";
import { truncateTo, widthOf } from "./width.ts";

describe("the width of a text on a terminal", () => {
  test.each([
    ["", 0],
    ["plain", 5],
    ["ünïcode", 7],
    ["e\u0301", 1],
    ["日本語", 6],
    ["한국어", 6],
    ["ﾊﾝｶｸ", 4],
    ["ＡＢ", 4],
    ["🚀", 2],
    ["👩‍💻", 2],
    ["👍🏽", 2],
    ["🇩🇪", 2],
    ["🇩", 1],
    ["❤️", 2],
    ["❤", 1],
    ["1️⃣", 2],
    ["\u0301", 0],
    ["\u200d", 0],
    ["a日b", 4],
    ["привет", 6],
    ["שלום", 4],
  ])("%j takes %i columns", (text, width) => {
    expect(widthOf(text)).toBe(width);
  });
});

describe("a text that has no room", () => {
  test.each([
    ["plain", 5, "plain"],
    ["plain", 4, "pla…"],
    ["日本語", 6, "日本語"],
    ["日本語", 5, "日本…"],
    ["日本語", 4, "日…"],
    ["a👩‍💻b", 3, "a…"],
    ["ab", 1, "…"],
  ])("%j in %i columns is %j", (text, columns, shown) => {
    expect(truncateTo(text, columns)).toBe(shown);
    expect(widthOf(shown)).toBeLessThanOrEqual(columns);
  });
});
