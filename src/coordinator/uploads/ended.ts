import type { Program } from "../../kv/index.ts";
import { dropLeftParts, forgetEndedUpload, oldEnded } from "../../namespace/index.ts";
import type { Kit } from "../kit.ts";

/** An answer may be asked for again so long. */
const ANSWER_RETENTION_MS = 86_400_000;
const ROWS_A_COMMIT = 45;
/** Rows that a crash brings back are forgotten by the next turn. */
const AGAIN = { durability: "visible" } as const;

/** What became of an upload is forgotten after a day; parts that it has left behind go at once, page by page. */
export async function forgetEnded({ kv, clock }: Kit): Promise<void> {
  const untilMs = clock.nowMs() - ANSWER_RETENTION_MS;
  for (;;) {
    const ended = await kv.view((tx) => oldEnded(tx, { untilMs, limit: ROWS_A_COMMIT }));
    if (ended.length === 0) return;
    for (const { uploadId, endedMs } of ended)
      if (endedMs === 0) while (await kv.transact((tx) => dropLeftParts(tx, uploadId), AGAIN));
    const old = ended.filter(({ endedMs }) => endedMs > 0);
    // oxlint-disable-next-line eslint/require-yield -- It only writes.
    await kv.transact(function* (tx): Program<void> {
      for (const each of old) forgetEndedUpload(tx, each);
    }, AGAIN);
  }
}
