import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compilePattern } from "./pattern.ts";

/** Obvious, and slow on purpose. */
function naive(pattern: string, key: string): boolean {
  if (pattern === "") return key === "";
  if (pattern.startsWith("**/")) {
    if (naive(pattern.slice(3), key)) return true;
    for (let at = key.indexOf("/"); at !== -1; at = key.indexOf("/", at + 1))
      if (naiveRest(pattern.slice(3), key.slice(at + 1))) return true;
    return false;
  }
  return naiveRest(pattern, key);
}

function naiveRest(pattern: string, key: string): boolean {
  if (pattern === "") return key === "";
  if (pattern.startsWith("**")) {
    for (let at = 0; at <= key.length; at++) if (naiveRest(pattern.slice(2), key.slice(at))) return true;
    return false;
  }
  if (pattern.startsWith("*")) {
    for (let at = 0; at <= key.length; at++) {
      if (naiveRest(pattern.slice(1), key.slice(at))) return true;
      if (key[at] === "/") return false;
    }
    return false;
  }
  if (key === "" || key[0] !== pattern[0]) return false;
  if (pattern[0] === "/") return naive(pattern.slice(1), key.slice(1));
  return naiveRest(pattern.slice(1), key.slice(1));
}

describe("key patterns", () => {
  it.each([
    ["datasets/hot/*", "datasets/hot/a", true],
    ["datasets/hot/*", "datasets/hot/a/b", false],
    ["datasets/**", "datasets/a/b/c", true],
    ["datasets/**", "datasetsX", false],
    ["**/*.csv", "top.csv", true],
    ["**/*.csv", "a/b/c.csv", true],
    ["**/*.csv", "a/b/c.tsv", false],
    ["a/**/z", "a/z", true],
    ["a/**/z", "a/b/c/z", true],
    ["a/**/z", "a/bz", false],
    ["logs/", "logs/2026/x", true],
    ["logs/", "logs", false],
    ["/exact.bin", "exact.bin", true],
    ["exact.bin", "exact.bin2", false],
    ["**", "anything/at/all", true],
  ])("%s on %s: %s", (pattern, key, expected) => {
    expect(compilePattern(pattern)(key)).toBe(expected);
  });

  it("match as a naive reading of them does", () => {
    const pattern = fc
      .array(fc.constantFrom("a", "b", "/", "*", "**"), { minLength: 1, maxLength: 6 })
      .map((parts) => parts.join("").replace(/\*{3,}/g, "**"));
    const key = fc.string({ unit: fc.constantFrom("a", "b", "/"), maxLength: 8 });
    fc.assert(
      fc.property(pattern, key, (text, name) => {
        fc.pre(text.includes("*") && !text.startsWith("/") && !text.endsWith("/"));
        expect(compilePattern(text)(name)).toBe(naive(text, name));
      }),
      { numRuns: 3_000 },
    );
  });

  it("take no longer for a pattern made to be slow", () => {
    const match = compilePattern(`${"*a".repeat(60)}b`);
    const startedMs = performance.now();
    expect(match("a".repeat(1_000))).toBe(false);
    expect(performance.now() - startedMs).toBeLessThan(1_000);
  });
});
