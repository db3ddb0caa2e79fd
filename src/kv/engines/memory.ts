import { systemClock } from "../../core/ports/clock.ts";
import { createEmbeddedKv, type EmbeddedDeps } from "../embedded.ts";
import type { Table, TableWriter } from "../table.ts";
import type { Key, Kv } from "../kv.ts";
import { SortedTable } from "./sorted-table.ts";

/** Everything in memory: for tests, simulations, and coordinators whose catalog may be lost. Nothing survives the process. */
export function createMemoryKv(deps: EmbeddedDeps = { clock: systemClock }): Kv {
  return createEmbeddedKv(createMemoryTable(), deps);
}

function createMemoryTable(): Table {
  const rows = new SortedTable();
  let revision = 0;
  const writer: TableWriter = {
    get: (key) => rows.get(key),
    range: (query) => rows.range(query),
    put: (key, value) => rows.set(key, value),
    delete: (key: Key) => rows.delete(key),
    revision: () => revision,
    setRevision: (next) => {
      revision = next;
    },
    setEphemeral: () => undefined,
  };
  return {
    engine: "memory",
    committed: rows,
    write: (work) => work(writer),
    assertRoom: () => undefined,
    giveRoom: async () => false,
    revision: () => revision,
    hold: () => {
      const state = rows.copy();
      return {
        get: (key) => state.get(key),
        range: (query) => state.range(query),
        revision,
        release: () => undefined,
      };
    },
    stats: () => ({ entries: rows.size, sizeBytes: rows.sizeBytes }),
    close: async () => undefined,
  };
}
