import type { Inode, SessionId } from "../core/ids.ts";
import type { Program } from "../kv/index.ts";
import type { Office } from "./office.ts";
import { type CoordinatorId, coordinatorKey, interestKey } from "./rows.ts";
import { endSession } from "./session-programs.ts";

/** What is left of sessions and coordinators is taken away page by page. Whoever begins it again after a crash goes on where it was. */

const AT_ONCE = 80;

/** What fails is tried again at the next look around. */
export async function endWhole(
  { kv, clock, log }: Office,
  ending: { readonly session: SessionId; readonly servedBy?: CoordinatorId },
): Promise<void> {
  try {
    const nowMs = clock.nowMs();
    while (await kv.transact((tx) => endSession(tx, { ...ending, nowMs })));
  } catch (error) {
    log.warn("session_end_failed", { session: ending.session, error: String(error) });
  }
}

export interface LeftBehind {
  readonly id: CoordinatorId;
  readonly sessions: readonly SessionId[];
  readonly interests: readonly Inode[];
}

/** A coordinator that is gone, whose sessions did not come to another one in time. */
export async function forgetPeer(office: Office, { id, sessions, interests }: LeftBehind): Promise<void> {
  for (const session of sessions) await endWhole(office, { session, servedBy: id });
  try {
    for (let first = 0; first < interests.length; first += AT_ONCE) {
      const some = interests.slice(first, first + AT_ONCE);
      // oxlint-disable-next-line eslint/require-yield -- It reads nothing.
      const drop = function* (tx: Parameters<typeof endSession>[0]): Program<void> {
        for (const inode of some) tx.delete(interestKey(inode, id));
      };
      await office.kv.transact(drop, { durability: "visible" });
    }
    // oxlint-disable-next-line eslint/require-yield -- It reads nothing.
    await office.kv.transact(function* (tx) {
      tx.delete(coordinatorKey(id));
    });
  } catch (error) {
    // The next coordinator that starts finds it, and goes on.
    office.log.warn("coordinator_rows_left", { coordinator: id, error: String(error) });
  }
}
