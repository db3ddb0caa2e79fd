import type { FilePath, Inode, VersionId } from "../core/ids.ts";
import { momentOf } from "../core/moment.ts";
import type { Program, Transaction } from "../kv/index.ts";
import { checkExpectation } from "./commit.ts";
import { destroyRow, findVersion, promote } from "./history.ts";
import { historyAfter, newestOf } from "./history-of-path.ts";
import type { HistoryRow } from "./history-rows.ts";
import { assertDestroyable, type Destroyer } from "./locks.ts";
import { etagsOf, releaseAll } from "./owners.ts";
import { unlink } from "./unlink.ts";
import { entombKey } from "./tombstones.ts";
import type { Place } from "./names.ts";
import { findFile, findPlace, type Maker, pruneUpwards } from "./tree.ts";
import type { Expectation, FileRecord, FileVersion, ObjectPlace } from "./types.ts";
import { dropShared, forgetShared } from "./shared-versions.ts";
import { dropVersionParts } from "./version-parts.ts";

export interface RemoveVersion extends Maker, Destroyer {
  readonly path: FilePath;
  /** As S3 shows it. */
  readonly versionId: string;
  readonly expect: Expectation;
  /** Sorts after every version that was written until now. */
  readonly tombstoneVersionId: VersionId;
  /** `older`: not what the key shows now, be it a version or a delete marker. `lone marker`: only a delete marker that hides nothing. */
  readonly only?: "older" | "lone marker";
}

export interface RemovedVersion {
  readonly file?: FileRecord;
  readonly orphans: readonly ObjectPlace[];
  /** What was removed is a delete marker. */
  readonly marker: boolean;
  /** The version that is current now was in this holder, which is gone. */
  readonly promoted?: { readonly holder: Inode; readonly file: FileRecord };
}

/** Removes one version, or delete marker, for good; the next becomes current. Undefined when there is no such version. */
export function* removeVersion(tx: Transaction, request: RemoveVersion): Program<RemovedVersion | undefined> {
  const { path, only } = request;
  const found = yield* findVersion(tx, path, request.versionId);
  if (found === undefined) {
    checkExpectation(request.expect, undefined);
    return (yield* forgetShared(tx, path, request.versionId)) ? { orphans: [], marker: false } : undefined;
  }
  if (found.kind === "current") {
    if (only !== undefined) return undefined;
    return yield* removeCurrent(tx, found.file, request);
  }
  if (only === "lone marker" && !(yield* isLone(tx, path, found.row))) return undefined;
  checkExpectation(request.expect, found.kind === "older" ? found.file.version : undefined);
  const newest = yield* newestOf(tx, path);
  const isNewest = newest?.directory === found.row.directory && newest.sequence === found.row.sequence;
  const shows = isNewest && (yield* findFile(tx, path)) === undefined;
  if (shows && only === "older") return undefined;
  const { file, orphans } = yield* destroyRow(tx, found.row, request);
  if (shows) yield* promote(tx, request);
  return { orphans, marker: found.kind === "marker", ...(file === undefined ? {} : { file }) };
}

function* isLone(tx: Transaction, path: FilePath, row: HistoryRow): Program<boolean> {
  if (row.inode !== undefined || (yield* findFile(tx, path)) !== undefined) return false;
  return (yield* historyAfter(tx, path, { limit: 2 })).length === 1;
}

function* removeCurrent(tx: Transaction, file: FileRecord, request: RemoveVersion): Program<RemovedVersion> {
  const { path, nowMs, tombstoneVersionId } = request;
  // What S3 knows by an id has a version.
  const version = file.version as FileVersion;
  checkExpectation(request.expect, version);
  assertDestroyable(version, request);
  const newest = yield* newestOf(tx, path);
  const orphans: ObjectPlace[] = [];
  let promoted: RemovedVersion["promoted"];
  if (newest?.inode === undefined) {
    const place = (yield* findPlace(tx, path, false)) as Place;
    const { bypassGovernance = false } = request;
    const losing = { place, file, path, now: momentOf(nowMs), coveredId: tombstoneVersionId, bypassGovernance };
    orphans.push(...(yield* unlink(tx, losing)));
    yield* pruneUpwards(tx, place.parent, nowMs);
  } else {
    dropVersionParts(tx, version);
    yield* dropShared(tx, version);
    orphans.push(...(yield* releaseAll(tx, file, { nowMs, coveredId: tombstoneVersionId })));
    const next = (yield* promote(tx, { ...request, into: file })) as FileRecord;
    promoted = { holder: newest.inode, file: next };
  }
  yield* entombKey(tx, { path, deletedMs: nowMs, versionId: tombstoneVersionId, etags: etagsOf(version) });
  return { file, orphans, marker: false, ...(promoted === undefined ? {} : { promoted }) };
}
