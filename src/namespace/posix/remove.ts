import { GfsError } from "../../core/errors.ts";
import type { SessionId, VersionId } from "../../core/ids.ts";
import type { Moment } from "../../core/moment.ts";
import type { Program, Transaction } from "../../kv/index.ts";
import { deleteEntry } from "../delete-entry.ts";
import { removeEmpty } from "../directories.ts";
import { getEntered } from "../inodes.ts";
import type { FileAttributes, FileRecord, ObjectPlace } from "../types.ts";
import { keepDirectoryForSessions } from "../unlink.ts";
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
}

export interface Unlinked {
  readonly file: FileRecord;
  /** Objects that nobody needs any more. */
  readonly orphans: readonly ObjectPlace[];
}

/** In a bucket that keeps versions what had the name stays below a delete marker. */
export function* unlink(tx: Transaction, request: Unlink): Program<Unlinked> {
  const { parent, now, tombstoneVersionId, heldBy = [] } = request;
  const entry = yield* getChild(tx, request);
  if (entry.kind === "directory")
    throw new GfsError("IsADirectory", "It is a directory; remove it as one.", { op: "namespace.unlink" });
  const file = yield* getEntered(tx, entry);
  yield* makeExplicit(tx, yield* getDirectory(tx, parent), now);
  const path = yield* pathOfChild(tx, request);
  const place = placeOf(request, file.kind);
  const { orphans } = yield* deleteEntry(tx, { place, file, path, now, tombstoneVersionId, heldBy });
  return { file, orphans };
}

/** Of a directory with nothing in it. At the top, a bucket's settings go with it, and while older versions lie below it, it stays. */
export function* rmdir(tx: Transaction, request: Remove): Program<FileAttributes> {
  const { parent, now, heldBy } = request;
  const entry = yield* getChild(tx, request);
  if (entry.kind !== "directory")
    throw new GfsError("NotADirectory", "It is no directory; remove it as a file.", { op: "namespace.rmdir" });
  const directory = yield* getEntered(tx, entry);
  yield* makeExplicit(tx, yield* getDirectory(tx, parent), now);
  const place = placeOf(request, "directory");
  yield* removeEmpty(tx, { place, directory, path: yield* pathOfChild(tx, request), now });
  return yield* keepDirectoryForSessions(tx, directory, { now, heldBy });
}
