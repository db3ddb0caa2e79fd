import { afterPrefix, keyAfter, type Key, prefixRange, type Program, type Reader } from "../kv/index.ts";
import { decodeHistory, historyBelow, historyKey, historyOf, type HistoryRow, newestOf } from "./history-rows.ts";
import { listPage } from "./list.ts";
import { getInode } from "./inodes.ts";
import { findFile } from "./tree.ts";
import type { FileRecord } from "./types.ts";
import { compareTexts } from "../core/byte-text.ts";
import type { FilePath } from "../core/ids.ts";

/** Current versions and histories in one order: by key, and within a key the newest first. All of a page comes from one moment. */

export interface VersionQuery {
  readonly prefix: string;
  readonly delimiter?: "/";
  readonly after?: VersionPlace;
  readonly limit: number;
}

export interface VersionPlace {
  readonly key: string;
  /** Of the history row that was given last; `current`: the key's current version was; `none`: nothing of it; absent: all of it. */
  readonly row?: number | "current" | "none";
}

export interface VersionItem {
  readonly key: string;
  readonly isLatest: boolean;
  /** The current version, or the holder of an older one; absent for a delete marker. */
  readonly file?: FileRecord;
  /** Absent for the current version. */
  readonly row?: HistoryRow;
}

export interface VersionPage {
  readonly items: readonly VersionItem[];
  readonly prefixes: readonly string[];
  /** Absent on the last page. */
  readonly next?: VersionPlace;
}

const MAX_RANGE = 1_000;

export function* pageVersions(tx: Reader, query: VersionQuery): Program<VersionPage> {
  const { prefix, delimiter, after, limit } = query;
  const scope = { prefix, ...(delimiter === undefined ? {} : { delimiter }) };
  const current = yield* listPage(tx, {
    ...scope,
    limit: limit + 1,
    ...(after === undefined ? {} : { after: after.key }),
  });
  const first = after?.row === "none" ? yield* findFile(tx, after.key as FilePath) : undefined;
  const entries = [
    ...(first === undefined || after === undefined ? [] : [{ key: after.key, file: first }]),
    ...current.files.map(({ key, file }) => ({ key, file: file as FileRecord | undefined })),
    ...current.prefixes.map((key) => ({ key, file: undefined })),
  ].sort((one, other) => compareTexts(one.key, other.key));
  const history = new HistoryWalk(query);
  const items: VersionItem[] = [];
  const prefixes: string[] = [];
  let last: VersionPlace | undefined;
  let index = 0;
  for (;;) {
    const entry = entries[index];
    const row = yield* history.peek(tx);
    const key =
      row === undefined || (entry !== undefined && compareTexts(entry.key, row.key) <= 0) ? entry?.key : row.key;
    if (key === undefined) break;
    if (items.length + prefixes.length === limit)
      return { items, prefixes, ...(last === undefined ? {} : { next: last }) };
    if (entry?.key === key) {
      index += 1;
      if (entry.file === undefined) {
        prefixes.push(key);
        history.skip(key);
        last = { key };
      } else {
        items.push({ key, file: entry.file, isLatest: true });
        history.hasCurrent = key;
        last = { key, row: "current" };
      }
    } else if (row?.row === undefined) {
      prefixes.push(key);
      history.skip(key);
      last = { key };
    } else {
      const holder = row.row.inode === undefined ? {} : { file: yield* getInode(tx, row.row.inode) };
      items.push({ key, row: row.row, isLatest: row.isLatest, ...holder });
      history.advance();
      last = { key, row: row.row.sequence };
    }
  }
  return { items, prefixes };
}

interface WalkedRow {
  /** A common prefix when there is no row. */
  readonly key: string;
  readonly row?: HistoryRow;
  readonly isLatest: boolean;
}

class HistoryWalk {
  readonly #prefix: string;
  readonly #rollUp: boolean;
  readonly #end: Key;
  readonly #page: number;
  #start: Key;
  #rows: HistoryRow[] = [];
  #index = 0;
  #ended = false;
  #previousKey: string | undefined;
  #resumed: string | undefined;
  hasCurrent: string | undefined;

  constructor({ prefix, delimiter, after, limit }: VersionQuery) {
    this.#prefix = prefix;
    this.#rollUp = delimiter === "/";
    this.#page = Math.min(MAX_RANGE, limit + 1);
    const range = prefixRange(historyBelow(prefix));
    this.#end = range.end;
    const from = after === undefined ? range.start : this.#startAfter(after);
    this.#start = Buffer.compare(from, range.start) > 0 ? from : range.start;
  }

  #startAfter({ key, row }: VersionPlace): Key {
    if (typeof row === "number") {
      this.#resumed = key;
      return keyAfter(historyKey(key, row));
    }
    if (row === "current") {
      this.hasCurrent = key;
      return historyOf(key);
    }
    const rolled = this.#rollUp && key.endsWith("/") && key.length > this.#prefix.length;
    if (row === "none") return historyOf(key);
    return afterPrefix(rolled ? historyBelow(key) : historyOf(key));
  }

  *peek(tx: Reader): Program<WalkedRow | undefined> {
    while (this.#index === this.#rows.length) {
      if (this.#ended || Buffer.compare(this.#start, this.#end) >= 0) return undefined;
      const rows = yield* tx.range({ start: this.#start, end: this.#end, limit: this.#page });
      this.#rows = rows.map(({ key, value }) => decodeHistory(key, value));
      this.#index = 0;
      this.#ended = rows.length < this.#page;
      const last = rows.at(-1);
      if (last !== undefined) this.#start = keyAfter(last.key);
    }
    const row = this.#rows[this.#index] as HistoryRow;
    const slash = this.#rollUp ? row.path.indexOf("/", this.#prefix.length) : -1;
    if (slash !== -1) return { key: row.path.slice(0, slash + 1), isLatest: false };
    return { key: row.path, row, isLatest: yield* this.#isLatest(tx, row) };
  }

  *#isLatest(tx: Reader, row: HistoryRow): Program<boolean> {
    if (row.path === this.#previousKey || row.path === this.hasCurrent) return false;
    if (row.path !== this.#resumed) return true;
    const newest = yield* newestOf(tx, row.path);
    return newest?.sequence === row.sequence && (yield* findFile(tx, row.path)) === undefined;
  }

  advance(): void {
    this.#previousKey = this.#rows[this.#index]?.path;
    this.#index += 1;
  }

  /** Past all that a common prefix rolls up. */
  skip(prefix: string): void {
    while (this.#rows[this.#index]?.path.startsWith(prefix) === true) this.#index += 1;
    const start = afterPrefix(historyBelow(prefix));
    if (Buffer.compare(start, this.#start) > 0) this.#start = start;
  }
}
