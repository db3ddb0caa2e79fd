import { GfsError } from "../core/errors.ts";
import type { FilePath, Inode, SiteName, VersionId } from "../core/ids.ts";
import type { Program, Reader, Transaction } from "../kv/index.ts";
import { entombKey } from "./tombstones.ts";
import { decodeOwner, encodeOwner, ownerKey } from "./rows.ts";
import type { Copy, FileRecord, FileVersion, Owner } from "./types.ts";

/**
 * Who owns the object under a key at a site. Every copy owns its object, whatever the copy's state. A row that goes without the same place
 * being owned again leaves a tombstone: else an object whose removal is late would show up as somebody else's new file.
 */

export function* findOwner(tx: Reader, site: SiteName, objectKey: string): Program<Owner | undefined> {
  const row = yield* tx.get(ownerKey(site, objectKey));
  return row === undefined ? undefined : decodeOwner(row);
}

export interface Claim {
  readonly inode: Inode;
  readonly versionId: VersionId;
  readonly copy: Copy;
}

export function* claim(tx: Transaction, { inode, versionId, copy }: Claim): Program<void> {
  const owner = yield* findOwner(tx, copy.site, copy.key);
  if (owner !== undefined && owner.inode !== inode) {
    throw new GfsError("Conflict", `At site ${copy.site} the key ${copy.key} belongs to another file; try again.`, {
      op: "namespace.claim",
      context: { site: copy.site, key: copy.key, inode: owner.inode },
    });
  }
  tx.put(ownerKey(copy.site, copy.key), encodeOwner({ inode, versionId }));
}

export interface Release {
  readonly inode: Inode;
  readonly version: FileVersion;
  readonly copy: Copy;
  readonly nowMs: number;
  /** Also covers what later versions left there whose write died before the catalog knew; absent: the version and those before it. */
  readonly coveredId?: VersionId;
}

export function* release(tx: Transaction, { inode, version, copy, nowMs, coveredId }: Release): Program<void> {
  const owner = yield* findOwner(tx, copy.site, copy.key);
  if (owner === undefined || owner.inode !== inode) return;
  tx.delete(ownerKey(copy.site, copy.key));
  yield* entombKey(tx, {
    path: copy.key as FilePath,
    deletedMs: nowMs,
    versionId: coveredId !== undefined && coveredId > version.id ? coveredId : version.id,
    etags: etagsOf(version),
  });
}

export function samePlace(one: Copy, other: Copy): boolean {
  return one.site === other.site && one.key === other.key;
}

/** How the version's bytes may be called at a site where a late write brings them once more. */
export function etagsOf(version: FileVersion): string[] {
  const etags = new Set([version.etag]);
  for (const copy of version.copies) if (copy.etag !== undefined) etags.add(copy.etag);
  return [...etags];
}

/** All copies of a file that has lost its last name: each must be removed. */
export function* releaseAll(
  tx: Transaction,
  file: FileRecord,
  last: { readonly nowMs: number; readonly coveredId?: VersionId },
): Program<readonly Copy[]> {
  const version = file.version;
  if (version === undefined) return [];
  for (const copy of version.copies) yield* release(tx, { inode: file.inode, version, copy, ...last });
  return version.copies;
}
