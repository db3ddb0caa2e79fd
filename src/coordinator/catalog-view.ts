import type { Kv, Program, Reader } from "../kv/index.ts";

/** Reads the catalog inline where the engine can: no promise on the hot path. */
export function readCatalog<T>(kv: Kv, program: (tx: Reader) => Program<T>): T | Promise<T> {
  return kv.viewSync === undefined ? kv.view(program) : kv.viewSync(program);
}
