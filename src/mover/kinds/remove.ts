import type { Ctx } from "../../core/context.ts";
import { isGfsError } from "../../core/errors.ts";
import type { FilePath } from "../../core/ids.ts";
import type { Program } from "../../kv/index.ts";
import { findOwner, findTombstone, isBuried, LANDED_PREFIX, OWN_PREFIX } from "../../namespace/index.ts";
import { headIfThere, type Site } from "../../stores/index.ts";
import type { MoverDeps } from "../context.ts";
import { done, type Outcome } from "../outcome.ts";
import type { Job } from "../types.ts";

/** Deletes an object that no file owns. What somebody else has put under the key since then stays. */
export async function removeObject(ctx: Ctx, job: Job, deps: MoverDeps): Promise<Outcome> {
  const site = deps.sites.find(job.site);
  if (site === undefined) return done(undefined, `Site ${job.site} is not registered any more.`);
  return await deps.locks.run(job.key, async () => {
    const owner = await deps.kv.view((tx) => findOwner(tx, site.name, job.key));
    if (owner !== undefined) return done(undefined, "The key is in use again.");
    // Power loss must not give the object back to a file.
    await deps.kv.flush();
    // Nobody else is to remove it, so that at first it is the one that was meant. Later one with the same bytes may be on its way into the catalog.
    const isFirst = job.attempts === 0 || job.key.startsWith(OWN_PREFIX);
    if (isFirst && job.etag !== undefined && (await removeIfMatches(ctx, site, job.key, job.etag))) return done();
    const etag = await deletableEtag(ctx, site, job, deps);
    if (etag === undefined) return done(undefined, "Nothing of what was deleted is left there.");
    if (await removeIfMatches(ctx, site, job.key, etag)) return done();
    return done(undefined, "Another object lies under the key by now.");
  });
}

async function removeIfMatches(ctx: Ctx, site: Site, key: string, etag: string): Promise<boolean> {
  try {
    // What a loss of power brings back of what has landed belongs to nobody, and the sweep finds it.
    const durability = key.startsWith(LANDED_PREFIX) ? "visible" : "durable";
    await site.store.delete(ctx, key, { ifMatch: etag, durability });
    return true;
  } catch (error) {
    if (!isGfsError(error, "PreconditionFailed", "NotFound")) throw error;
    return false;
  }
}

/**
 * Without a known content, only the job's own version may go, and what the tombstone covers. Where the content was known and another is there, only one that GlobalFS
 * wrote: that of a write which was never answered, and which the delete covers, too. Where a site keeps no metadata that could tell, the content has to.
 */
async function deletableEtag(
  ctx: Ctx,
  { store }: Site,
  { key, etag, versionId }: Job,
  deps: MoverDeps,
): Promise<string | undefined> {
  const info = await headIfThere(ctx, store, key);
  if (info === undefined) return undefined;
  const writtenId = info.metadata["globalfs-version"];
  if (writtenId !== undefined && writtenId !== versionId) {
    const written = { key, versionId: writtenId };
    if (await deps.kv.view((tx): Program<boolean> => deps.writer.isInFlight(tx, written))) return undefined;
  }
  if (etag !== undefined && info.etag === etag) return etag;
  const tombstone = await deps.kv.view((tx) => findTombstone(tx, key as FilePath));
  if (etag !== undefined && writtenId === undefined) {
    const isDeleted = !store.capabilities.userMetadata && tombstone?.etags.includes(info.etag) === true;
    return isDeleted ? info.etag : undefined;
  }
  const isOurs = key.startsWith(OWN_PREFIX) || writtenId === versionId;
  return isOurs || isBuried(tombstone, info) ? info.etag : undefined;
}
