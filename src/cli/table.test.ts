import { PassThrough } from "node:stream";
import { describe, expect, test } from "vitest";
import { createContext } from "./context.ts";
import { createProgress, progressLine } from "./progress.ts";
import { renderFacts, renderTable } from "./table.ts";

function terminal(isTTY: boolean, env: Record<string, string> = {}) {
  const stream = (): PassThrough & { isTTY: boolean } => Object.assign(new PassThrough(), { isTTY });
  return { stdin: stream(), stdout: stream(), stderr: stream(), env };
}

describe("a table", () => {
  const columns = [
    { title: "NAME", value: (row: { name: string }) => row.name, color: () => "green" as const },
    { title: "N", value: () => "10", align: "right" as const },
    { title: "LAST", value: (row: { name: string }) => row.name },
  ];

  test("aligns its columns and ends lines where the text ends", () => {
    expect(renderTable(terminal(false), columns, [{ name: "onprem" }, { name: "ü" }])).toBe(
      "NAME     N  LAST\nonprem  10  onprem\nü       10  ü\n",
    );
  });

  test("aligns names in every script", () => {
    expect(renderTable(terminal(false), columns, [{ name: "日本語" }, { name: "👩‍💻" }, { name: "ab" }])).toBe(
      "NAME     N  LAST\n日本語  10  日本語\n👩‍💻      10  👩‍💻\nab      10  ab\n",
    );
  });

  test("has colors on a terminal only, and not against the person's wish", () => {
    const rows = [{ name: "a" }];
    expect(renderTable(terminal(true), columns, rows)).toContain("\u001b[32ma");
    expect(renderTable(terminal(true, { NO_COLOR: "1" }), columns, rows)).not.toContain("\u001b");
    expect(renderTable(terminal(true, { TERM: "dumb" }), columns, rows)).not.toContain("\u001b");
  });

  test("does not let a key speak to the terminal", () => {
    expect(renderTable(terminal(false), columns, [{ name: "a\u001b[2Jb\n" }])).toContain("a\\u{1b}[2Jb\\u{a}");
  });

  test("of facts leaves out what is not known", () => {
    expect(
      renderFacts([
        ["Size", "1"],
        ["ETag", undefined],
        ["Version", "v"],
      ]),
    ).toBe("Size:     1\nVersion:  v\n");
  });
});

describe("a progress bar", () => {
  function drawn(isTTY: boolean, json = false): string {
    const world = terminal(isTTY);
    let timeMs = 0;
    const context = createContext(world, { json }, new AbortController().signal);
    const progress = createProgress(context, { label: "a", total: 1_000, unit: "bytes", now: () => timeMs });
    progress.advance(100);
    timeMs = 1_500;
    progress.advance(400);
    progress.end();
    return String(world.stderr.read() ?? "");
  }

  test("appears after a second on a terminal, and goes away", () => {
    expect(drawn(true)).toBe(
      "\r\u001b[2Ka  [############------------]  50%  500 B of 1000 B  333 B/s  0:02 left\r\u001b[2K",
    );
  });

  test("stays away from files, pipes and JSON", () => {
    expect(drawn(false)).toBe("");
    expect(drawn(true, true)).toBe("");
  });

  test("fits into the terminal, whatever the name is, and passes nothing on to it", () => {
    const world = Object.assign(terminal(true), {});
    Object.assign(world.stderr, { columns: 30 });
    let timeMs = 0;
    const context = createContext(world, {}, new AbortController().signal);
    const label = "日本語".repeat(5);
    const progress = createProgress(context, { label, unit: "items", now: () => timeMs });
    timeMs = 1_500;
    progress.advance(1);
    expect(String(world.stderr.read())).toBe(`\r\u001b[2K${label.slice(0, 14)}…`);
    expect(progressLine({ label: "\u001b[31m", done: 1, total: undefined, unit: "items", elapsedMs: 1_000 })).toBe(
      "\\u{1b}[31m  1  1/s",
    );
  });

  test("without a known end says what was done", () => {
    expect(progressLine({ label: "x", done: 3_000, total: undefined, unit: "items", elapsedMs: 1_500 })).toBe(
      "x  3000  2000/s",
    );
  });
});
