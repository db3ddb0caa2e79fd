import type { SessionId } from "../core/ids.ts";
import { positionOf, prefixRange, type Program, type Reader, type Transaction } from "../kv/index.ts";
import { posix } from "../namespace/index.ts";
import { isGfsError } from "../core/errors.ts";
import {
  asJson,
  lockIn,
  lockKey,
  lockOfSessionKey,
  locksOf,
  type LockedSpan,
  NOTHING,
  type Owner,
  parse,
  putJson,
  type Queue,
  type WaitRow,
  waitKey,
  waitOfSessionKey,
  waitsOf,
  type WriteLeaseRow,
  writeLeaseIn,
  writeLeaseKey,
  writeLeasesOf,
} from "./rows.ts";
import { conflictOf, packSpans, type Spans, unpackSpans, withSpan } from "./spans.ts";
import { TO_THE_END } from "./types.ts";

/** Who holds and who waits for locks of one kind on one file, as rows. */

export interface Holding extends Owner {
  readonly spans: Spans;
  /** Of a write lease. */
  readonly epoch?: number;
}

export interface Waiter extends WaitRow {
  /** Where it stands: whoever came earlier has a lower one. */
  readonly place: number;
}

export interface QueueState extends Queue {
  readonly holdings: Holding[];
  readonly waiters: Waiter[];
}

/** Owners of locks on one file, and those who wait there. */
export const MOST_IN_QUEUE = 1_000;
/** What one grant or release writes at most. */
export const STEP = { writes: 6, sizeBytes: 80_000 };

export const WHOLE: LockedSpan = { start: 0, end: TO_THE_END, mode: "exclusive" };

export function isSame(one: Owner, other: Owner): boolean {
  return one.session === other.session && one.owner === other.owner;
}

export function* readQueue(tx: Reader, queue: Queue): Program<QueueState> {
  const rows = yield* tx.range({ ...prefixRange(waitsOf(queue)), limit: MOST_IN_QUEUE + 1 });
  return {
    ...queue,
    holdings: yield* readHoldings(tx, queue),
    waiters: rows.map(({ key, value }) => ({ ...(parse(value) as WaitRow), place: positionOf(key) })),
  };
}

export function* readHoldings(tx: Reader, queue: Queue): Program<Holding[]> {
  const range = prefixRange(queue.kind === "lease" ? writeLeasesOf(queue.inode) : locksOf(queue));
  const rows = yield* tx.range({ ...range, limit: MOST_IN_QUEUE + 1 });
  return rows.map(({ key, value }) => {
    if (queue.kind === "lease") {
      const [, epoch] = writeLeaseIn(key);
      return { session: (parse(value) as WriteLeaseRow).session, owner: "", spans: [WHOLE], epoch };
    }
    const [, , session, owner] = lockIn(key);
    return { session, owner, spans: unpackSpans(parse(value) as number[][]) };
  });
}

/** What the owner holds is this from now on; also in what was read of the queue. */
export function* putHolding(
  tx: Transaction,
  queue: QueueState,
  { session, owner, spans }: Holding,
  nowMs: number,
): Program<void> {
  const index = queue.holdings.findIndex((each) => isSame(each, { session, owner }));
  const before = queue.holdings[index];
  if (before !== undefined) queue.holdings.splice(index, 1);
  const who = { session, owner };
  if (spans.length === 0) {
    if (before === undefined) return;
    tx.delete(before.epoch === undefined ? lockKey(queue, who) : writeLeaseKey(queue.inode, before.epoch));
    tx.delete(lockOfSessionKey(queue, who));
    return;
  }
  if (queue.kind !== "lease") putJson(tx, lockKey(queue, who), packSpans(spans));
  else if (before === undefined) yield* appendWriteLease(tx, queue, session, nowMs);
  if (before === undefined) tx.put(lockOfSessionKey(queue, who), NOTHING);
  queue.holdings.push({ ...before, ...who, spans });
}

function* appendWriteLease(tx: Transaction, { inode }: Queue, session: SessionId, nowMs: number): Program<void> {
  const parent = yield* parentOf(tx, inode);
  const row: WriteLeaseRow = { session, sinceMs: nowMs, ...(parent === undefined ? {} : { parent }) };
  tx.append(writeLeasesOf(inode), asJson(row));
}

function* parentOf(tx: Reader, inode: Queue["inode"]): Program<Queue["inode"] | undefined> {
  try {
    return (yield* posix.getattr(tx, inode)).parent?.inode;
  } catch (error) {
    // It may be gone, and still open.
    if (isGfsError(error, "NotFound")) return undefined;
    throw error;
  }
}

export function putWaiter(tx: Transaction, queue: QueueState, waiter: WaitRow): void {
  tx.append(waitsOf(queue), asJson(waiter));
  tx.put(waitOfSessionKey(queue, waiter), NOTHING);
  queue.waiters.push({ ...waiter, place: TO_THE_END });
}

export function dropWaiter(tx: Transaction, queue: QueueState, waiter: Waiter): void {
  tx.delete(waitKey(queue, waiter.place));
  queue.waiters.splice(queue.waiters.indexOf(waiter), 1);
  if (!queue.waiters.some((each) => isSame(each, waiter))) tx.delete(waitOfSessionKey(queue, waiter));
}

/** Who holds what is in the way of it. */
export function holdersAgainst({ holdings }: QueueState, wanted: LockedSpan & Owner): Holding[] {
  return holdings.filter((each) => !isSame(each, wanted) && conflictOf(each.spans, wanted) !== undefined);
}

/** Who waits for what is in the way of it, of those who came before. */
export function aheadOf(waiters: readonly Waiter[], wanted: LockedSpan & Owner): Waiter[] {
  return waiters.filter((each) => !isSame(each, wanted) && conflictOf([each], wanted) !== undefined);
}

/** The owner holds what it asked for. Who only waited for a lease to end to read holds nothing. */
export function* grant(tx: Transaction, queue: QueueState, wanted: WaitRow): Program<void> {
  if (queue.kind === "lease" && wanted.mode === "shared") return;
  const held = queue.holdings.find((each) => isSame(each, wanted));
  const { session, owner, mode, sinceMs } = wanted;
  yield* putHolding(tx, queue, { session, owner, spans: withSpan(held?.spans ?? [], wanted, mode) }, sinceMs);
}
