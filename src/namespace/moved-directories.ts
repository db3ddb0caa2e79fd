import type { FilePath, Inode, SiteName } from "../core/ids.ts";
import { decodeKey, encodeKey, prefixRange, type Program, type Reader, type Transaction } from "../kv/index.ts";
import { findTombstone, isBuried } from "./tombstones.ts";
import type { ForeignObject } from "./types.ts";

/**
 * Objects that nobody has taken in yet move with their directory, and lie under their old keys all the same. So renamed directories are remembered, in the order of
 * their renames, until everything that lay below the old name at a site was taken in: where an object belongs is told by replaying what was renamed since it
 * was put there.
 */
export interface MovedDirectory {
  readonly sequence: number;
  readonly from: FilePath;
  readonly to: FilePath;
  readonly inode: Inode;
  readonly atMs: number;
  /** Where something may still lie under the old name, with the last key there that was looked at. */
  readonly sites: Readonly<Record<SiteName, string>>;
  /** Its files are published already, although a site that does not answer may have more. */
  readonly published?: true;
}

/** What objects are told by. Others of the same key, put there since a rename, belong where they lie. */
type Lying = Pick<ForeignObject, "key" | "modifiedMs">;
type Moved = Pick<MovedDirectory, "from" | "to" | "atMs">;

const SPACE = "m";
const space = encodeKey(SPACE);
/** More than are ever let stand. */
const MOST_ROWS = 200;

/** In the order of the renames. */
export function* readMoves(tx: Reader): Program<readonly MovedDirectory[]> {
  const rows = yield* tx.range({ ...prefixRange(space), limit: MOST_ROWS });
  return rows.map(({ key, value }) => ({
    ...(JSON.parse(Buffer.from(value).toString()) as Omit<MovedDirectory, "sequence">),
    sequence: decodeKey(key, ["number"])[0] as number,
  }));
}

export function writeMove(tx: Transaction, { sequence, ...row }: MovedDirectory): void {
  tx.put(encodeKey(SPACE, sequence), Buffer.from(JSON.stringify(row)));
}

export function dropMove(tx: Transaction, { sequence }: Pick<MovedDirectory, "sequence">): void {
  tx.delete(encodeKey(SPACE, sequence));
}

/** The later of two is that of the later commit, whatever the clocks of two processes say. */
export function* appendMove(tx: Transaction, move: Omit<MovedDirectory, "sequence">): Program<void> {
  const last = (yield* readMoves(tx)).at(-1);
  const atMs = Math.max(move.atMs, last?.atMs ?? move.atMs);
  writeMove(tx, { ...move, atMs, sequence: (last?.sequence ?? 0) + 1 });
}

export function movesAt(moves: readonly MovedDirectory[], site: SiteName): readonly MovedDirectory[] {
  return moves.length === 0 ? moves : moves.filter(({ sites }) => sites[site] !== undefined);
}

/** Where an object belongs that lies at the site of these. */
export function keyOfObject(moves: readonly Moved[], object: Lying): string {
  return belonging(moves, object).name;
}

interface Belonging {
  readonly name: string;
  /** When it came there by a rename. */
  readonly sinceMs?: number;
}

function belonging(moves: readonly Moved[], { key, modifiedMs }: Lying): Belonging {
  let at: Belonging = { name: key };
  for (const { from, to, atMs } of moves)
    if (Math.floor(modifiedMs) <= atMs && at.name.startsWith(`${from}/`))
      at = { name: to + at.name.slice(from.length), sinceMs: atMs };
  return at;
}

/** Whether a delete covers it: of what lay under its key, or of its name since it came to have that. */
export function* isDeleted(tx: Reader, moves: readonly Moved[], object: ForeignObject): Program<boolean> {
  if (isBuried(yield* findTombstone(tx, object.key as FilePath), object)) return true;
  const { name, sinceMs } = belonging(moves, object);
  if (sinceMs === undefined) return false;
  const tombstone = yield* findTombstone(tx, name as FilePath);
  return tombstone !== undefined && tombstone.deletedMs > sinceMs && isBuried(tombstone, object);
}

/** What lies below a key at a site, and below which name it shows. Some of it belongs elsewhere: each object is to be asked. */
export interface View {
  readonly keys: string;
  readonly names: string;
}

/** The first is that of what belongs where it lies. */
export function viewsOf(moves: readonly Moved[]): readonly View[] {
  const native: View = { keys: "", names: "" };
  let views: View[] = [native];
  for (const move of moves) {
    const [from, to] = [`${move.from}/`, `${move.to}/`];
    const next: View[] = [];
    for (const view of views) {
      const { keys, names } = view;
      // What is elsewhere already was there before this rename, so all of it goes along.
      if (view !== native && names.startsWith(from)) {
        next.push({ keys, names: to + names.slice(from.length) });
        continue;
      }
      next.push(view);
      if (from.startsWith(names)) next.push({ keys: keys + from.slice(names.length), names: to });
    }
    views = next.filter(
      (one, index) => next.findIndex(({ keys, names }) => keys === one.keys && names === one.names) === index,
    );
  }
  return views;
}

/** Under which keys an object may lie that belongs to the name; the name itself is the first. */
export function keysFor(moves: readonly Moved[], name: string): readonly string[] {
  if (moves.length === 0) return [name];
  const keys = viewsOf(moves)
    .filter(({ names }) => name.startsWith(names))
    .map(({ keys: above, names }) => above + name.slice(names.length));
  return [...new Set(keys)];
}

/** Whether something else than what belongs to the name may lie under it, or what belongs to it elsewhere. */
export function isMoved(moves: readonly Moved[], name: string): boolean {
  return (
    keysFor(moves, name).length > 1 || keyOfObject(moves, { key: name, modifiedMs: Number.NEGATIVE_INFINITY }) !== name
  );
}

/** Where an object at the site belongs. */
export function* whereBelongs(tx: Reader, site: SiteName, object: Lying): Program<string> {
  return keyOfObject(movesAt(yield* readMoves(tx), site), object);
}
