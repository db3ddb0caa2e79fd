import { GfsError, toGfsError } from "../core/errors.ts";
import type { Clock } from "../core/ports/clock.ts";
import type {
  Key,
  Kv,
  KvLease,
  KvStats,
  LeaseId,
  Program,
  Reader,
  Transaction,
  Value,
  WatchBatch,
  WatchEvent,
} from "./kv.ts";
import { LeaseKeeper } from "./lease-keeper.ts";
import { reader, runSync, type Snapshot } from "./program.ts";
import { Staged } from "./staged.ts";
import { WatchHub } from "./watch-hub.ts";

/** What an engine with its data in this process provides; everything else of the port is made here, once. */
export interface Table {
  readonly engine: string;
  /** The newest committed state. Valid until control returns to the event loop. */
  readonly committed: Snapshot;
  /**
   * Runs `work` while nobody else writes, and makes what it wrote durable, all or nothing. `work` runs synchronously, once.
   * Works that arrive together may share one flush.
   */
  commit(work: (write: TableWriter) => void): Promise<void>;
  /** Throws `NoSpace` when no more may be put; what only deletes keys goes on. `kept`: some room is left for those who need it to free more. */
  assertRoom(claim: { readonly kept: boolean }): void;
  counters(): Counters;
  stats(): KvStats;
  close(): Promise<void>;
}

export interface TableWriter extends Snapshot {
  put(key: Key, value: Value): void;
  delete(key: Key): void;
  counters(): Counters;
  setCounters(counters: Counters): void;
  /** Ephemeral keys are remembered, so that those of a dead process go when the data is opened again. */
  setEphemeral(key: Key, ephemeral: boolean): void;
}

export interface Counters {
  readonly revision: number;
  /** The number of appends so far. */
  readonly appended: number;
}

export interface EmbeddedDeps {
  readonly clock: Clock;
}

export function createEmbeddedKv(table: Table, { clock }: EmbeddedDeps): Kv {
  const hub = new WatchHub(table.counters().revision);
  const unpublished: { readonly batch: WatchBatch; done: boolean; failed: boolean }[] = [];
  const running = new Set<Promise<unknown>>();
  let closed = false;

  const assertOpen = (): void => {
    if (closed) throw new GfsError("Unavailable", "The catalog is closed; the process is shutting down.");
  };

  /** Commits may be acknowledged together; watchers hear of them in the order of their revisions. */
  const publishInOrder = (): void => {
    for (let head = unpublished[0]; head !== undefined && (head.done || head.failed); head = unpublished[0]) {
      unpublished.shift();
      if (head.done) hub.publish(head.batch);
    }
  };

  const viewSync = <T>(program: (tx: Reader) => Program<T>): T => {
    assertOpen();
    return runSync(program(reader), table.committed);
  };

  const commit = async <T>(program: (tx: Transaction) => Program<T>): Promise<T> => {
    let outcome: { readonly value: T } | { readonly error: unknown } | undefined;
    let pending: (typeof unpublished)[number] | undefined;
    try {
      await table.commit((writer) => {
        try {
          const staged = new Staged(writer);
          const value = runSync(program(staged.transaction), staged);
          outcome = { value };
          if (staged.isEmpty) return;
          if (staged.growsTable) table.assertRoom({ kept: !staged.claimsRoom });
          pending = { batch: apply(staged, writer, leases), done: false, failed: false };
          unpublished.push(pending);
        } catch (error) {
          outcome = { error };
        }
      });
    } catch (error) {
      if (pending !== undefined) pending.failed = true;
      publishInOrder();
      throw toGfsError(error, "kv.transact");
    }
    if (pending !== undefined) pending.done = true;
    publishInOrder();
    if (outcome === undefined) throw new GfsError("Internal", "The transaction did not run.", { op: "kv.transact" });
    if ("error" in outcome) throw outcome.error;
    return outcome.value;
  };

  const transact = async <T>(program: (tx: Transaction) => Program<T>): Promise<T> => {
    assertOpen();
    const work = commit(program);
    running.add(work);
    try {
      return await work;
    } finally {
      running.delete(work);
    }
  };

  const leases = new LeaseKeeper({
    clock,
    removeKeys: async (lease, keys) => {
      await transact(function* (tx): Program<void> {
        for (const key of keys) if (leases.isBound(nameOf(key), lease)) tx.delete(key);
      });
    },
  });

  return {
    engine: table.engine,
    view: async (program) => viewSync(program),
    viewSync,
    transact,
    async revision() {
      assertOpen();
      return table.counters().revision;
    },
    watch: (range, options) => {
      assertOpen();
      return hub.watch(range, options);
    },
    revisionSync() {
      assertOpen();
      return table.counters().revision;
    },
    async lease(ttlMs): Promise<KvLease> {
      assertOpen();
      return leases.grant(ttlMs);
    },
    async stats() {
      assertOpen();
      return table.stats();
    },
    async close() {
      if (closed) return;
      closed = true;
      leases.close();
      await Promise.allSettled(running);
      hub.close();
      await table.close();
    },
  };
}

function nameOf(key: Key): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}

function apply(staged: Staged, writer: TableWriter, leases: LeaseKeeper): WatchBatch {
  const events: WatchEvent[] = [];
  for (const { lease } of staged.writes) if (lease !== undefined) leases.assertAlive(lease);
  for (const { key, value, lease } of staged.writes) {
    if (value === undefined) writer.delete(key);
    else writer.put(key, value);
    events.push({ key, value });
    track(key, lease, writer, leases);
  }
  const before = writer.counters();
  let { appended } = before;
  for (const { prefix, value } of staged.appends) {
    appended += 1;
    const key = appendKey(prefix, appended);
    writer.put(key, value);
    events.push({ key, value });
  }
  const revision = before.revision + 1;
  writer.setCounters({ revision, appended });
  return { revision, events };
}

function track(key: Key, lease: LeaseId | undefined, writer: TableWriter, leases: LeaseKeeper): void {
  if (lease === undefined && !leases.hasBindings) return;
  leases.bind(nameOf(key), key, lease);
  writer.setEphemeral(key, lease !== undefined);
}

function appendKey(prefix: Key, sequence: number): Key {
  const key = Buffer.allocUnsafe(prefix.byteLength + 8);
  key.set(prefix);
  key.writeUInt32BE(Math.floor(sequence / 2 ** 32), prefix.byteLength);
  key.writeUInt32BE(sequence % 2 ** 32, prefix.byteLength + 4);
  return key;
}
