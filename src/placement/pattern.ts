import { GfsError } from "../core/errors.ts";

/**
 * Which keys a rule speaks of: a glob (`*` within a component, `**` across), a prefix that ends in `/`, or one exact key. Matching takes
 * time proportional to pattern times key, whatever the pattern.
 */
export type Matcher = (key: string) => boolean;

const STAR = 0;
const STAR_STAR = 1;
/** `**` and a slash: any number of whole components, none included. */
const DIRECTORIES = 2;
type Token = string | typeof STAR | typeof STAR_STAR | typeof DIRECTORIES;

export function compilePattern(pattern: string): Matcher {
  const written = pattern.startsWith("/") ? pattern.slice(1) : pattern;
  if (written === "") throw new GfsError("ConfigInvalid", "A rule's key_pattern is empty; `**` matches every key.");
  if (!written.includes("*")) {
    if (written.endsWith("/")) return (key) => key.startsWith(written);
    return (key) => key === written;
  }
  const tokens = tokensOf(written);
  return (key) => matches(tokens, key);
}

function tokensOf(pattern: string): Token[] {
  const tokens: Token[] = [];
  for (let index = 0; index < pattern.length; index++) {
    if (pattern[index] !== "*") {
      tokens.push(pattern[index] as string);
      continue;
    }
    let end = index;
    while (pattern[end] === "*") end += 1;
    const wide = end - index > 1;
    const atStart = index === 0 || pattern[index - 1] === "/";
    if (wide && atStart && pattern[end] === "/") {
      tokens.push(DIRECTORIES);
      end += 1;
    } else tokens.push(wide ? STAR_STAR : STAR);
    index = end - 1;
  }
  return tokens;
}

/** Follows all ways through the pattern at once: `live` holds the tokens that may come next. */
function matches(tokens: readonly Token[], key: string): boolean {
  let live = new Set<number>();
  add(tokens, live, 0);
  for (let position = 0; position < key.length && live.size > 0; position++) {
    const unit = key[position] as string;
    const next = new Set<number>();
    for (const index of live) {
      const token = tokens[index];
      if (token === STAR) {
        if (unit !== "/") add(tokens, next, index);
      } else if (token === STAR_STAR) add(tokens, next, index);
      else if (token === DIRECTORIES) {
        next.add(index);
        if (unit === "/") add(tokens, next, index + 1);
      } else if (token === unit) add(tokens, next, index + 1);
    }
    // Within the directories a component may have begun that is not over yet: it cannot be left in its middle.
    live = next;
  }
  return live.has(tokens.length);
}

function add(tokens: readonly Token[], live: Set<number>, index: number): void {
  if (live.has(index)) return;
  live.add(index);
  const token = tokens[index];
  if (token === STAR || token === STAR_STAR) add(tokens, live, index + 1);
  if (token === DIRECTORIES) add(tokens, live, index + 1);
}
