import { type FilePath, type Inode, ROOT_INODE } from "../core/ids.ts";
import { afterPrefix, keyAfter, type Kv, type KvEntry, prefixRange, type Program, type Reader } from "../kv/index.ts";
import { UsageCheck } from "./check-usage.ts";
import { checkHistory, checkIndex, checkPast } from "./check-history.ts";
import { decodeHistory, historyIndexSpace, historySpace } from "./history-rows.ts";
import { decodePast, pastSpace } from "./past-rows.ts";
import { decodeAttributes } from "./attributes-codec.ts";
import { decodeContent } from "./content-codec.ts";
import {
  attributesSpace,
  bucketSpace,
  contentSpace,
  decodeEntry,
  decodeOwner,
  entrySpace,
  type Entry,
  inodeOfKey,
  nameOfBucketKey,
  nameKey,
  nameOfEntryKey,
  nameSpace,
  ownerSpace,
  parentOfEntryKey,
  placeOfNameKey,
  placeOfOwnerKey,
  touchedSpace,
} from "./rows.ts";
import { findOwner, isPlaceOf, placesOf } from "./owners.ts";
import { extendedKey, extendedSpace, isLeft, MAX_EXTENDED, placeOfExtendedKey } from "./extended-rows.ts";
import { readContent, readInode } from "./inodes.ts";
import { readEntry } from "./names.ts";
import { isOrphanOf, orphanHolderSpace, orphanOfHolderKey, orphanOfSessionKey, orphanSpace } from "./orphan-rows.ts";
import { findDirectory, isEmpty } from "./tree.ts";
import type { FileAttributes } from "./types.ts";

/** Holds every row of the catalog against the others, page by page. The catalog should be quiet meanwhile. */

export interface CatalogReport {
  readonly files: number;
  readonly directories: number;
  readonly entries: number;
  readonly owners: number;
  /** Older versions, which no name leads to. */
  readonly olderVersions: number;
  /** One sentence each; at most `MAX_FAULTS`. */
  readonly faults: readonly string[];
}

const PAGE = 500;
const MAX_FAULTS = 1_000;

export async function checkCatalog(kv: Kv): Promise<CatalogReport> {
  const faults: string[] = [];
  const fault = (sentence: string): void => {
    if (faults.length < MAX_FAULTS) faults.push(sentence);
  };
  const names = new Map<Inode, number>();
  const directoriesIn = new Map<Inode, number>();
  const held = new Map<Inode, number>();
  const past = new Map<Inode, number>();
  const orphans = new Set<Inode>();
  const usage = new UsageCheck();
  const count = { files: 0, directories: 0, entries: 0, owners: 0, olderVersions: 0 };

  await eachRow(kv, entrySpace, function* (tx, row) {
    count.entries += 1;
    const entry = decodeEntry(row.value);
    const parent = parentOfEntryKey(row.key);
    names.set(entry.inode, (names.get(entry.inode) ?? 0) + 1);
    if (entry.kind === "directory") directoriesIn.set(parent, (directoriesIn.get(parent) ?? 0) + 1);
    yield* checkEntry(tx, { row, parent, entry, fault });
  });
  await eachRow(kv, historySpace, function* (tx, row) {
    const { inode } = decodeHistory(row.key, row.value);
    if (inode !== undefined) {
      count.olderVersions += 1;
      held.set(inode, (held.get(inode) ?? 0) + 1);
    }
    yield* checkHistory(tx, row, fault);
    yield* usage.seeHistory(tx, row);
  });
  await eachRow(kv, historyIndexSpace, function* (tx, row) {
    yield* checkIndex(tx, row, fault);
  });
  await eachRow(kv, pastSpace, function* (tx, row) {
    const inode = decodePast(row.value);
    past.set(inode, (past.get(inode) ?? 0) + 1);
    yield* checkPast(tx, row, fault);
  });
  await eachRow(kv, bucketSpace, function* (tx, row) {
    const name = nameOfBucketKey(row.key);
    const directory = yield* findDirectory(tx, name as FilePath);
    if (directory === undefined || directory.implicit === true)
      fault(`Bucket ${name} has settings, and no directory that somebody made.`);
  });
  await eachRow(kv, orphanHolderSpace, function* (tx, row) {
    const orphan = orphanOfHolderKey(row.key);
    orphans.add(orphan.inode);
    if (!(yield* isOrphanOf(tx, orphan)))
      fault(`Session ${orphan.session} holds inode ${orphan.inode}, and has no row for it.`);
  });
  await eachRow(kv, orphanSpace, function* (_tx, row) {
    const { session, inode } = orphanOfSessionKey(row.key);
    if (!orphans.has(inode)) fault(`Session ${session} has a row for inode ${inode}, which it does not hold.`);
  });
  await eachRow(kv, attributesSpace, function* (tx, row) {
    const file = decodeAttributes(inodeOfKey(row.key), row.value);
    const directory = file.kind === "directory";
    const isPast = past.has(file.inode);
    usage.seeInode(file, isPast);
    if (directory) count.directories += isPast ? 0 : 1;
    else if (file.linkCount > 0) count.files += 1;
    const holders = held.get(file.inode) ?? 0;
    const isOrphan = orphans.has(file.inode);
    if (holders !== (file.linkCount === 0 && !isPast && !isOrphan ? 1 : 0))
      fault(`Inode ${file.inode} has ${file.linkCount} names, and ${holders} rows of history lead to it.`);
    if (isOrphan && file.linkCount > 0) fault(`Inode ${file.inode} is an orphan, and has ${file.linkCount} names.`);
    orphans.delete(file.inode);
    const found = (names.get(file.inode) ?? 0) + (past.get(file.inode) ?? 0);
    const said = directory && !isOrphan ? 1 : file.linkCount;
    if (file.inode !== ROOT_INODE && found !== said)
      fault(`Inode ${file.inode} says it has ${said} names, and ${found} lead to it.`);
    const links = isPast || isOrphan ? 0 : 2 + (directoriesIn.get(file.inode) ?? 0);
    if (directory && file.linkCount !== links)
      fault(`Directory ${file.inode} says it has ${file.linkCount} links, and has ${links}.`);
    if (file.implicit === true && !isPast && (yield* isEmpty(tx, file.inode)))
      fault(`Directory ${file.inode} is implicit and empty.`);
    yield* checkHome(tx, file, fault);
    yield* checkSize(tx, file, fault);
    yield* checkExtended(tx, file, fault);
  });
  for (const inode of orphans) fault(`Inode ${inode} is an orphan, and missing.`);
  await eachRow(kv, contentSpace, function* (tx, row) {
    const inode = inodeOfKey(row.key);
    const kind = (yield* readInode(tx, inode))?.kind;
    if (kind !== "file")
      fault(`There is content of inode ${inode}, which is ${kind === undefined ? "missing" : `a ${kind}`}.`);
    for (const { site, key } of decodeContent(row.value).copies.flatMap(placesOf)) {
      const owner = yield* findOwner(tx, site, key);
      if (owner?.inode !== inode) fault(`Inode ${inode} has a copy at ${site}, and does not own ${key} there.`);
    }
  });
  await eachRow(kv, extendedSpace, function* (tx, row) {
    const { inode, name } = placeOfExtendedKey(row.key);
    if ((yield* readInode(tx, inode)) === undefined && !(yield* isLeft(tx, inode)))
      fault(`Inode ${inode} is missing, and has the extended attribute ${name}.`);
  });
  await eachRow(kv, nameSpace, function* (tx, row) {
    const { inode, parent, name } = placeOfNameKey(row.key);
    const several = ((yield* readInode(tx, inode))?.linkCount ?? 0) > 1;
    if (!several || (yield* readEntry(tx, parent, name))?.inode !== inode)
      fault(`There is a row for ${name} in ${parent} as one of several names of inode ${inode}.`);
  });
  await eachRow(kv, touchedSpace, function* (tx, row) {
    const inode = inodeOfKey(row.key);
    if ((yield* readInode(tx, inode))?.kind !== "directory")
      fault(`There is a time of entries in inode ${inode}, which is no directory.`);
  });
  await eachRow(kv, ownerSpace, function* (tx, row) {
    count.owners += 1;
    const { site, objectKey } = placeOfOwnerKey(row.key);
    const { inode, versionId } = decodeOwner(row.value);
    const version = yield* readContent(tx, inode);
    const owns = version?.id === versionId && isPlaceOf(version.copies, { site, key: objectKey });
    if (!owns) fault(`At ${site} the key ${objectKey} is owned by inode ${inode}, which has no such copy.`);
  });
  for (const [space, see] of usage.spaces) await eachRow(kv, space, see);
  await kv.view((tx) => usage.finish(tx, fault));
  return { ...count, faults };
}

/** An inode hangs where it says, and one with several names has a row for each. */
function* checkHome(tx: Reader, file: FileAttributes, fault: (sentence: string) => void): Program<void> {
  const { inode, kind, linkCount, parent } = file;
  if (inode === ROOT_INODE || kind === "directory") return;
  if (linkCount === 0) {
    if (parent !== undefined) fault(`Inode ${inode} has no name, and says that it hangs in ${parent.inode}.`);
    return;
  }
  const entry = parent === undefined ? undefined : yield* readEntry(tx, parent.inode, parent.name);
  if (entry?.inode !== inode) fault(`Inode ${inode} hangs elsewhere than it says.`);
}

function* checkSize(tx: Reader, file: FileAttributes, fault: (sentence: string) => void): Program<void> {
  if (file.kind !== "file") return;
  const sizeBytes = (yield* readContent(tx, file.inode))?.sizeBytes ?? 0;
  if (sizeBytes !== file.sizeBytes)
    fault(`Inode ${file.inode} says it has ${file.sizeBytes} bytes, and its content has ${sizeBytes}.`);
}

function* checkExtended(tx: Reader, file: FileAttributes, fault: (sentence: string) => void): Program<void> {
  const { count, sizeBytes } = file.extended ?? { count: 0, sizeBytes: 0 };
  const range = prefixRange(extendedKey(file.inode, ""));
  const rows = yield* tx.range({ ...range, limit: MAX_EXTENDED + 1 });
  const found = rows.reduce(
    (sum, { key, value }) => sum + (key.byteLength - range.start.byteLength) + value.byteLength,
    0,
  );
  if (rows.length !== count || found !== sizeBytes) {
    fault(
      `Inode ${file.inode} says it has ${count} extended attributes of ${sizeBytes} bytes, and has ${rows.length} of ${found}.`,
    );
  }
}

interface EntryCheck {
  readonly row: KvEntry;
  readonly parent: Inode;
  readonly entry: Entry;
  readonly fault: (sentence: string) => void;
}

function* checkEntry(tx: Reader, { row, parent, entry, fault }: EntryCheck): Program<void> {
  const name = nameOfEntryKey(row.key);
  const { inode, kind } = entry;
  const file = yield* readInode(tx, inode);
  const directory = name.endsWith("/");
  if (file === undefined) return fault(`Entry ${name} in ${parent} leads to inode ${inode}, which is missing.`);
  if ((file.kind === "directory") !== directory) fault(`Entry ${name} in ${parent} leads to a ${file.kind}.`);
  if (file.kind !== kind)
    fault(`Entry ${name} in ${parent} says it leads to a ${kind}, and inode ${inode} is a ${file.kind}.`);
  const mark = !directory && (yield* readEntry(tx, parent, `${name}/`)) !== undefined;
  if ((entry.hidden === true) !== mark)
    fault(`Entry ${name} in ${parent} is ${mark ? "not " : ""}marked as hidden by a directory.`);
  if (
    file.kind !== "directory" &&
    file.linkCount > 1 &&
    (yield* tx.get(nameKey(inode, { parent, name }))) === undefined
  )
    fault(`Inode ${inode} has several names, and no row for ${name} in ${parent}.`);
  if (directory && (file.parent?.inode !== parent || `${file.parent.name}/` !== name)) {
    fault(`Directory ${inode} hangs at ${name} in ${parent} and says otherwise.`);
  }
  const above = yield* readInode(tx, parent);
  if (above?.kind !== "directory") fault(`Entry ${name} hangs in inode ${parent}, which is no directory.`);
}

async function eachRow(kv: Kv, space: Uint8Array, work: (tx: Reader, row: KvEntry) => Program<void>): Promise<void> {
  let start = space;
  for (;;) {
    const from = start;
    const last = await kv.view(function* (tx): Program<KvEntry | undefined> {
      const rows = yield* tx.range({ start: from, end: afterPrefix(space), limit: PAGE });
      for (const row of rows) yield* work(tx, row);
      return rows.length === PAGE ? rows.at(-1) : undefined;
    });
    if (last === undefined) return;
    start = keyAfter(last.key);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
