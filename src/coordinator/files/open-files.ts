import type { FilePath, SessionId } from "../../core/ids.ts";
import { momentOf } from "../../core/moment.ts";
import type { Program, Transaction } from "../../kv/index.ts";
import { posix } from "../../namespace/index.ts";
import { enqueueRemoval } from "../copies/removal.ts";
import type { Kit, ProgramKit } from "../kit.ts";

/** What sessions had open that has no name any more, and lets go of. */

/** Lets go of all that a session holds, one by one. */
export async function releaseSession(kit: Kit, session: SessionId, signal: AbortSignal): Promise<number> {
  for (let released = 0; ; released++) {
    if (signal.aborted) return released;
    const nowMs = kit.clock.nowMs();
    const tombstoneVersionId = kit.nextVersionId();
    const found = await kit.kv.transact(function* (tx): Program<posix.Released | undefined> {
      const one = yield* posix.releaseNextOrphan(tx, { session, now: momentOf(nowMs), tombstoneVersionId });
      if (one !== undefined) yield* removeReleased(tx, kit, one, nowMs);
      return one;
    });
    if (found === undefined) return released;
  }
}

export function* removeReleased(
  tx: Transaction,
  kit: ProgramKit,
  { file, orphans }: posix.Released,
  nowMs: number,
): Program<void> {
  if (file?.version === undefined) return;
  const { inode, version } = file;
  for (const place of orphans) {
    // It has no path any more.
    const path = place.key as FilePath;
    yield* enqueueRemoval(tx, kit, { path, inode, versionId: version.id, place, nowMs });
  }
}
