import type { Inode, SessionId } from "../core/ids.ts";
import { type KvEntry, prefixRange, type Program, type Reader } from "../kv/index.ts";
import {
  allLocks,
  allWaits,
  type Kind,
  lockIn,
  parse,
  locksOf,
  type Owner,
  type LockedSpan,
  waitIn,
  type WaitRow,
  waitsOf,
} from "./rows.ts";
import { unpackSpans } from "./spans.ts";
import type { Term } from "./term.ts";

/** What people are shown of sessions and of what they hold. */

export interface SessionStatus {
  readonly session: SessionId;
  readonly host: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly sinceMs: number;
  /** The coordinator that serves it, by its name; absent: it is gone, and the session may come back. */
  readonly servedBy?: string;
  readonly ending?: "barred" | "ended";
  /** Of sessions that this coordinator serves. */
  readonly here?: {
    readonly covered: number;
    /** What it was told and has not acknowledged. */
    readonly behind: number;
    /** How long it may trust what it has, if it is not heard of again. */
    readonly trustedForMs: number;
    /** Since when changes wait for it. */
    readonly waitedForSinceMs?: number;
  };
}

export function sessionsIn(
  term: Term,
  { nowMs, monotonicMs }: { readonly nowMs: number; readonly monotonicMs: number },
): SessionStatus[] {
  const waited = new Map<SessionId, number>();
  for (const { who, sinceMs } of term.waitedFor())
    waited.set(who.id, Math.min(waited.get(who.id) ?? Number.POSITIVE_INFINITY, sinceMs));
  return [...term.mirror.sessions].map(([session, { host, labels, sinceMs, ending, coordinator }]) => {
    const peer = term.mirror.peers.get(coordinator);
    const local = term.locals.get(session);
    const waitedMs = waited.get(session);
    return {
      session,
      host,
      labels,
      sinceMs,
      ...(peer?.isAlive === true && peer.row !== undefined ? { servedBy: peer.row.identity } : {}),
      ...(ending === undefined ? {} : { ending }),
      ...(local === undefined
        ? {}
        : {
            here: {
              covered: local.covered.size,
              behind: local.lag,
              trustedForMs: Math.max(0, local.deadlineMs - monotonicMs),
              ...(waitedMs === undefined ? {} : { waitedForSinceMs: nowMs - (monotonicMs - waitedMs) }),
            },
          }),
    };
  });
}

export interface LeaseStatus extends Partial<Owner> {
  readonly inode: Inode;
  readonly session: SessionId;
  /** `read`: what a session that this coordinator serves covers. */
  readonly type: "read" | "write" | "flock" | "posix";
  readonly state: "held" | "waiting";
  readonly sinceMs?: number;
  readonly epoch?: number;
  readonly spans?: readonly LockedSpan[];
}

/** Of these inodes, or of all, at most so many of each kind. */
export interface LeaseQuery {
  readonly inodes?: readonly Inode[];
  readonly limit: number;
}

export function* lockRows(tx: Reader, { inodes, limit }: LeaseQuery): Program<LeaseStatus[]> {
  const kinds: readonly Kind[] = ["flock", "posix", "lease"];
  const queues = inodes?.flatMap((inode) => kinds.map((kind) => ({ inode, kind })));
  const held: KvEntry[] = [];
  const waiting: KvEntry[] = [];
  for (const range of queues?.map(locksOf) ?? [allLocks])
    held.push(...(yield* tx.range({ ...prefixRange(range), limit })));
  for (const range of queues?.map(waitsOf) ?? [allWaits])
    waiting.push(...(yield* tx.range({ ...prefixRange(range), limit })));
  return [
    ...held.slice(0, limit).map(({ key, value }): LeaseStatus => {
      const [inode, kind, session, owner] = lockIn(key);
      const spans = unpackSpans(parse(value) as number[][]);
      return { inode, session, owner, spans, type: typeOf(kind), state: "held" };
    }),
    ...waiting.slice(0, limit).map(({ key, value }): LeaseStatus => {
      const [inode, kind] = waitIn(key);
      const { session, owner, sinceMs, start, end, mode } = parse(value) as WaitRow;
      const spans = kind === "lease" ? {} : { spans: [{ start, end, mode }] };
      return { inode, session, owner, sinceMs, ...spans, type: typeOf(kind), state: "waiting" };
    }),
  ];
}

function typeOf(kind: Kind): LeaseStatus["type"] {
  return kind === "lease" ? "write" : kind;
}

/** What is covered, and who writes by lease. */
export function leasesIn({ mirror, locals }: Term, { inodes, limit }: LeaseQuery): LeaseStatus[] {
  const wanted = inodes === undefined ? undefined : new Set(inodes);
  const found: LeaseStatus[] = [];
  for (const [inode, { session, sinceMs, epoch }] of mirror.writeLeases)
    if (found.length < limit && (wanted?.has(inode) ?? true))
      found.push({ inode, session, sinceMs, epoch, type: "write", state: "held" });
  let covered = 0;
  for (const { id, covered: inodesOf } of locals.values())
    for (const inode of wanted ?? inodesOf)
      if (covered < limit && inodesOf.has(inode)) {
        covered += 1;
        found.push({ inode, session: id, type: "read", state: "held" });
      }
  return found;
}
