import { UsageError } from "./failure.ts";

/** Where bytes come from or go to on the command line. */
export type Location =
  | { readonly at: "gfs"; readonly key: string }
  | { readonly at: "local"; readonly path: string }
  | { readonly at: "stdio" };

/** A key of the namespace: `gfs:a/b`, `gfs:/a/b`, `gfs://a/b` and plain `a/b` are the same. */
export function keyOf(text: string): string {
  return text.startsWith("gfs:") ? text.slice(4).replace(/^\/+/, "") : text;
}

/**
 * What `cp SOURCE TARGET` means. `gfs:` marks keys; `-` is stdin or stdout; `/`, `./`, `../` begin local paths. A text
 * without a mark is what the other side is not, and refused when that does not decide it.
 */
export function locationsOf(source: string, target: string): readonly [Location, Location] {
  const [left, right] = [markedLocation(source), markedLocation(target)];
  if (left === undefined && right === undefined) {
    throw new UsageError(
      `It is not clear which of "${source}" and "${target}" is in GlobalFS; write gfs: before the key, such as gfs:${target}.`,
    );
  }
  return [left ?? unmarkedLocation(source, right as Location), right ?? unmarkedLocation(target, left as Location)];
}

function markedLocation(text: string): Location | undefined {
  if (text === "-") return { at: "stdio" };
  if (text.startsWith("gfs:")) return { at: "gfs", key: keyOf(text) };
  if (/^(\/|\.\.?(\/|$))/.test(text)) return { at: "local", path: text };
  return undefined;
}

function unmarkedLocation(text: string, other: Location): Location {
  return other.at === "gfs" ? { at: "local", path: text } : { at: "gfs", key: text };
}

/** Nothing but slashes and dots, as an unset variable leaves it: everything there is. */
export function isRoot(key: string): boolean {
  return /^(\.?\/)*\.?$/.test(key);
}

/** What the keys below a directory begin with. */
export function prefixOf(key: string): string {
  if (isRoot(key)) return "";
  return key.endsWith("/") ? key : `${key}/`;
}
