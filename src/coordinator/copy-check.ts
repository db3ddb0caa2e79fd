import { toGfsError } from "../core/errors.ts";
import type { Program } from "../kv/index.ts";
import { enqueueJob } from "../mover/index.ts";
import { findOwner } from "../namespace/index.ts";
import type { Parts } from "./parts.ts";
import type { CopyCheck } from "./service-readers.ts";

/** The copy is read once more, all of it; if it is rotten it is taken out of use and mended from another. Until then others are read first. */
export async function suspectCopy(parts: Parts, check: CopyCheck): Promise<void> {
  if (!parts.suspects.note(check.versionId, check.site)) return;
  parts.log.warn("copy_suspected", { path: check.path, site: check.site, key: check.key, version: check.versionId });
  if (parts.passOnCheck === undefined) await orderCheck(parts, check);
  else parts.passOnCheck(check);
}

export async function orderCheck(parts: Parts, { path, versionId, sizeBytes, site, key }: CopyCheck): Promise<void> {
  const nowMs = parts.clock.nowMs();
  try {
    await parts.kv.transact(function* (tx): Program<void> {
      const owner = yield* findOwner(tx, site, key);
      if (owner?.versionId !== versionId) return;
      const spec = { kind: "verify" as const, path, inode: owner.inode, versionId, site, key, sizeBytes };
      const limit = parts.settings.maxQueuedJobs;
      yield* enqueueJob(tx, { ...spec, priority: 1 }, { id: parts.nextJobId(), nowMs, limit });
    });
    parts.mover.wake();
  } catch (error) {
    parts.log.warn("check_not_ordered", { path, site, error: toGfsError(error).message });
  }
}
