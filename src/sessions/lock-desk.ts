import { GfsError } from "../core/errors.ts";
import type { Inode, SessionId } from "../core/ids.ts";
import { positionAt, prefixRange, type Program, type Transaction } from "../kv/index.ts";
import {
  assertServed,
  isServedElsewhere,
  leaveQueue,
  passOn,
  type ServedRef,
  sessionIsOver,
  stopWaiting,
  takeLock,
  type Taken,
  unlock,
  type Wanted,
} from "./lock-programs.ts";
import { isSame } from "./lock-queue.ts";
import type { Office } from "./office.ts";
import { type LockedSpan, lockOfSessionIn, locksOfSession, type Owner, type Queue } from "./rows.ts";
import { turnKey, type Turn } from "./term.ts";
import type { Span } from "./types.ts";

/** Takes locks for the sessions that are served here, and lets those wait who have to. */

export interface TakeRequest extends ServedRef, Wanted {
  readonly wait: boolean;
}

interface Waiting {
  readonly owner: Owner;
  readonly queue: Queue;
  readonly resolve: (turn: Turn) => void;
  readonly reject: (error: unknown) => void;
}

const PAGE = 1_000;

export class LockDesk {
  readonly #office: Office;
  readonly #waiting = new Map<string, Waiting>();
  /** Of each session, by name, what it has locked: as far as was asked. */
  readonly #held = new Map<SessionId, Set<string>>();

  constructor(office: Office) {
    this.#office = office;
  }

  /** Resolves when it is had. An aborted signal ends the waiting with `Canceled`, unless it is had by then. */
  async take(request: TakeRequest, signal: AbortSignal): Promise<Turn> {
    if (signal.aborted) throw canceled();
    const { session, wait } = request;
    const held = await this.#heldOf(session);
    const name = nameOf(request);
    if (!held.has(name) && held.size >= this.#office.config.maxLocks)
      throw new GfsError("NoLocks", "The session has as many locks as one may have; let go of some.", {
        op: "sessions.lock",
      });
    const nowMs = this.#office.clock.nowMs();
    let taken: Taken | undefined;
    let revision = 0;
    let turn: Promise<Turn> | undefined;
    await this.#office.kv.transact(
      function* (tx): Program<void> {
        taken = yield* takeLock(tx, request, { by: request, wait, nowMs });
      },
      {
        // Before anybody can hear of it, or its turn could be missed.
        committed: (at) => {
          revision = at;
          if (taken?.kind !== "waiting") return;
          turn = this.#wait(request, positionAt(at, 0));
          // The answer to the transaction comes first.
          turn.catch(() => undefined);
        },
      },
    );
    if (taken?.kind === "refused") throw isTaken(taken.by);
    if (taken?.kind === "deadlock") throw deadlock();
    if (request.kind !== "lease" || request.mode === "exclusive") held.add(name);
    // What was had already is staged anew by none.
    if (turn === undefined) return revision === 0 ? { revision } : { revision, epoch: positionAt(revision, 0) };
    return await this.#until(turn, request, { place: positionAt(revision, 0), signal });
  }

  async #wait({ session, owner, inode, kind }: TakeRequest, place: number): Promise<Turn> {
    return await new Promise<Turn>((resolve, reject) => {
      this.#waiting.set(turnKey(inode, kind, place), {
        owner: { session, owner },
        queue: { inode, kind },
        resolve,
        reject,
      });
    });
  }

  async #until(
    turn: Promise<Turn>,
    request: TakeRequest,
    { place, signal }: { readonly place: number; readonly signal: AbortSignal },
  ): Promise<Turn> {
    const key = turnKey(request.inode, request.kind, place);
    const giveUp = (): void => {
      // What fails is told; when its turn has come before, that is.
      this.#stop(request, place).catch((error: unknown) => this.#reject((at) => at === key, error));
    };
    signal.addEventListener("abort", giveUp, { once: true });
    if (signal.aborted) giveUp();
    try {
      return await turn;
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }

  async #stop(queue: Queue, place: number): Promise<void> {
    const { kv, clock } = this.#office;
    const nowMs = clock.nowMs();
    let hadWaited = false;
    const more = await kv.transact(
      function* (tx): Program<boolean> {
        const { waited, more: isMore } = yield* stopWaiting(tx, queue, { place, nowMs });
        hadWaited = waited;
        return isMore;
      },
      // Whoever hears that the row is gone takes it for a turn that has come.
      {
        committed: () => hadWaited && this.#reject((at) => at === turnKey(queue.inode, queue.kind, place), canceled()),
      },
    );
    if (more) await this.#passOn(queue);
  }

  async unlock(queue: Queue, by: ServedRef & Owner & Span): Promise<void> {
    const nowMs = this.#office.clock.nowMs();
    await this.#letGo(queue, function* (tx) {
      yield* assertServed(tx, by);
      return yield* unlock(tx, queue, { ...by, nowMs });
    });
  }

  /** All that the owner holds of it, and waits for. */
  async leave(queue: Queue, owner: ServedRef & Owner): Promise<void> {
    const nowMs = this.#office.clock.nowMs();
    const isLeft = (waiting: Waiting): boolean =>
      waiting.queue.inode === queue.inode && waiting.queue.kind === queue.kind && isSame(waiting.owner, owner);
    await this.#letGo(
      queue,
      function* (tx) {
        yield* assertServed(tx, owner);
        const { session, owner: name } = owner;
        return yield* leaveQueue(tx, queue, { session, owner: name, nowMs });
      },
      () => this.#reject((_, waiting) => isLeft(waiting), canceled()),
    );
    this.#held.get(owner.session)?.delete(nameOf({ ...queue, ...owner }));
  }

  /** The write lease of this epoch is over, unless it is already. */
  async revoke(queue: Queue, lease: { readonly session: SessionId; readonly epoch: number }): Promise<void> {
    const nowMs = this.#office.clock.nowMs();
    await this.#letGo(queue, (tx) => leaveQueue(tx, queue, { ...lease, owner: "", nowMs }));
  }

  async #letGo(
    queue: Queue,
    program: (tx: Transaction) => Program<boolean>,
    committed: () => void = () => undefined,
  ): Promise<void> {
    if (await this.#office.kv.transact(program, { committed })) await this.#passOn(queue);
  }

  async #passOn(queue: Queue): Promise<void> {
    const { kv, clock } = this.#office;
    while (await kv.transact((tx) => passOn(tx, queue, clock.nowMs())));
  }

  /** Taking turns may have made those wait for each other who would not have to: whoever closes such a circle goes first. */
  async lookAround(): Promise<void> {
    const queues = new Map<string, Queue>();
    for (const { queue } of this.#waiting.values()) queues.set(`${queue.inode} ${queue.kind}`, queue);
    for (const queue of queues.values()) await this.#passOn(queue);
  }

  onTurn(key: string, turn: Turn): void {
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) return;
    this.#waiting.delete(key);
    waiting.resolve(turn);
  }

  onSessionGone(session: SessionId, isElsewhere: boolean): void {
    this.#held.delete(session);
    const reason = isElsewhere ? isServedElsewhere() : sessionIsOver();
    this.#reject((_, { owner }) => owner.session === session, reason);
  }

  /** Who waits here is told nothing any more. */
  abandon(error: unknown): void {
    this.#held.clear();
    this.#reject(() => true, error);
  }

  #reject(which: (key: string, waiting: Waiting) => boolean, error: unknown): void {
    for (const [key, waiting] of this.#waiting) {
      if (!which(key, waiting)) continue;
      this.#waiting.delete(key);
      waiting.reject(error);
    }
  }

  async #heldOf(session: SessionId): Promise<Set<string>> {
    const known = this.#held.get(session);
    if (known !== undefined) return known;
    const found = new Set<string>();
    const range = prefixRange(locksOfSession(session));
    const rows = await this.#office.kv.view((tx) => tx.range({ ...range, limit: PAGE }));
    for (const { key } of rows) {
      const [, inode, kind, owner] = lockOfSessionIn(key);
      found.add(nameOf({ inode, kind, owner }));
    }
    const first = this.#held.get(session) ?? found;
    this.#held.set(session, first);
    return first;
  }
}

function nameOf({
  inode,
  kind,
  owner,
}: {
  readonly inode: Inode;
  readonly kind: string;
  readonly owner: string;
}): string {
  return `${inode} ${kind} ${owner}`;
}

function canceled(): GfsError {
  return new GfsError("Canceled", "The wait for the lock was given up.", { op: "sessions.lock" });
}

function isTaken({ session, start, end, mode }: Owner & LockedSpan): GfsError {
  return new GfsError("Conflict", "Another one has it locked; wait, or come again.", {
    op: "sessions.lock",
    context: { session, start, end, mode },
  });
}

function deadlock(): GfsError {
  return new GfsError("Deadlock", "Who has it locked waits, in the end, for this lock's owner; let go of something.", {
    op: "sessions.lock",
  });
}
