import type { Inode, SessionId } from "../core/ids.ts";
import type { Key, LeaseId, Program, Reader, Transaction } from "../kv/index.ts";
import { decodeKey, encodeKey, findFirst, prefixRange, tail } from "../kv/index.ts";

/**
 * What has lost its last name while sessions have it open: an orphan. For each session and inode there is a row by session, for when the session ends, and one by
 * inode, which tells whether anybody still holds it.
 */

const BY_SESSION = "os";
const BY_INODE = "io";
const OPEN = "s";

export const orphanSpace = encodeKey(BY_SESSION);
export const orphanHolderSpace = encodeKey(BY_INODE);

export interface Orphan {
  readonly session: SessionId;
  readonly inode: Inode;
}

function sessionKey({ session, inode }: Orphan): Key {
  return encodeKey(BY_SESSION, session, inode);
}

function holderKey({ session, inode }: Orphan): Key {
  return encodeKey(BY_INODE, inode, tail(session));
}

export function orphanOfSessionKey(key: Key): Orphan {
  const [session, inode] = decodeKey(key, ["string", "number"]);
  return { session: session as SessionId, inode: inode as Inode };
}

export function orphanOfHolderKey(key: Key): Orphan {
  const [inode, session] = decodeKey(key, ["number", "tail"]);
  return { session: session as SessionId, inode: inode as Inode };
}

const NOTHING = Buffer.alloc(0);

export function putOrphan(tx: Transaction, orphan: Orphan): void {
  tx.put(sessionKey(orphan), NOTHING);
  tx.put(holderKey(orphan), NOTHING);
}

export function dropOrphan(tx: Transaction, orphan: Orphan): void {
  tx.delete(sessionKey(orphan));
  tx.delete(holderKey(orphan));
}

export function* isOrphanOf(tx: Reader, orphan: Orphan): Program<boolean> {
  return (yield* tx.get(sessionKey(orphan))) !== undefined;
}

/** Whether the inode's row knows the session. */
export function* isHeldBy(tx: Reader, orphan: Orphan): Program<boolean> {
  return (yield* tx.get(holderKey(orphan))) !== undefined;
}

/** Whether any session holds it. */
export function* isHeld(tx: Reader, inode: Inode): Program<boolean> {
  return (yield* findFirst(tx, encodeKey(BY_INODE, inode))) !== undefined;
}

/** One of those that a session holds. */
export function* orphanOf(tx: Reader, session: SessionId): Program<Inode | undefined> {
  const row = yield* findFirst(tx, encodeKey(BY_SESSION, session));
  return row === undefined ? undefined : orphanOfSessionKey(row.key).inode;
}

/** The first session after one of them that holds orphans. */
export function* nextHolder(tx: Reader, after?: SessionId): Program<SessionId | undefined> {
  const range = prefixRange(orphanSpace);
  const start = after === undefined ? range.start : prefixRange(encodeKey(BY_SESSION, after)).end;
  const [row] = yield* tx.range({ start, end: range.end, limit: 1 });
  return row === undefined ? undefined : orphanOfSessionKey(row.key).session;
}

/** Until it is closed, or with a lease as long as that lives: with that its row goes, however it ended. */
export function openSession(
  tx: Transaction,
  { session, lease }: { readonly session: SessionId; readonly lease?: LeaseId },
): void {
  tx.put(openKey(session), NOTHING, lease === undefined ? undefined : { lease });
}

export function closeSession(tx: Transaction, session: SessionId): void {
  tx.delete(openKey(session));
}

export function* isOpen(tx: Reader, session: SessionId): Program<boolean> {
  return (yield* tx.get(openKey(session))) !== undefined;
}

function openKey(session: SessionId): Key {
  return encodeKey(OPEN, tail(session));
}
