import type { Inode, SessionId, VersionId } from "../../core/ids.ts";
import type { Moment } from "../../core/moment.ts";
import type { Program, Reader, Transaction } from "../../kv/index.ts";
import { readInode } from "../inodes.ts";
import { dropOrphan, isHeld, isOpen, isOrphanOf, nextHolder, orphanOf } from "../orphan-rows.ts";
import type { FileRecord, ObjectPlace } from "../types.ts";
import { destroy } from "../unlink.ts";

/** What lost its last name while somebody had it open, and what becomes of it. */

interface Releasing {
  readonly session: SessionId;
  readonly now: Moment;
  /** Sorts after every version that was written until now. */
  readonly tombstoneVersionId: VersionId;
}

export interface Release extends Releasing {
  readonly inode: Inode;
}

export interface Released {
  /** What is gone for good: nothing while another session has it open, or when it was no orphan. */
  readonly file?: FileRecord;
  /** Objects that nobody needs any more. */
  readonly orphans: readonly ObjectPlace[];
}

/** The session has closed it. */
export function* releaseOrphan(tx: Transaction, request: Release): Program<Released> {
  const { session, inode, now, tombstoneVersionId: coveredId } = request;
  if (!(yield* isOrphanOf(tx, { session, inode }))) return { orphans: [] };
  dropOrphan(tx, { session, inode });
  const file = (yield* isHeld(tx, inode)) ? undefined : yield* readInode(tx, inode);
  return file === undefined ? { orphans: [] } : { file, orphans: yield* destroy(tx, file, { now, coveredId }) };
}

/** One of those that a session has open, for when it ends, however it ends; undefined when there is none left. */
export function* releaseNextOrphan(tx: Transaction, request: Releasing): Program<Released | undefined> {
  const inode = yield* orphanOf(tx, request.session);
  return inode === undefined ? undefined : yield* releaseOrphan(tx, { ...request, inode });
}

/** The first session, after one of them, that holds orphans and is not there any more. */
export function* nextDeadSession(tx: Reader, after?: SessionId): Program<SessionId | undefined> {
  let session = yield* nextHolder(tx, after);
  while (session !== undefined && (yield* isOpen(tx, session))) session = yield* nextHolder(tx, session);
  return session;
}
