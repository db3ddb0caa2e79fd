import { basename } from "node:path";
import { describe, expect, test } from "vitest";
import { filesBelow } from "./tree.ts";

const code = filesBelow(["src", "packages", "tests", "bench", "tools", "bin"], [".ts", ".mjs", ".js"]);
const LONGEST_LINES = 500;

describe("source files", () => {
  test("are seen by these tests at all", () => {
    expect(code.length).toBeGreaterThan(80);
  });

  test(`have at most ${LONGEST_LINES} lines`, () => {
    const long = code.map(({ path, text }) => ({ path, lines: text.split("\n").length - 1 }));
    expect(long.filter(({ lines }) => lines > LONGEST_LINES).map(({ path, lines }) => `${path}: ${lines}`)).toEqual([]);
  });

  test("have names in kebab-case", () => {
    const odd = code.filter(({ path }) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z]+)*\.(ts|mjs|js)$/.test(basename(path)));
    expect(odd.map(({ path }) => path)).toEqual([]);
  });

  test("have names that say something", () => {
    const empty = /(^|[-/.])(utils?|helpers?|common|managers?|misc|stuff)([-/.]|$)/;
    expect(code.filter(({ path }) => empty.test(path)).map(({ path }) => path)).toEqual([]);
  });

  test("leave nothing for later", () => {
    const marks = new RegExp(`\\b(${["TO", "DO"].join("")}|${["FIX", "ME"].join("")}|${["X", "XX"].join("")})\\b`);
    expect(code.filter(({ text }) => marks.test(text)).map(({ path }) => path)).toEqual([]);
  });

  test("export by name", () => {
    const byDefault = code.filter(({ text }) => /^export default\b/m.test(text));
    expect(byDefault.map(({ path }) => path)).toEqual([]);
  });

  test("say nothing of the machine they were written on", () => {
    const places = /(^|["'\s(])\/(work|root|home)\/[a-z]/;
    expect(code.filter(({ text }) => places.test(text)).map(({ path }) => path)).toEqual([]);
  });
});
