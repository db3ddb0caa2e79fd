import { GfsError } from "../core/errors.ts";
import type { Inode, SessionId } from "../core/ids.ts";
import type { KvLease, Program, Transaction, WatchBatch } from "../kv/index.ts";
import { type Touch, touchOf, touchRange } from "../namespace/index.ts";
import { Coverage, coveringInodes } from "./coverage.ts";
import { Interests } from "./interests.ts";
import { LocalSession } from "./local-session.ts";
import { isServedElsewhere, sessionIsOver } from "./lock-programs.ts";
import { load, Mirror, type News, type Peer, type WriteLease } from "./mirror.ts";
import type { Office } from "./office.ts";
import { type Draft, draftFor, eventOf } from "./outbox.ts";
import { endWhole, forgetPeer } from "./endings.ts";
import { type CoordinatorId, coordinatorKey, type CoordinatorRow, livingKey, NOTHING, putJson } from "./rows.ts";
import type { SessionEvent, SessionRef } from "./types.ts";
import { Wait } from "./wait.ts";

/**
 * One coordinator among those that serve sessions, for as long as its own lease lives. It looks at each commit in order, tells the sessions here that cover what it
 * touches, and knows for which sessions here, and which other coordinators, that commit waits.
 */

/** Of a lease that was just kept alive: this much of it is counted on. */
const COUNTED_ON = 0.8;

export interface Turn {
  /** Of a write lease. */
  readonly epoch?: number;
  readonly revision: number;
}

export interface TermEvents {
  /** It serves nobody any more. */
  onLost(term: Term, reason: string): void;
  /** Who waited at this place has what it waited for. */
  onTurn(where: { readonly key: string; readonly turn: Turn }): void;
  onSessionGone(session: SessionId, isElsewhere: boolean): void;
  /** The holder of a write lease knows that it is wanted back. */
  onRecallHeard(where: { readonly inode: Inode; readonly epoch: number; readonly session: LocalSession }): void;
}

interface Reaching {
  readonly revision: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export function termIsOver(): GfsError {
  return new GfsError("Unavailable", "This coordinator has lost its place among the others; come again.", {
    op: "sessions",
    retryAfterMs: 1_000,
  });
}

export function turnKey(inode: Inode, kind: string, place: number): string {
  return `${inode} ${kind} ${place}`;
}

export class Term {
  readonly id: CoordinatorId;
  readonly lease: KvLease;
  readonly mirror = new Mirror();
  readonly coverage = new Coverage();
  readonly interests: Interests;
  readonly locals = new Map<SessionId, LocalSession>();
  readonly #office: Office;
  readonly #events: TermEvents;
  readonly #stopping = new AbortController();
  /** In the order of their revisions, but for late ones. */
  readonly #waits = new Set<Wait>();
  readonly #waitOf = new Map<number, Wait>();
  readonly #timers = new Map<object, () => void>();
  readonly #recalled = new Map<Inode, number>();
  /** They may trust anything, until they know. */
  readonly #cutOff = new Set<LocalSession>();
  #validUntilMs: number;
  #reaching: Reaching[] = [];
  #startRevision = 0;
  #position = 0;
  #acknowledgementDue = 0;
  #acknowledged = 0;
  #isTelling = false;
  #isLost = false;

  private constructor(office: Office, events: TermEvents, begun: { id: string; lease: KvLease; validUntilMs: number }) {
    this.#office = office;
    this.#events = events;
    this.id = begun.id;
    this.lease = begun.lease;
    this.#validUntilMs = begun.validUntilMs;
    this.interests = new Interests(office, begun);
  }

  static async begin(office: Office, events: TermEvents): Promise<Term> {
    const { kv, clock, random, config } = office;
    const validUntilMs = clock.monotonicMs() + config.leaseMs * COUNTED_ON;
    const lease = await kv.lease(config.leaseMs);
    const id = Buffer.from(random.bytes(8)).toString("hex");
    const term = new Term(office, events, { id, lease, validUntilMs });
    const batches = kv.watch(touchRange, { signal: term.#stopping.signal });
    const row: CoordinatorRow = {
      identity: config.identity,
      sinceMs: clock.nowMs(),
      ttlMs: config.ttlMs,
      tellsInterests: config.isShared,
    };
    // Whatever is made durable later comes after it.
    await kv.transact(
      // oxlint-disable-next-line eslint/require-yield -- It reads nothing.
      function* (tx) {
        tx.requireLease(lease.id);
        putJson(tx, coordinatorKey(id), row);
        tx.put(livingKey(id), NOTHING, { lease: lease.id });
      },
      { durability: "visible" },
    );
    await term.#load();
    lease.lost.addEventListener("abort", () => term.lose("its lease has ended"), { once: true });
    if (lease.lost.aborted) term.lose("its lease has ended");
    void term.#follow(batches);
    return term;
  }

  async #load(): Promise<void> {
    this.#startRevision = await load(this.mirror, this.#office.kv);
    this.#position = this.#startRevision;
    for (const peer of this.mirror.peers.values()) this.#lookAt(peer);
  }

  async #follow(batches: AsyncIterable<WatchBatch>): Promise<void> {
    try {
      for await (const batch of batches) {
        if (this.#isLost) return;
        if (batch.revision > this.#startRevision) this.#process(batch);
      }
      this.lose("the catalog is closed");
    } catch (error) {
      this.lose(String(error));
    }
  }

  get isLost(): boolean {
    return this.#isLost;
  }

  /** Whether sessions may rely on what it says now. */
  get isValid(): boolean {
    return !this.#isLost && this.#office.clock.monotonicMs() < this.#validUntilMs;
  }

  async renew(): Promise<void> {
    const { clock, config } = this.#office;
    const validUntilMs = clock.monotonicMs() + config.leaseMs * COUNTED_ON;
    await this.lease.keepAlive();
    this.#validUntilMs = validUntilMs;
    await this.interests.tellUnused((inode) => this.coverage.isCovered(inode));
    this.#lookAround();
  }

  /** What was begun and did not come to its end. */
  #lookAround(): void {
    for (const peer of this.mirror.peers.values()) this.#lookAt(peer);
    for (const [session, { coordinator: servedBy }] of this.mirror.sessions) {
      const isLeft = servedBy === this.id ? !this.locals.has(session) : !this.mirror.peers.has(servedBy);
      if (isLeft) void endWhole(this.#office, { session, servedBy });
    }
  }

  lose(reason: string): void {
    if (this.#isLost) return;
    this.#isLost = true;
    this.#stopping.abort();
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
    for (const { reject } of this.#reaching.splice(0)) reject(termIsOver());
    for (const wait of this.#waits) wait.fail(termIsOver());
    this.#waits.clear();
    this.#waitOf.clear();
    this.#events.onLost(this, reason);
  }

  async stop(): Promise<void> {
    const self = this.mirror.peers.get(this.id);
    this.lose("it stops");
    // What it leaves goes with the lease, if not now.
    await this.lease.release().catch(() => undefined);
    if (self?.sessions.size === 0)
      await forgetPeer(this.#office, { id: this.id, sessions: [], interests: [...self.interests] });
  }

  /** Resolves once nobody trusts anything any more that the commit has changed; the session that made it is not waited for. */
  async settled(revision: number, touches: readonly Touch[], except?: SessionId): Promise<void> {
    await this.#reached(revision);
    const wait = revision > this.#startRevision ? this.#waitOf.get(revision) : this.#waitLate(revision, touches);
    if (wait === undefined) return;
    const own = except === undefined ? undefined : this.locals.get(except);
    if (wait.isOver(own)) return;
    await wait.done(own);
    this.#office.instruments.waits.observe((this.#office.clock.monotonicMs() - wait.sinceMs) / 1_000);
  }

  async #reached(revision: number): Promise<void> {
    if (this.#isLost) throw termIsOver();
    if (this.#position >= revision) return;
    await new Promise<void>((resolve, reject) => this.#reaching.push({ revision, resolve, reject }));
  }

  /** Of a commit from before this term, by this very process: those who may not know of it yet. */
  #waitLate(revision: number, touches: readonly Touch[]): Wait {
    const wait = this.#newWait(revision);
    for (const peer of this.#peersFor(touches)) if (peer.acknowledged < revision) wait.elsewhere.add(peer);
    if (!wait.isOver()) this.#waits.add(wait);
    return wait;
  }

  #newWait(revision: number): Wait {
    return new Wait({ revision, sinceMs: this.#office.clock.monotonicMs() }, (wait) => {
      if (wait.isOver()) {
        this.#waits.delete(wait);
        if (this.#waitOf.get(revision) === wait) this.#waitOf.delete(revision);
      }
      if (this.#acknowledgementDue > this.#acknowledged) void this.#tellAcknowledged();
    });
  }

  #peersFor(touches: readonly Touch[]): Peer[] {
    const found = this.mirror.interestedIn(new Set(touches.flatMap(coveringInodes)));
    return [...found].filter(({ id }) => id !== this.id);
  }

  #process({ revision, events }: WatchBatch): void {
    const touches: Touch[] = [];
    const news: News[] = [];
    const { isAlone } = this;
    for (const event of events) {
      const touch = isAlone ? undefined : touchOf(event);
      if (touch !== undefined) touches.push(touch);
      const told = touch === undefined ? this.mirror.apply(event) : undefined;
      if (told !== undefined) news.push(told);
    }
    const outbox = new Map<LocalSession, Draft>();
    for (const each of news) touches.push(...this.#hear(each, { revision, outbox, news }));
    for (const [session, told] of this.coverage.toldOf(touches)) draftFor(outbox, session).touches.push(...told);
    this.#send(revision, touches, outbox);
    this.#position = revision;
    if (this.#acknowledgementDue > this.#acknowledged) void this.#tellAcknowledged();
    this.#reaching = this.#reaching.filter((each) => {
      if (each.revision > revision) return true;
      each.resolve();
      return false;
    });
  }

  #send(revision: number, touches: readonly Touch[], outbox: ReadonlyMap<LocalSession, Draft>): void {
    const wait = this.#newWait(revision);
    for (const [session, draft] of outbox) {
      if (this.locals.get(session.id) !== session) continue;
      const isWaitedFor = draft.touches.length > 0 || draft.withheld.length > 0;
      if (isWaitedFor) wait.here.add(session);
      this.#push(session, eventOf(revision, draft), isWaitedFor ? wait : undefined);
    }
    const { instruments, config } = this.#office;
    if (wait.here.size > 0) instruments.invalidations.add(wait.here.size);
    if (touches.length > 0) {
      for (const session of this.#cutOff) {
        if (wait.here.has(session)) continue;
        wait.here.add(session);
        session.alsoAwait(wait);
      }
      const peers = this.mirror.interestedIn(new Set(touches.flatMap(coveringInodes)));
      for (const peer of peers)
        if (peer.id !== this.id) wait.elsewhere.add(peer);
        else if (config.isShared) this.#acknowledgementDue = revision;
    }
    if (wait.isOver()) return;
    this.#waits.add(wait);
    this.#waitOf.set(revision, wait);
  }

  #push(session: LocalSession, event: SessionEvent, wait: Wait | undefined): void {
    const nowMs = this.#office.clock.monotonicMs();
    if (session.push(event, wait, nowMs)) return;
    this.interests.release(this.coverage.dropAll(session));
    session.cutOff(event, wait, nowMs);
    this.#cutOff.add(session);
    this.#office.instruments.cutOffs.add(1);
    this.#office.log.warn("session_cut_off", { session: session.id, host: session.row.host });
  }

  /** The commits up to this one are known to all sessions here that cover what they touch. */
  #knownHere(): number {
    let known = this.#position;
    for (const { here, revision } of this.#waits) if (here.size > 0) known = Math.min(known, revision - 1);
    return known;
  }

  async #tellAcknowledged(): Promise<void> {
    if (this.#isTelling) return;
    this.#isTelling = true;
    try {
      while (!this.#isLost && this.#acknowledged < this.#acknowledgementDue) {
        const known = this.#knownHere();
        if (known <= this.#acknowledged) return;
        await this.interests.tellAcknowledged(known);
        this.#acknowledged = known;
      }
    } catch (error) {
      this.lose(`others could not be told what its sessions know: ${String(error)}`);
    } finally {
      this.#isTelling = false;
    }
  }

  /** Answers with what is touched by it. */
  #hear(
    each: News,
    {
      revision,
      outbox,
      news,
    }: { readonly revision: number; readonly outbox: Map<LocalSession, Draft>; readonly news: readonly News[] },
  ): Touch[] {
    switch (each.kind) {
      case "session":
        this.#hearOfSession(each, outbox);
        return [];
      case "peer":
        this.#lookAt(each.peer);
        return [];
      case "withheld":
        for (const session of this.coverage.of(each.inode)) draftFor(outbox, session).withheld.push(each.inode);
        return [...each.touches];
      case "lease": {
        const { inode, lease } = each;
        const touch: Touch = lease.parent === undefined ? { inode } : { inode, parent: lease.parent };
        for (const session of this.#covering(touch))
          draftFor(outbox, session)[session.id === lease.session ? "released" : "withheld"].push(inode);
        this.#recallIfWanted(inode, outbox);
        return [touch];
      }
      case "released": {
        const { inode, lease } = each;
        if (this.mirror.isWithheld(inode) || this.mirror.writeLeases.has(inode)) return [];
        this.#recalled.delete(inode);
        const parent = lease?.parent;
        for (const session of this.#covering(parent === undefined ? { inode } : { inode, parent }))
          draftFor(outbox, session).released.push(inode);
        return [];
      }
      case "waits":
        this.#recallIfWanted(each.inode, outbox);
        return [];
      case "turn": {
        const granted = each.locks === "lease" ? grantedIn(news, each.inode) : undefined;
        const turn = granted === undefined ? { revision } : { revision, epoch: granted.epoch };
        this.#events.onTurn({ key: turnKey(each.inode, each.locks, each.place), turn });
        return [];
      }
    }
  }

  #covering(touch: Touch): Set<LocalSession> {
    return new Set(coveringInodes(touch).flatMap((inode) => [...this.coverage.of(inode)]));
  }

  #hearOfSession({ session, row, before }: Extract<News, { kind: "session" }>, outbox: Map<LocalSession, Draft>): void {
    const isOurs = row?.coordinator === this.id && row.ending !== "ended";
    const local = this.locals.get(session);
    if (isOurs && local === undefined) {
      const begun = new LocalSession(session, row, this.#office.clock.monotonicMs());
      this.locals.set(session, begun);
      this.#watchDeadline(begun);
      for (const [inode, lease] of this.mirror.writeLeases) {
        if (lease.session !== session) continue;
        this.#recalled.delete(inode);
        this.#recallIfWanted(inode, outbox);
      }
    }
    if (local !== undefined && row?.ending === "barred") local.isBarred = true;
    if (!isOurs && local !== undefined) this.#drop(local, row !== undefined && row.ending !== "ended");
    if (before !== undefined && before.coordinator !== this.id) {
      const peer = this.mirror.peers.get(before.coordinator);
      if (peer !== undefined) this.#lookAt(peer);
    }
  }

  /** Somebody else wants it: its holder is told, once. */
  #recallIfWanted(inode: Inode, outbox: Map<LocalSession, Draft>): void {
    const lease = this.mirror.writeLeases.get(inode);
    const holder = lease === undefined ? undefined : this.locals.get(lease.session);
    const waits = this.mirror.leaseWaits.get(inode);
    if (lease === undefined || holder === undefined || waits === undefined) return;
    if (this.#recalled.get(inode) === lease.epoch) return;
    this.#recalled.set(inode, lease.epoch);
    const { recallMs: withinMs } = this.#office.config;
    draftFor(outbox, holder).recalls.push({ inode, epoch: lease.epoch, withinMs });
  }

  getLocal({ session, epoch }: SessionRef): LocalSession {
    const local = this.locals.get(session);
    if (this.#isLost) throw termIsOver();
    if (local !== undefined && local.row.epoch === epoch) return local;
    if (local !== undefined || !this.mirror.sessions.has(session)) throw sessionIsOver();
    throw isServedElsewhere();
  }

  /** A durable transaction, and the look at its rows. */
  async commit(program: (tx: Transaction) => Program<void>): Promise<void> {
    let revision = 0;
    await this.#office.kv.transact(program, { committed: (at) => void (revision = at) });
    await this.#reached(revision);
  }

  /** No session here or elsewhere covers anything, nor did one of a coordinator that is gone. */
  get isAlone(): boolean {
    if (this.#isLost || this.#office.config.isShared) return false;
    return this.coverage.size === 0 && this.#cutOff.size === 0 && this.mirror.peers.size === 1;
  }

  acknowledge(local: LocalSession, revision: number): void {
    const known = local.acknowledge(revision);
    if (!local.isCutOff) this.#cutOff.delete(local);
    for (const { recalls = [] } of known)
      for (const { inode, epoch } of recalls) this.#events.onRecallHeard({ inode, epoch, session: local });
  }

  #watchDeadline(session: LocalSession): void {
    const { clock } = this.#office;
    this.#timers.set(
      session,
      clock.timer(session.deadlineMs - clock.monotonicMs(), () => {
        if (clock.monotonicMs() < session.deadlineMs) this.#watchDeadline(session);
        else void this.expire(session);
      }),
    );
  }

  /** It was not heard of in time, or is sent away: it trusts nothing any more, and holds nothing. */
  async expire(session: LocalSession): Promise<void> {
    this.#drop(session);
    this.#office.log.info("session_over", { session: session.id, host: session.row.host });
    await endWhole(this.#office, { session: session.id, servedBy: this.id });
  }

  #drop(session: LocalSession, isElsewhere = false): void {
    if (this.locals.get(session.id) !== session) return;
    this.locals.delete(session.id);
    this.#timers.get(session)?.();
    this.#timers.delete(session);
    this.interests.release(this.coverage.dropAll(session));
    this.#cutOff.delete(session);
    session.end();
    this.#events.onSessionGone(session.id, isElsewhere);
  }

  /** Others that are gone: what their sessions trust runs out, unless they come to somebody else before. */
  #lookAt(peer: Peer): void {
    for (const wait of this.#waits) if (wait.revision <= peer.acknowledged) wait.settle(peer);
    if (peer.id === this.id) return;
    if (peer.isAlive) {
      this.#timers.get(peer)?.();
      this.#timers.delete(peer);
      return;
    }
    if (peer.sessions.size === 0) this.#forget(peer);
    else if (!this.#timers.has(peer))
      this.#timers.set(
        peer,
        this.#office.clock.timer(peer.row?.ttlMs ?? this.#office.config.ttlMs, () => this.#forget(peer)),
      );
  }

  #forget(peer: Peer): void {
    this.#timers.get(peer)?.();
    this.#timers.delete(peer);
    const { id } = peer;
    const left = { id, sessions: [...peer.sessions], interests: [...peer.interests], hasRow: peer.row !== undefined };
    this.mirror.forget(peer);
    for (const wait of this.#waits) wait.settle(peer);
    if (!left.hasRow && left.sessions.length === 0) return;
    void forgetPeer(this.#office, left);
  }

  /** For people: who is waited for. */
  waitedFor(): { readonly who: LocalSession; readonly sinceMs: number }[] {
    const awaited = [...this.#waits].filter(({ isAwaited }) => isAwaited);
    return awaited.flatMap(({ here, sinceMs }) => [...here].map((who) => ({ who: who as LocalSession, sinceMs })));
  }
}

function grantedIn(news: readonly News[], inode: Inode): WriteLease | undefined {
  for (const each of news) if (each.kind === "lease" && each.inode === inode) return each.lease;
  return undefined;
}
