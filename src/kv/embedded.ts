import { GfsError, isGfsError, toGfsError } from "../core/errors.ts";
import type { Clock } from "../core/ports/clock.ts";
import type {
  Key,
  Kv,
  KvLease,
  KvSnapshot,
  KvStats,
  Program,
  Reader,
  Transaction,
  Value,
  WatchBatch,
  WatchEvent,
} from "./kv.ts";
import { type HeldSnapshot, openSnapshot } from "./held-snapshot.ts";
import { LeaseKeeper } from "./lease-keeper.ts";
import { appendKey, positionAt } from "./position.ts";
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
  /** After a commit that the disk refused: gives up some of the room that is kept for those who free more. False when nothing of it is left. */
  giveRoom(): Promise<boolean>;
  revision(): number;
  /** The newest committed state, valid until it is released. */
  hold(): HeldSnapshot;
  stats(): KvStats;
  close(): Promise<void>;
}

export interface TableWriter extends Snapshot {
  put(key: Key, value: Value): void;
  delete(key: Key): void;
  revision(): number;
  setRevision(revision: number): void;
  /** Ephemeral keys are remembered, so that those of a dead process go when the data is opened again. */
  setEphemeral(key: Key, ephemeral: boolean): void;
}

export interface EmbeddedDeps {
  readonly clock: Clock;
}

/** For what a coordinator cannot do without: on a full disk it may have of the room that is kept. */
export async function commitInKeptRoom(
  table: Pick<Table, "commit" | "giveRoom">,
  work: (write: TableWriter) => void,
): Promise<void> {
  for (;;) {
    try {
      await table.commit(work);
      return;
    } catch (error) {
      if (!isGfsError(error, "NoSpace") || !(await table.giveRoom())) throw error;
    }
  }
}

export function createEmbeddedKv(table: Table, { clock }: EmbeddedDeps): Kv {
  /** Of what has been acknowledged. Nobody but this process commits. */
  let committed = table.revision();
  const hub = new WatchHub(committed);
  const unpublished: { readonly batch: WatchBatch; readonly undo: () => void; done: boolean; failed: boolean }[] = [];
  const running = new Set<Promise<unknown>>();
  const held = new Set<KvSnapshot>();
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
    return runSync(program(reader), leases.hasLeftBehind ? withoutLeftBehind(table.committed) : table.committed);
  };

  const withoutLeftBehind = (snapshot: Snapshot): Staged => {
    const staged = new Staged(snapshot);
    for (const key of leases.leftBehind) staged.discard(key);
    return staged;
  };

  const commit = async <T>(program: (tx: Transaction) => Program<T>): Promise<T> => {
    let outcome: { readonly value: T } | { readonly error: unknown } | undefined;
    let pending: (typeof unpublished)[number] | undefined;
    let claimsRoom = true;
    try {
      await table.commit((writer) => {
        try {
          const staged = withoutLeftBehind(writer);
          const value = runSync(program(staged.transaction), staged);
          outcome = { value };
          claimsRoom = staged.claimsRoom;
          if (staged.isEmpty) return;
          if (staged.growsTable) table.assertRoom({ kept: !staged.claimsRoom });
          pending = { ...apply(staged, writer, leases), done: false, failed: false };
          unpublished.push(pending);
        } catch (error) {
          outcome = { error };
        }
      });
    } catch (error) {
      // Should it have been written all the same, it counts from now on.
      committed = Math.max(committed, table.revision());
      if (pending !== undefined) {
        pending.failed = true;
        pending.undo();
      }
      publishInOrder();
      if (!claimsRoom && isGfsError(error, "NoSpace") && (await table.giveRoom())) return await commit(program);
      throw toGfsError(error, "kv.transact");
    }
    if (pending !== undefined) {
      pending.done = true;
      committed = Math.max(committed, pending.batch.revision);
    }
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
    sweep: async () => await transact(noProgram),
  });

  /** The revision of a commit of its own: no lease has the same, whichever process granted it. */
  const nextEpoch = async (): Promise<number> => {
    let epoch = 0;
    const work = commitInKeptRoom(table, (writer) => {
      epoch = writer.revision() + 1;
      writer.setRevision(epoch);
    });
    running.add(work);
    try {
      await work;
    } catch (error) {
      throw toGfsError(error, "kv.lease");
    } finally {
      committed = Math.max(committed, table.revision());
      running.delete(work);
    }
    return epoch;
  };

  return {
    engine: table.engine,
    view: async (program) => viewSync(program),
    viewSync,
    transact,
    async snapshot() {
      assertOpen();
      const snapshot = openSnapshot(table.hold());
      held.add(snapshot);
      return {
        ...snapshot,
        async close() {
          held.delete(snapshot);
          await snapshot.close();
        },
      };
    },
    async revision() {
      assertOpen();
      return committed;
    },
    watch: (range, options) => {
      assertOpen();
      return hub.watch(range, options);
    },
    revisionSync() {
      assertOpen();
      return committed;
    },
    async lease(ttlMs): Promise<KvLease> {
      assertOpen();
      if (!(ttlMs > 0))
        throw new GfsError("InvalidArgument", `A lease lives longer than zero milliseconds, not ${ttlMs}.`);
      return leases.grant(ttlMs, await nextEpoch());
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
      for (const snapshot of held) await snapshot.close();
      await table.close();
    },
  };
}

function nameOf(key: Key): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}

// oxlint-disable-next-line eslint/require-yield -- It reads nothing.
function* noProgram(): Program<void> {}

interface Applied {
  readonly batch: WatchBatch;
  /** What this process remembers of the commit, taken back when it fails. */
  readonly undo: () => void;
}

function apply(staged: Staged, writer: TableWriter, leases: LeaseKeeper): Applied {
  const events: WatchEvent[] = [];
  const undone: (() => void)[] = [];
  for (const { lease } of staged.writes) if (lease !== undefined) leases.assertAlive(lease);
  const revision = writer.revision() + 1;
  for (const { key, value, lease } of staged.writes) {
    if (value === undefined) writer.delete(key);
    else writer.put(key, value);
    events.push({ key, value });
    if (lease === undefined && !leases.hasBindings) continue;
    const undo = leases.bind(nameOf(key), key, lease);
    if (undo === undefined) continue;
    undone.push(undo);
    writer.setEphemeral(key, lease !== undefined);
  }
  for (const [index, { prefix, value }] of staged.appends.entries()) {
    const key = appendKey(prefix, positionAt(revision, index));
    writer.put(key, value);
    events.push({ key, value });
  }
  writer.setRevision(revision);
  return {
    batch: { revision, events },
    undo: () => {
      for (const undo of undone.toReversed()) undo();
    },
  };
}
