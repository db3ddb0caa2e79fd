import type { FilePath, SessionId } from "../../core/ids.ts";
import { momentOf } from "../../core/moment.ts";
import type { Program, Transaction } from "../../kv/index.ts";
import { posix } from "../../namespace/index.ts";
import type { Kit } from "../kit.ts";
import { enqueueRemoval } from "../copies/removal.ts";

/** What sessions had open that has no name any more, after they ended without letting go of it. */

/** Lets go of all that a session holds, one by one. */
export async function releaseSession(kit: Kit, session: SessionId, signal: AbortSignal): Promise<number> {
  for (let released = 0; ; released++) {
    if (signal.aborted) return released;
    const nowMs = kit.clock.nowMs();
    const tombstoneVersionId = kit.nextVersionId();
    const found = await kit.kv.transact(function* (tx): Program<posix.Released | undefined> {
      const one = yield* posix.releaseNextOrphan(tx, { session, now: momentOf(nowMs), tombstoneVersionId });
      if (one !== undefined) yield* enqueueRemovals(tx, kit, one, nowMs);
      return one;
    });
    if (found === undefined) return released;
  }
}

function* enqueueRemovals(tx: Transaction, kit: Kit, { file, orphans }: posix.Released, nowMs: number): Program<void> {
  if (file?.version === undefined) return;
  const { inode, version } = file;
  for (const place of orphans) {
    // It has no path any more.
    const path = place.key as FilePath;
    yield* enqueueRemoval(tx, kit, { path, inode, versionId: version.id, place, nowMs });
  }
}

export async function releaseDeadSessions(kit: Kit, signal: AbortSignal): Promise<void> {
  let session: SessionId | undefined;
  for (;;) {
    const after = session;
    session = await kit.kv.view((tx) => posix.nextDeadSession(tx, after));
    if (session === undefined || signal.aborted) return;
    const released = await releaseSession(kit, session, signal);
    kit.log.info("dead_session_released", { session, released });
    kit.mover.wake();
  }
}
