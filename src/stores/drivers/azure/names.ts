/**
 * Keys as blob names. Addresses lose the segments `.` and `..`, and backslashes turn into slashes, so such segments are
 * written with percent signs: `.` as `%2E`, a backslash as `%5C`, control characters likewise, and where a segment could be
 * mistaken for such a one, its own percent signs as `%25`. All other keys are blob names as they are. A blob whose name no
 * key makes (another program wrote `a%2Eb`) is left out of listings.
 */
/** Keeps what uploads in parts are under way, out of the way of keys. */
export const UPLOADS_DIRECTORY = ".globalfs-uploads";

// eslint-disable-next-line no-control-regex -- Control characters are what is looked for.
const UNNAMEABLE = /[\\\u0001-\u001f\u007f]/;
// eslint-disable-next-line no-control-regex -- The same.
const TO_ESCAPE = /[%\\\u0001-\u001f\u007f]/g;
const ESCAPE = /%(?:25|2E|5C|[01][0-9A-F]|7F)/g;

export function nameOf(key: string): string {
  return key.split("/").map(encodeSegment).join("/");
}

/** Undefined for a name that no key has. */
export function keyOf(name: string): string | undefined {
  if (!name.includes("%")) return name;
  const key = name.replace(ESCAPE, (escape) => String.fromCharCode(Number.parseInt(escape.slice(1), 16)));
  return nameOf(key) === name ? key : undefined;
}

/**
 * What names of keys with this prefix begin with at least. The last segment is not whole and so might be written in
 * another way once it is; then only the directory above is sure, and the caller filters.
 */
export function namePrefixOf(prefix: string): string {
  const slash = prefix.lastIndexOf("/") + 1;
  const partial = prefix.slice(slash);
  const sure =
    !UNNAMEABLE.test(partial) &&
    !partial.includes("%") &&
    !/^\.{0,2}$/.test(partial) &&
    !UPLOADS_DIRECTORY.startsWith(partial);
  return nameOf(prefix.slice(0, slash)) + (sure ? partial : "");
}

/**
 * How far what comes after a name in the service's order may belong before it in the order of keys. `stem` is what precedes
 * the character that is out of its place; `until` is the place where it belongs, as a UTF-16 unit.
 */
export interface Displacement {
  readonly stem: string;
  readonly until: number;
}

const PERCENT = 0x25;

/** The service may order by UTF-16 units, which puts characters beyond U+FFFF before U+E000; escapes stand where `%` does. */
export function displacementsOf(name: string): Displacement[] {
  const found: Displacement[] = [];
  for (const match of name.matchAll(/%(?:[0-9A-F]{2})?|[\uD800-\uDBFF]/g)) {
    const escape = match[0].length === 3 ? Number.parseInt(match[0].slice(1), 16) : PERCENT;
    const until = match[0].startsWith("%") ? Math.max(PERCENT, escape) : 0xffff;
    found.push({ stem: name.slice(0, match.index), until });
  }
  return found;
}

export function isOpen({ stem, until }: Displacement, lastName: string): boolean {
  return lastName.startsWith(stem) && (lastName.length === stem.length || lastName.charCodeAt(stem.length) <= until);
}

function encodeSegment(segment: string, index: number): string {
  if (segment === "." || segment === "..") return segment.replaceAll(".", "%2E");
  if (index === 0 && segment === UPLOADS_DIRECTORY) return `%2E${segment.slice(1)}`;
  if (!UNNAMEABLE.test(segment) && segment.search(ESCAPE) === -1) return segment;
  return segment.replace(TO_ESCAPE, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
}
