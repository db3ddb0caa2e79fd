import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { FilePath, Inode, SiteName } from "../core/ids.ts";
import { appendMove, isMoved, keyOfObject, keysFor, movesAt, readMoves, viewsOf } from "./moved-directories.ts";
import { TestCatalog } from "./testing/catalog.ts";

interface Move {
  readonly from: FilePath;
  readonly to: FilePath;
  readonly atMs: number;
}

const path = fc
  .array(fc.constantFrom("a", "b", "ab"), { minLength: 1, maxLength: 3 })
  .map((names) => names.join("/") as FilePath);

/** In the order of their times, and none into itself. */
const moves = fc.array(fc.record({ from: path, to: path, afterMs: fc.nat(2) }), { maxLength: 8 }).map((all) => {
  let atMs = 10;
  return all
    .filter(({ from, to }) => !`${to}/`.startsWith(`${from}/`))
    .map(({ from, to, afterMs }): Move => ({ from, to, atMs: (atMs += afterMs) }));
});

describe("directories that were renamed", () => {
  it("take along what was there before, through all renames since, and nothing that came later", () => {
    const renames: Move[] = [
      { from: "a" as FilePath, to: "b" as FilePath, atMs: 10 },
      { from: "b/c" as FilePath, to: "d" as FilePath, atMs: 20 },
    ];
    const where = (key: string, modifiedMs: number): string => keyOfObject(renames, { key, modifiedMs });
    expect([where("a/x", 10.9), where("a/x", 11), where("a/c/x", 5), where("ab/x", 5), where("a", 5)]).toEqual([
      "b/x",
      "a/x",
      "d/x",
      "ab/x",
      "a",
    ]);
    expect([where("a/c/x", 15), where("b/c/x", 15), where("b/c/x", 21)]).toEqual(["a/c/x", "d/x", "b/c/x"]);
    expect(keysFor(renames, "d/x")).toEqual(["d/x", "b/c/x", "a/c/x"]);
    expect([isMoved(renames, "a/x"), isMoved(renames, "d/x"), isMoved(renames, "e/x")]).toEqual([true, true, false]);
  });

  it("are found by every name under the key that an object lies under, and by a view of the site", () => {
    fc.assert(
      fc.property(moves, path, fc.integer({ min: 8, max: 30 }), (renames, key, modifiedMs) => {
        const name = keyOfObject(renames, { key, modifiedMs });
        expect(keysFor(renames, name)).toContain(key);
        expect(name === key || (isMoved(renames, name) && isMoved(renames, key))).toBe(true);
        const showing = viewsOf(renames).filter(
          ({ keys, names }) => key.startsWith(keys) && names + key.slice(keys.length) === name,
        );
        expect(showing.length).toBeGreaterThan(0);
      }),
      { numRuns: 1_000 },
    );
  });

  it("are remembered in the order of their commits, whatever the clocks say, for each site by itself", async () => {
    const catalog = await TestCatalog.open();
    const remember = async (from: string, atMs: number, site: string): Promise<void> => {
      const move = { from: from as FilePath, to: "z" as FilePath, inode: 2 as Inode, atMs, sites: { [site]: "" } };
      await catalog.run((tx) => appendMove(tx, move));
    };
    await remember("a", 20, "one");
    await remember("b", 10, "two");
    const all = await catalog.view(readMoves);
    expect(all.map(({ from, atMs, sequence }) => [from, atMs, sequence])).toEqual([
      ["a", 20, 1],
      ["b", 20, 2],
    ]);
    expect(movesAt(all, "two" as SiteName).map(({ from }) => from)).toEqual(["b"]);
  });
});
