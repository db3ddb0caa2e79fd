import type { FilePath, Inode } from "../../core/ids.ts";
import type { Kv } from "../../kv/index.ts";
import { bucketDocumentSpace, bucketSpace, inodeOfDocumentKey, nameOfBucketKey } from "../rows.ts";
import { decodeBucketRow } from "../bucket-codec.ts";
import { decodeHistory, historyIndexSpace, historySpace } from "../history-rows.ts";
import { emptiedOfKey, emptiedSpace } from "../emptied-rows.ts";
import { readAttributes } from "../inodes.ts";
import {
  isHeldBy,
  isOrphanOf,
  orphanHolderSpace,
  orphanOfHolderKey,
  orphanOfSessionKey,
  orphanSpace,
} from "../orphan-rows.ts";
import { decodePast, pastSpace } from "../past-rows.ts";
import { findDirectory } from "../tree.ts";
import { checkContents, checkOwners } from "./copies.ts";
import { checkHistory, checkIndex, checkPast } from "./history.ts";
import { InodeSet } from "./inode-set.ts";
import { Rooted } from "./rooted.ts";
import { createScan, type Scan, type ScanOptions } from "./scan.ts";
import { checkBelongings, checkEntries, checkInodes, type TreeCounts, type Unnamed } from "./tree.ts";
import { checkUploads } from "./uploads.ts";
import { checkUsage } from "./usage.ts";

/**
 * Holds every row of the namespace against the others, page by page. What it remembers is a few bits for each inode, however large the catalog is. A catalog
 * that is written meanwhile is read in a snapshot: else rows of different moments meet.
 */

export interface CatalogCounts {
  readonly files: number;
  readonly directories: number;
  readonly entries: number;
  readonly owners: number;
  /** Older versions, which no name leads to. */
  readonly olderVersions: number;
}

export interface CatalogReport extends CatalogCounts {
  /** One sentence each; at most `MAX_FAULTS`. */
  readonly faults: readonly string[];
}

const MAX_FAULTS = 1_000;

export async function checkCatalog(source: Pick<Kv, "view">): Promise<CatalogReport> {
  const faults: string[] = [];
  const fault = (sentence: string): void => {
    if (faults.length < MAX_FAULTS) faults.push(sentence);
  };
  const { highestInode: _, ...counts } = await checkNamespace(source, { fault });
  return { ...counts, faults };
}

export async function checkNamespace(
  source: Pick<Kv, "view">,
  options: ScanOptions,
): Promise<CatalogCounts & { readonly highestInode: number }> {
  const scan = createScan(source, options);
  const counts: TreeCounts = { files: 0, directories: 0, entries: 0, highestInode: 0 };
  const rooted = new Rooted();
  await checkEntries(scan, counts);
  const emptied = await findEmptied(scan);
  const { held, past, olderVersions } = await checkHistories(scan, { rooted, emptied });
  await checkBuckets(scan);
  const orphans = await checkOrphans(scan);
  await checkInodes(scan, { unnamed: { held, past, orphans, emptied }, counts, rooted });
  await checkContents(scan);
  await checkBelongings(scan);
  const owners = await checkOwners(scan);
  await checkUploads(scan);
  await checkUsage(scan);
  return { ...counts, owners, olderVersions };
}

async function findEmptied(scan: Scan): Promise<InodeSet> {
  const emptied = new InodeSet();
  // oxlint-disable-next-line eslint/require-yield -- what reads rows is a program
  await scan.rows(emptiedSpace, function* (_tx, { key }) {
    emptied.add(emptiedOfKey(key).directory);
  });
  return emptied;
}

async function checkHistories(
  scan: Scan,
  { rooted, emptied }: { readonly rooted: Rooted; readonly emptied: InodeSet },
): Promise<Pick<Unnamed, "held" | "past"> & { readonly olderVersions: number }> {
  const { fault } = scan;
  const [held, past] = [new InodeSet(), new InodeSet()];
  let olderVersions = 0;
  await scan.rows(historySpace, function* (tx, row) {
    const { inode, directory, versionId, name } = decodeHistory(row.key, row.value);
    if (inode !== undefined) {
      olderVersions += 1;
      if (!held.add(inode)) fault(`Several rows of history lead to inode ${inode}.`);
      if ((yield* readAttributes(tx, inode)) === undefined)
        fault(`Version ${versionId} of ${name} leads to inode ${inode}, which is missing.`);
    }
    if (yield* rooted.isBelowRoot(tx, directory)) yield* checkHistory(tx, row, fault);
    else fault(`Version ${versionId} of ${name} hangs in inode ${directory}, which hangs nowhere.`);
  });
  await scan.rows(historyIndexSpace, function* (tx, row) {
    yield* checkIndex(tx, row, fault);
  });
  await scan.rows(pastSpace, function* (tx, row) {
    const inode = decodePast(row.value);
    if (!past.add(inode)) fault(`Several rows lead to the past directory ${inode}.`);
    yield* checkPast(tx, row, { emptied, fault });
  });
  return { held, past, olderVersions };
}

async function checkBuckets(scan: Scan): Promise<void> {
  const documentsOf = new InodeSet();
  await scan.rows(bucketSpace, function* (tx, row) {
    const name = nameOfBucketKey(row.key);
    if (!documentsOf.add(decodeBucketRow(row.value).documentsOf))
      scan.fault(`Bucket ${name} has the documents of another one.`);
    const directory = yield* findDirectory(tx, name as FilePath);
    if (directory === undefined || directory.implicit === true)
      scan.fault(`Bucket ${name} has settings, and no directory that somebody made.`);
  });
  // oxlint-disable-next-line eslint/require-yield -- It reads nothing more.
  await scan.rows(bucketDocumentSpace, function* (_tx, row) {
    const inode = inodeOfDocumentKey(row.key);
    if (!documentsOf.has(inode)) scan.fault(`There are documents of bucket ${inode}, which has no settings.`);
  });
}

async function checkOrphans(scan: Scan): Promise<InodeSet> {
  const orphans = new InodeSet();
  await scan.rows(orphanHolderSpace, function* (tx, row) {
    const orphan = orphanOfHolderKey(row.key);
    const { inode, session }: { readonly inode: Inode; readonly session: string } = orphan;
    const isFirst = orphans.add(inode);
    if (!(yield* isOrphanOf(tx, orphan))) scan.fault(`Session ${session} holds inode ${inode}, and has no row for it.`);
    if (isFirst && (yield* readAttributes(tx, inode)) === undefined)
      scan.fault(`Inode ${inode} is an orphan, and missing.`);
  });
  await scan.rows(orphanSpace, function* (tx, row) {
    const orphan = orphanOfSessionKey(row.key);
    if (!(yield* isHeldBy(tx, orphan)))
      scan.fault(`Session ${orphan.session} has a row for inode ${orphan.inode}, which it does not hold.`);
  });
  return orphans;
}
