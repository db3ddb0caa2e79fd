import { nameBytes } from "./names.ts";
import type { Entry } from "./replies.ts";
import type { Reply } from "./reply.ts";
import { Dirent, EntryOut } from "./structs-out.ts";

const TYPE_SHIFT = 12;
const ALIGNMENT = 8;
/** What an inode is called in a listing when nobody knows its number. The kernel does not show names whose inode is 0. */
const UNKNOWN_INODE = 0xffff_ffff;

/** The entries of one readdir or readdirplus reply. */
export class DirectoryListing {
  /** Whether the kernel asked for entries with attributes: then `addEntry` spares it a lookup for each name. */
  plus = false;
  #reply: Reply | undefined;
  #limitBytes = 0;
  #usedBytes = 0;
  /** The inodes that a lookup was counted for. */
  readonly counted: number[] = [];

  begin(reply: Reply, limitBytes: number, plus: boolean): void {
    this.#reply = reply;
    this.#limitBytes = limitBytes;
    this.#usedBytes = 0;
    this.plus = plus;
    this.counted.length = 0;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /**
   * Adds a name and the type its mode says, without an entry behind it. False if there was no room: the kernel will come back with the
   * `nextOffset` of the last name that there was room for. `nextOffset` is any number other than 0 from which the listing can go on.
   */
  add(name: string, nextOffset: number, node: { readonly inode: number; readonly mode: number }): boolean {
    const reply = this.#reply as Reply;
    const headBytes = this.plus ? EntryOut.sizeBytes : 0;
    const start = this.#room(name, headBytes);
    if (start === undefined) return false;
    if (this.plus) reply.zero(start, EntryOut.sizeBytes);
    this.#name(start + headBytes, name, nextOffset, node);
    return true;
  }

  /**
   * Adds a name with its entry, which counts as one lookup of the inode, as every entry does, unless the name is "." or "..".
   * "counted" says that it did; "added" that the kernel had asked for names only and nothing was counted.
   */
  addEntry(name: string, nextOffset: number, entry: Entry): "added" | "counted" | "full" {
    // Listings show what stat(2) does, which need not be the kernel's number.
    const node = entry.attributes;
    if (!this.plus || name === "." || name === "..") return this.add(name, nextOffset, node) ? "added" : "full";
    const start = this.#room(name, EntryOut.sizeBytes);
    if (start === undefined) return "full";
    const reply = this.#reply as Reply;
    reply.entry(start, entry);
    this.counted.push(entry.inode);
    this.#name(start + EntryOut.sizeBytes, name, nextOffset, node);
    return "counted";
  }

  #room(name: string, headBytes: number): number | undefined {
    const start = this.#usedBytes;
    const recordBytes = align(headBytes + Dirent.sizeBytes + nameBytes(name));
    if (start + recordBytes > this.#limitBytes) return undefined;
    this.#usedBytes = start + recordBytes;
    return start;
  }

  #name(at: number, name: string, nextOffset: number, node: { readonly inode: number; readonly mode: number }): void {
    const reply = this.#reply as Reply;
    reply.i64(at + Dirent.at.ino, node.inode === 0 ? UNKNOWN_INODE : node.inode);
    reply.i64(at + Dirent.at.off, nextOffset);
    reply.u32(at + Dirent.at.type, (node.mode >>> TYPE_SHIFT) & 0o17);
    const bytes = reply.name(name, at + Dirent.sizeBytes);
    reply.u32(at + Dirent.at.namelen, bytes);
    const end = at + Dirent.sizeBytes + bytes;
    reply.zero(end, this.#usedBytes - end);
  }
}

function align(sizeBytes: number): number {
  return Math.ceil(sizeBytes / ALIGNMENT) * ALIGNMENT;
}
