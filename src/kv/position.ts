import type { Key } from "./kv.ts";

/** Where an append stands among all others: the revision of its commit, and its place in the transaction. */

/** More than one transaction may append. With so many places in each, revisions may grow to some nine million million. */
const PLACES = 1_024;

export function positionAt(revision: number, index: number): number {
  return revision * PLACES + index;
}

export function appendKey(prefix: Key, position: number): Key {
  const key = Buffer.allocUnsafe(prefix.byteLength + 8);
  key.set(prefix);
  key.writeUInt32BE(Math.floor(position / 2 ** 32), prefix.byteLength);
  key.writeUInt32BE(position % 2 ** 32, prefix.byteLength + 4);
  return key;
}

/** Of a key that an append made. */
export function positionOf(key: Key): number {
  const bytes = Buffer.from(key.buffer, key.byteOffset, key.byteLength);
  return bytes.readUInt32BE(key.byteLength - 8) * 2 ** 32 + bytes.readUInt32BE(key.byteLength - 4);
}
