import { createLoop } from "../core/async/loop.ts";
import { GfsError } from "../core/errors.ts";
import type { Inode, SessionId } from "../core/ids.ts";
import type { Program, Transaction } from "../kv/index.ts";
import type { Touch } from "../namespace/index.ts";
import { coveringInodes } from "./coverage.ts";
import { LockDesk } from "./lock-desk.ts";
import { type ServedRef, sessionIsOver, testLock } from "./lock-programs.ts";
import { readHoldings, WHOLE } from "./lock-queue.ts";
import type { LocalSession } from "./local-session.ts";
import { createOffice, type Office, type SessionsDeps } from "./office.ts";
import { putJson, withholdingKey } from "./rows.ts";
import { barSession, beginSession, takeOver } from "./session-programs.ts";
import { type Term, termIsOver } from "./term.ts";
import { Terms } from "./terms.ts";
import type { LockKind, LockMode, NewSession, SessionChannel, SessionRef, Span } from "./types.ts";
import { type LeaseQuery, leasesIn, type LeaseStatus, lockRows, type SessionStatus, sessionsIn } from "./views.ts";

export interface OpenedSession extends SessionRef {
  readonly ttlMs: number;
}

export interface Alive {
  /** From when the session asked: so long it may trust what it covers, less its margin for clocks that run apart. */
  readonly grantedMs: number;
}

export interface CoverRequest extends SessionRef {
  readonly inodes: readonly Inode[];
  /** The directory that tells of them. Without it each is covered by itself, as a file has to be that has several names. */
  readonly under?: Inode;
}

export interface LockRequest extends SessionRef, Span {
  readonly inode: Inode;
  readonly kind: LockKind;
  /** The open file (flock) or process (posix) of the session. */
  readonly owner: string;
  readonly mode: LockMode;
}

export interface LockHolder extends Span {
  readonly session: SessionId;
  readonly owner: string;
  readonly mode: LockMode;
}

export interface HeldLease {
  /** Goes with every write; one from before is refused. */
  readonly epoch: number;
}

/** What is about to be changed is trusted by nobody until this ends. */
export interface Withholding {
  end(): Promise<void>;
  /** The change is refused with `StaleEpoch` when it is not so any more. */
  fence(tx: Transaction): void;
}

export interface Commit {
  readonly revision: number;
  readonly touches: readonly Touch[];
  /** Who made it knows of it. */
  readonly by?: SessionId;
}
const AGAIN_MS = 1_000;
const MOST_WITHHELD = 50;
const LONGEST_NAME = 255;
const MOST_NAMES = 33;

/** Who caches what, and who may write and lock: for the sessions that this coordinator serves, together with all others over the same catalog. */
export interface Sessions {
  start(): Promise<void>;
  /** Sessions stay, for the coordinator that comes next. */
  stop(): Promise<void>;

  open(request: NewSession): Promise<OpenedSession>;
  /** The session comes from a coordinator that it has lost, which may be an earlier life of this one, with all that it holds. What it covered it must have forgotten before. */
  reclaim(ref: SessionRef): Promise<OpenedSession>;
  /**
   * To be told, also once more after its line was cut: then of all that it has not acknowledged. What was asked on a line before has ended by then, in one way or the
   * other. `Unavailable`: it is not served here, and may be reclaimed.
   */
  attach(ref: SessionRef, channel: SessionChannel): void;
  detach(ref: SessionRef, channel: SessionChannel): void;
  acknowledge(ref: SessionRef, revision: number): void;
  keepAlive(ref: SessionRef, acknowledged: number): Alive;
  end(ref: SessionRef): Promise<void>;
  /** As an administrator: it gets nothing any more, and is over when it must have stopped to trust what it has. */
  evict(session: SessionId): Promise<void>;

  /**
   * Which of these the session may go on answering from, when it reads them after this: it will be told of every change. The others it may read, and forget. With
   * `under` the directory is among what is answered, too.
   */
  cover(request: CoverRequest): Promise<readonly Inode[]>;
  uncover(ref: SessionRef, inodes: readonly Inode[]): void;

  /** Nobody covers anything, so that nobody is waited for. */
  readonly isIdle: boolean;
  /** Resolves when nobody trusts what a commit has changed. At once where nobody covers it. */
  settled(commit: Commit): Promise<void>;
  /** `strict`: resolves when nobody trusts what is told of these any more, before they are changed. */
  withhold(touches: readonly Touch[], by?: SessionId): Promise<Withholding>;

  /** The sole right to write to a file; whoever has it is told when others want it. Nobody covers the file meanwhile. */
  takeWriteLease(ref: SessionRef, inode: Inode, options: Waiting): Promise<HeldLease>;
  releaseWriteLease(ref: SessionRef, inode: Inode): Promise<void>;
  /** To what can be read: true when the file is covered from here on. */
  downgrade(ref: SessionRef, inode: Inode): Promise<boolean>;
  /** Who is about to read a file waits until nobody writes to it by a lease. */
  awaitWriter(ref: SessionRef, inode: Inode, options: Waiting): Promise<void>;

  lock(request: LockRequest, options: Waiting): Promise<void>;
  unlock(request: Omit<LockRequest, "mode">): Promise<void>;
  /** All that an owner has of a file: it was closed. */
  unlockAll(request: Pick<LockRequest, "session" | "epoch" | "inode" | "kind" | "owner">): Promise<void>;
  /** What is in the way. */
  testLock(request: LockRequest): Promise<LockHolder | undefined>;

  /** Of all coordinators. */
  list(): readonly SessionStatus[];
  leases(query: LeaseQuery): Promise<readonly LeaseStatus[]>;
}

export interface Waiting {
  /** Otherwise `Conflict` when it is not free. */
  readonly wait: boolean;
  readonly signal: AbortSignal;
}

export function createSessions(deps: SessionsDeps): Sessions {
  const office = createOffice(deps);
  const { kv, clock, random, config, instruments } = office;
  const desk = new LockDesk(office);
  const terms = new Terms(office, desk);
  /** Withholdings that have ended, and whose rows are there still. */
  const left = new Map<string, readonly Inode[]>();
  let withholdings = 0;

  const pauseMs = config.leaseMs / 4;
  const loop = createLoop({
    clock,
    firstPauseMs: pauseMs,
    async turn() {
      await (await terms.get()).renew();
      await desk.lookAround();
      for (const [by, inodes] of left) await release(by, inodes);
      return pauseMs;
    },
    onFailure(error) {
      office.log.warn("sessions_turn_failed", { error: String(error) });
      return Math.min(pauseMs, AGAIN_MS);
    },
  });

  const servedBy = <T extends SessionRef>(ref: T): T & ServedRef => {
    localOf(ref);
    return { ...ref, coordinator: terms.serving.id };
  };
  const localOf = (ref: SessionRef): LocalSession => terms.serving.getLocal(ref);

  const settled: Sessions["settled"] = async ({ revision, touches, by }) => {
    for (;;) {
      const term = await terms.get();
      try {
        await term.settled(revision, touches, by);
        return;
      } catch (error) {
        if (!term.isLost) throw error;
      }
    }
  };

  const release = async (by: string, inodes: readonly Inode[]): Promise<void> => {
    left.set(by, inodes);
    await kv.transact(
      // oxlint-disable-next-line eslint/require-yield -- It reads nothing.
      function* (tx): Program<void> {
        for (const inode of inodes) tx.delete(withholdingKey(inode, by));
      },
      { durability: "visible" },
    );
    left.delete(by);
  };

  const epochOf = async ({ session }: SessionRef, inode: Inode): Promise<number | undefined> => {
    const holdings = await kv.view((tx) => readHoldings(tx, { inode, kind: "lease" }));
    return holdings.find((each) => each.session === session)?.epoch;
  };

  return {
    async start() {
      terms.open();
      await terms.get();
      loop.start();
    },
    async stop() {
      terms.close();
      await loop.stop();
      await terms.stop();
    },

    async open({ host, labels = {} }) {
      assertNames([host, ...Object.entries(labels).flat()]);
      const term = await terms.get();
      if (term.locals.size >= config.maxSessions)
        throw new GfsError(
          "Overloaded",
          "This coordinator serves as many sessions as it may; come again, or go elsewhere.",
        );
      const session = Buffer.from(random.bytes(12)).toString("hex") as SessionId;
      const { ttlMs } = config;
      const epoch = await kv.revision();
      const row = { epoch, coordinator: term.id, host, labels, ttlMs, sinceMs: clock.nowMs() };
      await term.commit((tx) => beginSession(tx, { session, row, lease: term.lease.id }));
      return { session, epoch, ttlMs };
    },
    async reclaim(ref) {
      const term = await terms.get();
      const { ttlMs } = config;
      const { session, epoch } = ref;
      await term.commit((tx) => takeOver(tx, ref, { coordinator: term.id, lease: term.lease.id }));
      term.interests.release(term.coverage.dropAll(term.getLocal(ref)));
      return { session, epoch, ttlMs };
    },
    attach: (ref, channel) => localOf(ref).attach(channel),
    detach: (ref, channel) => localOf(ref).detach(channel),
    acknowledge: (ref, revision) => terms.serving.acknowledge(localOf(ref), revision),
    keepAlive(ref, acknowledged) {
      const local = localOf(ref);
      terms.serving.acknowledge(local, acknowledged);
      if (local.isBarred) throw sessionIsOver();
      if (!terms.serving.isValid) throw termIsOver();
      return { grantedMs: local.extend(clock.monotonicMs()) };
    },
    async end(ref) {
      await terms.serving.expire(localOf(ref));
    },
    evict: async (session) => await kv.transact((tx) => barSession(tx, session)),

    cover: async (request) => await cover(office, terms.serving, request),
    uncover(ref, inodes) {
      const { coverage, interests } = terms.serving;
      const local = localOf(ref);
      interests.release(inodes.filter((inode) => coverage.drop(local, inode)));
    },

    get isIdle() {
      return terms.isIdle;
    },
    settled,
    async withhold(touches, by) {
      const inodes = [...new Set(touches.flatMap(coveringInodes))];
      if (inodes.length > MOST_WITHHELD)
        throw new GfsError("TooLarge", `At most ${MOST_WITHHELD} inodes are withheld at once; split it.`);
      const term = await terms.get();
      const name = `${term.id}-${withholdings++}`;
      const lease = term.lease.id;
      const end = async (): Promise<void> => await release(name, inodes);
      let revision = 0;
      const put = function* (tx: Transaction): Program<void> {
        for (const [index, inode] of inodes.entries())
          putJson(tx, withholdingKey(inode, name), { touches: index === 0 ? touches : [] }, lease);
      };
      await kv.transact(put, { durability: "visible", committed: (at) => void (revision = at) });
      try {
        await term.settled(revision, touches, by);
      } catch (error) {
        await end();
        throw error;
      }
      return { end, fence: (tx) => tx.requireLease(lease) };
    },

    async takeWriteLease(ref, inode, { wait, signal }) {
      const { session } = ref;
      for (;;) {
        const turn = await desk.take({ ...servedBy(ref), inode, kind: "lease", owner: "", ...WHOLE, wait }, signal);
        const epoch = turn.epoch ?? (await epochOf(ref, inode));
        if (epoch === undefined) continue;
        await settled({ revision: turn.revision, touches: [{ inode }], by: session });
        instruments.grants.add(1, { type: "write" });
        return { epoch };
      }
    },
    async releaseWriteLease(ref, inode) {
      await desk.leave({ inode, kind: "lease" }, { ...servedBy(ref), owner: "" });
    },
    async downgrade(ref, inode) {
      const covered = await cover(office, terms.serving, { ...ref, inodes: [inode] });
      await desk.leave({ inode, kind: "lease" }, { ...servedBy(ref), owner: "" });
      return covered.length > 0;
    },
    async awaitWriter(ref, inode, { wait, signal }) {
      await desk.take({ ...servedBy(ref), inode, kind: "lease", owner: "", ...WHOLE, mode: "shared", wait }, signal);
    },

    async lock(request, { wait, signal }) {
      assertLock(request);
      await desk.take({ ...servedBy(request), wait }, signal);
      instruments.grants.add(1, { type: "lock" });
    },
    async unlock(request) {
      assertLock(request);
      await desk.unlock(request, servedBy(request));
    },
    async unlockAll(request) {
      await desk.leave(request, servedBy(request));
    },
    testLock: async (request) => await kv.view((tx) => testLock(tx, request)),

    list: () => sessionsIn(terms.serving, { nowMs: clock.nowMs(), monotonicMs: clock.monotonicMs() }),
    leases: async (query) => [...leasesIn(terms.serving, query), ...(await kv.view((tx) => lockRows(tx, query)))],
  };
}

/** Which of these may be answered from, once they are read. */
async function cover({ config, instruments }: Office, term: Term, request: CoverRequest): Promise<readonly Inode[]> {
  const { session, inodes, under } = request;
  const local = term.getLocal(request);
  if (!term.isValid || local.isCutOff) return [];
  const isFree = (inode: Inode): boolean => {
    const writer = term.mirror.writeLeases.get(inode);
    return !term.mirror.isWithheld(inode) && (writer === undefined || writer.session === session);
  };
  const registered = (under === undefined ? inodes : [under]).filter(isFree);
  for (const inode of registered) if (local.covered.size < config.maxCovered) term.coverage.add(local, inode);
  if (config.isShared) {
    const told = new Set(await term.interests.claim(registered, session));
    for (const inode of registered) if (!told.has(inode)) term.coverage.drop(local, inode);
  }
  // It may have been cut off meanwhile, or gone.
  term.getLocal(request);
  const covered = registered.filter((inode) => local.covered.has(inode));
  if (covered.length > 0) instruments.grants.add(covered.length, { type: "read" });
  if (under === undefined) return covered.filter(isFree);
  return covered.length === 0 ? [] : [under, ...inodes].filter(isFree);
}

function assertNames(names: readonly string[]): void {
  if (names.length > MOST_NAMES) throw new GfsError("InvalidArgument", "A session has at most 16 labels.");
  for (const name of names)
    // oxlint-disable-next-line eslint/no-control-regex -- Control characters are what is looked for.
    if (name.length > LONGEST_NAME || /[\u0000-\u001f\u007f]/.test(name))
      throw new GfsError(
        "InvalidArgument",
        `Names of hosts, labels and owners have at most ${LONGEST_NAME} characters, none of them a control character.`,
      );
}

function assertLock({ owner, start, end }: Pick<LockRequest, "owner" | "start" | "end">): void {
  assertNames([owner]);
  if (Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && end > start) return;
  throw new GfsError("InvalidArgument", "A lock is of bytes from a first one up to a later one, below 2^53.");
}
