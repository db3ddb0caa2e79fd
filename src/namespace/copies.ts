import type { Inode, SiteName, VersionId } from "../core/ids.ts";
import type { Program, Transaction } from "../kv/index.ts";
import { claim, isPlaceOf, placesOf, release } from "./owners.ts";
import { readContent, writeContent } from "./inodes.ts";
import type { Copy, FileVersion } from "./types.ts";

export interface SetCopy {
  readonly inode: Inode;
  readonly versionId: VersionId;
  readonly copy: Copy;
  readonly nowMs: number;
}

/** Says where a version's bytes are at one site. False, and nothing is written, when that version is not the current one any more. */
export function* setCopy(tx: Transaction, { inode, versionId, copy, nowMs }: SetCopy): Program<boolean> {
  const version = yield* readContent(tx, inode);
  if (version?.id !== versionId) return false;
  const before = version.copies.find((each) => each.site === copy.site);
  yield* claim(tx, { inode, versionId, copy });
  const copies =
    before === undefined ? [...version.copies, copy] : version.copies.map((each) => (each === before ? copy : each));
  const changed: FileVersion = { ...version, copies };
  for (const place of before === undefined ? [] : placesOf(before))
    if (!isPlaceOf([copy], place)) yield* release(tx, { inode, version: changed, place, nowMs });
  writeContent(tx, inode, changed);
  return true;
}

export interface RemoveCopy {
  readonly inode: Inode;
  readonly versionId: VersionId;
  readonly site: SiteName;
  readonly nowMs: number;
}

/** Forgets a copy, such as that of a site that was removed. Resolves with the copy that went. */
export function* removeCopy(tx: Transaction, { inode, versionId, site, nowMs }: RemoveCopy): Program<Copy | undefined> {
  const version = yield* readContent(tx, inode);
  if (version?.id !== versionId) return undefined;
  const gone = version.copies.find((each) => each.site === site);
  if (gone === undefined) return undefined;
  for (const place of placesOf(gone)) yield* release(tx, { inode, version, place, nowMs });
  writeContent(tx, inode, { ...version, copies: version.copies.filter((each) => each !== gone) });
  return gone;
}
