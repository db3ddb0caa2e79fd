import type { Inode } from "../core/ids.ts";
import type { Key, Program, Reader, Transaction } from "../kv/index.ts";
import { decodeKey, encodeKey, findFirst, prefixRange, tail } from "../kv/index.ts";
import type { FileAttributes } from "./types.ts";

/**
 * Extended attributes, a row for each. The attributes of the inode tell how many there are and how large, so that most files cost no look. With
 * their inode go as many as a transaction has room for; the others are left to a walk, which finds them by a row of their own.
 */

const EXTENDED = "ix";
const LEFT = "iw";

/** So many go with their inode. */
const AT_ONCE = 16;
const A_COMMIT = 90;
export const MAX_EXTENDED = 256;

export const extendedSpace = encodeKey(EXTENDED);
export const leftSpace = encodeKey(LEFT);

export function extendedKey(inode: Inode, name: string): Key {
  return encodeKey(EXTENDED, inode, tail(name));
}

export function placeOfExtendedKey(key: Key): { readonly inode: Inode; readonly name: string } {
  const [inode, name] = decodeKey(key, ["number", "tail"]);
  return { inode: inode as Inode, name: name as string };
}

export function* namesOfExtended(tx: Reader, inode: Inode, limit: number): Program<string[]> {
  const rows = yield* tx.range({ ...prefixRange(encodeKey(EXTENDED, inode)), limit });
  return rows.map(({ key }) => placeOfExtendedKey(key).name);
}

/** For an inode that goes. */
export function* dropExtended(tx: Transaction, { inode, extended }: FileAttributes): Program<void> {
  if (extended === undefined) return;
  if (extended.count > AT_ONCE) return tx.put(encodeKey(LEFT, inode), Buffer.alloc(0));
  for (const name of yield* namesOfExtended(tx, inode, AT_ONCE)) tx.delete(extendedKey(inode, name));
}

/** Takes away what inodes have left behind; resolves with whether there is more. */
export function* clearLeftExtended(tx: Transaction): Program<boolean> {
  const row = yield* findFirst(tx, leftSpace);
  if (row === undefined) return false;
  const inode = decodeKey(row.key, ["number"])[0] as Inode;
  const names = yield* namesOfExtended(tx, inode, A_COMMIT);
  for (const name of names) tx.delete(extendedKey(inode, name));
  if (names.length < A_COMMIT) tx.delete(row.key);
  return true;
}

export function* isLeft(tx: Reader, inode: Inode): Program<boolean> {
  return (yield* tx.get(encodeKey(LEFT, inode))) !== undefined;
}
