import { GfsError } from "../../core/errors.ts";
import type { FilePath, Inode, SessionId, VersionId } from "../../core/ids.ts";
import type { Moment } from "../../core/moment.ts";
import type { Program, Transaction } from "../../kv/index.ts";
import { keepsVersions, rulesOf } from "../bucket-rows.ts";
import { recordChange } from "../changes.ts";
import { deleteKey } from "../delete-key.ts";
import { removeDirectory } from "../directories.ts";
import { dropInode, getEntered, readAttributes, touch, writeAttributes, writeContent } from "../inodes.ts";
import { dropName } from "../names.ts";
import { putOrphan } from "../orphan-rows.ts";
import { etagsOf, releaseAll } from "../owners.ts";
import { leaveHomes, withoutOldHome } from "../rename.ts";
import { entombKey } from "../tombstones.ts";
import type { FileAttributes, ObjectPlace, FileRecord } from "../types.ts";
import { dropVersionParts } from "../version-parts.ts";
import { type Child, getChild, getDirectory, makeExplicit, pathOfChild, placeOf } from "./child.ts";

/** Names that are taken away. */

export interface Remove extends Child {
  readonly now: Moment;
  /** Sessions that have it open: it stays for them, without a name, until each has let go of it. */
  readonly heldBy?: readonly SessionId[];
}

export interface Unlink extends Remove {
  /** Sorts after every version that was written until now. */
  readonly tombstoneVersionId: VersionId;
  readonly nextInode: () => Inode;
}

export interface Unlinked {
  readonly file: FileRecord;
  /** Objects that nobody needs any more. */
  readonly orphans: readonly ObjectPlace[];
}

/** In a bucket that keeps versions what had the name stays below a delete marker. */
export function* unlink(tx: Transaction, request: Unlink): Program<Unlinked> {
  const { parent, now, tombstoneVersionId, nextInode } = request;
  const entry = yield* getChild(tx, request);
  if (entry.kind === "directory")
    throw new GfsError("IsADirectory", "It is a directory; remove it as one.", { op: "namespace.unlink" });
  const file = yield* getEntered(tx, entry);
  yield* makeExplicit(tx, yield* getDirectory(tx, parent), now);
  const path = yield* pathOfChild(tx, request);
  if (keepsVersions(yield* rulesOf(tx, path))) {
    const deletion = { path, expect: { kind: "any" as const }, nowMs: now.ms, tombstoneVersionId, nextInode };
    const { orphans } = yield* deleteKey(tx, deletion);
    touch(tx, parent, now);
    return { file, orphans };
  }
  return { file, orphans: yield* takeAway(tx, file, { ...request, path }) };
}

function* takeAway(
  tx: Transaction,
  file: FileRecord,
  request: Unlink & { readonly path: FilePath },
): Program<readonly ObjectPlace[]> {
  const { path, now, tombstoneVersionId: versionId } = request;
  const left = yield* dropName(tx, placeOf(request, file.kind), file, now);
  const { version } = file;
  recordChange(tx, {
    kind: "removed",
    path,
    inode: file.inode,
    atMs: now.ms,
    ...(version === undefined ? {} : { versionId: version.id }),
  });
  const etags = version === undefined ? [] : etagsOf(version);
  yield* entombKey(tx, { path, deletedMs: now.ms, versionId, etags });
  if (left.linkCount > 0) return [];
  if (!keepForSessions(tx, left, request.heldBy))
    return yield* destroy(tx, file, { now, tombstoneVersionId: versionId });
  // What has no name is published nowhere.
  const leaving = { to: undefined, nowMs: now.ms, tombstoneVersionId: versionId };
  const abandoned = yield* leaveHomes(tx, file, leaving);
  if (version !== undefined && abandoned.length > 0) {
    const copies = version.copies.map((copy) => withoutOldHome(copy, undefined));
    writeContent(tx, file.inode, { ...version, copies });
  }
  return abandoned;
}

/** False when nobody has it open. */
export function keepForSessions(tx: Transaction, left: FileAttributes, heldBy: readonly SessionId[] = []): boolean {
  if (heldBy.length === 0) return false;
  writeAttributes(tx, left);
  for (const session of heldBy) putOrphan(tx, { session, inode: left.inode });
  return true;
}

export interface Destroy {
  readonly now: Moment;
  readonly tombstoneVersionId: VersionId;
}

/** Takes an inode to which nothing leads any more away, with its content. */
export function* destroy(
  tx: Transaction,
  file: FileRecord,
  { now, tombstoneVersionId }: Destroy,
): Program<readonly ObjectPlace[]> {
  yield* dropInode(tx, file);
  if (file.version !== undefined) dropVersionParts(tx, file.version);
  return yield* releaseAll(tx, file, { nowMs: now.ms, coveredId: tombstoneVersionId });
}

/** Of a directory with nothing in it. At the top, a bucket's settings go with it, and while older versions lie below it, it stays. */
export function* rmdir(tx: Transaction, request: Remove): Program<FileAttributes> {
  const { parent, now, heldBy } = request;
  const entry = yield* getChild(tx, request);
  if (entry.kind !== "directory")
    throw new GfsError("NotADirectory", "It is no directory; remove it as a file.", { op: "namespace.rmdir" });
  const directory = yield* getEntered(tx, entry);
  yield* makeExplicit(tx, yield* getDirectory(tx, parent), now);
  yield* removeDirectory(tx, { path: yield* pathOfChild(tx, request), semantics: "directory", nowMs: now.ms });
  touch(tx, parent, now);
  return yield* keepDirectoryForSessions(tx, directory, { now, heldBy });
}

/**
 * One that has lost its name. There is nothing in it, and nothing can be made there; it is there still for those who work in it. Where older versions lay in it,
 * it is there anyway.
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
