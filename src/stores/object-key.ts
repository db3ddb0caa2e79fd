import { GfsError } from "../core/errors.ts";

const MAX_KEY_BYTES = 1_024;
const LONE_SURROGATE = /\p{Surrogate}/u;

/** What every driver may rely on of a key; paths are stricter, and that is the namespace's business. */
export function checkObjectKey(key: string): void {
  if (key === "") throw new GfsError("InvalidKey", "An object's key is empty.", { op: "store.key" });
  if (key.includes("\0")) throw new GfsError("InvalidKey", "An object's key holds a NUL.", { op: "store.key" });
  if (LONE_SURROGATE.test(key))
    throw new GfsError("InvalidKey", "An object's key is not valid Unicode.", { op: "store.key" });
  if (key.length * 3 > MAX_KEY_BYTES && Buffer.byteLength(key) > MAX_KEY_BYTES) {
    throw new GfsError("KeyTooLong", `An object's key has at most ${MAX_KEY_BYTES} bytes.`, { op: "store.key" });
  }
}

/** The order of keys everywhere: that of their UTF-8 bytes. Comparing UTF-16 units would put U+E000 after U+1F600. */
export function compareKeys(one: string, other: string): number {
  if (one === other) return 0;
  const length = Math.min(one.length, other.length);
  for (let index = 0; index < length; index++) {
    let left = one.charCodeAt(index);
    let right = other.charCodeAt(index);
    if (left === right) continue;
    // Surrogates stand for code points above all others.
    if (left >= 0xd800 && left <= 0xdfff) left += 0x10000;
    if (right >= 0xd800 && right <= 0xdfff) right += 0x10000;
    return left - right;
  }
  return one.length - other.length;
}
