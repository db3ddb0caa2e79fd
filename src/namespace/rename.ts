import { GfsError } from "../core/errors.ts";
import type { FilePath, Inode, VersionId } from "../core/ids.ts";
import { momentOf } from "../core/moment.ts";
import type { Program, Transaction } from "../kv/index.ts";
import { moveEntry, type Renamed } from "./move-entry.ts";
import { splitPath } from "./path.ts";
import { getEntered } from "./inodes.ts";
import { readEntry } from "./names.ts";
import { ensureDirectory, findDirectoryInode, findPlace, pruneUpwards } from "./tree.ts";
import { assertWithinQuotas, ONE_INODE } from "./usage.ts";

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

/** As keys are renamed: directories above the new name are made, and those above the old one go when nobody had made them. */
export function* rename(tx: Transaction, request: Rename): Program<Renamed> {
  const { from, to, directory, nowMs } = request;
  const source = yield* findPlace(tx, from, directory);
  const entry = source === undefined ? undefined : yield* readEntry(tx, source.parent, source.name);
  if (source === undefined || entry === undefined) {
    throw new GfsError("NotFound", `There is no ${directory ? "directory" : "object"} ${from}.`, {
      op: "namespace.rename",
    });
  }
  if (from === to) return { moved: yield* getEntered(tx, entry), left: [] };
  if (directory && `${to}/`.startsWith(`${from}/`)) {
    throw new GfsError("InvalidArgument", `${from} cannot be moved into itself, to ${to}.`, { op: "namespace.rename" });
  }
  const { parent, name } = splitPath(to);
  const isThere = (yield* findDirectoryInode(tx, parent)) !== undefined;
  const target = { parent: yield* ensureDirectory(tx, parent, request), name: directory ? `${name}/` : name };
  if (!isThere) yield* assertWithinQuotas(tx, target.parent, ONE_INODE);
  const renamed = yield* moveEntry(tx, { ...request, source, entry, target, now: momentOf(nowMs) });
  yield* pruneUpwards(tx, source.parent, nowMs);
  return renamed;
}
