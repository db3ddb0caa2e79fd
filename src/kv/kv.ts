/**
 * The Kv port: an ordered, transactional map of bytes to bytes. All durable state of GlobalFS lives behind it.
 *
 * Keys sort as unsigned bytes. Transactions are serializable, and a durable transaction that was acknowledged survives kill -9 and power loss.
 * What one transaction may hold is `BUDGET`, on every engine: more is refused with `TooLarge` and changes nothing. Larger work is a walk in
 * many transactions, page by page, with its position in a row where it must survive the process.
 *
 * Work on it is written as *programs*: generator functions that yield their reads and stage their writes.
 *
 *     const program = function* (tx: Transaction): Program<boolean> {
 *       const found = yield* tx.get(key);
 *       if (found !== undefined) return false;
 *       tx.put(key, value);
 *       return true;
 *     };
 *     const created = await kv.transact(program);
 *
 * A program touches no clock, no chance and no I/O, and may run more than once: an engine that works optimistically runs it
 * again when another commit came between. A program that throws commits nothing, and the error reaches the caller as it was thrown.
 */
export const BUDGET = {
  /** Puts and deletes of different keys, and appends, of one transaction. */
  writes: 100,
  /** Of keys and values that one transaction writes. */
  sizeBytes: 512 * 1024,
  keyBytes: 1_900,
  valueBytes: 448 * 1024,
} as const;

/**
 * What may stand undurable. Each holds about ten pages of the disk until the next flush. Half of the commits, or the time, begins a flush by itself; with all
 * of them, who wants one more waits for it.
 */
export const VISIBLE_BOUNDS = { ms: 1_000, commits: 4_000 } as const;

/**
 * When a transaction is answered. What a commit wrote is seen by every reader, those of other processes among them, from one moment on, and commits become
 * durable in the order in which they could be seen: power loss leaves all of them up to some commit, and none behind it.
 *
 * - `durable`: it, and all that could be seen before, survives power loss.
 * - `visible`: it can be seen. It is durable with the next durable commit, with the next `flush`, or after `VISIBLE_BOUNDS` at the latest. An end of the process,
 *   whatever its cause, loses none of it on engines that keep data outside of it.
 *
 * So a reader may see what power loss then undoes, the commit of a durable transaction that has not been answered yet among it. Who does something outside of
 * the catalog that cannot be taken back, because of what it has only read, asks for a `flush` first.
 */
export type Durability = "durable" | "visible";

export type Key = Uint8Array;
export type Value = Uint8Array;

export interface KvEntry {
  readonly key: Key;
  readonly value: Value;
}

/** Keys from `start` (inclusive) to `end` (exclusive). */
export interface KeyRange {
  readonly start: Key;
  readonly end: Key;
}

export interface RangeQuery extends KeyRange {
  /** At most this many entries come back, 1 to 10,000; page with the last key to go on. */
  readonly limit: number;
  /** From the end downwards. */
  readonly reverse?: boolean;
}

export type KvRead =
  | { readonly kind: "get"; readonly key: Key }
  | { readonly kind: "many"; readonly keys: readonly Key[] }
  | { readonly kind: "range"; readonly query: RangeQuery };
export type KvAnswer = Value | undefined | KvEntry[] | (Value | undefined)[];

/** A program in progress: it yields reads and is resumed with their answers. */
export type Program<T> = Generator<KvRead, T, KvAnswer>;

export interface Reader {
  get(key: Key): Program<Value | undefined>;
  /** The values of these keys, in their order: one read, however many they are, up to 10,000. */
  getMany(keys: readonly Key[]): Program<(Value | undefined)[]>;
  range(query: RangeQuery): Program<KvEntry[]>;
}

/** Reads see the writes that the same transaction staged before them. */
export interface Transaction extends Reader {
  /** With `lease`, the key vanishes when that lease ends. */
  put(key: Key, value: Value, options?: { readonly lease?: LeaseId }): void;
  delete(key: Key): void;
  /**
   * Puts `value` under `prefix` followed by its position: eight bytes made of the commit's revision and the append's place in the transaction, so that
   * positions sort in the order of the commits, whoever made them. `positionOf` reads it. The key exists only once the transaction committed, so a
   * read in the same transaction does not see it.
   */
  append(prefix: Key, value: Value): void;
  /**
   * What is staged is more to keep: where only the room is left that is kept for deletes, and for finishing what was begun, the commit is
   * refused with `NoSpace`.
   */
  claimRoom(): void;
  /** Fencing: what is staged is committed only while the lease lives; after its end the commit is refused with `StaleEpoch`. Nothing is read or written for it. */
  requireLease(lease: LeaseId): void;
  /** Whether so much more may be staged: a walk ends its page before a step for which there is no room. */
  hasRoom(step: { readonly writes: number; readonly sizeBytes: number }): boolean;
}

export type LeaseId = string;

/**
 * Ephemeral keys: they live as long as their holder keeps the lease alive. From the moment that a lease ends nothing that goes through the engine
 * sees its keys, also while they cannot be removed yet; and they do not outlive the process that held them.
 */
export interface KvLease {
  readonly id: LeaseId;
  /** Fencing: higher than that of every lease that was granted before, by whichever process. */
  readonly epoch: number;
  /** Aborts when the lease ended, whoever ended it: its keys are gone or will be. */
  readonly lost: AbortSignal;
  /** Extends by the lease's time to live; rejects with `StaleEpoch` once the lease ended. */
  keepAlive(): Promise<void>;
  /** Ends it, and removes its keys; rejects when they could not be removed at once. */
  release(): Promise<void>;
}

export interface WatchEvent {
  readonly key: Key;
  /** Undefined when the key was deleted. */
  readonly value: Value | undefined;
}

/** One committed transaction's changes within the watched range, in commit order. */
export interface WatchBatch {
  readonly revision: number;
  readonly events: readonly WatchEvent[];
}

export interface WatchOptions {
  /** Begin after this revision; absent: from now. Rejects with `StaleEpoch` when the engine no longer remembers that far: read again, then watch. */
  readonly afterRevision?: number;
  readonly signal: AbortSignal;
}

/** One state of the data for as long as it is open. What is overwritten meanwhile keeps its room in the engine: whoever takes one bounds the time. */
export interface KvSnapshot {
  /** Of the newest commit that it holds. */
  readonly revision: number;
  view<T>(program: (tx: Reader) => Program<T>): Promise<T>;
  /** Idempotent; later views reject with `Unavailable`. */
  close(): Promise<void>;
}

export interface Kv {
  readonly engine: string;
  /** Runs a read-only program against one consistent snapshot. */
  view<T>(program: (tx: Reader) => Program<T>): Promise<T>;
  /**
   * Runs a program and commits what it staged, all or nothing; resolves when that is durable, or as `durability` says. One that staged nothing is
   * answered when what it has read is. Rejects with `Conflict` (retry safe) when contention outlasted the engine's retries, `NoSpace` when the disk is full,
   * `Unavailable` when the engine is out of reach, or when what could be seen could not be made durable: then nothing is written until a restart.
   */
  transact<T>(program: (tx: Transaction) => Program<T>, options?: TransactOptions): Promise<T>;
  /**
   * `transact` with `visible`, in the caller's turn, on engines whose data is in this process; undefined elsewhere. Throws what `transact` rejects with, and
   * `Overloaded` where that would wait. `NoSpace` takes nothing of the room that is kept: `transact` may.
   */
  readonly transactSync?: <T>(program: (tx: Transaction) => Program<T>) => T;
  /** Resolves when all that could be seen at the call is durable; at once where it is. */
  flush(): Promise<void>;
  /** The state of the newest commit, to be read in many steps while commits go on. */
  snapshot(): Promise<KvSnapshot>;
  /** `view` without a promise, on engines whose data is in this process; undefined elsewhere. */
  readonly viewSync?: <T>(program: (tx: Reader) => Program<T>) => T;
  /** The revision of the newest commit that can be seen; grows by at least one with each, and is never given twice, also where power loss undid commits. */
  revision(): Promise<number>;
  /** The same without a promise, where `viewSync` is: while it stays, so does everything that was read. */
  readonly revisionSync?: () => number;
  /**
   * Has begun when it returns: no later commit is missed. Tells of commits when they can be seen; `flush` says that no power loss undoes them. Ends (without error) when the signal aborts or the engine closes. A slow reader is cut off with `Overloaded`, never buffered without bound.
   */
  watch(range: KeyRange, options: WatchOptions): AsyncIterable<WatchBatch>;
  lease(ttlMs: number): Promise<KvLease>;
  /** Sizes for `info` and metrics. */
  stats(): Promise<KvStats>;
  /** Waits for running transactions; later calls reject with `Unavailable`. */
  close(): Promise<void>;
}

export interface TransactOptions {
  /** Absent: `durable`. */
  readonly durability?: Durability;
  /**
   * Told the commit's revision once it can be seen, and on engines whose data is in this process before any watcher hears of it; that it is durable is said by
   * the answer alone. Not called when nothing was staged. It must not throw.
   */
  readonly committed?: (revision: number) => void;
}

export interface KvStats {
  readonly entries: number;
  readonly sizeBytes: number;
}
