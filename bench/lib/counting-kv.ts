import type { Kv, KvRead, Program } from "../../src/kv/index.ts";

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
      view: async (program) => await kv.view((tx) => counted(program(tx), reads)),
      async transact(program, options) {
        reads.commits += 1;
        return await kv.transact((tx) => counted(program(tx), reads), options);
      },
      ...(viewSync === undefined ? {} : { viewSync: (program) => viewSync((tx) => counted(program(tx), reads)) }),
    },
  };
}

function* counted<T>(program: Program<T>, reads: CatalogReads): Program<T> {
  reads.runs += 1;
  const known = new Set<string>();
  let step = program.next();
  while (step.done !== true) {
    for (const key of keysOf(step.value)) {
      reads.gets += 1;
      known.add(Buffer.from(key).toString("latin1"));
    }
    if (step.value.kind === "range") reads.ranges += 1;
    step = program.next(yield step.value);
  }
  reads.distinct += known.size;
  return step.value;
}

function keysOf(read: KvRead): readonly Uint8Array[] {
  if (read.kind === "get") return [read.key];
  return read.kind === "many" ? read.keys : [];
}
