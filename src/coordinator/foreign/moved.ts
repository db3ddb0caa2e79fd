import type { Ctx } from "../../core/context.ts";
import { GfsError, isGfsError } from "../../core/errors.ts";
import type { FilePath, Inode, SiteName } from "../../core/ids.ts";
import type { Program, Transaction } from "../../kv/index.ts";
import {
  appendMove,
  dropMove,
  isMoved,
  keysFor,
  type MovedDirectory,
  movesAt,
  readMoves,
  viewsOf,
  writeMove,
} from "../../namespace/index.ts";
import { headIfThere, type ObjectInfo, type Site } from "../../stores/index.ts";
import { readCatalog } from "../catalog-view.ts";
import { markForPublishing } from "../copies/publishing.ts";
import type { Kit, ProgramKit } from "../kit.ts";
import { countsForeign, sitesWithForeign } from "./first-import.ts";
import { importPrefix, takeInObjects } from "./import.ts";

/**
 * Objects that nobody has taken in yet move with their directory. The rename only remembers that; a walk behind it takes them in under their new names, and
 * until it has come by, whoever asks a site for a name asks for the keys that lead there (`namespace/moved-directories.ts`).
 */

export interface DirectoryMove {
  readonly from: FilePath;
  readonly to: FilePath;
  readonly inode: Inode;
  readonly nowMs: number;
}

/** In the transaction of the rename. Its files are published when the walk has come by, so that none of what lies beside them is taken for what they have left. */
export function* recordMove(
  tx: Transaction,
  kit: ProgramKit,
  { from, to, inode, nowMs }: DirectoryMove,
): Program<void> {
  const sites: Record<SiteName, string> = {};
  for (const site of kit.sites.list()) if (yield* countsForeign(tx, site)) sites[site.name] = "";
  if (Object.keys(sites).length === 0) markForPublishing(tx, inode);
  else yield* appendMove(tx, { from, to, inode, atMs: nowMs, sites });
}

const MOST_MOVES = 32;
const MOST_VIEWS = 64;

/** Before a rename: so many stand that the oldest is brought to its end first. A site that does not answer loses its claim then, unless it is a primary. */
export async function makeRoomForMove(kit: Kit, ctx: Ctx): Promise<void> {
  for (;;) {
    const moves = await readCatalog(kit.kv, readMoves);
    const [oldest] = moves;
    if (oldest === undefined || (moves.length < MOST_MOVES && viewsOf(moves).length < MOST_VIEWS)) return;
    for (const name of sitesOf(oldest)) {
      const site = kit.sites.find(name);
      try {
        while (!(await walk(kit, ctx, oldest, name)));
      } catch (error) {
        if (isGfsError(error, "Canceled") || site?.role === "primary") throw error;
        kit.log.warn("rename_without_site", { site: name, prefix: `${oldest.from}/`, error: String(error) });
        await finish(kit, oldest, name);
      }
    }
  }
}

/** Some of the walks behind renames, the oldest first at each site; resolves with whether there is more to do at once. */
export async function adoptMoved(kit: Kit, ctx: Ctx): Promise<boolean> {
  const busy = new Set<SiteName>();
  let more = false;
  for (const move of await readCatalog(kit.kv, readMoves)) {
    for (const name of sitesOf(move)) {
      if (busy.has(name)) continue;
      try {
        if (await walk(kit, ctx, move, name)) continue;
        more = true;
      } catch (error) {
        if (isGfsError(error, "Canceled")) throw error;
        kit.log.warn("moved_directory_not_walked", { site: name, prefix: `${move.from}/`, error: String(error) });
      }
      busy.add(name);
    }
    if (!more && move.published !== true) await publishMeanwhile(kit, move);
  }
  return more;
}

function sitesOf({ sites }: MovedDirectory): SiteName[] {
  return Object.keys(sites) as SiteName[];
}

/** So that other work has its turn. */
const PAGES_A_TURN = 20;

/** Resolves with whether the site has come to its end. */
async function walk(kit: Kit, ctx: Ctx, move: MovedDirectory, name: SiteName): Promise<boolean> {
  const site = kit.sites.find(name);
  if (site === undefined || site.foreign === "ignore") {
    await finish(kit, move, name);
    return true;
  }
  const after = move.sites[name] ?? "";
  const request = { site: name, prefix: `${move.from}/`, onlyMoved: true, ...(after === "" ? {} : { after }) };
  let pages = 0;
  for await (const page of importPrefix(kit, ctx, request)) {
    if (page.done) break;
    await change(kit, move, (now) => ({ ...now, sites: { ...now.sites, [name]: page.position } }));
    pages += 1;
    if (pages === PAGES_A_TURN || ctx.signal.aborted) return false;
  }
  await finish(kit, move, name);
  return true;
}

async function finish(kit: Kit, move: MovedDirectory, name: SiteName): Promise<void> {
  await change(kit, move, (now) => {
    const { [name]: _, ...sites } = now.sites;
    return { ...now, sites };
  });
}

/** Sites that do not answer hold up nobody else's publishing. */
async function publishMeanwhile(kit: Kit, move: MovedDirectory): Promise<void> {
  await change(kit, move, (now, tx) => {
    markForPublishing(tx, now.inode);
    return { ...now, published: true };
  });
}

/** What a crash undoes of it is done again. */
async function change(
  kit: Kit,
  { sequence, inode, atMs }: MovedDirectory,
  to: (now: MovedDirectory, tx: Transaction) => MovedDirectory,
): Promise<void> {
  const program = function* (tx: Transaction): Program<void> {
    const now = (yield* readMoves(tx)).find(
      (each) => each.sequence === sequence && each.inode === inode && each.atMs === atMs,
    );
    if (now === undefined) return;
    const next = to(now, tx);
    if (sitesOf(next).length > 0) writeMove(tx, next);
    else {
      dropMove(tx, now);
      markForPublishing(tx, inode);
    }
  };
  await kit.kv.transact(program, { durability: "visible" });
}

/**
 * Before a path is written, deleted or renamed: what lies under it and belongs elsewhere by now, or belongs to it and lies elsewhere, is taken in. It has an owner then, and
 * nobody takes it for what lay in the way.
 */
export async function settleMoved(kit: Kit, ctx: Ctx, path: FilePath): Promise<void> {
  const moves = await readCatalog(kit.kv, readMoves);
  if (moves.length === 0) return;
  for (const site of await sitesWithForeign(kit)) {
    const here = movesAt(moves, site.name);
    if (!isMoved(here, path)) continue;
    try {
      await settleAt(kit, ctx, site, keysFor(here, path));
    } catch (error) {
      if (isGfsError(error, "Canceled")) throw error;
      if (site.role !== "primary") continue;
      throw new GfsError(
        "Unavailable",
        `Nobody can tell what lies at ${path} since a directory was renamed: site ${site.name} does not answer; try again when it does.`,
        { op: "coordinator.settle", context: { path, site: site.name }, cause: error },
      );
    }
  }
}

async function settleAt(kit: Kit, ctx: Ctx, site: Site, keys: readonly string[]): Promise<void> {
  const objects: ObjectInfo[] = [];
  for (const key of keys) {
    const info = await headIfThere(ctx, site.store, key);
    if (info !== undefined) objects.push(info);
  }
  if (objects.length > 0) await takeInObjects(kit, site, objects, { onlyMoved: true });
}
