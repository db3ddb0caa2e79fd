import type { Inode } from "../core/ids.ts";
import { afterPrefix, decodeKey, type Key, type KeyRange, type WatchEvent } from "../kv/index.ts";
import { decodeAttributes } from "./attributes-codec.ts";
import { attributesSpace, entrySpace, touchedSpace } from "./rows.ts";

/**
 * What a commit changed of what somebody may have read: a name in a directory, or what is told of an inode. It is read from the rows that were written, so that no
 * way to change the tree can be forgotten. What is told of a file is in its attributes: who replaces its content writes them, too.
 */
export type Touch = NameTouch | InodeTouch;

export interface NameTouch {
  readonly parent: Inode;
  readonly name: string;
}

export interface InodeTouch {
  readonly inode: Inode;
  /** The directory that tells of it along with its names. Of a directory it is left out: what is told of that goes with what is in it. */
  readonly parent?: Inode;
}

/** Holds the rows that tell of touches, and others between them. */
export const touchRange: KeyRange = { start: entrySpace, end: afterPrefix(touchedSpace) };

/** Undefined for a row that tells of none. */
export function touchOf({ key, value }: WatchEvent): Touch | undefined {
  if (isOf(entrySpace, key)) {
    const [parent, name] = decodeKey(key, ["number", "tail"]) as [Inode, string];
    return { parent, name: name.endsWith("/") ? name.slice(0, -1) : name };
  }
  if (isOf(touchedSpace, key)) return { inode: inodeOf(key) };
  if (!isOf(attributesSpace, key)) return undefined;
  const inode = inodeOf(key);
  if (value === undefined) return { inode };
  const { kind, parent } = decodeAttributes(inode, value);
  return kind === "directory" || parent === undefined ? { inode } : { inode, parent: parent.inode };
}

/** The inode whose attributes these are. */
export function attributesIn(key: Key): Inode | undefined {
  return isOf(attributesSpace, key) ? inodeOf(key) : undefined;
}

export function isTouching(key: Key): boolean {
  return isOf(attributesSpace, key) || isOf(entrySpace, key) || isOf(touchedSpace, key);
}

function inodeOf(key: Key): Inode {
  return decodeKey(key, ["number"])[0] as Inode;
}

function isOf(space: Key, key: Key): boolean {
  for (let index = 0; index < space.byteLength; index++) if (key[index] !== space[index]) return false;
  return true;
}
