import { describe, expect, test } from "vitest";
import { jsonText, printable, printableLines } from "./terminal.ts";

describe("what a terminal could take for a command", () => {
  test.each([
    ["a\u001b[2Jb", "a\\u{1b}[2Jb"],
    ["a\u009b31mb", "a\\u{9b}31mb"],
    ["a\u0007\u007f", "a\\u{7}\\u{7f}"],
    ["line\nline\r\t", "line\\u{a}line\\u{d}\\u{9}"],
    ["gpj.\u202eexe", "gpj.\\u{202e}exe"],
    ["a\u2028b\ufeff", "a\\u{2028}b\\u{feff}"],
    ["\ud800", "\\u{d800}"],
    ["\u{e0041}", "\\u{e0041}"],
  ])("%j is escaped", (text, shown) => {
    expect(printable(text)).toBe(shown);
  });

  test.each(["plain text", "ü", "日本語", "🚀", "👩‍💻", "می‌خواهم", "a\u0301"])("%s stays as it is", (text) => {
    expect(printable(text)).toBe(text);
    expect(jsonText(text)).toBe(`"${text}"`);
  });

  test("is escaped in sentences, whose lines stay", () => {
    expect(printableLines("one\u001b\ntwo\u009b")).toBe("one\\u{1b}\ntwo\\u{9b}");
  });

  test("is escaped in JSON, which stays the same value", () => {
    const value = { key: "a\u001b\u009b\u202e\u{e0041}\n\u2028", list: [1, null] };
    for (const text of [jsonText(value), jsonText(value, 2)]) {
      expect(JSON.parse(text)).toEqual(value);
      expect(text.replaceAll("\n", "")).toMatch(/^[\x20-\x7e]*$/);
    }
    expect(jsonText(value, 2)).toContain('{\n  "key"');
  });
});
