import { foldSpaces } from "../../../core/sigv4.ts";
import { invalidRequest } from "./failures.ts";

/**
 * The request as it was signed, made of what arrived. Names and values of headers and the address are bytes, one character each; clients sign
 * an encoding of the address that may differ from the one they sent, so that it is decoded and encoded again where it is not in order.
 */

const MAX_PARAMETERS = 500;

/** What may stand in a canonical path or query as it is: the unreserved characters of RFC 3986, by code. */
const UNRESERVED = new Uint8Array(256);
for (const char of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") {
  UNRESERVED[char.charCodeAt(0)] = 1;
}
const HEX = Array.from({ length: 256 }, (_, code) => `%${code.toString(16).toUpperCase().padStart(2, "0")}`);
const SLASH = 0x2f;
const PERCENT = 0x25;
const PLUS = 0x2b;

/** Splits the address as it came; a proxy's form with scheme and host is taken as well. */
export function splitUrl(url: string): { readonly path: string; readonly query: string } {
  let start = 0;
  if (url.charCodeAt(0) !== SLASH) {
    const scheme = url.indexOf("://");
    const slash = scheme === -1 ? -1 : url.indexOf("/", scheme + 3);
    if (slash === -1) return { path: "/", query: "" };
    start = slash;
  }
  const mark = url.indexOf("?", start);
  if (mark === -1) return { path: start === 0 ? url : url.slice(start), query: "" };
  return { path: url.slice(start, mark), query: url.slice(mark + 1) };
}

export function canonicalPath(path: string): string {
  return isEncoded(path, true) ? path : encodeAnew(path, { keepSlashes: true, plusIsSpace: false });
}

/** Sorted by name, then value. The parameter named `without` is left out: a presigned address does not sign its own signature. */
export function canonicalQueryOf(query: string, without: string | undefined): string {
  if (query === "") return "";
  const pieces = query.split("&");
  if (pieces.length > MAX_PARAMETERS) throw invalidRequest("The request has too many query parameters.");
  const pairs: { readonly name: string; readonly value: string }[] = [];
  let sorted = true;
  for (const piece of pieces) {
    if (piece === "") continue;
    const mark = piece.indexOf("=");
    const name = canonicalPart(mark === -1 ? piece : piece.slice(0, mark));
    if (name === without) continue;
    const value = mark === -1 ? "" : canonicalPart(piece.slice(mark + 1));
    const before = pairs.at(-1);
    if (before !== undefined && (before.name > name || (before.name === name && before.value > value))) sorted = false;
    pairs.push({ name, value });
  }
  if (!sorted) {
    pairs.sort((one, other) =>
      one.name === other.name ? compare(one.value, other.value) : compare(one.name, other.name),
    );
  }
  let text = "";
  for (const { name, value } of pairs) text += text === "" ? `${name}=${value}` : `&${name}=${value}`;
  return text;
}

/** The query as it was sent, for clients that sign that; only the signature itself is left out. */
export function rawQueryWithout(query: string, without: string | undefined): string {
  if (without === undefined) return query;
  return query
    .split("&")
    .filter((piece) => !piece.startsWith(`${without}=`))
    .join("&");
}

function canonicalPart(text: string): string {
  return isEncoded(text, false) ? text : encodeAnew(text, { keepSlashes: false, plusIsSpace: true });
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

/** Whether it is exactly what encoding would make of it. */
function isEncoded(text: string, keepSlashes: boolean): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (UNRESERVED[code] === 1 || (keepSlashes && code === SLASH)) continue;
    if (code !== PERCENT) return false;
    const high = upperHexOf(text.charCodeAt(index + 1));
    const low = upperHexOf(text.charCodeAt(index + 2));
    if (high === -1 || low === -1) return false;
    const byte = high * 16 + low;
    if (UNRESERVED[byte] === 1 || (keepSlashes && byte === SLASH)) return false;
    index += 2;
  }
  return true;
}

function encodeAnew(
  text: string,
  { keepSlashes, plusIsSpace }: { readonly keepSlashes: boolean; readonly plusIsSpace: boolean },
): string {
  let encoded = "";
  for (let index = 0; index < text.length; index++) {
    let byte = text.charCodeAt(index) & 0xff;
    if (byte === PERCENT) {
      const high = hexOf(text.charCodeAt(index + 1));
      const low = hexOf(text.charCodeAt(index + 2));
      if (high !== -1 && low !== -1) {
        byte = high * 16 + low;
        index += 2;
      }
    } else if (plusIsSpace && byte === PLUS) {
      byte = 0x20;
    }
    encoded +=
      UNRESERVED[byte] === 1 || (keepSlashes && byte === SLASH) ? String.fromCharCode(byte) : (HEX[byte] as string);
  }
  return encoded;
}

function upperHexOf(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  return code >= 0x41 && code <= 0x46 ? code - 0x37 : -1;
}

function hexOf(code: number): number {
  return code >= 0x61 && code <= 0x66 ? code - 0x57 : upperHexOf(code);
}

/** All headers as they came, by lower-case name; several of one name are joined as they are signed. */
export function headerMap(rawHeaders: readonly string[]): Map<string, string> {
  const headers = new Map<string, string>();
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] as string).toLowerCase();
    const value = rawHeaders[index + 1] as string;
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before},${value}`);
  }
  return headers;
}

/** `name:value` lines in the order that the client signed them; undefined when it signed a header that is not there. */
export function headerLinesOf(signed: readonly string[], headers: ReadonlyMap<string, string>): string | undefined {
  let lines = "";
  for (const name of signed) {
    const value = headers.get(name);
    if (value === undefined) return undefined;
    lines += `${name}:${foldSpaces(value)}\n`;
  }
  return lines;
}
