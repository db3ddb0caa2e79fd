import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { SPACES } from "../../src/meta/spaces.ts";
import { ROOT } from "./tree.ts";

const SHAPES = { number: "number", string: "string", tail: "tail" } as const;

/** `path: string; upload id: tail` */
function shapesOf(parts: string): string[] {
  if (parts === "none") return [];
  return parts.split(";").map((part) => {
    const found = /(?:: (number|string|tail))/.exec(part) ?? /\b(number|string|tail)\b/.exec(part);
    return SHAPES[found?.[1] as keyof typeof SHAPES] ?? `${part}?`;
  });
}

test("Every kind of row is in docs/formats.md, with the parts of its key, and no other is", () => {
  const text = readFileSync(join(ROOT, "docs/formats.md"), "utf8");
  const [, table = ""] = text.split("### Spaces\n");
  const documented = new Map<string, string[]>();
  for (const line of table.split("\n").filter((each) => each.startsWith("| `"))) {
    const [, space = "", parts = ""] = line.split("|").map((cell) => cell.trim());
    if (space === "`n`") documented.set("n", ["string"]);
    else documented.set(space.replaceAll("`", ""), shapesOf(parts));
    if (space === "`coordinator-leader`") break;
  }
  expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(SPACES.map(({ name, key }) => [name, key])));
});
