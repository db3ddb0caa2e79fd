import type { Scan } from "./scan.ts";
import {
  endedSpace,
  findEndedUpload,
  isUploadInUse,
  partSpace,
  placeOfUploadKey,
  readEndedRow,
  readUploadRow,
  siteUploadSpace,
  uploadIdOfPartKey,
  uploadSpace,
} from "../uploads.ts";
import { IdFilter } from "./inode-set.ts";

/** Uploads in parts: their parts and the sites' own uploads belong to one that is under way, or that has ended and left parts behind. */
export async function checkUploads(scan: Scan): Promise<void> {
  const { fault } = scan;
  const uploads = new IdFilter();
  let atSites = 0;
  await scan.rows(uploadSpace, function* (tx, row) {
    const { path, uploadId, sites } = readUploadRow(row.value);
    const place = placeOfUploadKey(row.key);
    if (place.path !== path || place.uploadId !== uploadId)
      fault(`The row of upload ${place.uploadId} of ${place.path} says that it is ${uploadId} of ${path}.`);
    uploads.add(uploadId);
    for (const { site, uploadId: theirs } of sites) {
      if (yield* isUploadInUse(tx, site, theirs)) atSites += 1;
      else fault(`Upload ${uploadId} of ${path} has an upload at ${site} that no row protects from being swept.`);
    }
  });
  // oxlint-disable-next-line eslint/require-yield -- It reads nothing more.
  await scan.rows(siteUploadSpace, function* () {
    atSites -= 1;
  });
  if (atSites < 0) fault(`${-atSites} rows protect uploads at sites that belong to none that is under way.`);
  let looked: string | undefined;
  await scan.rows(partSpace, function* (tx, row) {
    const uploadId = uploadIdOfPartKey(row.key);
    if (uploadId === looked) return;
    looked = uploadId;
    if (uploads.mayHave(uploadId) || (yield* findEndedUpload(tx, uploadId))?.partsLeft === true) return;
    fault(`There are parts of upload ${uploadId}, which is not under way.`);
  });
  // oxlint-disable-next-line eslint/require-yield -- It reads nothing more.
  await scan.rows(endedSpace, function* (_tx, row) {
    readEndedRow(row.value);
  });
}
