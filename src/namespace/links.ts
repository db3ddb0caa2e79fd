import { byteLengthOfText, isByteText } from "../core/byte-text.ts";
import { GfsError } from "../core/errors.ts";
import type { FilePath, Inode } from "../core/ids.ts";
import { momentOf } from "../core/moment.ts";
import type { Program, Reader, Transaction } from "../kv/index.ts";
import { recordChange } from "./changes.ts";
import { checkPath, splitPath } from "./path.ts";
import { writeAttributes } from "./inodes.ts";
import { addFirstName, addName, type Place, readEntry } from "./names.ts";
import { ensureDirectory, findDirectory, findFile } from "./tree.ts";
import { touchedKey } from "./rows.ts";
import type { FileRecord } from "./types.ts";
import { assertWithinQuotas, ONE_INODE } from "./usage.ts";

/** Hard links, symbolic links, and the attributes a file system keeps beside the content. */

const MAX_LINKS = 65_000;
const MAX_TARGET_BYTES = 4_095;
/** As Linux has it (path_resolution(7)). */
const MAX_FOLLOWED = 40;

export interface Link {
  readonly from: FilePath;
  readonly to: FilePath;
  readonly nowMs: number;
  readonly nextInode: () => Inode;
}

/** A second name for a file; both are equal from then on. */
export function* link(tx: Transaction, request: Link): Program<FileRecord> {
  const { from, to, nowMs } = request;
  const file = yield* findFile(tx, from);
  if (file === undefined) throw new GfsError("NotFound", `There is no file ${from}.`);
  if (file.linkCount >= MAX_LINKS) throw new GfsError("TooManyLinks", `${from} has ${MAX_LINKS} names; no more fit.`);
  const place = yield* freePlace(tx, to, request);
  const linked = yield* addName(tx, place, file, momentOf(nowMs));
  recordChange(tx, {
    kind: "created",
    path: to,
    inode: file.inode,
    atMs: nowMs,
    ...(file.version === undefined ? {} : { versionId: file.version.id }),
  });
  return linked;
}

export interface MakeSymlink {
  readonly path: FilePath;
  /** Kept as it is; it may lead nowhere. */
  readonly target: string;
  readonly uid: number;
  readonly gid: number;
  readonly nowMs: number;
  readonly nextInode: () => Inode;
}

export function* makeSymlink(tx: Transaction, request: MakeSymlink): Program<FileRecord> {
  const { path, target, uid, gid, nowMs } = request;
  checkTarget(target);
  const place = yield* freePlace(tx, path, request);
  const now = momentOf(nowMs);
  const unnamed: FileRecord = {
    inode: request.nextInode(),
    kind: "symlink",
    mode: 0o777,
    uid,
    gid,
    linkCount: 1,
    sizeBytes: byteLengthOfText(target),
    accessed: now,
    modified: now,
    changed: now,
    created: now,
    target,
  };
  const file = yield* addFirstName(tx, place, unnamed, now);
  yield* assertWithinQuotas(tx, place.parent, ONE_INODE);
  recordChange(tx, { kind: "created", path, inode: file.inode, atMs: nowMs });
  return file;
}

export function checkTarget(target: string): void {
  if (target === "" || target.includes("\0") || !isByteText(target) || byteLengthOfText(target) > MAX_TARGET_BYTES)
    throw new GfsError("InvalidArgument", "A symbolic link points to a path of 1 to 4,095 bytes without NUL.");
}

function* freePlace(
  tx: Transaction,
  path: FilePath,
  maker: { readonly nowMs: number; readonly nextInode: () => Inode },
): Program<Place> {
  const { parent, name } = splitPath(path);
  const directory = yield* ensureDirectory(tx, parent, maker);
  if ((yield* readEntry(tx, directory, name)) !== undefined)
    throw new GfsError("AlreadyExists", `${path} exists already.`);
  return { parent: directory, name };
}

export interface SetAttributes {
  readonly path: FilePath;
  readonly directory: boolean;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly modifiedMs?: number;
  readonly nowMs: number;
}

export function* setAttributes(tx: Transaction, request: SetAttributes): Program<FileRecord> {
  const { path, directory, mode, uid, gid, modifiedMs, nowMs } = request;
  const file = directory ? yield* findDirectory(tx, path) : yield* findFile(tx, path);
  if (file === undefined) throw new GfsError("NotFound", `There is no ${directory ? "directory" : "file"} ${path}.`);
  const changed: FileRecord = {
    ...file,
    mode: mode ?? file.mode,
    uid: uid ?? file.uid,
    gid: gid ?? file.gid,
    modified: modifiedMs === undefined ? file.modified : momentOf(modifiedMs),
    changed: momentOf(nowMs),
  };
  writeAttributes(tx, changed);
  if (directory && modifiedMs !== undefined) tx.delete(touchedKey(file.inode));
  return changed;
}

export interface Followed {
  readonly path: FilePath;
  readonly file: FileRecord;
}

/** Where a path leads when the last component, or one on the way, is a symbolic link. Links that lead out of the tree lead nowhere. */
export function* findFollowing(tx: Reader, path: FilePath): Program<Followed | undefined> {
  let current: string = path;
  for (let followed = 0; followed <= MAX_FOLLOWED; followed++) {
    const at = yield* firstSymlink(tx, current);
    if (at === undefined) {
      const file = (yield* findFile(tx, current as FilePath)) ?? (yield* findDirectory(tx, current as FilePath));
      return file === undefined ? undefined : { path: current as FilePath, file };
    }
    const next = resolveTarget(at.parent, at.target, at.rest);
    if (next === undefined || next === "") return undefined;
    checkPath(next);
    current = next;
  }
  throw new GfsError("LoopDetected", `${path} leads through more than ${MAX_FOLLOWED} symbolic links.`);
}

interface SymlinkOnTheWay {
  readonly parent: string;
  readonly target: string;
  readonly rest: string;
}

function* firstSymlink(tx: Reader, path: string): Program<SymlinkOnTheWay | undefined> {
  for (let slash = path.indexOf("/"); ; slash = path.indexOf("/", slash + 1)) {
    const end = slash === -1 ? path.length : slash;
    const prefix = path.slice(0, end) as FilePath;
    // A directory of the name is entered before a link of the same name is followed.
    const last = slash === -1;
    const entered = last ? undefined : yield* findDirectory(tx, prefix);
    if (entered === undefined) {
      const file = yield* findFile(tx, prefix);
      if (file?.kind === "symlink")
        return { parent: splitPath(prefix).parent, target: file.target as string, rest: path.slice(end + 1) };
      if (!last) return undefined;
    }
    if (last) return undefined;
  }
}

function resolveTarget(parent: string, target: string, rest: string): string | undefined {
  if (target.startsWith("/")) return undefined;
  const parts = parent === "" ? [] : parent.split("/");
  for (const component of [...target.split("/"), ...(rest === "" ? [] : rest.split("/"))]) {
    if (component === "" || component === ".") continue;
    if (component !== "..") parts.push(component);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts.join("/");
}
