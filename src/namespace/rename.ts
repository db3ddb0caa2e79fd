import { GfsError } from "../core/errors.ts";
import type { FilePath, Inode, VersionId } from "../core/ids.ts";
import { momentOf } from "../core/moment.ts";
import type { Program, Transaction } from "../kv/index.ts";
import type { VersionRules } from "./bucket-codec.ts";
import { bucketOf, dropBucketRow, keepsVersions, moveBucketRow, rulesOf } from "./bucket-rows.ts";
import { recordChange } from "./changes.ts";
import { markAbandoned } from "./delete-key.ts";
import { checkDirectoryRules } from "./directory-rules.ts";
import { destroyNull, retire } from "./history.ts";
import { assertDestroyable, settleVersion } from "./locks.ts";
import { etagsOf, isPlaceOf, placesOf, release } from "./owners.ts";
import { coverPast, hasHistoryIn, leaveDirectory } from "./past-directories.ts";
import { splitPath } from "./path.ts";
import { unlink } from "./remove.ts";
import { entombKey } from "./tombstones.ts";
import { getEntered, getInode, writeContent } from "./inodes.ts";
import { dropName, moveName, type Place, readEntry } from "./names.ts";
import { ensureDirectory, findPlace, isEmpty, pruneUpwards } from "./tree.ts";
import type { Copy, FileRecord, FileVersion, ObjectPlace, Removed } from "./types.ts";

export interface Rename {
  readonly from: FilePath;
  readonly to: FilePath;
  /** Both name directories. */
  readonly directory: boolean;
  /** A file may be replaced, a directory only when it is empty. */
  readonly overwrite: boolean;
  readonly nowMs: number;
  readonly nextInode: () => Inode;
  /** Sorts after every version that was written until now: what a lost write left under either name stays hidden. Absent: the file's own. */
  readonly tombstoneVersionId?: VersionId;
}

export interface Renamed {
  readonly moved: FileRecord;
  /** The file that had the name before. */
  readonly replaced?: Removed;
  /** Where the file was to be published under its old name: what lies there must be removed. */
  readonly left: readonly ObjectPlace[];
}

/** Moves one entry, however much lies below it. Objects keep their keys: their copies say where they are. */
export function* rename(tx: Transaction, request: Rename): Program<Renamed> {
  const { from, to, directory, nowMs } = request;
  const source = yield* findPlace(tx, from, directory);
  const entry = source === undefined ? undefined : yield* readEntry(tx, source.parent, source.name);
  if (source === undefined || entry === undefined) {
    throw new GfsError("NotFound", `There is no ${directory ? "directory" : "object"} ${from}.`, {
      op: "namespace.rename",
    });
  }
  const { inode } = entry;
  const moved = yield* getEntered(tx, entry);
  if (from === to) return { moved, left: [] };
  if (directory && `${to}/`.startsWith(`${from}/`)) {
    throw new GfsError("InvalidArgument", `${from} cannot be moved into itself, to ${to}.`, { op: "namespace.rename" });
  }
  if (directory) yield* checkDirectoryRules(tx, { from, to });
  else assertDestroyable(moved.version, { path: from, nowMs });
  const { parent, name } = splitPath(to);
  const target: Place = { parent: yield* ensureDirectory(tx, parent, request), name: directory ? `${name}/` : name };
  const cleared = yield* clearTarget(tx, target, request, inode);
  if (cleared === "same file") return { moved, left: [] };

  if (directory) {
    yield* moveSettings(tx, from, to);
    for (const place of [source, target]) yield* coverPast(tx, place, inode);
  }
  const now = momentOf(nowMs);
  const left = yield* leaveHomes(tx, moved, { to, nowMs, tombstoneVersionId: request.tombstoneVersionId });
  const renamed = yield* moveName(tx, { source, target }, moved, now);
  const version = moved.version === undefined ? undefined : yield* arrive(tx, moved.version, { to, nowMs });
  if (version !== undefined && version !== moved.version) writeContent(tx, inode, version);
  recordChange(tx, {
    kind: "renamed",
    path: to,
    from,
    inode,
    atMs: nowMs,
    ...(moved.version === undefined ? {} : { versionId: moved.version.id }),
  });
  if (moved.version !== undefined) {
    // What other sites may hold under the old name was hidden by the file, and stays hidden.
    const versionId = request.tombstoneVersionId ?? moved.version.id;
    yield* entombKey(tx, { path: from, deletedMs: nowMs, versionId, etags: etagsOf(moved.version) });
    yield* markAbandoned(tx, { path: from, nowMs, versionId });
  }
  yield* pruneUpwards(tx, source.parent, nowMs);
  return {
    moved: version === undefined ? renamed : { ...renamed, version },
    left,
    ...(cleared === undefined ? {} : { replaced: cleared }),
  };
}

export interface Leaving {
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
  const left = version.copies.flatMap(placesOf).filter((place) => !isPlaceOf(copies, place));
  for (const place of left)
    yield* release(tx, { inode, version, place, nowMs, ...(coveredId === undefined ? {} : { coveredId }) });
  return left;
}

export function withoutOldHome(copy: Copy, to: FilePath | undefined): Copy {
  if (copy.home === undefined || copy.home === to) return copy;
  const { home: _home, replaces: _replaces, ...rest } = copy;
  return rest;
}

/** Under its new name the version is one of the bucket that it comes to. */
function* arrive(
  tx: Transaction,
  version: FileVersion,
  { to, nowMs }: { readonly to: FilePath; readonly nowMs: number },
): Program<FileVersion> {
  const rules = yield* rulesOf(tx, to);
  const copies = version.copies.map((copy) => withoutOldHome(copy, to));
  const moved = copies.every((copy, index) => copy === version.copies[index]) ? version : { ...version, copies };
  return settleVersion(rules.objectLock ? moved : withoutLock(moved), rules, nowMs);
}

function withoutLock(version: FileVersion): FileVersion {
  const { details } = version;
  if (details?.labels?.lock === undefined) return version;
  const { lock: _, ...labels } = details.labels;
  return { ...version, details: { ...details, labels } };
}

/** A bucket keeps its settings under its new name; deeper in the tree it is a directory like any other. */
function* moveSettings(tx: Transaction, from: FilePath, to: FilePath): Program<void> {
  const [was, is] = [bucketOf(from) === undefined, bucketOf(to) === undefined];
  if (was && is) yield* moveBucketRow(tx, from, to);
  else if (was) yield* dropBucketRow(tx, from);
  else if (is) yield* dropBucketRow(tx, to);
}

/** What is replaced by the rename stays as an older version where its bucket keeps them. */
function staysBehind(file: FileRecord, rules: VersionRules): file is FileRecord & { readonly version: FileVersion } {
  if (file.version === undefined || file.linkCount > 1) return false;
  return rules.versioning === "enabled" || (keepsVersions(rules) && file.version.details?.versioned === true);
}

function* clearTarget(
  tx: Transaction,
  target: Place,
  { to, directory, overwrite, nowMs, tombstoneVersionId }: Rename,
  moving: Inode,
): Program<Removed | "same file" | undefined> {
  const entry = yield* readEntry(tx, target.parent, target.name);
  if (entry === undefined) {
    const rules = directory ? undefined : yield* rulesOf(tx, to);
    const nulls = rules?.versioning === "suspended" ? yield* destroyNull(tx, { path: to, nowMs }) : [];
    return nulls.length === 0 ? undefined : { file: yield* getInode(tx, moving), orphans: nulls };
  }
  if (!overwrite)
    throw new GfsError("AlreadyExists", `${to} exists already; allow overwriting to replace it.`, {
      op: "namespace.rename",
    });
  // rename(2): two names of one file stay as they are.
  const { inode } = entry;
  if (inode === moving) return "same file";
  const file = yield* getEntered(tx, entry);
  if (!directory) {
    const rules = yield* rulesOf(tx, to);
    const nulls = rules.versioning === "suspended" ? yield* destroyNull(tx, { path: to, nowMs }) : [];
    if (staysBehind(file, rules)) {
      yield* dropName(tx, target, file, momentOf(nowMs));
      yield* retire(tx, { path: to, file, version: file.version, nowMs });
      recordChange(tx, { kind: "removed", path: to, inode, versionId: file.version.id, atMs: nowMs });
      return nulls.length === 0 ? undefined : { file, orphans: nulls };
    }
    if (file.linkCount === 1) assertDestroyable(file.version, { path: to, nowMs });
    const covered = tombstoneVersionId === undefined ? {} : { coveredId: tombstoneVersionId };
    const orphans = yield* unlink(tx, { place: target, file, path: to, nowMs, ...covered });
    if (file.version !== undefined) {
      // A copy of it may be on its way to its name, and must not be taken for somebody's when it gets there.
      const versionId = tombstoneVersionId ?? file.version.id;
      yield* entombKey(tx, { path: to, deletedMs: nowMs, versionId, etags: etagsOf(file.version) });
    }
    return { file, orphans: [...orphans, ...nulls] };
  }
  const remembered = bucketOf(to) === undefined && (yield* hasHistoryIn(tx, inode));
  if (remembered || !(yield* isEmpty(tx, inode)))
    throw new GfsError("NotEmpty", `${to} is not empty; only an empty directory can be replaced.`);
  yield* dropName(tx, target, file, momentOf(nowMs));
  yield* leaveDirectory(tx, target, file);
  return undefined;
}
