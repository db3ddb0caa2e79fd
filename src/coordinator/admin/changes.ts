import type { Ctx } from "../../core/context.ts";
import { GfsError } from "../../core/errors.ts";
import { encodeKey, type Key, tail } from "../../kv/index.ts";
import { lastChange, readFeed } from "../../namespace/index.ts";
import { readCatalog } from "../catalog-view.ts";
import type { Kit } from "../kit.ts";
import type { ChangeFeedPage, ChangeService, FeedRequest } from "../service/service.ts";
import { ChangeBell } from "./change-bell.ts";

const MAX_LIMIT = 1_000;
/** A change that no watch told of is found so much later. */
const LONGEST_WAIT_MS = 5_000;
/** Those who follow at the end of the feed read the same page. */
const SHARED_MS = 1_000;

/** Row: how far a reader of the change feed has come, as decimal digits. */
function placeKey(reader: string): Key {
  return encodeKey("coordinator-feed", tail(reader));
}

export function createChangeService({ kv, clock }: Kit): Omit<ChangeService, "leads"> {
  const bell = new ChangeBell(kv, clock);
  let shared: { readonly name: string; readonly atMs: number; readonly page: Promise<ChangeFeedPage> } | undefined;

  const readChanges = async (_ctx: Ctx, { after, limit }: FeedRequest): Promise<ChangeFeedPage> => {
    if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
      throw new GfsError("InvalidArgument", `A page of changes has 1 to ${MAX_LIMIT} lines.`, {
        op: "coordinator.changes",
      });
    }
    const page = await readCatalog(kv, (tx) => readFeed(tx, { after, limit }));
    // Whoever tells others of a change must not tell of one that power loss undoes.
    if (page.changes.length > 0) await kv.flush();
    return page;
  };

  const readShared = async (ctx: Ctx, request: FeedRequest, heard: number): Promise<ChangeFeedPage> => {
    const name = `${request.after} ${request.limit} ${heard}`;
    const nowMs = clock.monotonicMs();
    if (shared?.name === name && nowMs - shared.atMs < SHARED_MS) return await shared.page;
    const page = readChanges(ctx, request);
    shared = { name, atMs: nowMs, page };
    return await page;
  };

  return {
    readChanges,
    async *followChanges(ctx, { after, limit, idleMs }) {
      bell.enter();
      try {
        let place = after;
        let quietSinceMs = clock.monotonicMs();
        while (!ctx.signal.aborted) {
          const heard = bell.rings;
          const page = await readShared(ctx, { after: place, limit }, heard);
          const isNews = page.changes.length > 0 || page.after > place;
          const nowMs = clock.monotonicMs();
          if (isNews || nowMs - quietSinceMs >= idleMs) {
            yield page;
            place = page.changes.at(-1)?.position ?? page.after;
            quietSinceMs = nowMs;
          }
          const longestMs = Math.min(LONGEST_WAIT_MS, idleMs);
          if (!isNews) await bell.wait({ heard, longestMs, signal: ctx.signal });
        }
      } finally {
        bell.leave();
      }
    },
    lastChange: async () => await readCatalog(kv, lastChange),
    async findFeedPlace(_ctx, reader) {
      const row = await readCatalog(kv, (tx) => tx.get(placeKey(reader)));
      return row === undefined ? undefined : Number(Buffer.from(row).toString());
    },
    async keepFeedPlace(_ctx, reader, position) {
      // What is lost of it is told once more, as after any crash.
      await kv.transact(
        function* (tx) {
          tx.put(placeKey(reader), Buffer.from(String(position)));
        },
        { durability: "visible" },
      );
    },
  };
}
