import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { PassThrough } from "node:stream";
import { describe, expect, test } from "vitest";
import { buildProgram } from "../../src/cli/program.ts";
import { filesBelow, ROOT } from "./tree.ts";

const documents = filesBelow([""], [".md"]).filter(({ path }) => !path.startsWith("changes/"));

describe("documents", () => {
  test("link only to files that are there", () => {
    expect(documents.length).toBeGreaterThan(4);
    const broken = documents.flatMap(({ path, text }) =>
      Array.from(text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g), ([, target]) => target as string)
        .filter((target) => !/^[a-z]+:/.test(target))
        .filter((target) => !existsSync(join(ROOT, dirname(path), target)))
        .map((target) => `${path} links to ${target}`),
    );
    expect(broken).toEqual([]);
  });

  test("name only commands that there are", () => {
    const stream = (): PassThrough => new PassThrough();
    const terminal = { stdin: stream(), stdout: stream(), stderr: stream(), env: {} };
    const program = buildProgram(() => Promise.resolve(), terminal);
    const wrong: string[] = [];
    for (const { path, text } of documents) {
      for (const [, line] of text.matchAll(/^(?:[^\n|`]*\| )?npx globalfs ([^\n]*)/gm)) {
        const [first = "", second = ""] = (line as string).split(" ");
        const command = program.commands.find((known) => known.name() === first);
        const known =
          command !== undefined &&
          (command.commands.length === 0 || command.commands.some((inner) => inner.name() === second));
        if (!known) wrong.push(`${path}: ${line}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});

test("AGENTS.md names only places that exist", () => {
  const text = readFileSync(join(ROOT, "AGENTS.md"), "utf8");
  const places = Array.from(text.matchAll(/(?<![\w/])(?:src|packages|tests|docs|tools)\/[\w./-]+/g), ([place]) =>
    place.replace(/[.,]+$/, ""),
  );
  expect(places.length).toBeGreaterThan(30);
  expect([...new Set(places)].filter((place) => !existsSync(join(ROOT, place)))).toEqual([]);
});
