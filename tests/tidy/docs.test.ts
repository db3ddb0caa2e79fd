import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { ERROR_CODES } from "../../src/core/errors.ts";
import { openApiDocument } from "../../src/gateways/rest/openapi.ts";
import { ROUTES } from "../../src/gateways/rest/routes.ts";
import { filesBelow, ROOT } from "./tree.ts";

/** The pages that people wrote. Those that are made from the code have `reference.test.ts`. */
const read = (page: string): string => readFileSync(join(ROOT, "docs", page), "utf8");
const sources = filesBelow(["src"], [".ts"]).filter(({ path }) => !/\.test\.ts$|\/testing\//.test(path));

/** The cells of every table row whose first cell is one word of code. */
function rowsOf(page: string): ReadonlyMap<string, readonly string[]> {
  const rows = Array.from(page.matchAll(/^\| `([^`]+)` \|(.*)\|$/gm), ([, name, rest]) => {
    return [name as string, (rest as string).split("|").map((cell) => cell.trim())] as const;
  });
  return new Map(rows);
}

describe("docs/reference/metrics.md", () => {
  const written = rowsOf(read("reference/metrics.md"));
  const made = sources.flatMap(({ text }) =>
    Array.from(
      text.matchAll(/\.(counter|gauge|histogram)\(\{\s*name: "(\w+)",\s*help: "[^"]*",?\s*(?:labels: \[([^\]]*)\])?/g),
      ([, type, name, labels = ""]) => ({ name: name as string, type, labels: labels.replaceAll('"', "`") }),
    ),
  );

  test("names every metric with its type and labels", () => {
    expect(made.length).toBeGreaterThan(15);
    const named = sources.flatMap(({ text }) =>
      Array.from(text.matchAll(/name: "(globalfs_\w+)"/g), ([, name]) => name as string),
    );
    expect(made.map(({ name }) => name).toSorted()).toEqual(named.toSorted());
    for (const { name, type, labels } of made) expect(written.get(name)?.slice(0, 2), name).toEqual([type, labels]);
  });

  test("names no metric that is not there", () => {
    const known = new Set(made.map(({ name }) => name));
    const strange = [...written.keys()].filter((name) => name.startsWith("globalfs_") && !known.has(name));
    expect(strange).toEqual([]);
  });
});

test("docs/reference/errors.md says every code's status and exit code", () => {
  const written = rowsOf(read("reference/errors.md"));
  const expected = Object.entries(ERROR_CODES).map(([code, { http, exit }]) => [code, [String(http), String(exit)]]);
  expect([...written].map(([code, cells]) => [code, cells.slice(0, 2)])).toEqual(expected);
});

describe("docs/reference/rest.md", () => {
  const page = read("reference/rest.md");

  test("names every address, and none that is not there", () => {
    const { paths } = openApiDocument("0") as { paths: Record<string, Record<string, unknown>> };
    const methods = ["get", "head", "put", "post", "delete"];
    const known = Object.entries(paths).flatMap(([path, operations]) =>
      methods.filter((method) => method in operations).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const written = Array.from(
      page.matchAll(/^(?:\| )?`(GET|HEAD|PUT|POST|DELETE) (\/[^`]+)`/gm),
      ([, method, path]) => `${method} ${(path as string).replace("{key...}", "{key}")}`,
    );
    expect(known.length).toBeGreaterThan(20);
    expect([...new Set(written)].sort()).toEqual(known.sort());
  });

  test("names every parameter and every field", () => {
    const words = new Set(page.match(/\w+/g));
    const missing = ROUTES.flatMap(({ method, path, query, body, answers }) =>
      [query, body, ...Object.values(answers)]
        .filter((schema) => schema !== undefined)
        .flatMap((schema) => namesIn(z.toJSONSchema(schema, { io: "input" })))
        .filter((name) => !words.has(name))
        .map((name) => `${method} ${path}: ${name}`),
    );
    expect([...new Set(missing)].filter((place) => !place.includes(" /api/v1/explain/"))).toEqual([]);
  });
});

/** Fields of the outermost object, whichever of several shapes it may have. */
function namesIn(schema: unknown): string[] {
  const { properties, anyOf, items } = schema as { properties?: object; anyOf?: unknown[]; items?: unknown };
  const inner = [...(anyOf ?? []), ...(items === undefined ? [] : [items])];
  return [...Object.keys(properties ?? {}), ...inner.flatMap(namesIn)];
}

test("docs/formats.md lists every key space of the catalog", () => {
  const spaces = sources.flatMap(({ path, text }) => {
    const named = new Map(
      Array.from(text.matchAll(/^const ([A-Z_]+) = "([\w-]+)";$/gm), ([, name, value]) => [name, value] as const),
    );
    return Array.from(text.matchAll(/\bencodeKey\(\s*(?:"([\w-]+)"|([A-Z_]+))/g), ([, literal, name]) => {
      const space = literal ?? named.get(name ?? "");
      if (space === undefined) throw new Error(`${path} names a key space in a way that this test cannot read.`);
      return space;
    });
  });
  const page = read("formats.md");
  const table = page.slice(page.indexOf("### Spaces"), page.indexOf("### Access key"));
  expect([...rowsOf(table).keys()].sort()).toEqual([...new Set(spaces)].sort());
});
