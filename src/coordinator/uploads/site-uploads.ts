import { createHash } from "node:crypto";
import type { SiteName } from "../../core/ids.ts";
import type { Clock } from "../../core/ports/clock.ts";
import { encodeKey, type Key, type Kv, keyAfter, prefixRange, type Program } from "../../kv/index.ts";
import type { UploadBook } from "../../stores/index.ts";

/** The uploads in parts that this catalog's coordinator began at each site, so that a sweep takes no others. */
const SPACE = "coordinator-upload";
const ROWS_A_TURN = 100;
/** A row that a crash brings back only says that an upload was ours, and goes when it is old. */
const FORGOTTEN = { durability: "visible" } as const;

/** Ids of uploads may be longer than keys. */
function keyOf(site: SiteName, uploadId: string): Key {
  return encodeKey(SPACE, site, createHash("sha256").update(uploadId).digest("hex"));
}

export function createUploadBook(kv: Kv, clock: Clock, site: SiteName): UploadBook {
  return {
    async begun(uploadId) {
      const row = Buffer.from(JSON.stringify({ atMs: clock.nowMs() }));
      await kv.transact(function* (tx): Program<void> {
        tx.put(keyOf(site, uploadId), row);
      });
    },
    async ended(uploadId) {
      await kv.transact(function* (tx): Program<void> {
        tx.delete(keyOf(site, uploadId));
      }, FORGOTTEN);
    },
    isOurs: async (uploadId) =>
      await kv.view(function* (tx) {
        return (yield* tx.get(keyOf(site, uploadId))) !== undefined;
      }),
    async forgetBefore(beforeMs) {
      let range = prefixRange(encodeKey(SPACE, site));
      for (;;) {
        const from = range;
        const rows = await kv.view((tx) => tx.range({ ...from, limit: ROWS_A_TURN }));
        const old = rows.filter(
          ({ value }) => (JSON.parse(Buffer.from(value).toString()) as { atMs: number }).atMs < beforeMs,
        );
        if (old.length > 0) {
          await kv.transact(function* (tx): Program<void> {
            for (const { key } of old) tx.delete(key);
          }, FORGOTTEN);
        }
        const last = rows.at(-1);
        if (rows.length < ROWS_A_TURN || last === undefined) return;
        range = { ...range, start: keyAfter(last.key) };
      }
    },
  };
}
