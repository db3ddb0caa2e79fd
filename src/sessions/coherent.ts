import { GfsError } from "../core/errors.ts";
import type { Inode } from "../core/ids.ts";
import type { Kv, Program, Transaction, WatchEvent } from "../kv/index.ts";
import { isTouching, type Touch, touchOf } from "../namespace/index.ts";
import { writeLeaseKey } from "./rows.ts";
import type { Sessions } from "./sessions.ts";

export interface CoherentOptions {
  /** Nobody waits for these: who has read them hears of it soon. Asked only where somebody would wait. */
  readonly isEventual?: (touches: readonly Touch[]) => Promise<boolean>;
}

/**
 * The catalog for those who change the tree: a change is answered when every session that had read what it touches knows of it, or has run out of time. What a
 * transaction touches is seen from what it writes, so that no way to change the tree is forgotten.
 */
export function coherentKv(kv: Kv, sessions: Sessions, { isEventual }: CoherentOptions = {}): Kv {
  return {
    ...kv,
    async transact(program, options = {}) {
      let staged: WatchEvent[] = [];
      let revision = 0;
      const result = await kv.transact(
        (tx) => {
          // It may run again.
          staged = [];
          return program(observed(tx, staged));
        },
        {
          ...options,
          committed(at) {
            revision = at;
            options.committed?.(at);
          },
        },
      );
      if (revision === 0 || staged.length === 0 || sessions.isIdle) return result;
      const touches = staged.flatMap((event) => touchOf(event) ?? []);
      if (isEventual === undefined || !(await isEventual(touches))) await sessions.settled({ revision, touches });
      return result;
    },
  };
}

function observed(tx: Transaction, staged: WatchEvent[]): Transaction {
  return {
    ...tx,
    put(key, value, options) {
      if (isTouching(key)) staged.push({ key, value });
      tx.put(key, value, options);
    },
    delete(key) {
      if (isTouching(key)) staged.push({ key, value: undefined });
      tx.delete(key);
    },
  };
}

/** For a commit that is made under a write lease: `StaleEpoch` when that is over. */
export function* requireWriteLease(
  tx: Transaction,
  { inode, epoch }: { readonly inode: Inode; readonly epoch: number },
): Program<void> {
  if ((yield* tx.get(writeLeaseKey(inode, epoch))) !== undefined) return;
  throw new GfsError("StaleEpoch", "The right to write to the file was taken back; open it again.", {
    op: "sessions.write",
    context: { inode },
  });
}
