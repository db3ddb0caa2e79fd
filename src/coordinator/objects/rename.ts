import type { Ctx } from "../../core/context.ts";
import { GfsError, isGfsError } from "../../core/errors.ts";
import type { FilePath } from "../../core/ids.ts";
import type { Program } from "../../kv/index.ts";
import { findDirectory, keysFor, movesAt, readMoves, type Removed, rename } from "../../namespace/index.ts";
import { readCatalog } from "../catalog-view.ts";
import { sitesWithForeign } from "../foreign/first-import.ts";
import { importPrefix } from "../foreign/import.ts";
import { findRecord, type Located, locate } from "../foreign/lookup.ts";
import { makeRoomForMove, recordMove, settleMoved } from "../foreign/moved.ts";
import type { Kit } from "../kit.ts";
import { enqueuePublishing, publishWhereItHangs } from "../copies/publishing.ts";
import { enqueueRemoval } from "../copies/removal.ts";

export interface RenameRequest {
  readonly from: string;
  readonly to: string;
  readonly overwrite?: boolean;
}

/**
 * One transaction in the catalog, however much lies below a directory, there or at sites. The objects keep their old keys until
 * publish jobs have moved them; readers follow the catalog and notice nothing.
 */
export async function renameObject(kit: Kit, ctx: Ctx, request: RenameRequest): Promise<void> {
  const from = locate(request.from);
  const to = locate(request.to);
  if (from.directory !== to.directory) {
    throw new GfsError("InvalidArgument", "Name both a file, or end both with a slash to rename a directory.");
  }
  kit.assertCatalogSpace();
  if (from.directory) {
    await makeRoomForMove(kit, ctx);
    await bringInDirectory(kit, ctx, from, "source");
    await bringInDirectory(kit, ctx, to, "target");
  } else {
    await bringInFile(kit, ctx, from);
    await bringInFile(kit, ctx, to);
  }
  const work = async (): Promise<void> => await commitRename(kit, { from, to, overwrite: request.overwrite ?? false });
  // Always the lower path first, so that two renames cannot wait for each other.
  const [first, second] = [from.path, to.path].sort() as [FilePath, FilePath];
  if (first === second) await kit.locks.run(first, work);
  else await kit.locks.run(first, async () => await kit.locks.run(second, work));
  kit.mover.wake();
}

/** An object that only the sites hold under a name takes part in the rename. */
async function bringInFile(kit: Kit, ctx: Ctx, where: Located): Promise<void> {
  await settleMoved(kit, ctx, where.path);
  await findRecord(kit, ctx, where);
}

/**
 * Of what only the sites hold below a directory as much as it takes to know that there is one: the rest of it goes along. What else may lie below a new name a
 * glance tells.
 */
async function bringInDirectory(kit: Kit, ctx: Ctx, where: Located, side: "source" | "target"): Promise<void> {
  const isKnown = async (): Promise<boolean> =>
    (await readCatalog(kit.kv, (tx) => findDirectory(tx, where.path))) !== undefined;
  const moves = await readCatalog(kit.kv, readMoves);
  // From there everything has just gone.
  const isLeft = moves.some(({ from }) => where.key.startsWith(`${from}/`));
  if (side === "source" ? await isKnown() : isLeft) return;
  for (const site of await sitesWithForeign(kit)) {
    try {
      for (const prefix of keysFor(movesAt(moves, site.name), where.key))
        for await (const _ of importPrefix(kit, ctx, { site: site.name, prefix }))
          if (side === "target" || (await isKnown())) break;
    } catch (error) {
      if (isGfsError(error, "Canceled") || site.role === "primary") throw error;
      kit.log.warn("rename_without_site", { site: site.name, prefix: where.key, error: String(error) });
    }
  }
}

interface Move {
  readonly from: Located;
  readonly to: Located;
  readonly overwrite: boolean;
}

async function commitRename(kit: Kit, { from, to, overwrite }: Move): Promise<void> {
  const nowMs = kit.clock.nowMs();
  const tombstoneVersionId = kit.nextVersionId();
  await kit.inodes.transact(function* (tx, nextInode): Program<void> {
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
      yield* enqueueRemoval(tx, kit, { path: to.path, inode, versionId, place, nowMs });
    }
    for (const place of renamed.left) {
      const { inode, version } = renamed.moved;
      const versionId = version?.id ?? tombstoneVersionId;
      yield* enqueueRemoval(tx, kit, { path: from.path, inode, versionId, place, nowMs });
    }
    const { inode } = renamed.moved;
    if (!from.directory) yield* enqueuePublishing(tx, kit, { path: to.path, file: renamed.moved, nowMs });
    else if (from.path !== to.path) yield* recordMove(tx, kit, { from: from.path, to: to.path, inode, nowMs });
    if (replaced !== undefined) yield* publishWhereItHangs(tx, kit, { inode: replaced.file.inode, nowMs });
  });
}
