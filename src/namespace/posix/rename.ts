import { GfsError } from "../../core/errors.ts";
import type { Inode, SessionId, VersionId } from "../../core/ids.ts";
import type { Moment } from "../../core/moment.ts";
import type { Program, Reader, Transaction } from "../../kv/index.ts";
import { getEntered, readAttributes } from "../inodes.ts";
import { moveEntry } from "../move-entry.ts";
import type { Entry } from "../rows.ts";
import { isEmpty } from "../tree.ts";
import type { FileAttributes, FileRecord, ObjectPlace } from "../types.ts";
import {
  checkNewName,
  type Child,
  findChild,
  getChild,
  getDirectory,
  makeExplicit,
  pathOfChild,
  placeOf,
} from "./child.ts";
import { assertMayMake, assertMayMove, assertMayRemove } from "./entering.ts";
import type { Credentials } from "./permissions.ts";

export interface Rename {
  readonly from: Child;
  readonly to: Child;
  /** RENAME_NOREPLACE. */
  readonly noReplace?: boolean;
  /** Sessions that have open what the name leads to now. */
  readonly heldBy?: readonly SessionId[];
  readonly now: Moment;
  /** Sorts after every version that was written until now. */
  readonly tombstoneVersionId: VersionId;
}

export interface Renamed {
  readonly moved: FileRecord;
  /** Objects that nobody needs any more: those of what had the name before, and what lies under the old name. */
  readonly orphans: readonly ObjectPlace[];
}

/** rename(2). */
export function* rename(tx: Transaction, request: Rename, who?: Credentials): Program<Renamed> {
  const { from, to, now } = request;
  const entry = yield* getChild(tx, from);
  const directories = [yield* getDirectory(tx, from.parent), yield* getDirectory(tx, to.parent)] as const;
  const target = yield* findChild(tx, to);
  checkNewName(to);
  if (target !== undefined && request.noReplace === true)
    throw new GfsError("AlreadyExists", `There is a ${JSON.stringify(to.name)} already.`, { op: "namespace.rename" });
  if (entry.kind === "directory" && (yield* isBelow(tx, to.parent, entry.inode))) throw intoItself();
  // Whatever it is, it would take the place of a directory that it lies in.
  if (target?.kind === "directory" && (yield* isBelow(tx, from.parent, target.inode))) throw notEmpty();
  if (target?.inode === entry.inode) return { moved: yield* getEntered(tx, entry), orphans: [] };
  if (who !== undefined) {
    yield* assertMayRemove(tx, who, from);
    yield* target === undefined ? assertMayMake(tx, who, to) : assertMayRemove(tx, who, to);
  }
  if (target !== undefined) assertSameKind(entry, target);
  if (who !== undefined) yield* assertMayMove(tx, who, request);
  if (target?.kind === "directory" && !(yield* isEmpty(tx, target.inode))) throw notEmpty();
  for (const { inode } of directories) yield* makeExplicit(tx, yield* getDirectory(tx, inode), now);
  const { moved, replaced, left } = yield* moveEntry(tx, {
    source: placeOf(from, entry.kind),
    entry,
    target: placeOf(to, entry.kind),
    from: yield* pathOfChild(tx, from),
    to: yield* pathOfChild(tx, to),
    overwrite: true,
    heldBy: request.heldBy ?? [],
    now,
    tombstoneVersionId: request.tombstoneVersionId,
  });
  return { moved, orphans: [...(replaced?.orphans ?? []), ...left] };
}

/** Whether one directory is another one, or lies below it. */
export function* isBelow(tx: Reader, directory: Inode, above: Inode): Program<boolean> {
  for (let current: Inode | undefined = directory; current !== undefined;) {
    if (current === above) return true;
    const attributes: FileAttributes | undefined = yield* readAttributes(tx, current);
    current = attributes?.parent?.inode;
  }
  return false;
}

export function intoItself(): GfsError {
  return new GfsError("InvalidArgument", "A directory cannot be moved into itself.", { op: "namespace.rename" });
}

function notEmpty(): GfsError {
  return new GfsError("NotEmpty", "The directory of that name is not empty.", { op: "namespace.rename" });
}

function assertSameKind(source: Entry, target: Entry): void {
  const op = "namespace.rename";
  if (source.kind === "directory" && target.kind !== "directory")
    throw new GfsError("NotADirectory", "A directory takes the place of nothing but a directory.", { op });
  if (source.kind !== "directory" && target.kind === "directory")
    throw new GfsError("IsADirectory", "A directory has that name; only another one can take its place.", { op });
}
