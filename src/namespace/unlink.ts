import type { FilePath, SessionId, VersionId } from "../core/ids.ts";
import type { Moment } from "../core/moment.ts";
import type { Program, Transaction } from "../kv/index.ts";
import { recordChange } from "./changes.ts";
import { leaveHomes, withoutOldHome } from "./homes.ts";
import { dropInode, readAttributes, writeAttributes, writeContent } from "./inodes.ts";
import { dropName, type Place } from "./names.ts";
import { putOrphan } from "./orphan-rows.ts";
import { assertDestroyable } from "./locks.ts";
import { releaseAll } from "./owners.ts";
import type { ChangeCause, FileAttributes, FileRecord, ObjectPlace } from "./types.ts";
import { dropShared } from "./shared-versions.ts";
import { dropVersionParts } from "./version-parts.ts";

/** How an inode loses a name, and what becomes of it with the last one. */

export interface Unlink {
  readonly place: Place;
  readonly file: FileRecord;
  readonly path: FilePath;
  readonly now: Moment;
  readonly coveredId?: VersionId;
  /** Sessions that have it open: it stays for them, without a name, until each has let go of it. */
  readonly heldBy?: readonly SessionId[];
  /** As the caller who asks for it may. */
  readonly bypassGovernance?: boolean;
  /** For the change feed. */
  readonly cause?: ChangeCause;
  /** The caller tells the feed. */
  readonly silent?: boolean;
}

/** Resolves with the objects that nobody needs any more: none while another hard link names the file. */
export function* unlink(tx: Transaction, request: Unlink): Program<readonly ObjectPlace[]> {
  const { place, file, path, now, coveredId, cause } = request;
  const left = yield* dropName(tx, place, file, now);
  if (request.silent !== true) {
    recordChange(tx, {
      kind: "removed",
      path,
      inode: file.inode,
      atMs: now.ms,
      ...(file.version === undefined ? {} : { versionId: file.version.id }),
      ...(cause === undefined ? {} : { cause }),
    });
  }
  if (left.linkCount > 0) return [];
  // By a further name a locked version may hang where nothing is locked.
  assertDestroyable(file.version, { path, nowMs: now.ms, bypassGovernance: request.bypassGovernance === true });
  if (!keepForSessions(tx, left, request.heldBy)) return yield* destroy(tx, file, request);
  // What has no name is published nowhere.
  const abandoned = yield* leaveHomes(tx, file, { to: undefined, nowMs: now.ms, tombstoneVersionId: coveredId });
  const { version } = file;
  if (version === undefined || abandoned.length === 0) return abandoned;
  const copies = version.copies.map((copy) => withoutOldHome(copy, undefined));
  writeContent(tx, file.inode, { ...version, copies });
  return abandoned;
}

export interface Destroy {
  readonly now: Moment;
  /** Sorts after every version that was written until now. */
  readonly coveredId?: VersionId;
}

/** Takes an inode to which nothing leads any more away, with its content. */
export function* destroy(
  tx: Transaction,
  file: FileRecord,
  { now, coveredId }: Destroy,
): Program<readonly ObjectPlace[]> {
  yield* dropInode(tx, file);
  if (file.version !== undefined) {
    dropVersionParts(tx, file.version);
    yield* dropShared(tx, file.version);
  }
  return yield* releaseAll(tx, file, { nowMs: now.ms, ...(coveredId === undefined ? {} : { coveredId }) });
}

/** False when nobody has it open. */
function keepForSessions(tx: Transaction, left: FileAttributes, heldBy: readonly SessionId[] = []): boolean {
  if (heldBy.length === 0) return false;
  writeAttributes(tx, left);
  for (const session of heldBy) putOrphan(tx, { session, inode: left.inode });
  return true;
}

/**
 * A directory that has lost its name. There is nothing in it, and nothing can be made there; it is there still for those who work in it. Where older
 * versions lay in it, it is there anyway.
 */
export function* keepDirectoryForSessions(
  tx: Transaction,
  directory: FileAttributes,
  { now, heldBy }: { readonly now: Moment; readonly heldBy: readonly SessionId[] | undefined },
): Program<FileAttributes> {
  const { parent: _, extended: _extended, implicit: _implicit, ...rest } = directory;
  const left = { ...rest, linkCount: 0, changed: now };
  if ((yield* readAttributes(tx, left.inode)) === undefined) keepForSessions(tx, left, heldBy);
  return left;
}
