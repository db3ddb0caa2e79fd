import { toGfsError } from "../../core/errors.ts";
import type { Program } from "../../kv/index.ts";
import { enqueueJob } from "../../mover/index.ts";
import { findOwner } from "../../namespace/index.ts";
import type { Kit } from "../kit.ts";
import type { CopyCheck } from "../service/readers.ts";

/** The copy is read once more, all of it; if it is rotten it is taken out of use and mended from another. Until then others are read first. */
export async function suspectCopy(kit: Kit, check: CopyCheck): Promise<void> {
  if (!kit.suspects.note(check.versionId, check.site)) return;
  kit.log.warn("copy_suspected", { path: check.path, site: check.site, key: check.key, version: check.versionId });
  if (kit.passOnCheck === undefined) await orderCheck(kit, check);
  else kit.passOnCheck(check);
}

export async function orderCheck(kit: Kit, { path, versionId, sizeBytes, site, key }: CopyCheck): Promise<void> {
  const nowMs = kit.clock.nowMs();
  const { queueIsFull } = kit.mover;
  try {
    await kit.kv.transact(function* (tx): Program<void> {
      const owner = yield* findOwner(tx, site, key);
      if (owner?.versionId !== versionId) return;
      const spec = { kind: "verify" as const, path, inode: owner.inode, versionId, site, key, sizeBytes };
      yield* enqueueJob(tx, { ...spec, priority: 1 }, { id: kit.nextJobId(), nowMs, queueIsFull });
    });
    kit.mover.wake();
  } catch (error) {
    kit.log.warn("check_not_ordered", { path, site, error: toGfsError(error).message });
  }
}
