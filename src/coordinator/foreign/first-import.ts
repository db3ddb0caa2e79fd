import type { Ctx } from "../../core/context.ts";
import type { SiteName } from "../../core/ids.ts";
import { encodeKey, type Program, type Reader } from "../../kv/index.ts";
import type { Site } from "../../stores/index.ts";
import { readCatalog } from "../catalog-view.ts";
import type { Kit } from "../kit.ts";
import { importPrefix } from "./import.ts";

/**
 * A site of `foreign: import` holds objects from before, and nobody else writes there any more: they are taken in once, page by page, and from then on the
 * catalog alone tells what is there. Until it has come to its end the site is asked as others are.
 */
const SPACE = "coordinator-import";

export interface FirstImport {
  readonly adopted: number;
  readonly refused: number;
  /** The last key that was taken in. */
  readonly position?: string;
  readonly doneMs?: number;
}

function* findFirstImport(tx: Reader, site: SiteName): Program<FirstImport | undefined> {
  const row = yield* tx.get(encodeKey(SPACE, site));
  return row === undefined ? undefined : (JSON.parse(Buffer.from(row).toString()) as FirstImport);
}

/** Of a site that is taken in once. */
export async function firstImportOf(kit: Kit, site: Site): Promise<FirstImport | undefined> {
  if (site.foreign !== "import") return undefined;
  return (await readCatalog(kit.kv, (tx) => findFirstImport(tx, site.name))) ?? { adopted: 0, refused: 0 };
}

/** Whether the site may hold objects that the catalog does not know and that count. */
export function* countsForeign(tx: Reader, site: Site): Program<boolean> {
  if (site.foreign !== "import") return site.foreign === "merge";
  return (yield* findFirstImport(tx, site.name))?.doneMs === undefined;
}

export async function sitesWithForeign(kit: Kit): Promise<readonly Site[]> {
  const sites = kit.sites.list().filter(({ foreign }) => foreign !== "ignore");
  if (sites.every(({ foreign }) => foreign === "merge")) return sites;
  return await readCatalog(kit.kv, function* (tx): Program<readonly Site[]> {
    const counting: Site[] = [];
    for (const site of sites) if (yield* countsForeign(tx, site)) counting.push(site);
    return counting;
  });
}

/** So that the leader's other work has its turn. */
const PAGES_A_TURN = 20;

/** Goes on where it was, for some pages; resolves with whether there are more. */
export async function importFirst(kit: Kit, ctx: Ctx, site: Site): Promise<boolean> {
  const before = await firstImportOf(kit, site);
  if (before === undefined || before.doneMs !== undefined) return false;
  let pages = 0;
  const { position } = before;
  const request = { site: site.name, prefix: "", ...(position === undefined ? {} : { after: position }) };
  for await (const page of importPrefix(kit, ctx, request)) {
    const now: FirstImport = {
      adopted: before.adopted + page.adopted,
      refused: before.refused + page.refused,
      position: page.position,
      ...(page.done ? { doneMs: kit.clock.nowMs() } : {}),
    };
    await kit.kv.transact(function* (tx): Program<void> {
      tx.put(encodeKey(SPACE, site.name), Buffer.from(JSON.stringify(now)));
    });
    if (page.done) kit.log.info("site_imported", { site: site.name, adopted: now.adopted, refused: now.refused });
    pages += 1;
    if (pages === PAGES_A_TURN || ctx.signal.aborted) return !page.done;
  }
  return false;
}

/** What is added under this name another time is another place. */
export async function forgetFirstImport(kit: Kit, site: SiteName): Promise<void> {
  await kit.kv.transact(function* (tx): Program<void> {
    if ((yield* findFirstImport(tx, site)) !== undefined) tx.delete(encodeKey(SPACE, site));
  });
}
