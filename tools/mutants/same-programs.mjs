// Mutants that are the same program to whoever uses it, each with the reason; kept in same-programs.json.
import { readFileSync } from "node:fs";

/** What a mutant is known by: it survives that lines move, not that the line itself becomes another. */
export function keyOf({ file, inside, lineText, change }) {
  return [file, inside, lineText, change].join(" | ");
}

export function readSamePrograms() {
  const entries = JSON.parse(readFileSync(new URL("same-programs.json", import.meta.url), "utf8"));
  return new Map(entries.map((entry) => [keyOf(entry), entry]));
}
