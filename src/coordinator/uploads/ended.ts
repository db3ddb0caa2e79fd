import type { VersionId } from "../../core/ids.ts";
import type { Program } from "../../kv/index.ts";
import { dropLeftParts, forgetEndedUpload, pageEndedUploads } from "../../namespace/index.ts";
import type { Kit } from "../kit.ts";

/** An answer may be asked for again so long. */
const ANSWER_RETENTION_MS = 86_400_000;
const ROWS_A_PAGE = 100;
/** Rows that a crash brings back are forgotten by the next turn. */
const AGAIN = { durability: "visible" } as const;

/** What became of an upload is forgotten after a day; parts that it has left behind go at once, page by page. */
export async function forgetEnded(kit: Kit): Promise<void> {
  const { kv } = kit;
  const beforeMs = kit.clock.nowMs() - ANSWER_RETENTION_MS;
  let after: VersionId | undefined;
  do {
    const from = after;
    const { ended, next } = await kv.view((tx) =>
      pageEndedUploads(tx, { limit: ROWS_A_PAGE, ...(from === undefined ? {} : { after: from }) }),
    );
    for (const { uploadId, partsLeft } of ended)
      if (partsLeft === true) while (await kv.transact((tx) => dropLeftParts(tx, uploadId), AGAIN));
    const old = ended.filter(({ endedMs }) => endedMs < beforeMs);
    if (old.length > 0) {
      await kv.transact(function* (tx): Program<void> {
        for (const { uploadId } of old) forgetEndedUpload(tx, uploadId);
      }, AGAIN);
    }
    after = next;
  } while (after !== undefined);
}
