import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const document = readFileSync(join(import.meta.dirname, "../../docs/semantics.md"), "utf8");
const guarantees = Array.from(document.matchAll(/^- \*\*([A-Z]\d+)\*\* /gm), ([, name]) => name as string);
const titles = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith(".test.ts") && file !== "complete.test.ts")
  .flatMap((file) => {
    const text = readFileSync(join(import.meta.dirname, file), "utf8");
    return Array.from(text.matchAll(/^\s*(?:test|everywhere)\(\s*["'`]([^"'`]*)/gm), ([, title]) => title as string);
  });

test("every guarantee of docs/semantics.md has a test", () => {
  expect(guarantees.length).toBeGreaterThan(30);
  expect(new Set(guarantees).size).toBe(guarantees.length);
  expect(guarantees.filter((name) => !titles.some((title) => title.startsWith(`${name} `)))).toEqual([]);
});

test("every test here is of a guarantee", () => {
  expect(titles.length).toBeGreaterThan(30);
  expect(titles.filter((title) => !guarantees.includes(title.split(" ")[0] as string))).toEqual([]);
});
