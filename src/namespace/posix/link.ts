import { GfsError } from "../../core/errors.ts";
import type { Inode } from "../../core/ids.ts";
import type { Moment } from "../../core/moment.ts";
import type { Program, Transaction } from "../../kv/index.ts";
import { recordChange } from "../changes.ts";
import { readContent } from "../inodes.ts";
import { addName } from "../names.ts";
import type { FileAttributes } from "../types.ts";
import { assertFree, type Child, getDirectory, makeExplicit, pathOfChild, placeOf } from "./child.ts";
import { getattr, gone } from "./lookup.ts";

const MAX_LINKS = 65_000;

export interface Link extends Child {
  readonly inode: Inode;
  readonly now: Moment;
}

/** One more name for something that has one; all are equal from then on. */
export function* link(tx: Transaction, request: Link): Program<FileAttributes> {
  const { inode, now } = request;
  tx.claimRoom();
  const file = yield* getattr(tx, inode);
  const directory = yield* getDirectory(tx, request.parent);
  yield* assertFree(tx, request);
  if (file.kind === "directory")
    throw new GfsError("NotPermitted", "A directory has one name; make a symbolic link to it.", {
      op: "namespace.link",
    });
  if (file.linkCount === 0) throw gone(inode);
  if (file.linkCount >= MAX_LINKS)
    throw new GfsError("TooManyLinks", `The file has ${MAX_LINKS} names; no more fit.`, { op: "namespace.link" });
  yield* makeExplicit(tx, directory, now);
  const linked = yield* addName(tx, placeOf(request, file.kind), file, now);
  const versionId = file.kind === "file" ? (yield* readContent(tx, inode))?.id : undefined;
  recordChange(tx, {
    kind: "created",
    path: yield* pathOfChild(tx, request),
    inode,
    atMs: now.ms,
    ...(versionId === undefined ? {} : { versionId }),
  });
  return linked;
}
