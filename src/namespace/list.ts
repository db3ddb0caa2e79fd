import type { Inode } from "../core/ids.ts";
import { afterPrefix, keyAfter, type Key, type KvEntry, type Program, type Reader } from "../kv/index.ts";
import { decodeListed, decodeRecord } from "./record-codec.ts";
import { decodeEntry, entryKey, inodeKey, isDirectoryEntry, nameOfEntryKey } from "./rows.ts";
import { findDirectoryInode, missing } from "./tree.ts";
import type { ListedFile, ListedObject, ListPage, ListQuery } from "./types.ts";

/**
 * Lists in exact S3 key order by walking entries depth first. Costs what the page holds: it begins at the first directory that can hold a
 * key, and with a delimiter never enters what it rolls up.
 */
export function* listPage(tx: Reader, query: ListQuery): Program<ListPage> {
  const walk = new Walk<ListedFile>(query, (key, inode, row) => ({ key, file: decodeRecord(inode, row) }));
  yield* walk.run(tx);
  return walk.page();
}

/** The same page, with no more of each file than a listing shows; a brief one leaves out content types, sums and metadata. */
export function* listObjectPage(
  tx: Reader,
  query: ListQuery & { readonly brief?: boolean },
): Program<ListPage<ListedObject>> {
  const brief = query.brief === true;
  const walk = new Walk<ListedObject>(query, (key, _inode, row) => decodeListed(key, row, brief));
  yield* walk.run(tx);
  return walk.page();
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

type Decode<Listed> = (key: string, inode: Inode, row: Uint8Array) => Listed;

class Walk<Listed> {
  readonly #prefix: string;
  readonly #rollUp: boolean;
  readonly #limit: number;
  readonly #after: string | undefined;
  readonly #decode: Decode<Listed>;
  readonly #files: Listed[] = [];
  readonly #prefixes: string[] = [];
  #last: string | undefined;
  #more = false;
  readonly #stack: Frame[] = [];

  constructor({ prefix, delimiter, after, limit }: ListQuery, decode: Decode<Listed>) {
    this.#decode = decode;
    this.#prefix = prefix;
    this.#rollUp = delimiter === "/";
    this.#limit = limit;
    this.#after = after;
  }

  page(): ListPage<Listed> {
    return {
      files: this.#files,
      prefixes: this.#prefixes,
      ...(this.#more && this.#last !== undefined ? { next: this.#last } : {}),
    };
  }

  /** False when the page is full: there is more, and that is all the caller needs to know. */
  #room(): boolean {
    if (this.#files.length + this.#prefixes.length < this.#limit) return true;
    this.#more = true;
    return false;
  }

  *run(tx: Reader): Program<void> {
    const slash = this.#prefix.lastIndexOf("/");
    const basePath = this.#prefix.slice(0, slash + 1);
    const base = yield* findDirectoryInode(tx, basePath.slice(0, -1));
    if (base === undefined) return;
    const after = this.#after;
    if (after !== undefined && !after.startsWith(this.#prefix) && isBehind(after, this.#prefix)) return;
    const inside = after?.startsWith(basePath) === true ? after.slice(basePath.length) : undefined;
    if (basePath !== "" && basePath === this.#prefix && (after === undefined || isBehind(basePath, after))) {
      const row = (yield* tx.get(inodeKey(base))) ?? missing(base);
      if (decodeRecord(base, row).implicit !== true) this.#addFile(basePath, base, row);
    }
    this.#enter(base, basePath, this.#prefix.slice(slash + 1), inside);
    while (this.#stack.length > 0) {
      const frame = this.#stack.at(-1) as Frame;
      const entry = yield* this.#nextEntry(tx, frame);
      if (entry === undefined) this.#stack.pop();
      else if (
        !(yield* isDirectoryEntry(entry.key) ? this.#visitDirectory(tx, frame, entry) : this.#addFiles(tx, frame))
      )
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
      const limit = Math.min(MAX_RANGE, this.#limit - this.#files.length - this.#prefixes.length + 1);
      frame.entries = yield* tx.range({ start: frame.next, end: frame.end, limit });
      frame.index = 0;
      const last = frame.entries.at(-1);
      frame.next = frame.entries.length === limit && last !== undefined ? keyAfter(last.key) : undefined;
    }
    return frame.entries[frame.index];
  }

  /** Files that follow each other are read at once, as many as the page has room for. */
  *#addFiles(tx: Reader, frame: Frame): Program<boolean> {
    if (!this.#room()) return false;
    const { entries } = frame;
    const begin = frame.index;
    const border = Math.min(entries.length, begin + this.#limit - this.#files.length - this.#prefixes.length);
    const inodes: Inode[] = [];
    for (; frame.index < border; frame.index++) {
      const entry = entries[frame.index] as KvEntry;
      if (isDirectoryEntry(entry.key)) break;
      inodes.push(decodeEntry(entry.value));
    }
    const rows = yield* tx.getMany(inodes.map(inodeKey));
    for (const [index, inode] of inodes.entries()) {
      const name = nameOfEntryKey((entries[begin + index] as KvEntry).key);
      this.#addFile(frame.path + name, inode, rows[index] ?? missing(inode));
    }
    return true;
  }

  *#visitDirectory(tx: Reader, frame: Frame, entry: KvEntry): Program<boolean> {
    frame.index += 1;
    const name = nameOfEntryKey(entry.key);
    const key = frame.path + name;
    const inode = decodeEntry(entry.value);
    const below = frame.afterBelow?.name === name ? frame.afterBelow : undefined;
    frame.afterBelow = undefined;
    if (this.#rollUp) return yield* this.#rollUpDirectory(tx, key, below?.rest);
    if (below === undefined) {
      const row = (yield* tx.get(inodeKey(inode))) ?? missing(inode);
      if (decodeRecord(inode, row).implicit !== true) {
        if (!this.#room()) return false;
        this.#addFile(key, inode, row);
      }
    }
    this.#enter(inode, key, "", below?.rest);
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

  #addFile(key: string, inode: Inode, row: Uint8Array): void {
    this.#files.push(this.#decode(key, inode, row));
    this.#last = key;
  }
}

/** Whether `one` sorts after `other` in the order of their bytes. */
function isBehind(one: string, other: string): boolean {
  return Buffer.compare(Buffer.from(one), Buffer.from(other)) > 0;
}
