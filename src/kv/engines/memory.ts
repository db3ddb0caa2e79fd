import { systemClock } from "../../core/ports/clock.ts";
import { type Counters, createEmbeddedKv, type EmbeddedDeps, type Table, type TableWriter } from "../embedded.ts";
import type { Key, Kv } from "../kv.ts";
import { SortedTable } from "./sorted-table.ts";

/** Everything in memory: for tests, simulations, and coordinators whose catalog may be lost. Nothing survives the process. */
export function createMemoryKv(deps: EmbeddedDeps = { clock: systemClock }): Kv {
  return createEmbeddedKv(createMemoryTable(), deps);
}

function createMemoryTable(): Table {
  const rows = new SortedTable();
  let counters: Counters = { revision: 0, appended: 0 };
  const writer: TableWriter = {
    get: (key) => rows.get(key),
    range: (query) => rows.range(query),
    put: (key, value) => rows.set(key, value),
    delete: (key: Key) => rows.delete(key),
    counters: () => counters,
    setCounters: (next) => {
      counters = next;
    },
    setEphemeral: () => undefined,
  };
  return {
    engine: "memory",
    committed: rows,
    async commit(work) {
      work(writer);
    },
    assertRoom: () => undefined,
    counters: () => counters,
    stats: () => ({ entries: rows.size, sizeBytes: rows.sizeBytes }),
    close: async () => undefined,
  };
}
