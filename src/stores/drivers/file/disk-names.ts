/**
 * How keys lie on a disk. A key is its path below the root, component by component, so that the tree can be browsed and an existing
 * one taken over. What a disk cannot name, and what would collide with names of our own, is escaped:
 *
 * - `.globalfs~e<hex>` an object whose component is escaped; `.globalfs~d<hex>` a directory of that kind; `.globalfs~p<hex>` the first
 *   bytes of a long component, whose rest lies inside;
 * - `.globalfs~o<name>` the object `name` beside a directory of the same name.
 */
const ESCAPE = ".globalfs~";
/** The directory at the root that holds what is not an object. */
export const RESERVED = ".globalfs";
/** With the mark of an object beside its directory a name still fits in 255 bytes. */
const MAX_LITERAL_BYTES = 255 - ESCAPE.length - 1;
const PIECE_BYTES = 110;

function isLiteral(component: string): boolean {
  if (component === "" || component === "." || component === ".." || component === RESERVED) return false;
  if (component.startsWith(ESCAPE)) return false;
  return component.length * 3 <= MAX_LITERAL_BYTES || Buffer.byteLength(component) <= MAX_LITERAL_BYTES;
}

function escape(component: string, last: "d" | "e"): string {
  const bytes = Buffer.from(component);
  let path = "";
  let offset = 0;
  for (; bytes.length - offset > PIECE_BYTES; offset += PIECE_BYTES) {
    path += `${ESCAPE}p${bytes.toString("hex", offset, offset + PIECE_BYTES)}/`;
  }
  return `${path}${ESCAPE}${last}${bytes.toString("hex", offset)}`;
}

/** The name that an object takes while a directory has its own; undefined for names no object has. */
export function besideOf(name: string): string | undefined {
  return isLiteral(name) ? `${ESCAPE}o${name}` : undefined;
}

export interface DiskPlace {
  /** Directories from the root down, each one name on the disk. */
  readonly directories: readonly string[];
  readonly name: string;
  /** The name beside a directory; absent where the plain name can never be one. */
  readonly beside?: string;
}

export function placeOf(key: string): DiskPlace {
  const components = key.split("/");
  const last = components.pop() as string;
  const directories: string[] = [];
  for (const component of components) {
    if (isLiteral(component)) directories.push(component);
    else directories.push(...escape(component, "d").split("/"));
  }
  if (isLiteral(last)) return { directories, name: last, beside: `${ESCAPE}o${last}` };
  const escaped = escape(last, "e").split("/");
  return { directories: [...directories, ...escaped.slice(0, -1)], name: escaped.at(-1) as string };
}

const OWN_CORNER = escape(RESERVED, "d");

/** Where objects lie whose keys no path can be: they come and go all the time. */
export function isInOwnCorner({ directories }: DiskPlace): boolean {
  return directories[0] === OWN_CORNER;
}

export type Decoded =
  | { readonly kind: "object"; readonly component: string }
  | { readonly kind: "directory"; readonly component: string }
  /** The first bytes of a component; the rest lies inside. */
  | { readonly kind: "piece"; readonly bytes: Buffer };

/** Undefined: not a name of ours. `before` are the bytes of the pieces on the way. */
export function decodeName(
  name: string,
  onDisk: "file" | "directory",
  before: Buffer | undefined,
): Decoded | undefined {
  // Node reads what is not UTF-8 as U+FFFD; such a name cannot be asked for again.
  if (name.includes("\uFFFD")) return undefined;
  if (!name.startsWith(ESCAPE)) {
    if (before !== undefined || !isLiteral(name)) return undefined;
    return { kind: onDisk === "file" ? "object" : "directory", component: name };
  }
  const mark = name[ESCAPE.length];
  const rest = name.slice(ESCAPE.length + 1);
  if (mark === "o")
    return onDisk === "file" && before === undefined && isLiteral(rest)
      ? { kind: "object", component: rest }
      : undefined;
  if (rest.length % 2 !== 0 || !/^[0-9a-f]*$/.test(rest)) return undefined;
  const bytes = Buffer.concat([before ?? Buffer.alloc(0), Buffer.from(rest, "hex")]);
  if (mark === "p") return onDisk === "directory" ? { kind: "piece", bytes } : undefined;
  const component = bytes.toString("utf8");
  if (
    !Buffer.from(component).equals(bytes) ||
    component.includes("/") ||
    component.includes("\0") ||
    isLiteral(component)
  )
    return undefined;
  if (mark === "e" && onDisk === "file") return { kind: "object", component };
  if (mark === "d" && onDisk === "directory") return { kind: "directory", component };
  return undefined;
}
