import { GfsError, isGfsError, toGfsError } from "../core/errors.ts";
import type { Clock } from "../core/ports/clock.ts";
import { Applied } from "./applied.ts";
import { Commits, type Work } from "./commits.ts";
import { openSnapshot } from "./held-snapshot.ts";
import type { Kv, KvLease, KvSnapshot, Program, Reader, TransactOptions, Transaction } from "./kv.ts";
import { LeaseKeeper } from "./lease-keeper.ts";
import { readerOf, runSync, type Snapshot } from "./program.ts";
import { Staged } from "./staged.ts";
import { inKeptRoom, type Table } from "./table.ts";
import { WatchHub } from "./watch-hub.ts";

export interface EmbeddedDeps {
  readonly clock: Clock;
}

export function createEmbeddedKv(table: Table, { clock }: EmbeddedDeps): Kv {
  /** Of what can be seen. Nobody but this process commits. */
  let revision = table.revision();
  const hub = new WatchHub(revision);
  const commits = new Commits({ table, clock });
  const running = new Set<Promise<unknown>>();
  const held = new Set<KvSnapshot>();
  let closed = false;

  const assertOpen = (): void => {
    if (closed) throw new GfsError("Unavailable", "The catalog is closed; the process is shutting down.");
  };

  const viewSync = <T>(program: (tx: Reader) => Program<T>): T => {
    assertOpen();
    const { committed } = table;
    return runSync(program(readerOf(leases.hasLeftBehind ? withoutLeftBehind(committed) : committed)), committed);
  };

  const withoutLeftBehind = (snapshot: Snapshot): Staged => {
    const staged = new Staged(snapshot, readerOf);
    for (const key of leases.leftBehind) staged.discard(key);
    return staged;
  };

  const prepare = <T>(program: (tx: Transaction) => Program<T>, committed?: TransactOptions["committed"]): Run<T> => {
    const run: Run<T> = {
      outcome: undefined,
      claimsRoom: true,
      work: {
        run(writer) {
          run.applied = undefined;
          try {
            const staged = withoutLeftBehind(writer);
            run.outcome = { value: runSync(program(staged.transaction), staged) };
            run.claimsRoom = staged.claimsRoom;
            if (staged.isEmpty) return false;
            if (staged.growsTable) table.assertRoom({ kept: !staged.claimsRoom });
            for (const lease of staged.leases) leases.assertAlive(lease);
            for (const { lease } of staged.writes) if (lease !== undefined) leases.assertAlive(lease);
            run.applied = new Applied(staged, writer.revision() + 1);
          } catch (error) {
            run.outcome = { error };
            return false;
          }
          run.applied.write(writer, leases);
          return true;
        },
        done() {
          if (run.applied === undefined) return;
          revision = run.applied.batch.revision;
          committed?.(revision);
          hub.publish(run.applied.batch);
        },
        undone: () => run.applied?.undo(),
      },
    };
    return run;
  };

  const commit = async <T>(program: (tx: Transaction) => Program<T>, options: TransactOptions): Promise<T> => {
    const run = prepare(program, options.committed);
    try {
      await commits.commit(run.work, options.durability !== "visible");
    } catch (error) {
      if (!run.claimsRoom && isGfsError(error, "NoSpace") && (await table.giveRoom()))
        return await commit(program, options);
      throw toGfsError(error, "kv.transact");
    }
    return valueOf(run);
  };

  /** `close` waits for it. */
  const tracked = async <T>(work: Promise<T>): Promise<T> => {
    running.add(work);
    try {
      return await work;
    } finally {
      running.delete(work);
    }
  };

  const leases = new LeaseKeeper({
    clock,
    // Nobody sees these keys any more, and they do not outlive the process.
    sweep: async () => {
      assertOpen();
      await tracked(commit(noProgram, { durability: "visible" }));
    },
  });

  /** The revision of a commit of its own: no lease has the same, whichever process granted it. */
  const nextEpoch = async (): Promise<number> => {
    let epoch = 0;
    const work: Work = {
      run(writer) {
        epoch = writer.revision() + 1;
        writer.setRevision(epoch);
        return true;
      },
      done: () => {
        revision = epoch;
      },
      undone: () => undefined,
    };
    try {
      await tracked(inKeptRoom(table, async () => await commits.commit(work, false)));
    } catch (error) {
      throw toGfsError(error, "kv.lease");
    }
    return epoch;
  };

  return {
    engine: table.engine,
    view: async (program) => viewSync(program),
    viewSync,
    async transact(program, options = {}) {
      assertOpen();
      return await tracked(commit(program, options));
    },
    transactSync(program) {
      assertOpen();
      const run = prepare(program);
      try {
        commits.commitNow(run.work);
      } catch (error) {
        throw toGfsError(error, "kv.transact");
      }
      return valueOf(run);
    },
    async flush() {
      assertOpen();
      await tracked(commits.flush());
    },
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
      return revision;
    },
    watch: (range, options) => {
      assertOpen();
      return hub.watch(range, options);
    },
    revisionSync() {
      assertOpen();
      return revision;
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
      await commits.close();
      hub.close();
      for (const snapshot of held) await snapshot.close();
      await table.close();
    },
  };
}

interface Run<T> {
  outcome: { readonly value: T } | { readonly error: unknown } | undefined;
  claimsRoom: boolean;
  applied?: Applied | undefined;
  readonly work: Work;
}

function valueOf<T>({ outcome }: Run<T>): T {
  if (outcome === undefined) throw new GfsError("Internal", "The transaction did not run.", { op: "kv.transact" });
  if ("error" in outcome) throw outcome.error;
  return outcome.value;
}

// oxlint-disable-next-line eslint/require-yield -- It reads nothing.
function* noProgram(): Program<void> {}
