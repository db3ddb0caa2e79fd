import type { Inode } from "../../core/ids.ts";
import type { Moment } from "../../core/moment.ts";
import type { Program, Transaction } from "../../kv/index.ts";
import { isDevice } from "../attributes-codec.ts";
import { recordChange } from "../changes.ts";
import { checkTarget } from "../links.ts";
import { addFirstName } from "../names.ts";
import { makeAgain } from "../past-directories.ts";
import type { FileAttributes, FileKind } from "../types.ts";
import { assertFree, type Child, getDirectory, makeExplicit, pathOfChild, placeOf } from "./child.ts";
import { assertWithinQuotas, ONE_INODE } from "../usage.ts";
import { inherit } from "./permissions.ts";
import { byteLengthOfText } from "../../core/byte-text.ts";

/** New inodes under names that nothing has. */

export interface Make extends Child {
  readonly uid: number;
  readonly gid: number;
  readonly now: Moment;
  readonly nextInode: () => Inode;
}

export interface MakeNode extends Make {
  /** Empty until somebody commits content to it. */
  readonly kind: Exclude<FileKind, "directory" | "symlink">;
  readonly mode: number;
  readonly rdev?: number;
}

export function mknod(tx: Transaction, request: MakeNode): Program<FileAttributes> {
  const { kind, mode, rdev } = request;
  return makeChild(tx, request, { kind, mode, ...(isDevice(kind) ? { rdev: rdev ?? 0 } : {}) });
}

export function mkdir(tx: Transaction, request: Make & { readonly mode: number }): Program<FileAttributes> {
  return makeChild(tx, request, { kind: "directory", mode: request.mode & DIRECTORY_PERMISSIONS });
}

/** The target is kept as it is; it may lead nowhere. */
export function* symlink(tx: Transaction, request: Make & { readonly target: string }): Program<FileAttributes> {
  const { target } = request;
  checkTarget(target);
  return yield* makeChild(tx, request, { kind: "symlink", mode: 0o777, target });
}

const PERMISSIONS = 0o7777;
/** As Linux has it (mkdir(2)): set-group-id comes from the directory above alone. */
const DIRECTORY_PERMISSIONS = 0o1777;

function* makeChild(
  tx: Transaction,
  request: Make,
  what: Pick<FileAttributes, "kind" | "mode" | "rdev" | "target">,
): Program<FileAttributes> {
  const { now } = request;
  tx.claimRoom();
  const directory = yield* getDirectory(tx, request.parent);
  yield* assertFree(tx, request);
  yield* makeExplicit(tx, directory, now);
  const { kind, target, rdev } = what;
  const { nextInode } = request;
  const place = placeOf(request, kind);
  const { mode, uid, gid } = inherit(directory, { ...request, kind, mode: what.mode & PERMISSIONS });
  const unnamed: FileAttributes = {
    inode: kind === "directory" ? yield* makeAgain(tx, place, nextInode) : nextInode(),
    kind,
    mode,
    uid,
    gid,
    linkCount: kind === "directory" ? 2 : 0,
    sizeBytes: target === undefined ? 0 : byteLengthOfText(target),
    accessed: now,
    modified: now,
    changed: now,
    created: now,
    ...(target === undefined ? undefined : { target }),
    ...(rdev === undefined ? undefined : { rdev }),
  };
  const made = yield* addFirstName(tx, place, unnamed, now);
  yield* assertWithinQuotas(tx, place.parent, ONE_INODE);
  recordChange(tx, { kind: "created", path: yield* pathOfChild(tx, request), inode: made.inode, atMs: now.ms });
  return made;
}
