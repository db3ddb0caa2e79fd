import type { Inode, SessionId } from "../../core/ids.ts";
import type { Program, Transaction } from "../../kv/index.ts";
import { readInode } from "../inodes.ts";
import { dropOrphan, isHeld, isOrphanOf, orphansOf } from "../orphan-rows.ts";
import type { ObjectPlace } from "../types.ts";
import { type Destroy, destroy } from "./remove.ts";

/** What lost its last name while somebody had it open, and what becomes of it. */

export interface Release extends Destroy {
  readonly session: SessionId;
  readonly inode: Inode;
}

/** The session has closed it. Gives the objects that nobody needs any more: none while another session has it open, or when it was no orphan. */
export function* releaseOrphan(tx: Transaction, request: Release): Program<readonly ObjectPlace[]> {
  const { session, inode } = request;
  if (!(yield* isOrphanOf(tx, { session, inode }))) return [];
  dropOrphan(tx, { session, inode });
  const file = (yield* isHeld(tx, inode)) ? undefined : yield* readInode(tx, inode);
  return file === undefined ? [] : yield* destroy(tx, file, request);
}

export interface EndSession extends Destroy {
  readonly session: SessionId;
}

export interface SessionEnd {
  readonly orphans: readonly ObjectPlace[];
  /** There are orphans left; the caller comes again. */
  readonly more: boolean;
}

const AT_ONCE = 20;
/** What one of them may take: its rows, and at each site an owner and a tombstone. */
const ROOM_FOR_ONE = { writes: 45, sizeBytes: 64 * 1024 };

/** The session is gone, however it went: what it had open goes, as much as a transaction has room for. */
export function* endSession(tx: Transaction, request: EndSession): Program<SessionEnd> {
  const { session } = request;
  const held = yield* orphansOf(tx, session, AT_ONCE);
  const orphans: ObjectPlace[] = [];
  let released = 0;
  for (const inode of held) {
    if (released > 0 && !tx.hasRoom(ROOM_FOR_ONE)) break;
    orphans.push(...(yield* releaseOrphan(tx, { ...request, inode })));
    released += 1;
  }
  return { orphans, more: released < held.length || held.length === AT_ONCE };
}
