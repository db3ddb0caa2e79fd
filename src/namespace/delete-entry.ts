import { type FilePath, type Inode, ROOT_INODE, type SessionId, type VersionId } from "../core/ids.ts";
import type { Moment } from "../core/moment.ts";
import type { Program, Transaction } from "../kv/index.ts";
import type { VersionRules } from "./bucket-codec.ts";
import { keepsVersions, rulesOf } from "./bucket-rows.ts";
import { recordChange } from "./changes.ts";
import { clearNull, destroyNull, retire } from "./history.ts";
import { historyLayers, newestOf, pushHistory } from "./history-of-path.ts";
import type { HistoryRow } from "./history-rows.ts";
import { assertDestroyable } from "./locks.ts";
import { dropName, type Place } from "./names.ts";
import { etagsOf } from "./owners.ts";
import { splitPath } from "./path.ts";
import { type Named, removeForGood } from "./remove.ts";
import { entombKey } from "./tombstones.ts";
import { rememberShared } from "./shared-versions.ts";
import type { FileRecord, ObjectPlace } from "./types.ts";
import { unlink } from "./unlink.ts";

/** How a file loses a name where it may have a history: what a delete by key and an unlink by directory and name have in common. */

export interface Deletion {
  readonly path: FilePath;
  readonly now: Moment;
  /** Sorts after every version that was written until now. It is also the id of the delete marker. */
  readonly tombstoneVersionId: VersionId;
  /** Owns the delete marker. */
  readonly owner?: string;
  /** A rule of the bucket does it, and nobody asked. */
  readonly expired?: boolean;
}

export interface DeleteEntry extends Deletion, Named {
  /** Sessions that have it open: what does not stay as a version stays for them. */
  readonly heldBy?: readonly SessionId[];
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
export function* deleteEntry(tx: Transaction, request: DeleteEntry): Program<DeletedKey> {
  const { place, file, path } = request;
  const rules = yield* rulesOf(tx, path);
  if (!keepsVersions(rules))
    return yield* removeForGood(tx, { ...request, ...(request.expired === true ? { cause: "expired" } : {}) });
  const taken = yield* takeAway(tx, request, rules);
  const nulls = yield* clearNull(tx, rules, { path, nowMs: request.now.ms });
  const marker = yield* hideKey(tx, { ...request, rules, directory: place.parent });
  return { file, orphans: [...taken, ...nulls], marker };
}

export interface HideKey extends Deletion {
  readonly rules: VersionRules;
  /** Where the history of the path grows. */
  readonly directory: Inode;
  readonly file?: FileRecord;
}

/** Puts a delete marker on top of a path that has no entry. */
export function* hideKey(tx: Transaction, request: HideKey): Program<HistoryRow> {
  const { path, now, tombstoneVersionId, owner, file, directory } = request;
  const versioned = request.rules.versioning === "enabled";
  const marker = yield* pushHistory(tx, {
    directory,
    name: splitPath(path).name,
    versionId: tombstoneVersionId,
    versioned,
    createdMs: now.ms,
    ...(owner === undefined ? {} : { owner }),
  });
  recordChange(tx, {
    kind: "removed",
    path,
    inode: file?.inode ?? ROOT_INODE,
    versionId: tombstoneVersionId,
    atMs: now.ms,
    cause: request.expired === true ? "expired" : "hidden",
  });
  const etags = file?.version === undefined ? [] : etagsOf(file.version);
  yield* entombKey(tx, { path, deletedMs: now.ms, versionId: tombstoneVersionId, etags });
  return marker;
}

/** Resolves with the objects that go. A file with other names keeps its version there; a link has none. */
function* takeAway(
  tx: Transaction,
  { place, file, path, now, tombstoneVersionId, heldBy = [] }: DeleteEntry,
  rules: VersionRules,
): Program<readonly ObjectPlace[]> {
  if (!staysBehind(file, rules)) {
    if (file.linkCount === 1) assertDestroyable(file.version, { path, nowMs: now.ms });
    else rememberShared(tx, place, file, rules);
    return yield* unlink(tx, { place, file, path, now, coveredId: tombstoneVersionId, heldBy, silent: true });
  }
  yield* retireFrom(tx, place, file, now);
  return [];
}

/** What loses its name, or is replaced, stays as an older version where its bucket keeps them. */
export function staysBehind(
  file: FileRecord,
  rules: VersionRules,
): file is FileRecord & { readonly version: NonNullable<FileRecord["version"]> } {
  if (file.version === undefined || file.linkCount > 1) return false;
  return rules.versioning === "enabled" || (keepsVersions(rules) && file.version.details?.versioned === true);
}

export function* retireFrom(
  tx: Transaction,
  place: Place,
  file: FileRecord & { readonly version: NonNullable<FileRecord["version"]> },
  now: Moment,
): Program<void> {
  yield* dropName(tx, place, file, now);
  yield* retire(tx, { place, file, version: file.version, now });
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
