import { GfsError } from "../core/errors.ts";
import { prefixRange, type Program, type Reader, type Transaction } from "../kv/index.ts";
import {
  aheadOf,
  dropWaiter,
  grant,
  holdersAgainst,
  isSame,
  MOST_IN_QUEUE,
  putHolding,
  putWaiter,
  type QueueState,
  readQueue,
  STEP,
  type Waiter,
} from "./lock-queue.ts";
import {
  type CoordinatorId,
  type LockedSpan,
  type Owner,
  parse,
  type Queue,
  sessionKey,
  type SessionRow,
  waitOfSessionIn,
  waitsOfOwner,
} from "./rows.ts";
import { conflictOf, withSpan } from "./spans.ts";
import type { SessionRef, Span } from "./types.ts";

/** Locks are taken, handed over and let go of in transactions, so that it makes no difference which coordinators serve those who want them. */

export interface Wanted extends Queue, Owner, LockedSpan {}

export type Taken =
  | { readonly kind: "granted" }
  | { readonly kind: "waiting" }
  /** Nobody waits. */
  | { readonly kind: "refused"; readonly by: Owner & LockedSpan }
  /** Some of those in the way wait, in the end, for this owner. */
  | { readonly kind: "deadlock" };

/** Spans that one owner may have locked of one file. */
const MOST_SPANS = 1_000;
/** Owners that are looked at for a deadlock. */
const MOST_LOOKED_AT = 1_000;

/** A session, as the coordinator sees it that is asked by it. */
export interface ServedRef extends SessionRef {
  readonly coordinator: CoordinatorId;
}

/** What it asked of one coordinator does not happen any more when it has gone to another one. */
export function* assertServed(tx: Reader, { coordinator, ...ref }: ServedRef): Program<void> {
  if ((yield* readOpen(tx, ref)).coordinator !== coordinator) throw isServedElsewhere();
}

export function* readOpen(tx: Reader, { session, epoch }: SessionRef): Program<SessionRow> {
  const row = yield* tx.get(sessionKey(session));
  const found = row === undefined ? undefined : (parse(row) as SessionRow);
  if (found === undefined || found.ending !== undefined || found.epoch !== epoch) throw sessionIsOver();
  return found;
}

export function sessionIsOver(): GfsError {
  return new GfsError("StaleEpoch", "The session is over, and what it held is let go of; begin a new one.", {
    op: "sessions",
  });
}

export function isServedElsewhere(): GfsError {
  return new GfsError("Unavailable", "The session is served elsewhere, or was; reclaim it here.", { op: "sessions" });
}

export interface TakeOptions {
  readonly by: ServedRef;
  /** Waits for its turn when it is not free. */
  readonly wait: boolean;
  readonly nowMs: number;
}

export function* takeLock(tx: Transaction, wanted: Wanted, { by, wait, nowMs }: TakeOptions): Program<Taken> {
  yield* assertServed(tx, by);
  const queue = yield* readQueue(tx, wanted);
  const own = queue.holdings.find((each) => isSame(each, wanted));
  if (wanted.kind === "lease" && own !== undefined) return { kind: "granted" };
  if (wanted.kind === "flock" && own !== undefined && own.spans[0]?.mode !== wanted.mode) {
    // flock(2): a lock of another mode is let go of first, and is lost when the new one cannot be had.
    yield* putHolding(tx, queue, { ...own, spans: [] }, nowMs);
    yield* handOver(tx, queue, nowMs);
  }
  const { session, owner, start, end, mode } = wanted;
  const row = { session, owner, start, end, mode, sinceMs: nowMs };
  const inTheWay = yield* whatBlocks(tx, queue, wanted, queue.waiters);
  if (inTheWay.length === 0) {
    assertFew(queue, own === undefined ? [] : withSpan(own.spans, wanted, mode));
    yield* grant(tx, queue, row);
    return { kind: "granted" };
  }
  if (!wait) {
    const by = inTheWay[0] as Owner & LockedSpan;
    return { kind: "refused", by };
  }
  if (wanted.kind === "posix" && (yield* leadsTo(tx, inTheWay, { to: wanted, queued: false })))
    return { kind: "deadlock" };
  assertFew(queue, []);
  putWaiter(tx, queue, row);
  return { kind: "waiting" };
}

function assertFew({ holdings, waiters }: QueueState, spans: readonly LockedSpan[]): void {
  if (holdings.length + waiters.length < MOST_IN_QUEUE && spans.length <= MOST_SPANS) return;
  throw new GfsError("NoLocks", "So many locks on one file are too many; let go of some.", { op: "sessions.lock" });
}

/** What of it is held, or else wanted by who came earlier and does not wait, in the end, for this owner: taking turns makes no deadlock. */
function* whatBlocks(
  tx: Reader,
  queue: QueueState,
  wanted: Owner & LockedSpan,
  waiters: readonly Waiter[],
): Program<(Owner & LockedSpan)[]> {
  const holders = holdersAgainst(queue, wanted);
  if (holders.length > 0)
    return holders.map(({ session, owner, spans }) => ({
      session,
      owner,
      ...(conflictOf(spans, wanted) as LockedSpan),
    }));
  for (const waiter of aheadOf(waiters, wanted))
    if (!(yield* leadsTo(tx, [waiter], { to: wanted, queued: true }))) return [waiter];
  return [];
}

/** Whether one of these is the owner, or waits for it in the end. `queued`: also by waiting for who has waited longer. */
function* leadsTo(
  tx: Reader,
  from: readonly Owner[],
  { to, queued }: { readonly to: Owner; readonly queued: boolean },
): Program<boolean> {
  const seen = new Set<string>();
  const next: Owner[] = [...from];
  for (let owner = next.pop(); owner !== undefined && seen.size < MOST_LOOKED_AT; owner = next.pop()) {
    if (isSame(owner, to)) return true;
    const name = `${owner.session}\0${owner.owner}`;
    if (seen.has(name)) continue;
    seen.add(name);
    for (const { key } of yield* tx.range({ ...prefixRange(waitsOfOwner(owner)), limit: MOST_IN_QUEUE })) {
      const [, , inode, kind] = waitOfSessionIn(key);
      const queue = yield* readQueue(tx, { inode, kind });
      for (const [index, waiter] of queue.waiters.entries()) {
        if (!isSame(waiter, owner)) continue;
        next.push(...holdersAgainst(queue, waiter));
        if (queued) next.push(...aheadOf(queue.waiters.slice(0, index), waiter));
      }
    }
  }
  return false;
}

/** Gives those who wait what they can have, in their order. True when there was no room for all of them: go on in another transaction. */
function* handOver(tx: Transaction, queue: QueueState, nowMs: number): Program<boolean> {
  const ahead: Waiter[] = [];
  for (const waiter of queue.waiters.slice()) {
    const inTheWay = yield* whatBlocks(tx, queue, waiter, ahead);
    if (inTheWay.length > 0) {
      ahead.push(waiter);
      continue;
    }
    if (!tx.hasRoom(STEP)) return true;
    dropWaiter(tx, queue, waiter);
    yield* grant(tx, queue, { ...waiter, sinceMs: nowMs });
  }
  return false;
}

/** What becomes free goes to those who wait. True when not all of them had their turn: `passOn` goes on. */
export function* unlock(
  tx: Transaction,
  queue: Queue,
  by: Owner & Span & { readonly nowMs: number },
): Program<boolean> {
  const state = yield* readQueue(tx, queue);
  const held = state.holdings.find((each) => isSame(each, by));
  if (held === undefined) return false;
  const spans = withSpan(held.spans, by);
  assertFew({ ...state, holdings: [], waiters: [] }, spans);
  yield* putHolding(tx, state, { ...held, spans }, by.nowMs);
  return yield* handOver(tx, state, by.nowMs);
}

export function* passOn(tx: Transaction, queue: Queue, nowMs: number): Program<boolean> {
  return yield* handOver(tx, yield* readQueue(tx, queue), nowMs);
}

/** True when it had waited until now; false when it has got what it waited for. */
export function* stopWaiting(
  tx: Transaction,
  queue: Queue,
  { place, nowMs }: { readonly place: number; readonly nowMs: number },
): Program<{ readonly waited: boolean; readonly more: boolean }> {
  const state = yield* readQueue(tx, queue);
  const waiter = state.waiters.find((each) => each.place === place);
  if (waiter === undefined) return { waited: false, more: false };
  dropWaiter(tx, state, waiter);
  return { waited: true, more: yield* handOver(tx, state, nowMs) };
}

export interface Leaving extends Owner {
  /** Of the write lease that is meant: nothing happens when that is over already. */
  readonly epoch?: number;
  readonly nowMs: number;
}

/** All that an owner holds and waits for here. */
export function* leaveQueue(tx: Transaction, queue: Queue, by: Leaving): Program<boolean> {
  const state = yield* readQueue(tx, queue);
  if (by.epoch !== undefined && !state.holdings.some(({ epoch }) => epoch === by.epoch)) return false;
  for (const waiter of state.waiters.filter((each) => isSame(each, by))) {
    if (!tx.hasRoom(STEP)) return true;
    dropWaiter(tx, state, waiter);
  }
  const held = state.holdings.find((each) => isSame(each, by));
  if (held !== undefined) yield* putHolding(tx, state, { ...held, spans: [] }, by.nowMs);
  return yield* handOver(tx, state, by.nowMs);
}

/** F_GETLK: the first that is in the way. */
export function* testLock(tx: Reader, wanted: Wanted): Program<(Owner & LockedSpan) | undefined> {
  const [first] = holdersAgainst(yield* readQueue(tx, wanted), wanted);
  if (first === undefined) return undefined;
  const { session, owner, spans } = first;
  return { session, owner, ...(conflictOf(spans, wanted) as LockedSpan) };
}
