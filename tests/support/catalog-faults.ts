import { checkSetAside } from "../../src/coordinator/index.ts";
import type { Kv } from "../../src/kv/index.ts";
import { checkMeta } from "../../src/meta/index.ts";
import { checkJobs } from "../../src/mover/index.ts";

/** All that is wrong with a catalog, a sentence each. */
export async function catalogFaults(kv: Kv): Promise<string[]> {
  return (await checkMeta(kv, { checkJobs, checkSetAside })).findings.map(({ sentence }) => sentence);
}
