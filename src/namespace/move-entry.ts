import type { FilePath, Inode, SessionId, VersionId } from "../core/ids.ts";
import type { Moment } from "../core/moment.ts";
import { GfsError } from "../core/errors.ts";
import type { Program, Transaction } from "../kv/index.ts";
import { bucketOf, dropBucketRow, moveBucketRow, rulesOf } from "./bucket-rows.ts";
import { recordChange } from "./changes.ts";
import { markAbandoned, retireFrom, staysBehind } from "./delete-entry.ts";
import { checkDirectoryRules } from "./directory-rules.ts";
import { clearNull } from "./history.ts";
import { leaveHomes, withoutOldHome } from "./homes.ts";
import { assertDestroyable, settleVersion } from "./locks.ts";
import { etagsOf } from "./owners.ts";
import { coverPast, hasHistoryIn, leaveDirectory } from "./past-directories.ts";
import { entombKey } from "./tombstones.ts";
import { getEntered, getInode, writeContent } from "./inodes.ts";
import { dropName, type Move, moveName, type Place, readEntry } from "./names.ts";
import type { Entry } from "./rows.ts";
import { rememberShared } from "./shared-versions.ts";
import { isEmpty } from "./tree.ts";
import { countQuotas } from "./quota-rows.ts";
import type { FileAttributes, FileRecord, FileVersion, ObjectPlace, Removed } from "./types.ts";
import { keepDirectoryForSessions, unlink } from "./unlink.ts";
import { assertWithinQuotas, usageWith } from "./usage.ts";

/** Moves one entry, however much lies below it: what a rename by path and one by directory and name have in common. */

export interface MoveEntry {
  readonly source: Place;
  readonly entry: Entry;
  readonly target: Place;
  /** Where these are, for rules, histories, sites and the feed. */
  readonly from: FilePath;
  readonly to: FilePath;
  /** A file may be replaced, a directory only when it is empty. */
  readonly overwrite: boolean;
  /** Sessions that have open what is replaced. */
  readonly heldBy?: readonly SessionId[];
  readonly now: Moment;
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

/** Objects keep their keys: their copies say where they are. */
export function* moveEntry(tx: Transaction, request: MoveEntry): Program<Renamed> {
  const { source, entry, target, from, to, now } = request;
  const { inode } = entry;
  const moved = yield* getEntered(tx, entry);
  const directory = entry.kind === "directory";
  if (directory) yield* checkDirectoryRules(tx, { from, to });
  else assertDestroyable(moved.version, { path: from, nowMs: now.ms });
  const cleared = yield* clearTarget(tx, request);
  if (cleared === "same file") return { moved, left: [] };

  if (directory) {
    yield* moveSettings(tx, from, to);
    for (const place of [source, target]) yield* coverPast(tx, place, inode);
  }
  const leaving = { to, nowMs: now.ms, tombstoneVersionId: request.tombstoneVersionId };
  const left = yield* leaveHomes(tx, moved, leaving);
  const renamed = yield* moveName(tx, { source, target }, moved, now);
  yield* assertMayBring(tx, { source, target }, moved);
  const version = moved.version === undefined ? undefined : yield* arrive(tx, moved.version, { to, nowMs: now.ms });
  if (version !== undefined && version !== moved.version) writeContent(tx, inode, version);
  recordChange(tx, {
    kind: "renamed",
    path: to,
    from,
    inode,
    atMs: now.ms,
    ...(moved.version === undefined ? {} : { versionId: moved.version.id }),
  });
  if (moved.version !== undefined) {
    // What other sites may hold under the old name was hidden by the file, and stays hidden.
    const versionId = request.tombstoneVersionId ?? moved.version.id;
    yield* entombKey(tx, { path: from, deletedMs: now.ms, versionId, etags: etagsOf(moved.version) });
    yield* markAbandoned(tx, { path: from, nowMs: now.ms, versionId });
  }
  return {
    moved: version === undefined ? renamed : { ...renamed, version },
    left,
    ...(cleared === undefined ? {} : { replaced: cleared }),
  };
}

/** What comes from elsewhere counts where it comes to. */
function* assertMayBring(tx: Transaction, { source, target }: Move, moved: FileAttributes): Program<void> {
  // A file that hangs at another of its names counts there.
  if (source.parent === target.parent || moved.parent?.inode !== source.parent) return;
  if ((yield* countQuotas(tx)) > 0)
    yield* assertWithinQuotas(tx, target.parent, yield* usageWith(tx, moved), source.parent);
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

function* clearTarget(tx: Transaction, request: MoveEntry): Program<Removed | "same file" | undefined> {
  const { target, to, now } = request;
  const moving: Inode = request.entry.inode;
  const entry = yield* readEntry(tx, target.parent, target.name);
  const directory = request.entry.kind === "directory";
  if (entry === undefined) {
    const nulls = directory ? [] : yield* clearNull(tx, yield* rulesOf(tx, to), { path: to, nowMs: now.ms });
    return nulls.length === 0 ? undefined : { file: yield* getInode(tx, moving), orphans: nulls };
  }
  if (!request.overwrite)
    throw new GfsError("AlreadyExists", `${to} exists already; allow overwriting to replace it.`, {
      op: "namespace.rename",
    });
  // rename(2): two names of one file stay as they are.
  if (entry.inode === moving) return "same file";
  const file = yield* getEntered(tx, entry);
  if (!directory) return yield* replaceFile(tx, file, request);
  const remembered = bucketOf(to) === undefined && (yield* hasHistoryIn(tx, entry.inode));
  if (remembered || !(yield* isEmpty(tx, entry.inode)))
    throw new GfsError("NotEmpty", `${to} is not empty; only an empty directory can be replaced.`);
  yield* dropName(tx, target, file, now);
  yield* leaveDirectory(tx, target, file);
  yield* keepDirectoryForSessions(tx, file, { now, heldBy: request.heldBy });
  return undefined;
}

function* replaceFile(tx: Transaction, file: FileRecord, request: MoveEntry): Program<Removed | undefined> {
  const { target, to, now, tombstoneVersionId, heldBy = [] } = request;
  const rules = yield* rulesOf(tx, to);
  const nulls = yield* clearNull(tx, rules, { path: to, nowMs: now.ms });
  if (staysBehind(file, rules)) {
    yield* retireFrom(tx, target, file, now);
    recordChange(tx, { kind: "removed", path: to, inode: file.inode, versionId: file.version.id, atMs: now.ms });
    return nulls.length === 0 ? undefined : { file, orphans: nulls };
  }
  if (file.linkCount === 1) assertDestroyable(file.version, { path: to, nowMs: now.ms });
  else rememberShared(tx, target, file, rules);
  const covered = tombstoneVersionId === undefined ? {} : { coveredId: tombstoneVersionId };
  const orphans = yield* unlink(tx, { place: target, file, path: to, now, heldBy, ...covered });
  if (file.version !== undefined) {
    // A copy of it may be on its way to its name, and must not be taken for somebody's when it gets there.
    const versionId = tombstoneVersionId ?? file.version.id;
    yield* entombKey(tx, { path: to, deletedMs: now.ms, versionId, etags: etagsOf(file.version) });
  }
  return { file, orphans: [...orphans, ...nulls] };
}
