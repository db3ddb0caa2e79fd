import { existsSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { PassThrough } from "node:stream";
import type { Command } from "commander";
import { describe, expect, test } from "vitest";
import { buildProgram } from "../../src/cli/program.ts";
import { importsOf, ROOT } from "./tree.ts";

const stream = (): PassThrough => new PassThrough();
const terminal = { stdin: stream(), stdout: stream(), stderr: stream(), env: {} };
const program = buildProgram(() => Promise.resolve(), terminal);

/** The words of every command that does something, such as `["site", "add"]`. */
function wordsOf(command: Command, before: readonly string[] = []): (readonly string[])[] {
  return command.commands.flatMap((inner) => {
    const words = [...before, inner.name()];
    return inner.commands.length === 0 ? [words] : wordsOf(inner, words);
  });
}

describe("the commands", () => {
  test("are each in the file that their words name, definition and work together", () => {
    const all = wordsOf(program);
    expect(all.length).toBeGreaterThan(30);
    const elsewhere = all.filter((words) => {
      const path = join(ROOT, "src/cli/commands", `${words.join("/")}.ts`);
      return !existsSync(path) || !readFileSync(path, "utf8").includes(`.command("${words.at(-1)}"`);
    });
    expect(elsewhere.map((words) => words.join(" "))).toEqual([]);
  });

  test("load nothing heavy before one of them runs", () => {
    const rooms = new Set<string>();
    const packages = new Set<string>();
    const seen = new Set<string>();
    const load = (path: string): void => {
      if (seen.has(path)) return;
      seen.add(path);
      rooms.add(path.split("/").slice(0, 3).join("/"));
      const text = readFileSync(join(ROOT, path), "utf8");
      for (const { specifier, typeOnly, dynamic } of importsOf(text)) {
        if (typeOnly || dynamic) continue;
        if (specifier.startsWith(".")) load(posix.normalize(posix.join(posix.dirname(path), specifier)));
        else if (!specifier.startsWith("node:")) packages.add(specifier);
      }
    };
    load("src/cli/main.ts");
    expect(seen.size).toBeGreaterThan(40);
    expect([...packages].sort()).toEqual(["commander", "get-east-asian-width"]);
    const heavy = [...rooms].filter((room) => !/^src\/core\/|^src\/cli\/(?!daemons$|config$)/.test(room));
    expect(heavy).toEqual([]);
  });
});
