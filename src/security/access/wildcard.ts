import { foldKey } from "./condition-keys.ts";

/** Patterns of policies: `*` is any text, `?` any one character, `${key}` the value that the request has for a condition key. */

export type PatternPart =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "any" }
  | { readonly kind: "one" }
  | { readonly kind: "variable"; readonly key: string };

export interface Pattern {
  readonly source: string;
  readonly parts: readonly PatternPart[];
  /** The text itself, where it has neither wildcards nor variables. */
  readonly literal?: string;
}

const VARIABLE = /^\$\{([^{}]*)\}/;

/** `undefined` for a variable that is not closed. Which names of variables there are is for the caller to check. */
export function compilePattern(source: string, { variables }: { readonly variables: boolean }): Pattern | undefined {
  const parts: PatternPart[] = [];
  let text = "";
  const flush = (): void => {
    if (text !== "") parts.push({ kind: "text", text });
    text = "";
  };
  for (let index = 0; index < source.length;) {
    const char = source[index] as string;
    if (variables && source.startsWith("${", index)) {
      const name = VARIABLE.exec(source.slice(index))?.[1];
      if (name === undefined) return undefined;
      // A wildcard in braces stands for the character itself.
      if (name === "*" || name === "?" || name === "$") text += name;
      else {
        flush();
        parts.push({ kind: "variable", key: foldKey(name) });
      }
      index += name.length + 3;
      continue;
    }
    if (char === "*" || char === "?") {
      flush();
      if (char === "?" || parts.at(-1)?.kind !== "any") parts.push({ kind: char === "*" ? "any" : "one" });
    } else text += char;
    index += 1;
  }
  flush();
  const [only] = parts;
  if (parts.length === 0) return { source, parts, literal: "" };
  return parts.length === 1 && only?.kind === "text" ? { source, parts, literal: only.text } : { source, parts };
}

const ANY = -1;
const ONE = -2;

/**
 * Takes time in proportion to the lengths multiplied, never more. A variable without a value makes the pattern match nothing.
 */
export function matchesPattern(
  pattern: Pattern,
  value: string,
  variable: (key: string) => string | undefined = () => undefined,
): boolean {
  if (pattern.literal !== undefined) return pattern.literal === value;
  const codes: number[] = [];
  for (const part of pattern.parts) {
    if (part.kind === "any") codes.push(ANY);
    else if (part.kind === "one") codes.push(ONE);
    else {
      const text = part.kind === "text" ? part.text : variable(part.key);
      if (text === undefined) return false;
      for (let index = 0; index < text.length; index++) codes.push(text.charCodeAt(index));
    }
  }
  return matchesCodes(codes, value);
}

/** Whether some text that begins with the value may match. A variable may stand for any text. */
export function mayMatchBelow(pattern: Pattern, value: string): boolean {
  /** Positions in the pattern that the characters so far may have led to. */
  let places: ReadonlySet<number> = new Set([0]);
  const codes = pattern.parts.flatMap((part): number[] => {
    if (part.kind === "text")
      return Array.from({ length: part.text.length }, (_, index) => part.text.charCodeAt(index));
    return [part.kind === "one" ? ONE : ANY];
  });
  const widened = (from: ReadonlySet<number>): ReadonlySet<number> => {
    const wide = new Set(from);
    for (const place of wide) if (codes[place] === ANY) wide.add(place + 1);
    return wide;
  };
  for (let index = 0; index < value.length; index++) {
    const code = value.charCodeAt(index);
    const next = new Set<number>();
    for (const place of widened(places)) {
      if (codes[place] === ANY) next.add(place);
      else if (codes[place] === ONE || codes[place] === code) next.add(place + 1);
    }
    if (next.size === 0) return false;
    places = next;
  }
  return true;
}

function matchesCodes(codes: readonly number[], value: string): boolean {
  let at = 0;
  let index = 0;
  let star = -1;
  let resume = 0;
  while (index < value.length) {
    const code = codes[at];
    if (code === ONE || code === value.charCodeAt(index)) {
      at += 1;
      index += 1;
    } else if (code === ANY) {
      star = at;
      resume = index;
      at += 1;
    } else if (star !== -1) {
      // The last star takes one character more.
      resume += 1;
      index = resume;
      at = star + 1;
    } else return false;
  }
  while (codes[at] === ANY) at += 1;
  return at === codes.length;
}
