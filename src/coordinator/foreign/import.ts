import type { Ctx } from "../../core/context.ts";
import { GfsError } from "../../core/errors.ts";
import type { SiteName } from "../../core/ids.ts";
import { type Adopted, adoptForeign, findOwner } from "../../namespace/index.ts";
import { compareKeys, type ObjectInfo, type Site } from "../../stores/index.ts";
import type { Kit } from "../kit.ts";
import type { ImportProgress, ImportRequest } from "../service/service.ts";

const OBJECTS_A_PAGE = 1_000;

/** Takes a site's objects into the catalog, page by page; each page is kept when the import is stopped. */
export async function* importPrefix(
  kit: Kit,
  ctx: Ctx,
  request: ImportRequest & { readonly onlyMoved?: boolean },
): AsyncGenerator<ImportProgress> {
  const site = kit.sites.find(request.site as SiteName);
  if (site === undefined)
    throw new GfsError("NotFound", `There is no site ${request.site}; \`globalfs site list\` names them.`);
  const total = { scanned: 0, adopted: 0, skipped: 0, refused: 0 };
  let refusedExample: string | undefined;
  let position = request.after ?? "";
  let continuation: string | undefined;
  const { viewSync } = kit.kv;
  const query = {
    limit: OBJECTS_A_PAGE,
    // What has an owner stays where it is; the site need not describe it.
    ...(request.onlyMoved !== true || viewSync === undefined
      ? {}
      : { isKnown: (key: string) => viewSync((tx) => findOwner(tx, site.name, key)) !== undefined }),
    ...(request.prefix === undefined ? {} : { prefix: request.prefix }),
    ...(request.after === undefined ? {} : { after: request.after }),
  };
  const fetchPage = async (token: string | undefined): ReturnType<Site["store"]["list"]> =>
    await site.store.list(ctx, { ...query, ...(token === undefined ? {} : { continuation: token }) });
  let next = fetchPage(undefined);
  for (;;) {
    const page = await next;
    continuation = page.continuation;
    // The site lists the next page while the catalog takes this one.
    if (continuation !== undefined) {
      next = fetchPage(continuation);
      next.catch(() => undefined);
    }
    const outcome = await takeInObjects(kit, site, page.objects, request);
    total.scanned += outcome.seen;
    total.adopted += outcome.adopted;
    total.skipped += outcome.skipped;
    total.refused += outcome.refused.length;
    refusedExample ??= outcome.refused[0];
    for (const last of [page.objects.at(-1)?.key, page.known?.at(-1)])
      if (last !== undefined && compareKeys(last, position) > 0) position = last;
    const done = continuation === undefined;
    yield { ...total, position, done, ...(refusedExample === undefined ? {} : { refusedExample }) };
    if (done) return;
  }
}

/** What a crash undoes of it is found again. */
const AGAIN = { durability: "visible" } as const;

/** In as many transactions as it takes, which wait for the disk together. */
export async function takeInObjects(
  kit: Kit,
  site: Site,
  objects: readonly ObjectInfo[],
  { onlyMoved }: { readonly onlyMoved?: boolean } = {},
): Promise<Adopted> {
  const total = { seen: 0, adopted: 0, skipped: 0, refused: [] as string[] };
  while (total.seen < objects.length) {
    kit.assertCatalogSpace();
    const left = objects.slice(total.seen);
    const nowMs = kit.clock.nowMs();
    const outcome = await kit.inodes.transact(
      (tx, nextInode) =>
        adoptForeign(tx, {
          site: site.name,
          objects: left,
          nowMs,
          nextInode,
          nextVersionId: kit.nextVersionId,
          isInFlight: (reader, object) => kit.writer.isInFlight(reader, object),
          ...(onlyMoved === undefined ? {} : { onlyMoved }),
        }),
      AGAIN,
    );
    total.seen += outcome.seen;
    total.adopted += outcome.adopted;
    total.skipped += outcome.skipped;
    total.refused.push(...outcome.refused);
  }
  // What was there already needs no wait; of what is moved some may have been buried.
  if (total.adopted > 0 || (onlyMoved === true && total.seen > 0)) await kit.kv.flush();
  return total;
}
