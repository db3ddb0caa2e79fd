import { GfsError } from "../core/errors.ts";
import { type FilePath, type Inode, ROOT_INODE } from "../core/ids.ts";
import { type Moment, momentOf } from "../core/moment.ts";
import type { Program, Transaction } from "../kv/index.ts";
import { dropBucketRow, hasBucketRow } from "./bucket-rows.ts";
import { recordChange } from "./changes.ts";
import { splitPath } from "./path.ts";
import { getEntered, writeAttributes } from "./inodes.ts";
import { dropName, type Place, readEntry } from "./names.ts";
import { hasHistoryIn, leaveDirectory } from "./past-directories.ts";
import { addDirectory, ensureDirectory, findDirectoryInode, findPlace, isEmpty, pruneUpwards } from "./tree.ts";
import type { FileAttributes, FileRecord } from "./types.ts";
import { assertWithinQuotas, countMade, ONE_INODE } from "./usage.ts";

export interface MakeDirectory {
  readonly path: FilePath;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Makes missing directories above, as object keys need; a file system does not. */
  readonly parents: boolean;
  /** What to do when the directory is there: `keep` it (an implicit one becomes explicit), or `refuse`. */
  readonly existing: "keep" | "refuse";
  readonly nowMs: number;
  readonly nextInode: () => Inode;
}

export function* makeDirectory(tx: Transaction, request: MakeDirectory): Program<FileRecord> {
  const { path, mode, uid, gid, nowMs } = request;
  tx.claimRoom();
  const { parent, name } = splitPath(path);
  const directory = request.parents
    ? yield* ensureDirectory(tx, parent, request)
    : yield* findDirectoryInode(tx, parent);
  if (directory === undefined) throw new GfsError("NotFound", `There is no directory ${parent}; make it first.`);
  const place = { parent: directory, name: `${name}/` };
  const found = yield* readEntry(tx, place.parent, place.name);
  if (found === undefined) {
    const made = yield* addDirectory(tx, place, request, { implicit: false, mode, uid, gid });
    yield* countMade(tx, place.parent, [made.inode]);
    yield* assertWithinQuotas(tx, place.parent, ONE_INODE);
    recordChange(tx, { kind: "created", path, inode: made.inode, atMs: nowMs });
    return made;
  }
  const existing = yield* getEntered(tx, found);
  if (request.existing === "refuse") throw new GfsError("AlreadyExists", `${path} exists already.`);
  if (existing.implicit !== true) return existing;
  const { implicit: _, ...kept } = existing;
  const explicit: FileRecord = { ...kept, mode, uid, gid, changed: momentOf(nowMs) };
  writeAttributes(tx, explicit);
  recordChange(tx, { kind: "created", path, inode: explicit.inode, atMs: nowMs });
  return explicit;
}

export interface RemoveDirectory {
  readonly path: FilePath;
  /**
   * `key`: as an object store sees it: deleting what is not there succeeds, and deleting a marker leaves what lies below.
   * `directory`: as rmdir(2) has it.
   */
  readonly semantics: "key" | "directory";
  readonly nowMs: number;
}

/** Resolves with whether there was something to remove. */
export function* removeDirectory(tx: Transaction, { path, semantics, nowMs }: RemoveDirectory): Program<boolean> {
  const place = yield* findPlace(tx, path, true);
  const entry = place === undefined ? undefined : yield* readEntry(tx, place.parent, place.name);
  if (place === undefined || entry === undefined) {
    if (semantics === "key") return false;
    throw new GfsError("NotFound", `There is no directory ${path}.`);
  }
  const { inode } = entry;
  if (semantics === "key" && !(yield* isEmpty(tx, inode))) {
    const directory = yield* getEntered(tx, entry);
    if (directory.implicit === true) return false;
    if (place.parent === ROOT_INODE && (yield* hasBucketRow(tx, path)))
      throw new GfsError("NotEmpty", `${path} is a bucket with settings, and not empty; remove what is in it first.`);
    writeAttributes(tx, { ...directory, implicit: true, changed: momentOf(nowMs) });
    recordChange(tx, { kind: "removed", path, inode, atMs: nowMs });
    return true;
  }
  yield* removeEmpty(tx, { place, directory: yield* getEntered(tx, entry), path, now: momentOf(nowMs) });
  yield* pruneUpwards(tx, place.parent, nowMs);
  return true;
}

export interface RemoveEmpty {
  readonly place: Place;
  readonly directory: FileAttributes;
  readonly path: FilePath;
  readonly now: Moment;
}

/** At the top, a bucket's settings go with it, and while older versions lie below it, it stays. */
export function* removeEmpty(tx: Transaction, { place, directory, path, now }: RemoveEmpty): Program<void> {
  const { inode } = directory;
  if (!(yield* isEmpty(tx, inode))) throw new GfsError("NotEmpty", `${path} is not empty; remove what is in it first.`);
  if (place.parent === ROOT_INODE) {
    if (yield* hasHistoryIn(tx, inode))
      throw new GfsError("NotEmpty", `${path} still has older versions or delete markers; remove them first.`);
    yield* dropBucketRow(tx, path);
  }
  yield* dropName(tx, place, directory, now);
  yield* leaveDirectory(tx, place, directory);
  recordChange(tx, { kind: "removed", path, inode, atMs: now.ms });
}
