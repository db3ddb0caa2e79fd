import type { FilePath, VersionId } from "../core/ids.ts";
import { momentOf } from "../core/moment.ts";
import type { Program, Transaction } from "../kv/index.ts";
import { checkExpectation } from "./commit.ts";
import { etagsOf } from "./owners.ts";
import { entombKey } from "./tombstones.ts";
import { getEntered } from "./inodes.ts";
import { type Place, readEntry } from "./names.ts";
import { findPlace, pruneUpwards } from "./tree.ts";
import type { Expectation, FileRecord, KnownDirectory, Removed } from "./types.ts";
import { type Unlink, unlink } from "./unlink.ts";

export interface RemoveFile {
  readonly path: FilePath;
  readonly expect: Expectation;
  readonly nowMs: number;
  /** For the tombstone when the catalog knows no file: what the sites may hold is deleted all the same. */
  readonly tombstoneVersionId: VersionId;
  /** Where its directory may be. */
  readonly known?: KnownDirectory | undefined;
  /** A rule of the bucket does it, and nobody asked. */
  readonly expired?: boolean;
}

/**
 * Takes the name away, and the file with its last name, for good: what a bucket that keeps versions does is `deleteKey`. The tombstone is
 * written in every case.
 */
export function* removeFile(tx: Transaction, request: RemoveFile): Program<Removed | undefined> {
  const { path, nowMs, tombstoneVersionId } = request;
  const found = yield* findNamed(tx, path, request.known);
  checkExpectation(request.expect, found?.file.version);
  if (found === undefined) {
    yield* entombKey(tx, { path, deletedMs: nowMs, versionId: tombstoneVersionId, etags: [] });
    return undefined;
  }
  const cause = request.expired === true ? { cause: "expired" as const } : {};
  const removed = yield* removeForGood(tx, { ...found, path, now: momentOf(nowMs), tombstoneVersionId, ...cause });
  yield* pruneUpwards(tx, found.place.parent, nowMs);
  return removed;
}

/** A file and the place of the name that it was found by. */
export interface Named {
  readonly place: Place;
  readonly file: FileRecord;
}

/** Of a file, not of a directory. */
export function* findNamed(tx: Transaction, path: FilePath, known?: KnownDirectory): Program<Named | undefined> {
  const place = yield* findPlace(tx, path, false, known);
  const entry = place === undefined ? undefined : yield* readEntry(tx, place.parent, place.name);
  return place === undefined || entry === undefined ? undefined : { place, file: yield* getEntered(tx, entry) };
}

export interface RemoveForGood extends Omit<Unlink, "coveredId"> {
  readonly tombstoneVersionId: VersionId;
}

export function* removeForGood(tx: Transaction, { tombstoneVersionId, ...request }: RemoveForGood): Program<Removed> {
  const { file, path, now } = request;
  const orphans = yield* unlink(tx, { ...request, coveredId: tombstoneVersionId });
  // The new id sorts after every version that was written until now, so that none of them can come back.
  const etags = file.version === undefined ? [] : etagsOf(file.version);
  yield* entombKey(tx, { path, deletedMs: now.ms, versionId: tombstoneVersionId, etags });
  return { file, orphans };
}
