import { GfsError } from "../core/errors.ts";
import type { FilePath } from "../core/ids.ts";

/** Which keys can name a file, and the one place that takes them apart. */

const MAX_KEY_BYTES = 1_024;
const MAX_COMPONENT_BYTES = 255;
/** GlobalFS keeps its own objects here, at sites whose keys are paths. */
const RESERVED_ROOT = ".globalfs";
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f]/;
const LONE_SURROGATE = /\p{Surrogate}/u;

export interface ParsedKey {
  readonly path: FilePath;
  /** The key ended in a slash. */
  readonly directory: boolean;
}

/** Throws `InvalidKey` or `KeyTooLong` with a sentence that names the fault. */
export function parseKey(key: string): ParsedKey {
  const directory = key.endsWith("/");
  const path = directory ? key.slice(0, -1) : key;
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) {
    throw new GfsError(
      "KeyTooLong",
      `A key has at most ${MAX_KEY_BYTES} bytes; this one has ${Buffer.byteLength(key)}.`,
    );
  }
  checkPath(path);
  return { path, directory };
}

export function keyOf(path: FilePath, directory: boolean): string {
  return directory ? `${path}/` : path;
}

export function checkPath(path: string): asserts path is FilePath {
  if (path === "") throw refuse(path, "is empty; name an object, such as data/run1.csv");
  if (path.startsWith("/")) throw refuse(path, "begins with a slash; leave it out");
  if (CONTROL.test(path)) throw refuse(path, "holds a control character (a NUL, a line break, a tab or the like)");
  if (LONE_SURROGATE.test(path)) throw refuse(path, "is not valid Unicode");
  if (Buffer.byteLength(path) > MAX_KEY_BYTES) {
    throw new GfsError(
      "KeyTooLong",
      `A key has at most ${MAX_KEY_BYTES} bytes; this one has ${Buffer.byteLength(path)}.`,
    );
  }
  let first = true;
  for (const component of path.split("/")) {
    if (component === "") throw refuse(path, "holds two slashes in a row");
    if (component === "." || component === "..")
      throw refuse(path, `holds the component "${component}", which names no file`);
    if (component.length * 3 > MAX_COMPONENT_BYTES && Buffer.byteLength(component) > MAX_COMPONENT_BYTES) {
      throw new GfsError("KeyTooLong", `A name between slashes has at most ${MAX_COMPONENT_BYTES} bytes.`);
    }
    if (first && component === RESERVED_ROOT)
      throw refuse(path, `begins with ${RESERVED_ROOT}, which GlobalFS keeps for itself`);
    first = false;
  }
}

/** Whether a key can hold the name. A file system has others, which no key names, and no listing of keys has. */
export function isKeyName(name: string): boolean {
  return !CONTROL.test(name) && name.isWellFormed();
}

export function fitsKey(key: string): boolean {
  return key.length * 3 <= MAX_KEY_BYTES || Buffer.byteLength(key) <= MAX_KEY_BYTES;
}

export function isNameable(key: string): boolean {
  try {
    parseKey(key);
    return true;
  } catch {
    return false;
  }
}

function refuse(path: string, fault: string): GfsError {
  return new GfsError("InvalidKey", `The key ${JSON.stringify(path.slice(0, 120))} ${fault}.`, {
    op: "namespace.path",
  });
}

export interface Split {
  /** Empty: the root. */
  readonly parent: string;
  readonly name: string;
}

export function splitPath(path: string): Split {
  const slash = path.lastIndexOf("/");
  return { parent: slash === -1 ? "" : path.slice(0, slash), name: path.slice(slash + 1) };
}

export function componentsOf(path: string): string[] {
  return path === "" ? [] : path.split("/");
}
