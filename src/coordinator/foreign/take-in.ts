import type { Ctx } from "../../core/context.ts";
import { isGfsError, toGfsError } from "../../core/errors.ts";
import type { FilePath } from "../../core/ids.ts";
import { findDirectory, keysFor, movesAt, OWN_PREFIX, readMoves } from "../../namespace/index.ts";
import { compareKeys, type Site, SITE_ROLES } from "../../stores/index.ts";
import { readCatalog } from "../catalog-view.ts";
import type { Kit } from "../kit.ts";
import { sitesWithForeign } from "./first-import.ts";
import { takeInObjects } from "./import.ts";

/** A file system knows names by their inodes. So what only sites have in a directory is taken in when that is read, page by page; what lies deeper is when that is. */

export interface NamesOf {
  /** Empty: the root. */
  readonly path: string;
  /** The name that came last, with a slash for a directory. */
  readonly after?: string;
  /** 1 to 1,000. */
  readonly limit: number;
}

export interface TakenIn {
  /** Behind this name sites may have more. Absent: there is nothing more. */
  readonly upTo?: string;
  /** Could not be listed. */
  readonly failed: readonly { readonly site: string; readonly error: string }[];
}

export async function takeInNames(kit: Kit, ctx: Ctx, names: NamesOf): Promise<TakenIn> {
  const prefix = names.path === "" ? "" : `${names.path}/`;
  const failed: { site: string; error: string }[] = [];
  let upTo: string | undefined;
  // What the best site has wins a name.
  const sites = [...(await sitesWithForeign(kit))].sort(
    (one, other) => SITE_ROLES.indexOf(one.role) - SITE_ROLES.indexOf(other.role),
  );
  for (const site of sites) {
    if (kit.coverage.isTakenIn(site, prefix)) continue;
    try {
      const last = await takeInAt(kit, ctx, site, { ...names, prefix });
      if (last !== undefined && (upTo === undefined || compareKeys(last, upTo) < 0)) upTo = last;
    } catch (error) {
      if (isGfsError(error, "Canceled")) throw error;
      failed.push({ site: site.name, error: toGfsError(error).message });
    }
  }
  return { failed, ...(upTo === undefined ? {} : { upTo }) };
}

interface NamesAt extends NamesOf {
  readonly prefix: string;
}

/** Resolves with the name up to which it has come; undefined at the end. */
async function takeInAt(kit: Kit, ctx: Ctx, site: Site, wanted: NamesAt): Promise<string | undefined> {
  const { prefix, after, limit } = wanted;
  const startedMs = kit.clock.monotonicMs();
  let upTo: string | undefined;
  const moves = movesAt(await readCatalog(kit.kv, readMoves), site.name);
  for (const keys of keysFor(moves, prefix)) {
    const page = await site.store.list(ctx, {
      prefix: keys,
      delimiter: "/",
      limit,
      ...(after === undefined ? {} : { after: keys + after }),
    });
    await takeInObjects(kit, site, page.objects);
    for (const below of page.prefixes)
      if (below !== OWN_PREFIX)
        await takeInBelow(kit, ctx, site, { keys: below, name: below.slice(keys.length), prefix });
    if (page.continuation === undefined) continue;
    const last = [page.objects.at(-1)?.key, page.prefixes.at(-1)]
      .filter((key) => key !== undefined)
      .map((key) => key.slice(keys.length))
      .sort(compareKeys)
      .at(-1);
    if (last !== undefined && (upTo === undefined || compareKeys(last, upTo) < 0)) upTo = last;
  }
  if (upTo === undefined && after === undefined) kit.coverage.tookIn(site, prefix, startedMs);
  return upTo;
}

interface Below {
  readonly keys: string;
  /** With a slash. */
  readonly name: string;
  readonly prefix: string;
}

const OBJECTS_A_LOOK = 100;
/** A directory in which nothing shows among so many is none. */
const MOST_LOOKS = 10;

/** As much of a directory that only the site knows as it takes to know it. */
async function takeInBelow(kit: Kit, ctx: Ctx, site: Site, { keys, name, prefix }: Below): Promise<void> {
  const path = (prefix + name.slice(0, -1)) as FilePath;
  const isKnown = async (): Promise<boolean> =>
    (await readCatalog(kit.kv, (tx) => findDirectory(tx, path))) !== undefined;
  let continuation: string | undefined;
  for (let look = 0; look < MOST_LOOKS && !(await isKnown()); look++) {
    const more = continuation === undefined ? {} : { continuation };
    const page = await site.store.list(ctx, { prefix: keys, limit: OBJECTS_A_LOOK, ...more });
    await takeInObjects(kit, site, page.objects);
    continuation = page.continuation;
    if (continuation === undefined) return;
  }
}

/** A directory that only sites know. Resolves with whether there is one. */
export async function takeInDirectory(kit: Kit, ctx: Ctx, path: FilePath): Promise<boolean> {
  const moves = await readCatalog(kit.kv, readMoves);
  const slash = path.lastIndexOf("/") + 1;
  for (const site of await sitesWithForeign(kit)) {
    const [prefix, name] = [path.slice(0, slash), `${path.slice(slash)}/`];
    if (kit.coverage.isTakenIn(site, prefix)) continue;
    try {
      for (const keys of keysFor(movesAt(moves, site.name), `${path}/`))
        await takeInBelow(kit, ctx, site, { keys, name, prefix });
    } catch (error) {
      if (isGfsError(error, "Canceled") || site.role === "primary") throw error;
      kit.log.debug("directory_without_site", { path, site: site.name, error: toGfsError(error).message });
    }
  }
  return (await readCatalog(kit.kv, (tx) => findDirectory(tx, path))) !== undefined;
}
