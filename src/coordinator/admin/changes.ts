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
      const page = await readCatalog(kv, (tx) => readFeed(tx, { after, limit }));
      // Whoever tells others of a change must not tell of one that power loss undoes.
      if (page.changes.length > 0) await kv.flush();
      return page;
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
