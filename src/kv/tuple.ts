import { byteLengthOfText, textOfBytes, writeText } from "../core/byte-text.ts";
import { GfsError } from "../core/errors.ts";
import type { Key, KeyRange } from "./kv.ts";

/**
 * Order-preserving keys of several parts: a space, which says what kind of row it is, then numbers, strings, and at most one tail.
 *
 * - The space and a string end with a zero byte, so that "a" sorts before "ab" and one is never a prefix of the other.
 * - A number is eight bytes, big-endian.
 * - A tail is raw up to the end of the key, so that a scan yields names in the order of their bytes.
 * - Texts are UTF-8, and may stand for any other bytes (`core/byte-text.ts`), save NUL in a string.
 *
 * Parts carry no type tags: whoever reads a key knows its shape. `docs/formats.md` lists every shape.
 */
export type KeyPart = string | number | Tail;

export interface Tail {
  readonly tail: string;
}

export function tail(text: string): Tail {
  return { tail: text };
}

const HIGH = 2 ** 32;

/** Strings hold no NUL and numbers are integers from 0 to 2^53 - 1; callers check names at the door. */
export function encodeKey(space: string, ...parts: readonly KeyPart[]): Key {
  let size = space.length + 1;
  for (const part of parts) {
    if (typeof part === "number") size += 8;
    else if (typeof part === "string") size += byteLengthOfText(part) + 1;
    else size += byteLengthOfText(part.tail);
  }
  const key = Buffer.allocUnsafe(size);
  let offset = key.write(space, 0, "latin1");
  key[offset++] = 0;
  for (const part of parts) {
    if (typeof part === "number") {
      assertNumber(part);
      key.writeUInt32BE(Math.floor(part / HIGH), offset);
      key.writeUInt32BE(part % HIGH, offset + 4);
      offset += 8;
    } else if (typeof part === "string") {
      offset = writeText(key, part, offset);
      key[offset++] = 0;
    } else {
      offset = writeText(key, part.tail, offset);
    }
  }
  return key;
}

function assertNumber(value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new GfsError("Internal", `A key's number must be an integer from 0 to 2^53 - 1, not ${value}.`);
  }
}

export type PartShape = "number" | "string" | "tail";

/** Reads the parts back, without the space. A key of another shape is `DataCorrupt`. */
export function decodeKey(key: Key, shape: readonly PartShape[]): (string | number)[] {
  const bytes = Buffer.from(key.buffer, key.byteOffset, key.byteLength);
  let offset = bytes.indexOf(0) + 1;
  if (offset === 0) throw corrupt();
  const parts: (string | number)[] = [];
  for (const kind of shape) {
    if (kind === "number") {
      if (offset + 8 > bytes.length) throw corrupt();
      parts.push(bytes.readUInt32BE(offset) * HIGH + bytes.readUInt32BE(offset + 4));
      offset += 8;
    } else if (kind === "string") {
      const end = bytes.indexOf(0, offset);
      if (end === -1) throw corrupt();
      parts.push(textOfBytes(bytes, offset, end));
      offset = end + 1;
    } else {
      parts.push(textOfBytes(bytes, offset));
      offset = bytes.length;
    }
  }
  if (offset !== bytes.length) throw corrupt();
  return parts;
}

function corrupt(): GfsError {
  return new GfsError("DataCorrupt", "A key in the catalog has an unknown shape; `globalfs meta check` tells more.");
}

/** All keys that begin with these bytes. */
export function prefixRange(prefix: Key): KeyRange {
  return { start: prefix, end: afterPrefix(prefix) };
}

/** The first key after all that begin with `prefix`. */
export function afterPrefix(prefix: Key): Key {
  const end = Buffer.from(prefix);
  for (let index = end.length - 1; index >= 0; index--) {
    const byte = end[index] as number;
    if (byte === 0xff) continue;
    end[index] = byte + 1;
    return end.subarray(0, index + 1);
  }
  throw new GfsError("Internal", "A prefix of 0xff bytes has no end.");
}

/** The smallest key after `key`. */
export function keyAfter(key: Key): Key {
  const next = Buffer.allocUnsafe(key.byteLength + 1);
  next.set(key);
  next[key.byteLength] = 0;
  return next;
}

export function compareBytes(one: Uint8Array, other: Uint8Array): number {
  return Buffer.compare(one, other);
}
