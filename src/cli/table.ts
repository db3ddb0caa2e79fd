import { type Color, paint, printable, type Terminal } from "./terminal.ts";
import { widthOf } from "./width.ts";

export interface Column<T> {
  readonly title: string;
  readonly value: (row: T) => string;
  readonly align?: "right";
  readonly color?: (row: T) => Color | undefined;
}

/** Columns as wide as they must be, two spaces apart; the last one is not padded, so that lines end where text ends. */
export function renderTable<T>(terminal: Terminal, columns: readonly Column<T>[], rows: readonly T[]): string {
  return `${linesOf(terminal, columns, rows).join("\n")}\n`;
}

/** A table that comes in pieces has one head. */
export async function* renderPages<T>(
  terminal: Terminal,
  columns: readonly Column<T>[],
  pages: AsyncIterable<readonly T[]>,
): AsyncGenerator<string> {
  let first = true;
  for await (const rows of pages) {
    const lines = linesOf(terminal, columns, rows).slice(first ? 0 : 1);
    if (lines.length > 0) yield `${lines.join("\n")}\n`;
    first = false;
  }
}

function linesOf<T>(terminal: Terminal, columns: readonly Column<T>[], rows: readonly T[]): string[] {
  const cells = rows.map((row) => columns.map((column) => printable(column.value(row))));
  const widths = columns.map((column, index) =>
    cells.reduce((widest, row) => Math.max(widest, widthOf(row[index] as string)), column.title.length),
  );
  const line = (texts: readonly string[], row?: T): string =>
    columns
      .map((column, index) => {
        const text = texts[index] as string;
        const space = " ".repeat(Math.max(0, (widths[index] as number) - widthOf(text)));
        const color = row === undefined ? undefined : column.color?.(row);
        const shown = color === undefined ? text : paint(terminal, color, text);
        if (column.align === "right") return space + shown;
        return index === columns.length - 1 ? shown : shown + space;
      })
      .join("  ");
  const head = line(columns.map(({ title }) => title));
  return [head, ...rows.map((row, index) => line(cells[index] as string[], row))];
}

/** `Name:  value` lines, aligned. Undefined values are left out. */
export function renderFacts(facts: readonly (readonly [string, string | undefined])[]): string {
  const present = facts.filter(([, value]) => value !== undefined) as (readonly [string, string])[];
  const width = present.reduce((widest, [name]) => Math.max(widest, widthOf(printable(name))), 0);
  return present
    .map(([name, value]) => {
      const shown = printable(name);
      return `${shown}:${" ".repeat(width - widthOf(shown))}  ${printable(value)}\n`;
    })
    .join("");
}
