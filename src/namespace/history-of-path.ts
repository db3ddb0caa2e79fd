import { type Inode, ROOT_INODE } from "../core/ids.ts";
import { findFirst, keyAfter, prefixRange, type Program, type Reader, type Transaction } from "../kv/index.ts";
import { keepsVersions, rulesOf } from "./bucket-rows.ts";
import {
  decodeHistory,
  decodeSequence,
  historyKey,
  historyOf,
  type HistoryPlace,
  type HistoryRow,
  indexKey,
  type Named,
  NULL,
  putHistory,
} from "./history-rows.ts";
import { findPastIn, type Layer, layersOf } from "./past-rows.ts";
import { componentsOf, splitPath } from "./path.ts";
import { type Levels, LEVELS_AT_ONCE, MissingLevels } from "./missing-levels.ts";
import { readEntry } from "./names.ts";
import { makePast } from "./past-directories.ts";
import type { Maker } from "./tree.ts";

/**
 * The history of a path: rows that hang at a name in its directory, be that there or past, and then in the past directories below that one. What
 * comes from these is known by its id alone, for only one of all versions of a path is called `null`.
 */

/** The directories that the history of what lies in `path` may hang in, the newest first. */
export function* historyLayers(tx: Reader, path: string): Program<Layer[]> {
  let layers: Layer[] = [{ inode: ROOT_INODE, covered: false }];
  for (const component of componentsOf(path)) {
    const [top] = layers;
    const name = `${component}/`;
    const entry = top === undefined ? undefined : yield* readEntry(tx, top.inode, name);
    const found: Layer[] = entry === undefined ? [] : [{ inode: entry.inode, covered: false }];
    for (const { inode: directory, covered } of layers) {
      const inode = yield* findPastIn(tx, directory, name);
      if (inode !== undefined) found.push({ inode, covered });
    }
    layers = [];
    for (const layer of found) layers.push(...(yield* layersOf(tx, layer)));
  }
  return layers;
}

/**
 * The directory of a path for its history to grow in, be it there or past; what never was there is made, as past. Throws `MissingLevels` where that is more than goes
 * into one transaction.
 */
export function* ensureHistoryDirectory(tx: Transaction, path: string, { nowMs, nextInode }: Maker): Program<Inode> {
  let inode: Inode = ROOT_INODE;
  let made = 0;
  const components = componentsOf(path);
  for (const [known, component] of components.entries()) {
    const name = `${component}/`;
    const found: Inode | undefined = (yield* readEntry(tx, inode, name))?.inode ?? (yield* findPastIn(tx, inode, name));
    if (found !== undefined) {
      inode = found;
      continue;
    }
    if (made === 0 && components.length - known > LEVELS_AT_ONCE) {
      const make: Levels["make"] = (step, prefix, next) =>
        ensureHistoryDirectory(step, prefix, { nowMs, nextInode: next });
      throw new MissingLevels({ path, known, nowMs, make });
    }
    const past = nextInode();
    makePast(tx, { parent: inode, name }, past);
    made += 1;
    inode = past;
  }
  return inode;
}

function* layersAt(tx: Reader, path: string): Program<{ readonly named: Named; readonly covered: boolean }[]> {
  if (!keepsVersions(yield* rulesOf(tx, path))) return [];
  const { parent, name } = splitPath(path);
  const layers = yield* historyLayers(tx, parent);
  return layers.map(({ inode: directory, covered }) => ({ named: { directory, name }, covered }));
}

export function asShown(row: HistoryRow, covered: boolean): HistoryRow {
  return row.versioned || !covered ? row : { ...row, versioned: true, wasNull: true };
}

export function* newestOf(tx: Reader, path: string): Program<HistoryRow | undefined> {
  return (yield* historyAfter(tx, path, { limit: 1 }))[0];
}

export function* findHistory(tx: Reader, path: string, shownId: string): Program<HistoryRow | undefined> {
  for (const { named, covered } of yield* layersAt(tx, path)) {
    const row = covered && shownId === NULL ? undefined : yield* findIn(tx, named, shownId);
    if (row !== undefined) return row;
    const unnamed = covered ? yield* findIn(tx, named, NULL) : undefined;
    if (unnamed?.versionId === shownId) return asShown(unnamed, covered);
  }
  return undefined;
}

function* findIn(tx: Reader, named: Named, shownId: string): Program<HistoryRow | undefined> {
  const index = yield* tx.get(indexKey(named, shownId));
  if (index === undefined) return undefined;
  const key = historyKey(named, decodeSequence(index));
  const row = yield* tx.get(key);
  return row === undefined ? undefined : decodeHistory(key, row);
}

export interface HistoryQuery {
  /** The row that was given last. Where its directory is no more of the path, nothing comes after it. */
  readonly after?: HistoryPlace;
  readonly limit: number;
}

/** The rows of a path after one of them, or from the newest. */
export function* historyAfter(tx: Reader, path: string, { after, limit }: HistoryQuery): Program<HistoryRow[]> {
  const rows: HistoryRow[] = [];
  let begun = after === undefined;
  for (const { named, covered } of yield* layersAt(tx, path)) {
    const isLast = !begun && named.directory === after?.directory;
    if (!begun && !isLast) continue;
    begun = true;
    const range = prefixRange(historyOf(named));
    const start = isLast && after !== undefined ? keyAfter(historyKey(named, after.sequence)) : range.start;
    const found = yield* tx.range({ start, end: range.end, limit: limit - rows.length });
    for (const { key, value } of found) rows.push(asShown(decodeHistory(key, value), covered));
    if (rows.length === limit) break;
  }
  return rows;
}

/** On top of what is there; `directory` is the newest of the path. */
export function* pushHistory(tx: Transaction, row: Omit<HistoryRow, "sequence">): Program<HistoryRow> {
  const below = yield* findFirst(tx, historyOf(row));
  const sequence = below === undefined ? 1 : decodeHistory(below.key, below.value).sequence + 1;
  const placed = { ...row, sequence };
  putHistory(tx, placed);
  return placed;
}
