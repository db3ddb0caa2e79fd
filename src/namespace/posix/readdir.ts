import { afterPrefix, keyAfter, type KvEntry, type Program, type Reader } from "../../kv/index.ts";
import type { Inode } from "../../core/ids.ts";
import { decodeAttributes } from "../attributes-codec.ts";
import { missing, withTouch } from "../inodes.ts";
import { attributesKey, decodeEntry, type Entry, entryKey, nameOfEntryKey, touchedKey } from "../rows.ts";
import type { FileAttributes } from "../types.ts";
import { getattr } from "./lookup.ts";
import { GfsError } from "../../core/errors.ts";

/**
 * Pages of a directory. A cookie is the name that came last: what was there the whole time is neither skipped nor given twice, whatever comes and
 * goes between the pages. "." and ".." are the caller's.
 */
export interface ReadDirectory {
  readonly inode: Inode;
  /** Of the entry that came last; absent: from the beginning. */
  readonly cookie?: string;
  /** 1 to 10,000. */
  readonly limit: number;
}

export interface DirectoryEntry extends Entry {
  readonly name: string;
  /** Where to go on behind this entry. */
  readonly cookie: string;
}

export interface DirectoryEntryPlus extends DirectoryEntry {
  readonly attributes: FileAttributes;
}

export interface DirectoryPage<Listed = DirectoryEntry> {
  readonly entries: readonly Listed[];
  /** There is nothing behind the last entry. */
  readonly isLast: boolean;
}

export function* readdir(tx: Reader, { inode, cookie, limit }: ReadDirectory): Program<DirectoryPage> {
  const directory = yield* getattr(tx, inode);
  if (directory.kind !== "directory")
    throw new GfsError("NotADirectory", "What should be a directory is none.", { op: "namespace.readdir" });
  const all = entryKey(inode, "");
  const end = afterPrefix(all);
  const entries: DirectoryEntry[] = [];
  let start = cookie === undefined ? all : keyAfter(entryKey(inode, cookie));
  for (;;) {
    const wanted = limit - entries.length;
    const rows = yield* tx.range({ start, end, limit: wanted });
    for (const row of rows) {
      const entry = readRow(row);
      if (entry !== undefined) entries.push(entry);
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < wanted) return { entries, isLast: true };
    if (entries.length === limit) return { entries, isLast: false };
    // Hidden files left room on the page.
    start = keyAfter(last.key);
  }
}

function readRow({ key, value }: KvEntry): DirectoryEntry | undefined {
  const { inode, kind, hidden } = decodeEntry(value);
  if (hidden === true) return undefined;
  const cookie = nameOfEntryKey(key);
  return { name: kind === "directory" ? cookie.slice(0, -1) : cookie, inode, kind, cookie };
}

/** With what stat(2) tells of each, in one read more. */
export function* readdirplus(tx: Reader, query: ReadDirectory): Program<DirectoryPage<DirectoryEntryPlus>> {
  const { entries, isLast } = yield* readdir(tx, query);
  const rows = yield* tx.getMany(entries.map(({ inode }) => attributesKey(inode)));
  const directories = entries.filter(({ kind }) => kind === "directory");
  const touched = yield* tx.getMany(directories.map(({ inode }) => touchedKey(inode)));
  let next = 0;
  const listed = entries.map((entry, index): DirectoryEntryPlus => {
    const row = rows[index] ?? missing(entry.inode);
    const attributes = decodeAttributes(entry.inode, row);
    return { ...entry, attributes: entry.kind === "directory" ? withTouch(attributes, touched[next++]) : attributes };
  });
  return { entries: listed, isLast };
}
