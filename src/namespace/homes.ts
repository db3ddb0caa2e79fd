import type { FilePath, VersionId } from "../core/ids.ts";
import type { Program, Transaction } from "../kv/index.ts";
import { isPlaceOf, placesOf, release } from "./owners.ts";
import type { Copy, FileRecord, FileVersion, ObjectPlace } from "./types.ts";

/** The keys at the sites that a file's copies are to be published under, when its name changes. */

export interface Leaving {
  /** Absent: it has no name any more, and is published nowhere. */
  readonly to: FilePath | undefined;
  readonly nowMs: number;
  readonly tombstoneVersionId: VersionId | undefined;
}

/** What was to be published under the old name is to be published under the new one; what lies under the old one has no owner any more. */
export function* leaveHomes(
  tx: Transaction,
  { inode, version }: FileRecord,
  { to, nowMs, tombstoneVersionId: coveredId }: Leaving,
): Program<readonly ObjectPlace[]> {
  if (version === undefined) return [];
  const copies = version.copies.map((copy) => withoutOldHome(copy, to));
  const left = version.copies.flatMap((copy) => leavable(copy, version)).filter((place) => !isPlaceOf(copies, place));
  for (const place of left)
    yield* release(tx, { inode, version, place, nowMs, ...(coveredId === undefined ? {} : { coveredId }) });
  return left;
}

/** Where nobody knows what lies there only the file's own bytes are meant, which a publish job may have brought, and not what another tool has put there. */
function leavable(copy: Copy, version: FileVersion): readonly ObjectPlace[] {
  const etag = copy.etag ?? version.etag;
  return placesOf(copy).map((place) => ({ etag, ...place }));
}

export function withoutOldHome(copy: Copy, to: FilePath | undefined): Copy {
  if (copy.home === undefined || copy.home === to) return copy;
  const { home: _home, replaces: _replaces, ...rest } = copy;
  return rest;
}
