import { isGfsError } from "../core/errors.ts";
import type { HeldSnapshot } from "./held-snapshot.ts";
import type { Key, KvStats, Value } from "./kv.ts";
import type { Snapshot } from "./program.ts";

/** What an engine with its data in this process provides; everything else of the port is made here, once. */
export interface Table {
  readonly engine: string;
  /** The newest committed state. Valid until control returns to the event loop. */
  readonly committed: Snapshot;
  /**
   * Runs `work`, once, in the caller's turn; what it wrote is seen by every reader when this returns, all or nothing. Throws `NoSpace` or `Unavailable` when
   * it could not be written.
   */
  write(work: (write: TableWriter) => void): void;
  /**
   * Resolves when all that was written before the call is durable. One at a time. Until then power loss leaves what the flush before made durable, with
   * writes that came after it in their order or without them. When it fails, nothing is known any more. Absent: nothing outlives the process anyway.
   */
  readonly flush?: () => Promise<void>;
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

/** For what a coordinator cannot do without: on a full disk it may have of the room that is kept. */
export async function inKeptRoom<T>(table: Pick<Table, "giveRoom">, work: () => T | Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isGfsError(error, "NoSpace") || !(await table.giveRoom())) throw error;
    }
  }
}
