import { type FilePath, ROOT_INODE, type VersionId } from "../core/ids.ts";
import { momentOf } from "../core/moment.ts";
import type { Program, Transaction } from "../kv/index.ts";
import { keepsVersions, rulesOf } from "./bucket-rows.ts";
import { recordChange } from "./changes.ts";
import { checkExpectation } from "./commit.ts";
import { destroyNull, retire } from "./history.ts";
import { ensureHistoryDirectory, historyLayers, newestOf, pushHistory } from "./history-of-path.ts";
import type { HistoryRow } from "./history-rows.ts";
import { assertDestroyable } from "./locks.ts";
import { etagsOf } from "./owners.ts";
import { removeFile, unlink } from "./remove.ts";
import { entombKey } from "./tombstones.ts";
import { getEntered } from "./inodes.ts";
import { dropName, type Place, readEntry } from "./names.ts";
import { splitPath } from "./path.ts";
import { findPlace, type Maker, pruneUpwards } from "./tree.ts";
import type { Expectation, FileRecord, ObjectPlace } from "./types.ts";

export interface DeleteKey extends Maker {
  readonly path: FilePath;
  readonly expect: Expectation;
  /** Sorts after every version that was written until now. It is also the id of the delete marker. */
  readonly tombstoneVersionId: VersionId;
  /** Owns the delete marker. */
  readonly owner?: string;
  /** A rule of the bucket does it, and nobody asked. */
  readonly expired?: boolean;
}

export interface DeletedKey {
  /** The file that had the name. */
  readonly file?: FileRecord;
  /** Objects that nobody needs any more. */
  readonly orphans: readonly ObjectPlace[];
  /** In a bucket that keeps versions: what hides the key from now on. */
  readonly marker?: HistoryRow;
}

/** Takes the name away. In a bucket that keeps versions the version stays, below a delete marker; in any other it goes with its last name. */
export function* deleteKey(tx: Transaction, request: DeleteKey): Program<DeletedKey> {
  const rules = yield* rulesOf(tx, request.path);
  if (!keepsVersions(rules)) return (yield* removeFile(tx, request)) ?? { orphans: [] };
  const { path, nowMs, tombstoneVersionId, owner } = request;
  const place = yield* findPlace(tx, path, false);
  const entry = place === undefined ? undefined : yield* readEntry(tx, place.parent, place.name);
  const file = entry === undefined ? undefined : yield* getEntered(tx, entry);
  checkExpectation(request.expect, file?.version);
  const versioned = rules.versioning === "enabled";
  const orphans: ObjectPlace[] = [];
  if (place !== undefined && file !== undefined)
    orphans.push(...(yield* takeAway(tx, { place, file, versioned }, request)));
  if (!versioned) orphans.push(...(yield* destroyNull(tx, { path, nowMs })));
  const { parent, name } = splitPath(path);
  const marker = yield* pushHistory(tx, {
    directory: yield* ensureHistoryDirectory(tx, parent, request.nextInode),
    name,
    versionId: tombstoneVersionId,
    versioned,
    createdMs: nowMs,
    ...(owner === undefined ? {} : { owner }),
  });
  recordChange(tx, {
    kind: "removed",
    path,
    inode: file?.inode ?? ROOT_INODE,
    versionId: tombstoneVersionId,
    atMs: nowMs,
    cause: request.expired === true ? "expired" : "hidden",
  });
  const etags = file?.version === undefined ? [] : etagsOf(file.version);
  yield* entombKey(tx, { path, deletedMs: nowMs, versionId: tombstoneVersionId, etags });
  if (place !== undefined && file !== undefined) yield* pruneUpwards(tx, place.parent, nowMs);
  return { orphans, marker, ...(file === undefined ? {} : { file }) };
}

interface Taken {
  readonly place: Place;
  readonly file: FileRecord;
  /** The bucket gives every version an id. */
  readonly versioned: boolean;
}

/** Resolves with the objects that go. A file with other names keeps its version there; a link has none. */
function* takeAway(
  tx: Transaction,
  { place, file, versioned }: Taken,
  { path, nowMs, tombstoneVersionId }: DeleteKey,
): Program<readonly ObjectPlace[]> {
  const { version } = file;
  const stays = version !== undefined && (versioned || version.details?.versioned === true);
  if (!stays || file.linkCount > 1) {
    if (file.linkCount === 1) assertDestroyable(version, { path, nowMs });
    return yield* unlink(tx, { place, file, path, nowMs, coveredId: tombstoneVersionId, silent: true });
  }
  yield* dropName(tx, place, file, momentOf(nowMs));
  yield* retire(tx, { path, file, version, nowMs });
  return [];
}

/** A name that a file went away from keeps its history, and something must hide what lies on top of it. */
export function* markAbandoned(
  tx: Transaction,
  { path, nowMs, versionId }: { readonly path: FilePath; readonly nowMs: number; readonly versionId: VersionId },
): Program<void> {
  const newest = yield* newestOf(tx, path);
  if (newest?.inode === undefined) return;
  const { versioning } = yield* rulesOf(tx, path);
  const versioned = versioning === "enabled";
  if (!versioned) yield* destroyNull(tx, { path, nowMs });
  const { parent, name } = splitPath(path);
  const [layer] = yield* historyLayers(tx, parent);
  if (layer === undefined) return;
  yield* pushHistory(tx, { directory: layer.inode, name, versionId, versioned, createdMs: nowMs });
}
