import { compareTexts } from "../core/byte-text.ts";
import type { FilePath } from "../core/ids.ts";
import type { Program, Reader } from "../kv/index.ts";
import { getHeld } from "./history.ts";
import { historyLayers, newestOf } from "./history-of-path.ts";
import type { HistoryPlace, HistoryRow } from "./history-rows.ts";
import { getEntered } from "./inodes.ts";
import { type Layer, layersOf } from "./past-rows.ts";
import type { Entry } from "./rows.ts";
import { findDirectoryInode, findFile } from "./tree.ts";
import type { FileRecord } from "./types.ts";
import { type After, DirectoryNames, isSameRow } from "./version-names.ts";

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
  readonly row?: HistoryPlace | "current" | "none";
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

export function* pageVersions(tx: Reader, query: VersionQuery): Program<VersionPage> {
  return yield* new VersionWalk(query).run(tx);
}

interface Frame {
  /** What all keys of the directory begin with: empty, or ending in a slash. */
  readonly path: string;
  readonly names: DirectoryNames;
  /** What of `after` lies below the first directory that is met. */
  readonly below: { readonly name: string; readonly rest: After } | undefined;
}

/** Depth first through directories that are there and past ones; with a delimiter it enters none of those that it rolls up. */
class VersionWalk {
  readonly #query: VersionQuery;
  readonly #items: VersionItem[] = [];
  readonly #prefixes: string[] = [];
  readonly #stack: Frame[] = [];
  #last: VersionPlace | undefined;
  #isFull = false;

  constructor(query: VersionQuery) {
    this.#query = query;
  }

  *run(tx: Reader): Program<VersionPage> {
    yield* this.#begin(tx);
    for (let frame = this.#stack.at(-1); frame !== undefined; frame = this.#stack.at(-1)) {
      const name = yield* frame.names.peek(tx);
      if (name === undefined) this.#stack.pop();
      else if (name.endsWith("/")) yield* this.#visitDirectory(tx, frame, name);
      else yield* this.#visitFile(tx, frame, name);
      if (this.#isFull) break;
    }
    const page = { items: this.#items, prefixes: this.#prefixes };
    return this.#isFull && this.#last !== undefined ? { ...page, next: this.#last } : page;
  }

  *#begin(tx: Reader): Program<void> {
    const { prefix, after } = this.#query;
    if (after !== undefined && !after.key.startsWith(prefix) && compareTexts(after.key, prefix) > 0) return;
    const base = prefix.slice(0, prefix.lastIndexOf("/") + 1);
    const path = base.slice(0, -1);
    const layers = yield* historyLayers(tx, path);
    const there = yield* findDirectoryInode(tx, path);
    const begins = after === undefined || compareTexts(base, after.key) > 0;
    if (base !== "" && base === prefix && begins && there !== undefined)
      yield* this.#addDirectory(tx, base, { inode: there, kind: "directory" });
    const inside = after?.key.startsWith(base) === true ? { ...after, key: after.key.slice(base.length) } : undefined;
    this.#enter({ path: base, layers, isThere: there !== undefined, prefix: prefix.slice(base.length), after: inside });
  }

  #enter(frame: {
    readonly path: string;
    readonly layers: readonly Layer[];
    readonly isThere: boolean;
    readonly prefix?: string;
    readonly after?: After | undefined;
  }): void {
    const { path, after } = frame;
    const most = this.#query.limit - this.#items.length - this.#prefixes.length + 1;
    const slash = after?.key.indexOf("/") ?? -1;
    const below =
      after === undefined || slash === -1
        ? undefined
        : { name: after.key.slice(0, slash + 1), rest: { ...after, key: after.key.slice(slash + 1) } };
    this.#stack.push({ path, names: new DirectoryNames({ ...frame, most }), below });
  }

  /** False when the page is full: there is more, and that is all the caller needs to know. */
  #hasRoom(): boolean {
    this.#isFull = this.#items.length + this.#prefixes.length >= this.#query.limit;
    return !this.#isFull;
  }

  *#visitFile(tx: Reader, { path, names }: Frame, name: string): Program<void> {
    const key = path + name;
    const current = yield* names.peekEntry(tx, name);
    if (current !== undefined) {
      if (!this.#hasRoom()) return;
      names.takeEntry();
      this.#items.push({ key, file: yield* getEntered(tx, current), isLatest: true });
      this.#last = { key, row: "current" };
    }
    let isFirst = current === undefined;
    for (let row = yield* names.peekRow(tx, name); row !== undefined; row = yield* names.peekRow(tx, name)) {
      if (!this.#hasRoom()) return;
      const isLatest = isFirst && (yield* this.#isLatest(tx, key, row));
      const holder = row.inode === undefined ? {} : { file: yield* getHeld(tx, row, row.inode) };
      this.#items.push({ key, row, isLatest, ...holder });
      this.#last = { key, row: { directory: row.directory, sequence: row.sequence } };
      isFirst = false;
      names.takeRow();
    }
  }

  /** Where the page before ended within the key, what was given of it may be gone by now. */
  *#isLatest(tx: Reader, key: string, row: HistoryRow): Program<boolean> {
    const { after } = this.#query;
    if (after?.key !== key || after.row === "none") return true;
    if (after.row === "current") return false;
    return isSameRow(yield* newestOf(tx, key), row) && (yield* findFile(tx, key as FilePath)) === undefined;
  }

  *#visitDirectory(tx: Reader, { path, names, below }: Frame, name: string): Program<void> {
    const key = path + name;
    const rest = below?.name === name ? below.rest : undefined;
    const { entry, past } = yield* names.peekDirectory(tx, name);
    if (this.#query.delimiter === "/") {
      if (!(yield* this.#rollUp(tx, key, rest))) return;
    } else {
      if (entry !== undefined && rest === undefined && !(yield* this.#addDirectory(tx, key, entry))) return;
      const layers: Layer[] = [];
      const there = entry === undefined ? [] : [{ inode: entry.inode, covered: false }];
      for (const layer of [...there, ...past]) layers.push(...(yield* layersOf(tx, layer)));
      this.#enter({ path: key, layers, isThere: entry !== undefined, after: rest?.key === "" ? undefined : rest });
    }
    names.takeDirectory();
  }

  /** One that somebody made is listed as a key of its own. */
  *#addDirectory(tx: Reader, key: string, entry: Entry): Program<boolean> {
    const file = yield* getEntered(tx, entry);
    if (file.implicit === true) return true;
    if (!this.#hasRoom()) return false;
    this.#items.push({ key, file, isLatest: true });
    this.#last = { key, row: "current" };
    return true;
  }

  /** When `after` lies below, the directory still counts if anything follows it there; when it is the prefix itself, that was given already. */
  *#rollUp(tx: Reader, key: string, rest: After | undefined): Program<boolean> {
    if (rest?.key === "") return true;
    if (rest !== undefined) {
      const after = { ...rest, key: key + rest.key };
      const follows = yield* pageVersions(tx, { prefix: key, after, limit: 1 });
      if (follows.items.length === 0) return true;
    }
    if (!this.#hasRoom()) return false;
    this.#prefixes.push(key);
    this.#last = { key };
    return true;
  }
}
