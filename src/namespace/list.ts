import { compareTexts } from "../core/byte-text.ts";
import type { Inode } from "../core/ids.ts";
import { afterPrefix, keyAfter, type Key, type KvEntry, type Program, type Reader } from "../kv/index.ts";
import { decodeListed, listedEmpty } from "./content-codec.ts";
import { getAttributes, getEntered, isImplicit, joinFile } from "./inodes.ts";
import {
  attributesKey,
  contentKey,
  decodeEntry,
  type Entry,
  entryKey,
  isDirectoryEntry,
  nameOfEntryKey,
} from "./rows.ts";
import { fitsKey, isKeyName } from "./path.ts";
import { findDirectoryInode } from "./tree.ts";
import type { ListedFile, ListedObject, ListPage, ListQuery } from "./types.ts";

/**
 * Lists in exact S3 key order by walking entries depth first. Costs what the page holds: it begins at the first directory that can hold a
 * key, and with a delimiter never enters what it rolls up.
 */
export function* listPage(tx: Reader, query: ListQuery): Program<ListPage> {
  const walk = new Walk<ListedFile>(query, {
    *one(key, entry) {
      return { key, file: yield* getEntered(tx, entry) };
    },
    *files(named) {
      const keys = named.flatMap(({ inode }) => [attributesKey(inode), contentKey(inode)]);
      const rows = yield* tx.getMany(keys);
      return named.map(({ key, inode }, index) => ({
        key,
        file: joinFile(inode, rows[2 * index], rows[2 * index + 1]),
      }));
    },
  });
  yield* walk.run(tx);
  return walk.page();
}

/** The same page, with no more of each file than a listing shows; a brief one leaves out content types, sums and metadata. */
export function* listObjectPage(
  tx: Reader,
  query: ListQuery & { readonly brief?: boolean },
): Program<ListPage<ListedObject>> {
  const brief = query.brief === true;
  const one = function* (key: string, entry: Entry): Program<ListedObject> {
    const { kind, modified } = yield* getAttributes(tx, entry);
    const listed = listedEmpty(key, modified.ms);
    return kind === "file" || kind === "directory" ? listed : { ...listed, kind };
  };
  const walk = new Walk<ListedObject>(query, {
    one,
    *files(named) {
      const rows = yield* tx.getMany(named.map(({ inode }) => contentKey(inode)));
      const listed: ListedObject[] = [];
      for (const [index, entry] of named.entries()) {
        const row = rows[index];
        listed.push(row === undefined ? yield* one(entry.key, entry) : decodeListed(entry.key, row, brief));
      }
      return listed;
    },
  });
  yield* walk.run(tx);
  return walk.page();
}

interface Named extends Entry {
  readonly key: string;
}

/** What becomes of the entries that a walk comes to. */
interface Show<Listed> {
  one(key: string, entry: Entry): Program<Listed>;
  /** Files that follow each other, at once. */
  files(named: readonly Named[]): Program<readonly Listed[]>;
}

const MAX_RANGE = 1_000;

interface Frame {
  readonly inode: Inode;
  /** The key that all entries of this directory begin with: empty, or ending in a slash. */
  readonly path: string;
  /** Where the next entries are read from; undefined when the directory is read to its end. */
  next: Key | undefined;
  readonly end: Key;
  entries: KvEntry[];
  index: number;
  /** What of `after` lies below the first subdirectory that is met. */
  afterBelow: { readonly name: string; readonly rest: string } | undefined;
}

class Walk<Listed> {
  readonly #prefix: string;
  readonly #rollUp: boolean;
  readonly #others: boolean;
  readonly #limit: number;
  readonly #after: string | undefined;
  readonly #show: Show<Listed>;
  readonly #listed: Listed[] = [];
  readonly #prefixes: string[] = [];
  #last: string | undefined;
  #more = false;
  readonly #stack: Frame[] = [];

  constructor({ prefix, delimiter, after, limit, others }: ListQuery, show: Show<Listed>) {
    this.#show = show;
    this.#others = others === true;
    this.#prefix = prefix;
    this.#rollUp = delimiter === "/";
    this.#limit = limit;
    this.#after = after;
  }

  page(): ListPage<Listed> {
    return {
      files: this.#listed,
      prefixes: this.#prefixes,
      ...(this.#more && this.#last !== undefined ? { next: this.#last } : {}),
    };
  }

  /** False when the page is full: there is more, and that is all the caller needs to know. */
  #room(): boolean {
    if (this.#listed.length + this.#prefixes.length < this.#limit) return true;
    this.#more = true;
    return false;
  }

  *run(tx: Reader): Program<void> {
    const slash = this.#prefix.lastIndexOf("/");
    const basePath = this.#prefix.slice(0, slash + 1);
    const base = yield* findDirectoryInode(tx, basePath.slice(0, -1));
    if (base === undefined) return;
    const after = this.#after;
    if (after !== undefined && !after.startsWith(this.#prefix) && compareTexts(after, this.#prefix) > 0) return;
    const inside = after?.startsWith(basePath) === true ? after.slice(basePath.length) : undefined;
    if (basePath !== "" && basePath === this.#prefix && (after === undefined || compareTexts(basePath, after) > 0)) {
      if (!(yield* isImplicit(tx, base))) yield* this.#add(basePath, { inode: base, kind: "directory" });
    }
    this.#enter(base, basePath, this.#prefix.slice(slash + 1), inside);
    while (this.#stack.length > 0) {
      const frame = this.#stack.at(-1) as Frame;
      const entry = yield* this.#nextEntry(tx, frame);
      if (entry === undefined) this.#stack.pop();
      else if (!(yield* isDirectoryEntry(entry.key) ? this.#visitDirectory(tx, frame, entry) : this.#addFiles(frame)))
        return;
    }
  }

  #enter(inode: Inode, path: string, namePrefix: string, after: string | undefined): void {
    const range = { start: entryKey(inode, namePrefix), end: afterPrefix(entryKey(inode, namePrefix)) };
    const frame: Frame = {
      inode,
      path,
      next: range.start,
      end: range.end,
      entries: [],
      index: 0,
      afterBelow: undefined,
    };
    if (after !== undefined) {
      const slash = after.indexOf("/");
      const name = slash === -1 ? after : after.slice(0, slash + 1);
      // A file of that name is behind; a directory of that name may hold keys that are not.
      const start = slash === -1 ? keyAfter(entryKey(inode, name)) : entryKey(inode, name);
      if (Buffer.compare(start, range.start) > 0) frame.next = start;
      if (slash !== -1) frame.afterBelow = { name, rest: after.slice(slash + 1) };
    }
    this.#stack.push(frame);
  }

  /** Stays where it is: whoever takes the entry moves on. */
  *#nextEntry(tx: Reader, frame: Frame): Program<KvEntry | undefined> {
    if (frame.index === frame.entries.length) {
      if (frame.next === undefined || Buffer.compare(frame.next, frame.end) >= 0) return undefined;
      const limit = Math.min(MAX_RANGE, this.#limit - this.#listed.length - this.#prefixes.length + 1);
      frame.entries = yield* tx.range({ start: frame.next, end: frame.end, limit });
      frame.index = 0;
      const last = frame.entries.at(-1);
      frame.next = frame.entries.length === limit && last !== undefined ? keyAfter(last.key) : undefined;
    }
    return frame.entries[frame.index];
  }

  /** Files that follow each other are read at once, as many as the page has room for. */
  *#addFiles(frame: Frame): Program<boolean> {
    if (!this.#room()) return false;
    const { entries } = frame;
    const begin = frame.index;
    const border = Math.min(entries.length, begin + this.#limit - this.#listed.length - this.#prefixes.length);
    const named: Named[] = [];
    for (; frame.index < border; frame.index++) {
      const { key, value } = entries[frame.index] as KvEntry;
      if (isDirectoryEntry(key)) break;
      const name = nameOfEntryKey(key);
      if (!isKeyName(name) || !fitsKey(frame.path + name)) continue;
      const { inode, kind } = decodeEntry(value);
      if (kind !== "file") break;
      named.push({ key: frame.path + name, inode, kind });
    }
    if (named.length > 0) {
      this.#listed.push(...(yield* this.#show.files(named)));
      this.#last = (named.at(-1) as Named).key;
      return true;
    }
    const other = frame.index < border ? entries[frame.index] : undefined;
    if (other === undefined || isDirectoryEntry(other.key)) return true;
    const { key, value } = other;
    frame.index += 1;
    if (this.#others) yield* this.#add(frame.path + nameOfEntryKey(key), decodeEntry(value));
    return true;
  }

  *#visitDirectory(tx: Reader, frame: Frame, entry: KvEntry): Program<boolean> {
    frame.index += 1;
    const name = nameOfEntryKey(entry.key);
    const key = frame.path + name;
    if (!isKeyName(name) || !fitsKey(key)) return true;
    const directory = decodeEntry(entry.value);
    const below = frame.afterBelow?.name === name ? frame.afterBelow : undefined;
    frame.afterBelow = undefined;
    if (this.#rollUp) return yield* this.#rollUpDirectory(tx, key, below?.rest);
    if (below === undefined && !(yield* isImplicit(tx, directory.inode))) {
      if (!this.#room()) return false;
      yield* this.#add(key, directory);
    }
    this.#enter(directory.inode, key, "", below?.rest);
    return true;
  }

  /** When `after` lies below, the directory still counts if anything follows it there; when `after` is the prefix itself, it was given already. */
  *#rollUpDirectory(tx: Reader, key: string, rest: string | undefined): Program<boolean> {
    if (rest === "") return true;
    if (rest !== undefined) {
      const follows = yield* listObjectPage(tx, { prefix: key, after: key + rest, limit: 1 });
      if (follows.files.length === 0) return true;
    }
    if (!this.#room()) return false;
    this.#prefixes.push(key);
    this.#last = key;
    return true;
  }

  *#add(key: string, entry: Entry): Program<void> {
    this.#listed.push(yield* this.#show.one(key, entry));
    this.#last = key;
  }
}
