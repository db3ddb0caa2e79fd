import { GfsError } from "../core/errors.ts";
import type { SessionId } from "../core/ids.ts";
import { type LeaseId, prefixRange, type Program, type Transaction } from "../kv/index.ts";
import { posix } from "../namespace/index.ts";
import { leaveQueue, readOpen } from "./lock-programs.ts";
import { STEP } from "./lock-queue.ts";
import {
  type CoordinatorId,
  lockOfSessionIn,
  locksOfSession,
  parse,
  putJson,
  type Queue,
  sessionKey,
  type SessionRow,
  waitOfSessionIn,
  waitsOfSession,
} from "./rows.ts";
import type { SessionRef } from "./types.ts";

/** How sessions begin, go from one coordinator to another, and end. */

export interface Serving {
  readonly coordinator: CoordinatorId;
  /** Nobody serves a session whose own lease has ended. */
  readonly lease: LeaseId;
}

// oxlint-disable-next-line eslint/require-yield -- It reads nothing.
export function* beginSession(
  tx: Transaction,
  { session, row, lease }: { readonly session: SessionId; readonly row: SessionRow; readonly lease: LeaseId },
): Program<void> {
  tx.requireLease(lease);
  tx.claimRoom();
  putJson(tx, sessionKey(session), row);
  posix.openSession(tx, { session });
}

/** It comes to this coordinator, with all that it holds. What it covers is known to nobody any more. */
export function* takeOver(tx: Transaction, ref: SessionRef, { coordinator, lease }: Serving): Program<void> {
  tx.requireLease(lease);
  putJson(tx, sessionKey(ref.session), { ...(yield* readOpen(tx, ref)), coordinator });
}

/** It does not come back, and gets nothing any more. */
export function* barSession(tx: Transaction, session: SessionId): Program<void> {
  const value = yield* tx.get(sessionKey(session));
  if (value === undefined) throw new GfsError("NotFound", "There is no such session.", { op: "sessions.evict" });
  const row = parse(value) as SessionRow;
  if (row.ending === undefined) putJson(tx, sessionKey(session), { ...row, ending: "barred" });
}

export interface Ending {
  readonly session: SessionId;
  /** It is served by this one still; absent: whoever serves it. */
  readonly servedBy?: CoordinatorId;
  readonly nowMs: number;
}

/**
 * One page of the end of a session: true while there is more to let go of. From the first one on it cannot come back, and what it holds goes to those who
 * wait. Whoever finds it in the middle goes on.
 */
export function* endSession(tx: Transaction, { session, servedBy, nowMs }: Ending): Program<boolean> {
  const key = sessionKey(session);
  const value = yield* tx.get(key);
  if (value === undefined) return false;
  const row = parse(value) as SessionRow;
  if (row.ending !== "ended") {
    if (servedBy !== undefined && row.coordinator !== servedBy) return false;
    putJson(tx, key, { ...row, ending: "ended" });
    return true;
  }
  const queue = yield* nextQueue(tx, session);
  if (queue === undefined) {
    tx.delete(key);
    posix.closeSession(tx, session);
    return false;
  }
  yield* leaveQueue(tx, queue, { session, owner: queue.owner, nowMs });
  return true;
}

/** Of those that it waits in or holds something of. */
function* nextQueue(tx: Transaction, session: SessionId): Program<(Queue & { readonly owner: string }) | undefined> {
  const [wait] = yield* tx.range({ ...prefixRange(waitsOfSession(session)), limit: 1 });
  if (wait !== undefined) {
    const [, owner, inode, kind] = waitOfSessionIn(wait.key);
    return { owner, inode, kind };
  }
  const [lock] = yield* tx.range({ ...prefixRange(locksOfSession(session)), limit: 1 });
  if (lock === undefined || !tx.hasRoom(STEP)) return undefined;
  const [, inode, kind, owner] = lockOfSessionIn(lock.key);
  return { owner, inode, kind };
}
