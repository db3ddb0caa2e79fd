/**
 * Names on Linux are bytes, most of them UTF-8. They become strings as Python's surrogateescape has it: a byte that is not UTF-8 becomes
 * the lone surrogate U+DC00 plus the byte, which valid text cannot contain, so every name survives the way there and back.
 */
const ESCAPE = 0xdc00;
const LONE_SURROGATE = /\p{Surrogate}/u;
const REPLACEMENT = "\u{fffd}";

export function decodeName(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString("utf8", start, end);
  return text.includes(REPLACEMENT) ? decodeEscaped(bytes.subarray(start, end)) : text;
}

/** Writes a name and returns how many bytes it took. The caller has made sure that there is room for `nameBytes(name)`. */
export function encodeName(name: string, into: Buffer, at: number): number {
  if (!LONE_SURROGATE.test(name)) return into.write(name, at);
  return encodeEscaped(name).copy(into, at);
}

export function nameBytes(name: string): number {
  return LONE_SURROGATE.test(name) ? encodeEscaped(name).length : Buffer.byteLength(name);
}

function decodeEscaped(bytes: Buffer): string {
  let text = "";
  let at = 0;
  while (at < bytes.length) {
    const length = sequenceLength(bytes, at);
    if (length === 0) {
      text += String.fromCharCode(ESCAPE + (bytes[at] as number));
      at += 1;
    } else {
      text += bytes.toString("utf8", at, at + length);
      at += length;
    }
  }
  return text;
}

/** How many bytes the valid UTF-8 sequence at this place has, or 0 if there is none. */
function sequenceLength(bytes: Buffer, at: number): number {
  const first = bytes[at] as number;
  if (first < 0x80) return 1;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  const candidate = bytes.subarray(at, at + length);
  if (candidate.length < length) return 0;
  // Node replaces what is wrong, so only a valid sequence comes back as the same bytes.
  return Buffer.from(candidate.toString()).equals(candidate) ? length : 0;
}

function encodeEscaped(name: string): Buffer {
  const parts: Buffer[] = [];
  for (const character of name) {
    const code = character.codePointAt(0) as number;
    const escaped = code >= ESCAPE + 0x80 && code <= ESCAPE + 0xff;
    parts.push(escaped ? Buffer.from([code - ESCAPE]) : Buffer.from(character));
  }
  return Buffer.concat(parts);
}
