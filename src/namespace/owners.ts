import { GfsError } from "../core/errors.ts";
import type { FilePath, Inode, SiteName, VersionId } from "../core/ids.ts";
import type { Program, Reader, Transaction } from "../kv/index.ts";
import { entombKey } from "./tombstones.ts";
import { decodeOwner, encodeOwner, ownerKey } from "./rows.ts";
import type { Copy, FileRecord, FileVersion, ObjectPlace, Owner } from "./types.ts";

/**
 * Who owns the object under a key at a site. Every copy owns its object, whatever the copy's state, and the key that it is to be published under. A row
 * that is released without the same place being owned again leaves a tombstone: else an object whose removal is late would show up as somebody else's new file.
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
  for (const { site, key } of placesOf(copy)) {
    const owner = yield* findOwner(tx, site, key);
    if (owner !== undefined && owner.inode !== inode) {
      throw new GfsError("Conflict", `At site ${site} the key ${key} belongs to another file; try again.`, {
        op: "namespace.claim",
        context: { site, key, inode: owner.inode },
      });
    }
    tx.put(ownerKey(site, key), encodeOwner({ inode, versionId }));
  }
}

/** Where its bytes are, and where they are to be published: there is what was there before. */
export function placesOf({ site, key, etag, home, replaces }: Copy): readonly ObjectPlace[] {
  const place: ObjectPlace = { site, key, ...(etag === undefined ? {} : { etag }) };
  return home === undefined || home === key
    ? [place]
    : [place, { site, key: home, ...(replaces === undefined ? {} : { etag: replaces }) }];
}

export interface Release {
  readonly inode: Inode;
  readonly version: FileVersion;
  readonly place: ObjectPlace;
  readonly nowMs: number;
  /** Also covers what later versions left there whose write died before the catalog knew; absent: the version and those before it. */
  readonly coveredId?: VersionId;
}

export function* release(tx: Transaction, { inode, version, place, nowMs, coveredId }: Release): Program<void> {
  const owner = yield* findOwner(tx, place.site, place.key);
  if (owner === undefined || owner.inode !== inode) return;
  tx.delete(ownerKey(place.site, place.key));
  yield* entombKey(tx, {
    path: place.key as FilePath,
    deletedMs: nowMs,
    versionId: coveredId !== undefined && coveredId > version.id ? coveredId : version.id,
    etags: etagsOf(version),
    versions: [version.id],
  });
}

/** Without a tombstone: what lies there is not ours, and nothing that is remembered may cover it. */
export function* disown(tx: Transaction, inode: Inode, { site, key }: ObjectPlace): Program<void> {
  const owner = yield* findOwner(tx, site, key);
  if (owner?.inode === inode) tx.delete(ownerKey(site, key));
}

export function isPlaceOf(copies: readonly Copy[], place: ObjectPlace): boolean {
  return copies.some(({ site, key, home }) => site === place.site && (key === place.key || home === place.key));
}

/** How the version's bytes may be called at a site where a late write brings them once more. */
export function etagsOf(version: FileVersion): string[] {
  const etags = new Set([version.etag]);
  for (const copy of version.copies) if (copy.etag !== undefined) etags.add(copy.etag);
  return [...etags];
}

/** All copies of a file that has lost its last name: what lies at each of the places must be removed. */
export function* releaseAll(
  tx: Transaction,
  file: FileRecord,
  last: { readonly nowMs: number; readonly coveredId?: VersionId },
): Program<readonly ObjectPlace[]> {
  const version = file.version;
  if (version === undefined) return [];
  const places = version.copies.flatMap(placesOf);
  for (const place of places) yield* release(tx, { inode: file.inode, version, place, ...last });
  return places;
}
