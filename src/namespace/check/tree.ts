import { type Inode, ROOT_INODE } from "../../core/ids.ts";
import { keyAfter, type KvEntry, prefixRange, type Program, type Reader } from "../../kv/index.ts";
import { decodeAttributes } from "../attributes-codec.ts";
import { extendedKey, extendedSpace, isLeft, MAX_EXTENDED, placeOfExtendedKey } from "../extended-rows.ts";
import { readAttributes, readContent } from "../inodes.ts";
import { readEntry } from "../names.ts";
import {
  attributesSpace,
  decodeEntry,
  entrySpace,
  inodeOfKey,
  nameKey,
  nameOfEntryKey,
  namesOf,
  nameSpace,
  parentOfEntryKey,
  placeOfNameKey,
  touchedSpace,
} from "../rows.ts";
import { isEmpty } from "../tree.ts";
import type { FileAttributes } from "../types.ts";
import type { InodeSet } from "./inode-set.ts";
import type { Rooted } from "./rooted.ts";
import type { Fault, Scan } from "./scan.ts";

/** Names lead to inodes, inodes say where they hang, and both say the same. Each row is held against those that it names, so that nothing has to be remembered. */

/** Inodes that no entry leads to. */
export interface Unnamed {
  /** By a row of history. */
  readonly held: InodeSet;
  readonly past: InodeSet;
  readonly orphans: InodeSet;
  /** They may be there for nothing: somebody is to look. */
  readonly emptied: InodeSet;
}

export interface TreeCounts {
  files: number;
  directories: number;
  entries: number;
  highestInode: number;
}

/** The entries of one directory lie together. */
interface Group {
  readonly parent: Inode;
  directories: number;
}

export async function checkEntries(scan: Scan, counts: TreeCounts): Promise<void> {
  const open: { group?: Group } = {};
  const { fault } = scan;
  await scan.rows(entrySpace, function* (tx, row) {
    counts.entries += 1;
    const parent = parentOfEntryKey(row.key);
    if (open.group?.parent !== parent) {
      if (open.group !== undefined) yield* checkGroup(tx, open.group, fault);
      open.group = { parent, directories: 0 };
    }
    if (decodeEntry(row.value).kind === "directory") open.group.directories += 1;
    yield* checkEntry(tx, { row, parent, fault });
  });
  const { group } = open;
  if (group !== undefined) await scan.once((tx) => checkGroup(tx, group, fault));
}

function* checkGroup(tx: Reader, { parent, directories }: Group, fault: Fault): Program<void> {
  const directory = yield* readAttributes(tx, parent);
  if (directory?.kind === "directory") sayLinks(directory, 2 + directories, fault);
}

function sayLinks({ inode, linkCount }: FileAttributes, links: number, fault: Fault): void {
  if (linkCount !== links) fault(`Directory ${inode} says it has ${linkCount} links, and has ${links}.`);
}

interface EntryCheck {
  readonly row: KvEntry;
  readonly parent: Inode;
  readonly fault: Fault;
}

function* checkEntry(tx: Reader, { row, parent, fault }: EntryCheck): Program<void> {
  const name = nameOfEntryKey(row.key);
  const entry = decodeEntry(row.value);
  const { inode, kind } = entry;
  const file = yield* readAttributes(tx, inode);
  const directory = name.endsWith("/");
  if (file === undefined) return fault(`Entry ${name} in ${parent} leads to inode ${inode}, which is missing.`);
  if ((file.kind === "directory") !== directory) fault(`Entry ${name} in ${parent} leads to a ${file.kind}.`);
  if (file.kind !== kind)
    fault(`Entry ${name} in ${parent} says it leads to a ${kind}, and inode ${inode} is a ${file.kind}.`);
  const mark = !directory && (yield* readEntry(tx, parent, `${name}/`)) !== undefined;
  if ((entry.hidden === true) !== mark)
    fault(`Entry ${name} in ${parent} is ${mark ? "not " : ""}marked as hidden by a directory.`);
  if (directory && (file.parent?.inode !== parent || `${file.parent.name}/` !== name))
    fault(`Directory ${inode} hangs at ${name} in ${parent} and says otherwise.`);
  if (!directory && file.kind !== "directory") yield* checkName(tx, { file, parent, name }, fault);
  if ((yield* readAttributes(tx, parent))?.kind !== "directory")
    fault(`Entry ${name} hangs in inode ${parent}, which is no directory.`);
}

interface NameCheck {
  readonly file: FileAttributes;
  readonly parent: Inode;
  readonly name: string;
}

/** Of several names each has a row; the only one is where the inode says that it hangs. */
function* checkName(tx: Reader, { file, parent, name }: NameCheck, fault: Fault): Program<void> {
  const { inode, linkCount } = file;
  if (linkCount > 1) {
    if ((yield* tx.get(nameKey(inode, { parent, name }))) === undefined)
      fault(`Inode ${inode} has several names, and no row for ${name} in ${parent}.`);
  } else if (file.parent?.inode !== parent || file.parent.name !== name) {
    fault(`Entry ${name} in ${parent} leads to inode ${inode}, which hangs elsewhere.`);
  }
}

export async function checkInodes(
  scan: Scan,
  { unnamed, counts, rooted }: { readonly unnamed: Unnamed; readonly counts: TreeCounts; readonly rooted: Rooted },
): Promise<void> {
  const { fault } = scan;
  await scan.rows(attributesSpace, function* (tx, row) {
    const file = decodeAttributes(inodeOfKey(row.key), row.value);
    const { inode, kind, linkCount } = file;
    counts.highestInode = Math.max(counts.highestInode, inode);
    const isPast = unnamed.past.has(inode);
    const isOrphan = unnamed.orphans.has(inode);
    if (kind === "directory") counts.directories += isPast ? 0 : 1;
    else if (linkCount > 0) counts.files += 1;
    const isHeld = unnamed.held.has(inode);
    if (isHeld !== (linkCount === 0 && !isPast && !isOrphan))
      fault(`Inode ${inode} has ${linkCount} names, and ${isHeld ? "a" : "no"} row of history leads to it.`);
    if (isOrphan && linkCount > 0) fault(`Inode ${inode} is an orphan, and has ${linkCount} names.`);
    if (kind === "directory")
      yield* checkDirectory(tx, { file, isPast, isOrphan, isEmptied: unnamed.emptied.has(inode), rooted }, fault);
    else yield* checkHome(tx, file, fault);
    yield* checkSize(tx, file, fault);
    yield* checkExtended(tx, file, fault);
  });
}

interface DirectoryCheck {
  readonly file: FileAttributes;
  readonly isPast: boolean;
  readonly isOrphan: boolean;
  readonly isEmptied: boolean;
  readonly rooted: Rooted;
}

function* checkDirectory(tx: Reader, check: DirectoryCheck, fault: Fault): Program<void> {
  const { file, isPast, isOrphan, isEmptied, rooted } = check;
  const { inode, parent } = file;
  if (isPast || isOrphan) sayLinks(file, 0, fault);
  const empty = yield* isEmpty(tx, inode);
  // Those with entries are counted where these are looked at.
  if (empty && !isPast && !isOrphan) sayLinks(file, 2, fault);
  if (empty && file.implicit === true && !isPast && !isEmptied) fault(`Directory ${inode} is implicit and empty.`);
  if (inode === ROOT_INODE || isOrphan) return;
  const entry = parent === undefined ? undefined : yield* readEntry(tx, parent.inode, `${parent.name}/`);
  const isEntered = entry?.inode === inode;
  if (isEntered && isPast) fault(`Directory ${inode} is past, and has an entry.`);
  if (!isEntered && !isPast) fault(`Directory ${inode} hangs elsewhere than it says.`);
  else if (!(yield* rooted.isBelowRoot(tx, inode))) fault(`Directory ${inode} does not hang below the root.`);
}

/** An inode hangs where it says, and one with several names has a row for each. */
function* checkHome(tx: Reader, file: FileAttributes, fault: Fault): Program<void> {
  const { inode, linkCount, parent } = file;
  if (linkCount === 0) {
    if (parent !== undefined) fault(`Inode ${inode} has no name, and says that it hangs in ${parent.inode}.`);
    return;
  }
  const entry = parent === undefined ? undefined : yield* readEntry(tx, parent.inode, parent.name);
  if (entry?.inode !== inode) fault(`Inode ${inode} hangs elsewhere than it says.`);
  if (linkCount === 1) return;
  const found = yield* countNames(tx, inode);
  if (found !== linkCount) fault(`Inode ${inode} says it has ${linkCount} names, and has rows for ${found}.`);
}

const NAMES_A_PAGE = 1_000;

function* countNames(tx: Reader, inode: Inode): Program<number> {
  const range = prefixRange(namesOf(inode));
  let found = 0;
  for (let start = range.start; ;) {
    const rows: KvEntry[] = yield* tx.range({ start, end: range.end, limit: NAMES_A_PAGE });
    found += rows.length;
    const last = rows.at(-1);
    if (last === undefined || rows.length < NAMES_A_PAGE) return found;
    start = keyAfter(last.key);
  }
}

function* checkSize(tx: Reader, file: FileAttributes, fault: Fault): Program<void> {
  if (file.kind !== "file") return;
  const sizeBytes = (yield* readContent(tx, file.inode))?.sizeBytes ?? 0;
  if (sizeBytes !== file.sizeBytes)
    fault(`Inode ${file.inode} says it has ${file.sizeBytes} bytes, and its content has ${sizeBytes}.`);
}

function* checkExtended(tx: Reader, file: FileAttributes, fault: Fault): Program<void> {
  const { count, sizeBytes } = file.extended ?? { count: 0, sizeBytes: 0 };
  const range = prefixRange(extendedKey(file.inode, ""));
  const rows = yield* tx.range({ ...range, limit: MAX_EXTENDED + 1 });
  const found = rows.reduce(
    (sum, { key, value }) => sum + (key.byteLength - range.start.byteLength) + value.byteLength,
    0,
  );
  if (rows.length === count && found === sizeBytes) return;
  fault(
    `Inode ${file.inode} says it has ${count} extended attributes of ${sizeBytes} bytes, and has ${rows.length} of ${found}.`,
  );
}

/** Rows that say something about an inode belong to one of the kind that they are for. */
export async function checkBelongings(scan: Scan): Promise<void> {
  const { fault } = scan;
  await scan.rows(extendedSpace, function* (tx, row) {
    const { inode, name } = placeOfExtendedKey(row.key);
    if ((yield* readAttributes(tx, inode)) === undefined && !(yield* isLeft(tx, inode)))
      fault(`Inode ${inode} is missing, and has the extended attribute ${name}.`);
  });
  await scan.rows(nameSpace, function* (tx, row) {
    const { inode, parent, name } = placeOfNameKey(row.key);
    const several = ((yield* readAttributes(tx, inode))?.linkCount ?? 0) > 1;
    if (!several || (yield* readEntry(tx, parent, name))?.inode !== inode)
      fault(`There is a row for ${name} in ${parent} as one of several names of inode ${inode}.`);
  });
  await scan.rows(touchedSpace, function* (tx, row) {
    const inode = inodeOfKey(row.key);
    if ((yield* readAttributes(tx, inode))?.kind !== "directory")
      fault(`There is a time of entries in inode ${inode}, which is no directory.`);
  });
}
