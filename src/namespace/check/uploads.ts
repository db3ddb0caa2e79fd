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
import { begunKey, begunSpace, endedTimeKey, endedTimeSpace } from "../upload-due.ts";
import { IdFilter } from "./inode-set.ts";

/** Uploads in parts: their parts and the sites' own uploads belong to one that is under way, or that has ended and left parts behind. */
export async function checkUploads(scan: Scan): Promise<void> {
  const { fault } = scan;
  const uploads = new IdFilter();
  let atSites = 0;
  let begun = 0;
  await scan.rows(uploadSpace, function* (tx, row) {
    const { path, uploadId, sites, startedMs } = readUploadRow(row.value);
    const place = placeOfUploadKey(row.key);
    if (place.path !== path || place.uploadId !== uploadId)
      fault(`The row of upload ${place.uploadId} of ${place.path} says that it is ${uploadId} of ${path}.`);
    uploads.add(uploadId);
    begun += 1;
    if ((yield* tx.get(begunKey({ startedMs, path, uploadId }))) === undefined)
      fault(`Upload ${uploadId} of ${path} has no row by its age, and is never given up.`);
    for (const { site, uploadId: theirs } of sites) {
      if (yield* isUploadInUse(tx, site, theirs)) atSites += 1;
      else fault(`Upload ${uploadId} of ${path} has an upload at ${site} that no row protects from being swept.`);
    }
  });
  // oxlint-disable-next-line eslint/require-yield -- It reads nothing more.
  await scan.rows(siteUploadSpace, function* () {
    atSites -= 1;
  });
  // oxlint-disable-next-line eslint/require-yield -- It reads nothing more.
  await scan.rows(begunSpace, function* () {
    begun -= 1;
  });
  if (begun < 0) fault(`${-begun} rows tell the age of uploads that are not under way.`);
  if (atSites < 0) fault(`${-atSites} rows protect uploads at sites that belong to none that is under way.`);
  let looked: string | undefined;
  await scan.rows(partSpace, function* (tx, row) {
    const uploadId = uploadIdOfPartKey(row.key);
    if (uploadId === looked) return;
    looked = uploadId;
    if (uploads.mayHave(uploadId) || (yield* findEndedUpload(tx, uploadId))?.partsLeft === true) return;
    fault(`There are parts of upload ${uploadId}, which is not under way.`);
  });
  let ended = 0;
  await scan.rows(endedSpace, function* (tx, row) {
    ended += 1;
    const { uploadId, endedMs, partsLeft } = readEndedRow(row.value);
    const time = { uploadId, endedMs: partsLeft === true ? 0 : endedMs };
    if ((yield* tx.get(endedTimeKey(time))) === undefined)
      fault(`What became of upload ${uploadId} has no row by its time, and is never forgotten.`);
  });
  // oxlint-disable-next-line eslint/require-yield -- It reads nothing more.
  await scan.rows(endedTimeSpace, function* () {
    ended -= 1;
  });
  if (ended < 0) fault(`${-ended} rows tell when uploads ended of which nothing is known.`);
}
