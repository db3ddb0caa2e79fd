import fc from "fast-check";
import { expect, test } from "vitest";
import { compareKeys } from "../../../stores/index.ts";
import { type FetchedPage, type Place, rollUp } from "./roll-up.ts";

const keys = fc
  .uniqueArray(fc.string({ unit: fc.constantFrom("a", "b", "%", "é", "/"), maxLength: 5 }), { maxLength: 40 })
  .map((list) => list.filter((key) => key !== "").toSorted(compareKeys));

/** What S3 says a listing is, in the words of its documentation. */
function model(all: readonly string[], prefix: string, delimiter: string): string[] {
  const shown = new Set<string>();
  for (const key of all.filter((one) => one.startsWith(prefix))) {
    const found = key.indexOf(delimiter, prefix.length);
    shown.add(found === -1 ? key : key.slice(0, found + delimiter.length));
  }
  return [...shown];
}

test("any delimiter rolls keys up, page after page, each once and none left out", async () => {
  await fc.assert(
    fc.asyncProperty(
      keys,
      fc.constantFrom("", "a", "b%"),
      fc.constantFrom("%", "a", "b%", "é"),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 7 }),
      async (all, prefix, delimiter, limit, fetched) => {
        const fetch = async (after: Place | undefined): Promise<FetchedPage<string>> => {
          const rest = all.filter(
            (key) => key.startsWith(prefix) && (after === undefined || compareKeys(key, after.key) > 0),
          );
          const page = rest.slice(0, fetched);
          const last = page.at(-1);
          return await Promise.resolve({
            items: page.map((key) => ({ key, value: key })),
            ...(last !== undefined && rest.length > fetched ? { next: { key: last } } : {}),
          });
        };
        const seen: string[] = [];
        let after: Place | undefined;
        for (let page = 0; page < 100; page++) {
          const { items, prefixes, next } = await rollUp(fetch, { prefix, delimiter, after, limit });
          expect(items.length + prefixes.length).toBeLessThanOrEqual(limit);
          seen.push(...[...items, ...prefixes].toSorted(compareKeys));
          if (next === undefined) break;
          expect(items.length + prefixes.length).toBe(limit);
          after = next;
        }
        expect(seen).toEqual(model(all, prefix, delimiter));
      },
    ),
  );
});
