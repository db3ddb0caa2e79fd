import { forEachBounded } from "../../core/async/for-each.ts";
import type { Ctx } from "../../core/context.ts";
import { isGfsError } from "../../core/errors.ts";
import type { FilePath, SiteName } from "../../core/ids.ts";
import { readCatalog } from "../catalog-view.ts";
import { isAdoptable } from "./foreign.ts";
import type { Kit } from "../kit.ts";
import { sitesWithForeign } from "./first-import.ts";

const PARALLEL_SITES = 8;

/** What the sites say of a key that the catalog does not know. */
export interface UnknownKey {
  /** Sites that have an object under the key, and those that could not be asked. */
  readonly mayHold: ReadonlySet<SiteName>;
  /** A site has an object there that everybody could see. */
  readonly visible: boolean;
}

/** The caller holds the path's lock, so that no write of this process is just landing there, and has settled what a renamed directory has left there. */
export async function askSites(kit: Kit, ctx: Ctx, path: FilePath): Promise<UnknownKey> {
  const merged = await sitesWithForeign(kit);
  const mayHold = new Set<SiteName>();
  let visible = false;
  await forEachBounded(merged, PARALLEL_SITES, async (site) => {
    if (site.circuit?.() === "open") {
      mayHold.add(site.name);
      return;
    }
    try {
      const info = await site.store.head(ctx, path);
      mayHold.add(site.name);
      if (await readCatalog(kit.kv, (tx) => isAdoptable(tx, kit, { site, info, path }))) visible = true;
    } catch (error) {
      if (isGfsError(error, "Canceled")) throw error;
      if (!isGfsError(error, "NotFound")) mayHold.add(site.name);
    }
  });
  return { mayHold, visible };
}
