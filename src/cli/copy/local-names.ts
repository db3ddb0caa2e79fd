import { isUtf8 } from "node:buffer";
import { printable } from "../terminal.ts";

/** The text of a name, or undefined where its bytes are not UTF-8. */
export function textOfName(name: Buffer): string | undefined {
  return isUtf8(name) ? name.toString("utf8") : undefined;
}

/** A path for people: bytes that are no text as `\xNN`. */
export function shownPath(path: string | Buffer): string {
  if (typeof path === "string") return printable(path);
  let shown = "";
  let rest = path;
  while (rest.length > 0) {
    const length = textLength(rest);
    if (length > 0) shown += printable(rest.toString("utf8", 0, length));
    else shown += `\\x${(rest[0] as number).toString(16).padStart(2, "0")}`;
    rest = rest.subarray(Math.max(1, length));
  }
  return shown;
}

const LONGEST_CHARACTER_BYTES = 4;

/** How many bytes at the beginning are one character. */
function textLength(bytes: Buffer): number {
  for (let length = 1; length <= Math.min(LONGEST_CHARACTER_BYTES, bytes.length); length++) {
    if (isUtf8(bytes.subarray(0, length))) return length;
  }
  return 0;
}

/** The local path that a key below a directory means, or undefined where it would lead out of it or cannot be a path. */
export function localPathOf(relativeKey: string): string | undefined {
  const separators = process.platform === "win32" ? /[\0\\:]/ : /\0/;
  const bad = relativeKey
    .split("/")
    .some((part) => part === "" || part === "." || part === ".." || separators.test(part));
  return bad ? undefined : relativeKey;
}
