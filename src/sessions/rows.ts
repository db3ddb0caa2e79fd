import type { Inode, SessionId } from "../core/ids.ts";
import { decodeKey, encodeKey, type Key, type LeaseId, tail, type Transaction, type Value } from "../kv/index.ts";
import type { Touch } from "../namespace/index.ts";
import type { LockMode, Span } from "./types.ts";

/**
 * Rows by which coordinators agree on sessions. Their spaces lie between those of the tree, so that one watch tells of both in the order of the commits.
 */

const SESSION = "es";
const COORDINATOR = "ec";
const LIVING = "el";
const INTEREST = "ei";
const ACKNOWLEDGED = "ea";
const WITHHOLDING = "er";
const WRITE_LEASE = "ew";
const LOCK = "ek";
const LOCK_OF_SESSION = "em";
const WAITING = "en";
const WAIT_OF_SESSION = "eo";

export type CoordinatorId = string;

export interface SessionRow {
  readonly epoch: number;
  /** Who serves it. */
  readonly coordinator: CoordinatorId;
  readonly host: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ttlMs: number;
  readonly sinceMs: number;
  /** barred: it gets nothing any more, until its time is over. ended: what it holds is being let go of. From neither it comes back. */
  readonly ending?: "barred" | "ended";
}

export interface CoordinatorRow {
  readonly identity: string;
  readonly sinceMs: number;
  /** No session of it trusts anything for longer than this after it was last heard. */
  readonly ttlMs: number;
  /** It writes down what its sessions cover; otherwise that may be anything. */
  readonly tellsInterests: boolean;
}

export interface WithholdingRow {
  readonly touches: readonly Touch[];
}

export interface WriteLeaseRow {
  readonly session: SessionId;
  readonly sinceMs: number;
  /** The directory that tells of the file. */
  readonly parent?: Inode;
}

/** `lease`: the right to write to a file, which is granted and waited for as a lock is. */
export type Kind = "flock" | "posix" | "lease";

/** A queue of those who want to lock one file in one way. */
export interface Queue {
  readonly inode: Inode;
  readonly kind: Kind;
}

/** Whose lock it is: of one of a session's processes or open files, by the name that the session gives it. */
export interface Owner {
  readonly session: SessionId;
  readonly owner: string;
}

export interface LockedSpan extends Span {
  readonly mode: LockMode;
}

export interface WaitRow extends Owner, LockedSpan {
  readonly sinceMs: number;
}

export const sessionKey = (session: SessionId): Key => encodeKey(SESSION, tail(session));
export const coordinatorKey = (id: CoordinatorId): Key => encodeKey(COORDINATOR, tail(id));
export const livingKey = (id: CoordinatorId): Key => encodeKey(LIVING, tail(id));
export const interestKey = (inode: Inode, id: CoordinatorId): Key => encodeKey(INTEREST, inode, tail(id));
export const acknowledgedKey = (id: CoordinatorId): Key => encodeKey(ACKNOWLEDGED, tail(id));
/** By the inode that is withheld: of what is in that directory, and of the inode itself, nobody trusts anything. */
export const withholdingKey = (inode: Inode, by: string): Key => encodeKey(WITHHOLDING, inode, tail(by));
export const withholdingsOf = (inode: Inode): Key => encodeKey(WITHHOLDING, inode);
/** The epoch is the position of the commit that granted it, and so higher than that of any lease before. */
export const writeLeasesOf = (inode: Inode): Key => encodeKey(WRITE_LEASE, inode);
export const writeLeaseKey = (inode: Inode, epoch: number): Key => encodeKey(WRITE_LEASE, inode, epoch);
export const allLocks = encodeKey(LOCK);
export const allWaits = encodeKey(WAITING);
export const locksOf = ({ inode, kind }: Queue): Key => encodeKey(LOCK, inode, kind);
export const lockKey = ({ inode, kind }: Queue, { session, owner }: Owner): Key =>
  encodeKey(LOCK, inode, kind, session, tail(owner));
export const lockOfSessionKey = ({ inode, kind }: Queue, { session, owner }: Owner): Key =>
  encodeKey(LOCK_OF_SESSION, session, inode, kind, tail(owner));
export const locksOfSession = (session: SessionId): Key => encodeKey(LOCK_OF_SESSION, session);
/** In the order in which they came. */
export const waitsOf = ({ inode, kind }: Queue): Key => encodeKey(WAITING, inode, kind);
export const waitKey = ({ inode, kind }: Queue, place: number): Key => encodeKey(WAITING, inode, kind, place);
export const waitOfSessionKey = ({ inode, kind }: Queue, { session, owner }: Owner): Key =>
  encodeKey(WAIT_OF_SESSION, session, owner, inode, tail(kind));
export const waitsOfSession = (session: SessionId): Key => encodeKey(WAIT_OF_SESSION, session);
export const waitsOfOwner = ({ session, owner }: Owner): Key => encodeKey(WAIT_OF_SESSION, session, owner);

/** What every coordinator keeps in mind. */
export const mirroredSpaces: readonly Key[] = [
  encodeKey(SESSION),
  encodeKey(COORDINATOR),
  encodeKey(LIVING),
  encodeKey(INTEREST),
  encodeKey(ACKNOWLEDGED),
  encodeKey(WITHHOLDING),
  encodeKey(WRITE_LEASE),
  encodeKey(WAITING),
];

export function parse(value: Value): unknown {
  return JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString());
}

export function putJson(tx: Transaction, key: Key, value: object, lease?: LeaseId): void {
  tx.put(key, asJson(value), lease === undefined ? undefined : { lease });
}

export function asJson(value: object): Value {
  return Buffer.from(JSON.stringify(value));
}

export const NOTHING = Buffer.alloc(0);

/** The kind of row that a key is of. */
export function spaceOf(key: Key): string {
  const end = key.indexOf(0);
  let space = "";
  for (let index = 0; index < end; index++) space += String.fromCharCode(key[index] as number);
  return space;
}

export const nameIn = (key: Key): string => decodeKey(key, ["tail"])[0] as string;
export const interestIn = (key: Key): [Inode, CoordinatorId] =>
  decodeKey(key, ["number", "tail"]) as [Inode, CoordinatorId];
export const withholdingIn = (key: Key): [Inode, string] => decodeKey(key, ["number", "tail"]) as [Inode, string];
export const writeLeaseIn = (key: Key): [Inode, number] => decodeKey(key, ["number", "number"]) as [Inode, number];
export const lockIn = (key: Key): [Inode, Kind, SessionId, string] =>
  decodeKey(key, ["number", "string", "string", "tail"]) as [Inode, Kind, SessionId, string];
export const lockOfSessionIn = (key: Key): [SessionId, Inode, Kind, string] =>
  decodeKey(key, ["string", "number", "string", "tail"]) as [SessionId, Inode, Kind, string];
export const waitIn = (key: Key): [Inode, Kind, number] =>
  decodeKey(key, ["number", "string", "number"]) as [Inode, Kind, number];
export const waitOfSessionIn = (key: Key): [SessionId, string, Inode, Kind] =>
  decodeKey(key, ["string", "string", "number", "tail"]) as [SessionId, string, Inode, Kind];
