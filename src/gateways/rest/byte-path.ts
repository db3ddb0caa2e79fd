import { textOfBytes } from "../../core/byte-text.ts";
import { GfsError } from "../../core/errors.ts";

/** What a parameter of the address names: names of a file system are bytes, and not always UTF-8. Undefined where there is none. */
export function byteParameter(url: string, name: string): string | undefined {
  const mark = url.indexOf("?");
  if (mark === -1) return undefined;
  for (const pair of url.slice(mark + 1).split("&")) {
    const equals = pair.indexOf("=");
    if ((equals === -1 ? pair : pair.slice(0, equals)) === name)
      return textOf(equals === -1 ? "" : pair.slice(equals + 1));
  }
  return undefined;
}

function textOf(encoded: string): string {
  const pieces: Buffer[] = [];
  for (const piece of encoded.replaceAll("+", " ").split(/((?:%[0-9A-Fa-f]{2})+)/)) {
    if (piece.startsWith("%") && /^(?:%[0-9A-Fa-f]{2})+$/.test(piece))
      pieces.push(Buffer.from(piece.replaceAll("%", ""), "hex"));
    else if (piece.includes("%")) throw new GfsError("InvalidArgument", "The address is not percent-encoded.");
    else pieces.push(Buffer.from(piece));
  }
  return textOfBytes(Buffer.concat(pieces));
}
