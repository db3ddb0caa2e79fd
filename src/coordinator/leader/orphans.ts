import type { SessionId } from "../../core/ids.ts";
import { posix } from "../../namespace/index.ts";
import type { Kit } from "../kit.ts";
import { releaseSession } from "../files/open-files.ts";

/** What sessions had open that has no name any more, after they ended without letting go of it. */

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
