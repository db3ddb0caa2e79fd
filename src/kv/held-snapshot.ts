import { GfsError } from "../core/errors.ts";
import type { KvSnapshot } from "./kv.ts";
import { readerOf, runSync, type Snapshot } from "./program.ts";

/** A state of the data that an engine keeps until it is released. */
export interface HeldSnapshot extends Snapshot {
  readonly revision: number;
  release(): void;
}

export function openSnapshot(held: HeldSnapshot): KvSnapshot {
  let closed = false;
  return {
    revision: held.revision,
    async view(program) {
      if (closed) throw new GfsError("Unavailable", "The snapshot of the catalog is closed; take another one.");
      return runSync(program(readerOf(held)), held);
    },
    async close() {
      if (closed) return;
      closed = true;
      held.release();
    },
  };
}
