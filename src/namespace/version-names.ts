import { compareTexts } from "../core/byte-text.ts";
import type { Inode } from "../core/ids.ts";
import { afterPrefix, compareBytes, keyAfter, type Key, type KvEntry, type Program, type Reader } from "../kv/index.ts";
import { asShown } from "./history-of-path.ts";
import {
  decodeHistory,
  historyFrom,
  historyKey,
  historyOf,
  type HistoryPlace,
  type HistoryRow,
} from "./history-rows.ts";
import { decodePast, type Layer, NAMELESS, pastFrom, placeOfPastKey } from "./past-rows.ts";
import { decodeEntry, type Entry, entryKey, nameOfEntryKey } from "./rows.ts";

/** The names in one directory, be it there or past, with what the past directories below it have of the same names: entries, histories and past directories. */

/** Where a listing goes on, relative to the directory. */
export interface After {
  readonly key: string;
  readonly row?: HistoryPlace | "current" | "none";
}

export interface Directory {
  /** The directory itself first, when it is there. */
  readonly layers: readonly Layer[];
  readonly isThere: boolean;
  /** What names begin with. */
  readonly prefix?: string;
  readonly after?: After | undefined;
  /** No more rows are wanted of it. */
  readonly most: number;
}

export function isSameRow(one: HistoryPlace | undefined, other: HistoryPlace): boolean {
  return one?.directory === other.directory && one.sequence === other.sequence;
}

interface Item<T> {
  readonly name: string;
  readonly value: T;
}

const MAX_RANGE = 1_000;

class Cursor<T> {
  readonly #end: Key;
  readonly #limit: number;
  readonly #decode: (row: KvEntry) => Item<T> | undefined;
  #start: Key;
  #items: Item<T>[] = [];
  #index = 0;
  #ended = false;

  constructor(
    range: { readonly start: Key; readonly end: Key },
    limit: number,
    decode: (row: KvEntry) => Item<T> | undefined,
  ) {
    this.#start = range.start;
    this.#end = range.end;
    this.#limit = limit;
    this.#decode = decode;
  }

  *peek(tx: Reader): Program<Item<T> | undefined> {
    while (this.#index === this.#items.length) {
      if (this.#ended || compareBytes(this.#start, this.#end) >= 0) return undefined;
      const rows = yield* tx.range({ start: this.#start, end: this.#end, limit: this.#limit });
      this.#items = rows.map(this.#decode).filter((item) => item !== undefined);
      this.#index = 0;
      this.#ended = rows.length < this.#limit;
      const last = rows.at(-1);
      if (last !== undefined) this.#start = keyAfter(last.key);
    }
    return this.#items[this.#index];
  }

  advance(): void {
    this.#index += 1;
  }
}

export class DirectoryNames {
  readonly #entries: Cursor<Entry> | undefined;
  readonly #histories: readonly Cursor<HistoryRow>[];
  readonly #past: readonly Cursor<Layer>[];
  /** That has the row, or the directory, that was looked at last. */
  #current: Cursor<HistoryRow> | undefined;
  #together: readonly { advance(): void }[] = [];

  constructor({ layers, isThere, prefix = "", after, most }: Directory) {
    const limit = Math.max(1, Math.min(MAX_RANGE, most));
    const top = layers[0]?.inode;
    const begin = (of: (prefix: string) => Key, from: Key | undefined) => {
      const first = of(prefix);
      const start = from !== undefined && compareBytes(from, first) > 0 ? from : first;
      return { start, end: afterPrefix(first) };
    };
    this.#entries =
      top === undefined || !isThere
        ? undefined
        : new Cursor(
            begin((name) => entryKey(top, name), after && entriesAfter(top, after)),
            limit,
            (row) => ({
              name: nameOfEntryKey(row.key),
              value: decodeEntry(row.value),
            }),
          );
    this.#histories = layers.map(({ inode: directory, covered }, index) => {
      const from = after && historyAfterIn(layers, index, after);
      const range = begin((name) => historyFrom(directory, name), from);
      return new Cursor(range, limit, ({ key, value }) => {
        const row = asShown(decodeHistory(key, value), covered);
        return { name: row.name, value: row };
      });
    });
    this.#past = layers.map(({ inode: directory, covered }) => {
      const from = after && pastFrom(directory, nameIn(after));
      return new Cursor(
        begin((name) => pastFrom(directory, name), from),
        limit,
        ({ key, value }) => {
          const { name } = placeOfPastKey(key);
          return name === NAMELESS ? undefined : { name, value: { inode: decodePast(value), covered } };
        },
      );
    });
  }

  /** The next name in order; those of directories end in a slash. */
  *peek(tx: Reader): Program<string | undefined> {
    let lowest: string | undefined;
    for (const cursor of this.#all()) {
      const name = (yield* cursor.peek(tx))?.name;
      if (name !== undefined && (lowest === undefined || compareTexts(name, lowest) < 0)) lowest = name;
    }
    return lowest;
  }

  #all(): readonly Cursor<unknown>[] {
    const below: readonly Cursor<unknown>[] = [...this.#histories, ...this.#past];
    return this.#entries === undefined ? below : [this.#entries, ...below];
  }

  *peekEntry(tx: Reader, name: string): Program<Entry | undefined> {
    const item = this.#entries === undefined ? undefined : yield* this.#entries.peek(tx);
    return item?.name === name ? item.value : undefined;
  }

  takeEntry(): void {
    this.#entries?.advance();
  }

  /** The newest row of the name that was not taken yet. */
  *peekRow(tx: Reader, name: string): Program<HistoryRow | undefined> {
    for (const cursor of this.#histories) {
      const item = yield* cursor.peek(tx);
      if (item?.name !== name) continue;
      this.#current = cursor;
      return item.value;
    }
    return undefined;
  }

  takeRow(): void {
    this.#current?.advance();
  }

  *peekDirectory(
    tx: Reader,
    name: string,
  ): Program<{ readonly entry: Entry | undefined; readonly past: readonly Layer[] }> {
    const entry = yield* this.peekEntry(tx, name);
    const together: { advance(): void }[] = entry === undefined ? [] : [this.#entries as Cursor<Entry>];
    const past: Layer[] = [];
    for (const cursor of this.#past) {
      const item = yield* cursor.peek(tx);
      if (item?.name !== name) continue;
      past.push(item.value);
      together.push(cursor);
    }
    this.#together = together;
    return { entry, past };
  }

  takeDirectory(): void {
    for (const cursor of this.#together) cursor.advance();
  }
}

/** The name in the directory that a listing goes on at. */
function nameIn({ key }: After): string {
  const slash = key.indexOf("/");
  return slash === -1 ? key : key.slice(0, slash + 1);
}

function entriesAfter(directory: Inode, after: After): Key {
  const name = nameIn(after);
  // A directory may hold keys that are not behind; so may the file itself be when nothing of it was given.
  return name.endsWith("/") || after.row === "none" ? entryKey(directory, name) : keyAfter(entryKey(directory, name));
}

function historyAfterIn(layers: readonly Layer[], index: number, after: After): Key {
  const directory = (layers[index] as Layer).inode;
  const name = nameIn(after);
  const { row } = after;
  const named = { directory, name };
  if (name.endsWith("/")) return historyFrom(directory, name);
  if (row === "none" || row === "current") return historyOf(named);
  const given = row === undefined ? -1 : layers.findIndex(({ inode }) => inode === row.directory);
  if (row !== undefined && index === given) return keyAfter(historyKey(named, row.sequence));
  return index > given && given !== -1 ? historyOf(named) : afterPrefix(historyOf(named));
}
