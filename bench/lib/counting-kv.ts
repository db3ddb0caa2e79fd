import type { Key, Kv, Reader } from "../../src/kv/index.ts";

/** What programs ask of the catalog. */
export interface CatalogReads {
  /** Keys that were asked for. */
  gets: number;
  /** Keys that were read: in one run of a program a key is read once. */
  distinct: number;
  ranges: number;
  runs: number;
  commits: number;
}

export function countReads(kv: Kv): { readonly kv: Kv; readonly reads: CatalogReads } {
  const reads: CatalogReads = { gets: 0, distinct: 0, ranges: 0, runs: 0, commits: 0 };
  const { viewSync } = kv;
  return {
    reads,
    kv: {
      ...kv,
      view: async (program) => await kv.view((tx) => program(counted(tx, reads))),
      async transact(program, options) {
        reads.commits += 1;
        return await kv.transact((tx) => program(counted(tx, reads)), options);
      },
      ...(viewSync === undefined ? {} : { viewSync: (program) => viewSync((tx) => program(counted(tx, reads))) }),
    },
  };
}

function counted<Tx extends Reader>(tx: Tx, reads: CatalogReads): Tx {
  reads.runs += 1;
  const known = new Set<string>();
  const count = (keys: readonly Key[]): void => {
    reads.gets += keys.length;
    for (const key of keys) {
      const name = Buffer.from(key).toString("latin1");
      if (!known.has(name)) reads.distinct += 1;
      known.add(name);
    }
  };
  return {
    ...tx,
    get(key) {
      count([key]);
      return tx.get(key);
    },
    getMany(keys) {
      count(keys);
      return tx.getMany(keys);
    },
    range(query) {
      reads.ranges += 1;
      return tx.range(query);
    },
  };
}
