import type { FilePath, VersionId } from "../core/ids.ts";
import { momentOf } from "../core/moment.ts";
import type { Program, Transaction } from "../kv/index.ts";
import { recordChange } from "./changes.ts";
import { checkExpectation } from "./commit.ts";
import { etagsOf, releaseAll } from "./owners.ts";
import { entombKey } from "./tombstones.ts";
import { dropInode, getEntered } from "./inodes.ts";
import { dropName, type Place, readEntry } from "./names.ts";
import { findPlace, pruneUpwards } from "./tree.ts";
import type { ChangeCause, Expectation, FileRecord, ObjectPlace, Removed } from "./types.ts";
import { dropVersionParts } from "./version-parts.ts";

export interface RemoveFile {
  readonly path: FilePath;
  readonly expect: Expectation;
  readonly nowMs: number;
  /** For the tombstone when the catalog knows no file: what the sites may hold is deleted all the same. */
  readonly tombstoneVersionId: VersionId;
  /** A rule of the bucket does it, and nobody asked. */
  readonly expired?: boolean;
}

/**
 * Takes the name away, and the file with its last name, for good: what a bucket that keeps versions does is `deleteKey`. The tombstone is
 * written in every case.
 */
export function* removeFile(tx: Transaction, request: RemoveFile): Program<Removed | undefined> {
  const { path, nowMs, tombstoneVersionId } = request;
  const place = yield* findPlace(tx, path, false);
  const entry = place === undefined ? undefined : yield* readEntry(tx, place.parent, place.name);
  const file = entry === undefined ? undefined : yield* getEntered(tx, entry);
  checkExpectation(request.expect, file?.version);
  if (place === undefined || file === undefined) {
    yield* entombKey(tx, { path, deletedMs: nowMs, versionId: tombstoneVersionId, etags: [] });
    return undefined;
  }
  const cause = request.expired === true ? { cause: "expired" as const } : {};
  const orphans = yield* unlink(tx, { place, file, path, nowMs, coveredId: tombstoneVersionId, ...cause });
  // The new id sorts after every version that was written until now, so that none of them can come back.
  yield* entombKey(tx, {
    path,
    deletedMs: nowMs,
    versionId: tombstoneVersionId,
    etags: file.version === undefined ? [] : etagsOf(file.version),
  });
  yield* pruneUpwards(tx, place.parent, nowMs);
  return { file, orphans };
}

export interface Unlink {
  readonly place: Place;
  readonly file: FileRecord;
  readonly path: FilePath;
  readonly nowMs: number;
  readonly coveredId?: VersionId;
  /** For the change feed. */
  readonly cause?: ChangeCause;
  /** The caller tells the feed. */
  readonly silent?: boolean;
}

/** Resolves with the copies that nobody needs any more: none while another hard link names the file. */
export function* unlink(
  tx: Transaction,
  { place, file, path, nowMs, coveredId, cause, silent }: Unlink,
): Program<readonly ObjectPlace[]> {
  const now = momentOf(nowMs);
  const { linkCount } = yield* dropName(tx, place, file, now);
  if (silent !== true) {
    recordChange(tx, {
      kind: "removed",
      path,
      inode: file.inode,
      atMs: nowMs,
      ...(file.version === undefined ? {} : { versionId: file.version.id }),
      ...(cause === undefined ? {} : { cause }),
    });
  }
  if (linkCount > 0) return [];
  yield* dropInode(tx, file);
  if (file.version !== undefined) dropVersionParts(tx, file.version);
  return yield* releaseAll(tx, file, { nowMs, ...(coveredId === undefined ? {} : { coveredId }) });
}
