import type { Inode } from "../../core/ids.ts";
import type { Moment } from "../../core/moment.ts";
import type { Program, Transaction } from "../../kv/index.ts";
import { writeAttributes } from "../inodes.ts";
import { touchedKey } from "../rows.ts";
import type { FileAttributes } from "../types.ts";
import { makeExplicit } from "./child.ts";
import { getattr } from "./lookup.ts";
import { withoutSetIds } from "./permissions.ts";

/** What is absent stays. The size is content, and changes with it. */
export interface SetAttr {
  readonly inode: Inode;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly accessed?: Moment | "now";
  readonly modified?: Moment | "now";
  readonly now: Moment;
}

const PERMISSIONS = 0o7777;

export function* setattr(tx: Transaction, request: SetAttr): Program<FileAttributes> {
  const { inode, uid, gid, now } = request;
  const before = yield* getattr(tx, inode);
  yield* makeExplicit(tx, before, now);
  const { implicit: _, ...file } = before;
  const given = request.mode === undefined ? file.mode : request.mode & PERMISSIONS;
  const isOwned = uid !== undefined || gid !== undefined;
  const changed: FileAttributes = {
    ...file,
    // chown(2): what ran as its owner does not run as another without being asked for.
    mode: isOwned && request.mode === undefined ? withoutSetIds(file) : given,
    uid: uid ?? file.uid,
    gid: gid ?? file.gid,
    accessed: momentFor(request.accessed, now) ?? file.accessed,
    modified: momentFor(request.modified, now) ?? file.modified,
    changed: now,
  };
  writeAttributes(tx, changed);
  // From now on the attributes say when it was modified, until an entry comes or goes.
  if (file.kind === "directory" && request.modified !== undefined) tx.delete(touchedKey(inode));
  return changed;
}

function momentFor(wanted: Moment | "now" | undefined, now: Moment): Moment | undefined {
  return wanted === "now" ? now : wanted;
}
