import { type Inode, ROOT_INODE } from "../core/ids.ts";
import { afterPrefix, keyAfter, type Kv, type KvEntry, type Program, type Reader } from "../kv/index.ts";
import { decodeRecord } from "./record-codec.ts";
import {
  decodeEntry,
  decodeOwner,
  entrySpace,
  inodeOfKey,
  inodeSpace,
  nameOfEntryKey,
  ownerSpace,
  parentOfEntryKey,
  placeOfOwnerKey,
} from "./rows.ts";
import { findOwner } from "./owners.ts";
import { isEmpty, readInode } from "./tree.ts";
import type { FileRecord } from "./types.ts";

/** Holds every row of the catalog against the others, page by page. The catalog should be quiet meanwhile. */

export interface CatalogReport {
  readonly files: number;
  readonly directories: number;
  readonly entries: number;
  readonly owners: number;
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
  const count = { files: 0, directories: 0, entries: 0, owners: 0 };

  await eachRow(kv, entrySpace, function* (tx, row) {
    count.entries += 1;
    const inode = decodeEntry(row.value);
    names.set(inode, (names.get(inode) ?? 0) + 1);
    yield* checkEntry(tx, { row, inode, fault });
  });
  await eachRow(kv, inodeSpace, function* (tx, row) {
    const file = decodeRecord(inodeOfKey(row.key), row.value);
    if (file.kind === "directory") count.directories += 1;
    else count.files += 1;
    const found = names.get(file.inode) ?? 0;
    if (file.inode !== ROOT_INODE && found !== file.linkCount) {
      fault(`Inode ${file.inode} says it has ${file.linkCount} names, and ${found} lead to it.`);
    }
    if (file.implicit === true && (yield* isEmpty(tx, file.inode)))
      fault(`Directory ${file.inode} is implicit and empty.`);
    for (const copy of file.version?.copies ?? []) {
      const owner = yield* findOwner(tx, copy.site, copy.key);
      if (owner?.inode !== file.inode)
        fault(`Inode ${file.inode} has a copy at ${copy.site}, and does not own ${copy.key} there.`);
    }
  });
  await eachRow(kv, ownerSpace, function* (tx, row) {
    count.owners += 1;
    const { site, objectKey } = placeOfOwnerKey(row.key);
    const { inode, versionId } = decodeOwner(row.value);
    const version = (yield* readInode(tx, inode))?.version;
    const owns =
      version?.id === versionId && version.copies.some((copy) => copy.site === site && copy.key === objectKey);
    if (!owns) fault(`At ${site} the key ${objectKey} is owned by inode ${inode}, which has no such copy.`);
  });
  return { ...count, faults };
}

interface EntryCheck {
  readonly row: KvEntry;
  readonly inode: Inode;
  readonly fault: (sentence: string) => void;
}

function* checkEntry(tx: Reader, { row, inode, fault }: EntryCheck): Program<void> {
  const parent = parentOfEntryKey(row.key);
  const name = nameOfEntryKey(row.key);
  const file: FileRecord | undefined = yield* readInode(tx, inode);
  const directory = name.endsWith("/");
  if (file === undefined) return fault(`Entry ${name} in ${parent} leads to inode ${inode}, which is missing.`);
  if ((file.kind === "directory") !== directory) fault(`Entry ${name} in ${parent} leads to a ${file.kind}.`);
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
