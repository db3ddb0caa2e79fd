import type { Ctx } from "../core/context.ts";
import { GfsError, isGfsError } from "../core/errors.ts";
import type { FilePath } from "../core/ids.ts";
import type { Program } from "../kv/index.ts";
import { type Removed, rename } from "../namespace/index.ts";
import { importPrefix } from "./import.ts";
import { findRecord, type Located, locate } from "./lookup.ts";
import type { Parts } from "./parts.ts";
import { enqueuePublishing, markForPublishing } from "./publishing.ts";
import { enqueueRemoval } from "./removal.ts";

export interface RenameRequest {
  readonly from: string;
  readonly to: string;
  readonly overwrite?: boolean;
}

/**
 * One transaction in the catalog, however much lies below a directory. The objects keep their old keys until publish jobs have
 * moved them; readers follow the catalog and notice nothing.
 */
export async function renameObject(parts: Parts, ctx: Ctx, request: RenameRequest): Promise<void> {
  const from = locate(request.from);
  const to = locate(request.to);
  if (from.directory !== to.directory) {
    throw new GfsError("InvalidArgument", "Name both a file, or end both with a slash to rename a directory.");
  }
  parts.assertCatalogSpace();
  await bringIn(parts, ctx, from, { buryHidden: true });
  await bringIn(parts, ctx, to, { buryHidden: false });
  const work = async (): Promise<void> =>
    await commitRename(parts, { from, to, overwrite: request.overwrite ?? false });
  // Always the lower path first, so that two renames cannot wait for each other.
  const [first, second] = [from.path, to.path].sort() as [FilePath, FilePath];
  if (first === second) await parts.locks.run(first, work);
  else await parts.locks.run(first, async () => await parts.locks.run(second, work));
  parts.mover.wake();
}

/** What the sites hold under the name, and the catalog does not know yet, takes part in the rename. */
async function bringIn(
  parts: Parts,
  ctx: Ctx,
  where: Located,
  { buryHidden }: { readonly buryHidden: boolean },
): Promise<void> {
  if (!where.directory) {
    await findRecord(parts, ctx, where);
    return;
  }
  for (const site of parts.sites.list()) {
    if (site.foreign !== "merge") continue;
    try {
      for await (const _ of importPrefix(parts, ctx, { site: site.name, prefix: where.key, buryHidden })) {
        // Only the effect counts.
      }
    } catch (error) {
      if (isGfsError(error, "Canceled") || site.role === "primary") throw error;
      parts.log.warn("rename_without_site", { site: site.name, prefix: where.key, error: String(error) });
    }
  }
}

interface Move {
  readonly from: Located;
  readonly to: Located;
  readonly overwrite: boolean;
}

async function commitRename(parts: Parts, { from, to, overwrite }: Move): Promise<void> {
  const nowMs = parts.clock.nowMs();
  const tombstoneVersionId = parts.nextVersionId();
  await parts.inodes.transact(function* (tx, nextInode): Program<void> {
    const renamed = yield* rename(tx, {
      from: from.path,
      to: to.path,
      directory: from.directory,
      overwrite,
      nowMs,
      nextInode,
      tombstoneVersionId,
    });
    const replaced = renamed.replaced;
    for (const place of replaced?.orphans ?? []) {
      const { inode, version } = (replaced as Removed).file;
      const versionId = version?.id ?? tombstoneVersionId;
      yield* enqueueRemoval(tx, parts, { path: to.path, inode, versionId, place, nowMs });
    }
    for (const place of renamed.left) {
      const { inode, version } = renamed.moved;
      const versionId = version?.id ?? tombstoneVersionId;
      yield* enqueueRemoval(tx, parts, { path: from.path, inode, versionId, place, nowMs });
    }
    if (from.directory) markForPublishing(tx, renamed.moved.inode);
    else yield* enqueuePublishing(tx, parts, { path: to.path, file: renamed.moved, nowMs });
  });
}
