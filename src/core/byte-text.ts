/**
 * Texts that may stand for any bytes, as the names of a file system do. What is valid UTF-8 is that text. Each byte that is part of no valid sequence is a
 * lone surrogate, U+DC80 to U+DCFF, its low eight bits: no valid UTF-8 comes out as one, so the bytes can be told from the text.
 */

const ESCAPE = 0xdc00;
const FIRST_ESCAPE = 0xdc80;
const LAST_ESCAPE = 0xdcff;
const REPLACED = "\ufffd";

/** Whether the text is what some bytes come out as. Lone surrogates that stand for no byte, or for bytes that are valid UTF-8 together, are not. */
export function isByteText(text: string): boolean {
  return text.isWellFormed() || textOfBytes(bytesOfText(text)) === text;
}

export function bytesOfText(text: string): Buffer {
  if (text.isWellFormed()) return Buffer.from(text);
  const bytes = Buffer.allocUnsafe(byteLengthOfText(text));
  writeText(bytes, text, 0);
  return bytes;
}

export function byteLengthOfText(text: string): number {
  return text.isWellFormed() ? Buffer.byteLength(text) : Buffer.byteLength(text) - 2 * countEscapes(text);
}

/** Puts the bytes of the text at the offset, and gives where they end. There has to be room. */
export function writeText(target: Buffer, text: string, offset: number): number {
  if (text.isWellFormed()) return offset + target.write(text, offset, "utf8");
  let end = offset;
  let begin = 0;
  for (let index = 0; index < text.length; index++) {
    if (!isEscape(text, index)) continue;
    end += target.write(text.slice(begin, index), end, "utf8");
    target[end++] = text.charCodeAt(index) & 0xff;
    begin = index + 1;
  }
  return end + target.write(text.slice(begin), end, "utf8");
}

function countEscapes(text: string): number {
  let count = 0;
  for (let index = 0; index < text.length; index++) if (isEscape(text, index)) count += 1;
  return count;
}

/** The second half of a pair is none, whatever its value. */
function isEscape(text: string, index: number): boolean {
  const unit = text.charCodeAt(index);
  if (unit < FIRST_ESCAPE || unit > LAST_ESCAPE) return false;
  const before = index === 0 ? 0 : text.charCodeAt(index - 1);
  return before < 0xd800 || before > 0xdbff;
}

export function textOfBytes(bytes: Buffer, start = 0, end = bytes.length): string {
  const text = bytes.toString("utf8", start, end);
  return text.includes(REPLACED) ? decodeWithEscapes(bytes, start, end) : text;
}

function decodeWithEscapes(bytes: Buffer, start: number, end: number): string {
  let text = "";
  let begin = start;
  for (let index = start; index < end;) {
    const length = validLength(bytes, index, end);
    if (length > 0) {
      index += length;
      continue;
    }
    text += bytes.toString("utf8", begin, index) + String.fromCharCode(ESCAPE | (bytes[index] as number));
    index += 1;
    begin = index;
  }
  return text + bytes.toString("utf8", begin, end);
}

/** Of the UTF-8 sequence that begins here (Unicode 16, table 3-7); 0 where none does. */
function validLength(bytes: Buffer, index: number, end: number): number {
  const first = bytes[index] as number;
  if (first < 0x80) return 1;
  const length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length === 0 || index + length > end) return 0;
  const second = bytes[index + 1] as number;
  const lowest = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const highest = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < lowest || second > highest) return 0;
  for (let next = index + 2; next < index + length; next++) if (((bytes[next] as number) & 0xc0) !== 0x80) return 0;
  return length;
}

/** In the order of their bytes. */
export function compareTexts(one: string, other: string): number {
  return one === other ? 0 : Buffer.compare(bytesOfText(one), bytesOfText(other));
}
