import { forEachBounded } from "../../core/async/for-each.ts";
import type { Ctx } from "../../core/context.ts";
import { isGfsError } from "../../core/errors.ts";
import type { Program } from "../../kv/index.ts";
import { hasJobs } from "../../mover/index.ts";
import {
  dropTombstone,
  findOwner,
  isBuried,
  findTombstone,
  straysUntilMs,
  type OldTombstone,
  oldTombstones,
  postponeTombstone,
} from "../../namespace/index.ts";
import type { Site } from "../../stores/index.ts";
import type { Kit } from "../kit.ts";

const A_PAGE = 400;
/** Pages side by side, whose commits share their flushes. */
const STRIPS = 8;
const PAGES_A_TURN = 250;
const PARALLEL_SITES = 32;
/** Rows of one tombstone that goes. */
const WRITES_OF_ONE = 3;
const BYTES_OF_ONE = 8 * 1_024;

/**
 * Tombstones go once they are old, in the order of their age and many in a commit, so that an idle server looks at none, and a busy one forgets them as fast as
 * they come. What a tombstone hides is known: objects that a job has still to remove, and what may have come to lie there without a row since the delete. Only then sites are asked.
 * Resolves with whether there is more to do at once.
 */
export async function forgetTombstones(kit: Kit, ctx: Ctx): Promise<boolean> {
  const nowMs = Math.floor(kit.clock.nowMs());
  const untilMs = nowMs - kit.settings.tombstoneRetentionMs;
  const straysMs = (await kit.kv.view(straysUntilMs)) ?? -1;
  for (let page = 0; page < PAGES_A_TURN && !ctx.signal.aborted; page++) {
    const old = await kit.kv.view((tx) => lookAtOld(tx, untilMs));
    await forEachBounded(
      old.filter(({ deletedMs, isBusy }) => !isBusy && deletedMs !== undefined && deletedMs <= straysMs),
      PARALLEL_SITES,
      async (tombstone) => {
        tombstone.isBusy = !(await goneEverywhere(kit, ctx, tombstone));
      },
    );
    if (ctx.signal.aborted) return false;
    const length = Math.ceil(old.length / STRIPS);
    await forEachBounded(Array.from({ length: STRIPS }).keys(), STRIPS, async (strip) => {
      await settle(kit, old.slice(strip * length, (strip + 1) * length), untilMs);
    });
    if (old.length < A_PAGE) return false;
  }
  return true;
}

interface Looked extends OldTombstone {
  /** It has still something to hide, or nobody can tell. */
  isBusy: boolean;
}

function* lookAtOld(tx: Parameters<typeof hasJobs>[0], untilMs: number): Program<Looked[]> {
  const looked: Looked[] = [];
  for (const tombstone of yield* oldTombstones(tx, { untilMs, limit: A_PAGE })) {
    const isBusy = tombstone.deletedMs !== undefined && (yield* hasJobs(tx, tombstone.path));
    looked.push({ ...tombstone, isBusy });
  }
  return looked;
}

async function settle(kit: Kit, tombstones: readonly Looked[], untilMs: number): Promise<void> {
  // Half the time that it was kept already.
  const laterMs = untilMs + Math.ceil(kit.settings.tombstoneRetentionMs / 2);
  for (let next = 0; next < tombstones.length;) {
    const from = next;
    next = await kit.kv.transact(
      function* (tx): Program<number> {
        let index = from;
        for (; index < tombstones.length; index++) {
          if (index > from && !tx.hasRoom({ writes: WRITES_OF_ONE, sizeBytes: BYTES_OF_ONE })) break;
          const tombstone = tombstones[index] as Looked;
          if (tombstone.isBusy) postponeTombstone(tx, tombstone, laterMs);
          else yield* dropTombstone(tx, tombstone);
        }
        return index;
        // What a crash undoes of it is done again.
      },
      { durability: "visible" },
    );
  }
}

/** What a writer that died has left there goes now. A site that does not answer keeps the tombstone. */
async function goneEverywhere(kit: Kit, ctx: Ctx, { path }: OldTombstone): Promise<boolean> {
  for (const site of kit.sites.list()) {
    if (site.foreign === "ignore") continue;
    try {
      if (!(await goneAt(kit, ctx, site, path))) return false;
    } catch (error) {
      if (!isGfsError(error, "NotFound")) return false;
    }
  }
  return true;
}

async function goneAt(kit: Kit, ctx: Ctx, site: Site, path: OldTombstone["path"]): Promise<boolean> {
  const info = await site.store.head(ctx, path);
  const versionId = info.metadata["globalfs-version"];
  const found = await kit.kv.view(function* (tx): Program<"owned" | "hidden" | "shown"> {
    if ((yield* findOwner(tx, site.name, path)) !== undefined) return "owned";
    return isBuried(yield* findTombstone(tx, path), info) ? "hidden" : "shown";
  });
  if (found !== "hidden") return true;
  if (versionId === undefined) return false;
  if (await kit.kv.view((tx) => kit.writer.isInFlight(tx, { key: path, versionId }))) return false;
  await kit.kv.flush();
  await site.store.delete(ctx, path, { ifMatch: info.etag });
  return true;
}
