import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { runInThisContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { ROOT } from "./tree.ts";

interface Mutation {
  readonly file: string;
  readonly line: number;
  readonly inside: string;
  readonly lineText: string;
  readonly change: string;
}

const tool = async (name: string): Promise<unknown> =>
  await import(pathToFileURL(join(ROOT, "tools/mutants", name)).href);
const { mutationsOf } = (await tool("mutations.mjs")) as { mutationsOf(file: string, text: string): Mutation[] };
const { addProbes } = (await tool("probes.mjs")) as {
  addProbes(file: string, text: string, first: number): { text: string; probeAt(start: number, end: number): number };
};
const { readSamePrograms, keyOf } = (await tool("same-programs.mjs")) as {
  readSamePrograms(): Map<string, Mutation & { readonly reason: string }>;
  keyOf(mutation: Mutation): string;
};
const changesOf = (text: string): string[] => mutationsOf("a.ts", text).map(({ change }) => change);

describe("mutants", () => {
  test("turn comparisons, widen and narrow conditions, take out statements and move bounds", () => {
    const text = `export function take(count: number): number {
      if (count < limit && !closed) return -1;
      total += 1;
      return count;
    }`;
    expect(changesOf(text)).toEqual([
      "count < limit && !closed => true",
      "count < limit && !closed => false",
      "count < limit && !closed => count < limit || !closed",
      "count < limit => count <= limit",
      "count < limit => count >= limit",
      "!closed => closed",
      "without return -1;",
      "-1 => -2",
      "without total += 1;",
      "total += 1 => total -= 1",
      "total += 1 => total += 2",
    ]);
  });

  test("leave alone what is gone when types are erased, lines of the log, and the words of errors", () => {
    expect(
      changesOf("export type Small<T> = T extends 1 ? true : false;\ninterface Bound { readonly most: 5 }"),
    ).toEqual([]);
    expect(changesOf('function f(ctx: Ctx) { ctx.log.warn("late", { ms: a - b }); }')).toEqual([]);
    expect(changesOf("const e = new GfsError('NotFound', `No ${name.slice(0, 80)}.`);")).toEqual([]);
  });

  test("say where they are", () => {
    const [mutation] = mutationsOf("a.ts", "class Queue {\n  add(item: string) {\n    this.#items.push(item);\n  }\n}");
    expect(mutation).toMatchObject({ line: 3, inside: "add", lineText: "this.#items.push(item);" });
  });

  test("are laid to the innermost statement around them, which says when it is reached", () => {
    const text = "const f = (a) => {\n  if (a) return [1].map((x) => x + 1);\n  return 2;\n};\nconst g = 3;\n";
    const probed = addProbes("a.ts", text, 10);
    const reached: number[] = [];
    (globalThis as { __reached?: (probe: number) => void }).__reached = (probe) => reached.push(probe);
    const f = runInThisContext(`(() => { ${probed.text}; return f; })()`) as (a: boolean) => unknown;
    expect(f(true)).toEqual([2]);
    const addition = text.indexOf("x + 1");
    expect(reached.at(-1)).toBe(probed.probeAt(addition, addition + 5));
    const last = text.indexOf("return 2");
    expect(reached).not.toContain(probed.probeAt(last, last + 8));
    expect(probed.probeAt(text.indexOf("3"), text.indexOf("3") + 1)).toBeUndefined();
  });

  test("that are known to be the same program are still there, each once and with a reason", () => {
    const known = readSamePrograms();
    const entries = JSON.parse(readFileSync(join(ROOT, "tools/mutants/same-programs.json"), "utf8")) as unknown[];
    expect(known.size).toBe(entries.length);
    const files = new Set(Array.from(known.values(), ({ file }) => file));
    const there = new Set(
      [...files].flatMap((file) => mutationsOf(file, readFileSync(join(ROOT, file), "utf8")).map(keyOf)),
    );
    expect([...known].filter(([key, { reason }]) => !there.has(key) || reason.length < 20).map(([key]) => key)).toEqual(
      [],
    );
  });

  test("are explained when none is asked for, and a room that is not there is named", () => {
    const run = (...words: string[]): string =>
      execFileSync(process.execPath, ["tools/mutants.mjs", ...words], { cwd: ROOT, encoding: "utf8", stdio: "pipe" });
    expect(run()).toContain("npm run mutants -- ROOM...");
    expect(() => run("cellar")).toThrow("There is no room cellar.");
  });
});
