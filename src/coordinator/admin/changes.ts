import { GfsError } from "../../core/errors.ts";
import { encodeKey, type Key, tail } from "../../kv/index.ts";
import { lastChange, readFeed } from "../../namespace/index.ts";
import { readCatalog } from "../catalog-view.ts";
import type { Kit } from "../kit.ts";
import type { ChangeService } from "../service/service.ts";

const MAX_LIMIT = 1_000;

/** Row: how far a reader of the change feed has come, as decimal digits. */
function placeKey(reader: string): Key {
  return encodeKey("coordinator-feed", tail(reader));
}

export function createChangeService({ kv }: Kit): Omit<ChangeService, "leads"> {
  return {
    async readChanges(_ctx, { after, limit }) {
      if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
        throw new GfsError("InvalidArgument", `A page of changes has 1 to ${MAX_LIMIT} lines.`, {
          op: "coordinator.changes",
        });
      }
      return await readCatalog(kv, (tx) => readFeed(tx, { after, limit }));
    },
    lastChange: async () => await readCatalog(kv, lastChange),
    async findFeedPlace(_ctx, reader) {
      const row = await readCatalog(kv, (tx) => tx.get(placeKey(reader)));
      return row === undefined ? undefined : Number(Buffer.from(row).toString());
    },
    async keepFeedPlace(_ctx, reader, position) {
      await kv.transact(function* (tx) {
        tx.put(placeKey(reader), Buffer.from(String(position)));
      });
    },
  };
}
