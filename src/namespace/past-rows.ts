import type { Inode } from "../core/ids.ts";
import type { Key, Program, Reader, Transaction } from "../kv/index.ts";
import { decodeKey, encodeKey, prefixRange, tail } from "../kv/index.ts";
import { decodeNumber, encodeNumber } from "./rows.ts";

/**
 * Directories that are gone but for the history of what lay in them: no entry leads to them. One hangs in its directory by its name, until a directory
 * of that name is made again, which it then is. Where another one is moved to the name, the past one hangs in that from then on, without a name: its
 * history goes on below that of the other, wherever this goes. Several without a name are in the order in which they came, the newest first.
 */

const PAST = "vd";
/** A directory hangs below another one without a name of its own. */
export const NAMELESS = "";

export const pastSpace = encodeKey(PAST);

export interface PastPlace {
  readonly directory: Inode;
  /** With a trailing slash, as names of directories are in entries. */
  readonly name: string;
  readonly order: number;
}

export function pastKey({ directory, name, order }: PastPlace): Key {
  return encodeKey(PAST, directory, name, order);
}

export function placeOfPastKey(key: Key): PastPlace {
  const [directory, name, order] = decodeKey(key, ["number", "string", "number"]);
  return { directory: directory as Inode, name: name as string, order: order as number };
}

/** All that hang in a directory. */
export function pastIn(directory: Inode): Key {
  return encodeKey(PAST, directory);
}

/** Where those in a directory begin whose names begin so, or come after those. */
export function pastFrom(directory: Inode, prefix: string): Key {
  return encodeKey(PAST, directory, tail(prefix));
}

export function decodePast(bytes: Uint8Array): Inode {
  return decodeNumber(bytes) as Inode;
}

export function putPast(tx: Transaction, place: PastPlace, past: Inode): void {
  tx.put(pastKey(place), encodeNumber(past));
}

export function* findPastIn(tx: Reader, directory: Inode, name: string): Program<Inode | undefined> {
  const row = yield* tx.get(pastKey({ directory, name, order: 0 }));
  return row === undefined ? undefined : decodePast(row);
}

const MOST = 1_000;

/** Those without a name, the newest first. */
export function* namelessIn(
  tx: Reader,
  directory: Inode,
): Program<readonly { readonly place: PastPlace; readonly inode: Inode }[]> {
  const rows = yield* tx.range({ ...prefixRange(encodeKey(PAST, directory, NAMELESS)), limit: MOST });
  return rows.map(({ key, value }) => ({ place: placeOfPastKey(key), inode: decodePast(value) }));
}

/** A directory that the history of a path hangs in. */
export interface Layer {
  readonly inode: Inode;
  /** It came to hang below another one, whose history may have a `null` version, too: what hangs in it goes by its ids. */
  readonly covered: boolean;
}

/** The directory, and those without a name below it, in whose order their histories follow each other. */
export function* layersOf(tx: Reader, top: Layer): Program<Layer[]> {
  const layers = [top];
  for (const { inode } of yield* namelessIn(tx, top.inode))
    layers.push(...(yield* layersOf(tx, { inode, covered: true })));
  return layers;
}
