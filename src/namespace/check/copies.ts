import { inodeOfKey, contentSpace, decodeOwner, ownerSpace, placeOfOwnerKey } from "../rows.ts";
import { decodeContent } from "../content-codec.ts";
import { readAttributes, readContent } from "../inodes.ts";
import { findOwner, isPlaceOf, placesOf } from "../owners.ts";
import { partsOfVersionKey, partsSpace, versionOfPartsKey } from "../version-parts.ts";
import { IdFilter } from "./inode-set.ts";
import type { Scan } from "./scan.ts";

/** Copies own the objects in which their bytes are, and every owner has such a copy. */

export async function checkContents(scan: Scan): Promise<void> {
  const { fault } = scan;
  const assembled = new IdFilter();
  await scan.rows(contentSpace, function* (tx, row) {
    const inode = inodeOfKey(row.key);
    const kind = (yield* readAttributes(tx, inode))?.kind;
    if (kind !== "file")
      fault(`There is content of inode ${inode}, which is ${kind === undefined ? "missing" : `a ${kind}`}.`);
    const { id, copies, details } = decodeContent(row.value);
    for (const { site, key } of copies.flatMap(placesOf)) {
      const owner = yield* findOwner(tx, site, key);
      if (owner?.inode !== inode) fault(`Inode ${inode} has a copy at ${site}, and does not own ${key} there.`);
    }
    const sites = copies.map(({ site }) => site);
    if (new Set(sites).size < sites.length) fault(`Inode ${inode} has two copies of its version at one site.`);
    if (details?.partCount === undefined) return;
    assembled.add(id);
    if ((yield* tx.get(partsOfVersionKey(id))) === undefined)
      fault(`Version ${id} of inode ${inode} came in ${details.partCount} parts, and no row tells which.`);
  });
  // oxlint-disable-next-line eslint/require-yield -- It reads nothing more.
  await scan.rows(partsSpace, function* (_tx, row) {
    const id = versionOfPartsKey(row.key);
    if (!assembled.mayHave(id)) fault(`There is a row of the parts of version ${id}, which no file has.`);
  });
}

/** How many objects are owned. */
export async function checkOwners(scan: Scan): Promise<number> {
  let owners = 0;
  await scan.rows(ownerSpace, function* (tx, row) {
    owners += 1;
    const { site, objectKey } = placeOfOwnerKey(row.key);
    const { inode, versionId } = decodeOwner(row.value);
    const version = yield* readContent(tx, inode);
    const owns = version?.id === versionId && isPlaceOf(version.copies, { site, key: objectKey });
    if (!owns) scan.fault(`At ${site} the key ${objectKey} is owned by inode ${inode}, which has no such copy.`);
  });
  return owners;
}
