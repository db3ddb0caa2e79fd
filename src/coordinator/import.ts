import type { Ctx } from "../core/context.ts";
import { GfsError } from "../core/errors.ts";
import type { SiteName } from "../core/ids.ts";
import { adoptForeign } from "../namespace/index.ts";
import type { Site } from "../stores/index.ts";
import type { Parts } from "./parts.ts";
import type { ImportProgress, ImportRequest } from "./service.ts";

/** Objects of one transaction: long enough to be fast, short enough not to hold up a write. */
const OBJECTS_A_TRANSACTION = 500;
const OBJECTS_A_PAGE = 1_000;

/** Takes a site's objects into the catalog, page by page; each page is kept when the import is stopped. */
export async function* importPrefix(
  parts: Parts,
  ctx: Ctx,
  request: ImportRequest & { readonly buryHidden?: boolean },
): AsyncGenerator<ImportProgress> {
  const site = parts.sites.find(request.site as SiteName);
  if (site === undefined)
    throw new GfsError("NotFound", `There is no site ${request.site}; \`globalfs site list\` names them.`);
  const total = { scanned: 0, adopted: 0, skipped: 0, refused: 0 };
  let refusedExample: string | undefined;
  let position = request.after ?? "";
  let continuation: string | undefined;
  const query = {
    limit: OBJECTS_A_PAGE,
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
    for (let from = 0; from < page.objects.length; from += OBJECTS_A_TRANSACTION) {
      parts.assertCatalogSpace();
      const objects = page.objects.slice(from, from + OBJECTS_A_TRANSACTION);
      const nowMs = parts.clock.nowMs();
      const outcome = await parts.inodes.transact((tx, nextInode) =>
        adoptForeign(tx, {
          site: site.name,
          objects,
          nowMs,
          nextInode,
          nextVersionId: parts.nextVersionId,
          ...(request.buryHidden === undefined ? {} : { buryHidden: request.buryHidden }),
        }),
      );
      total.scanned += objects.length;
      total.adopted += outcome.adopted;
      total.skipped += outcome.skipped;
      total.refused += outcome.refused.length;
      refusedExample ??= outcome.refused[0];
      position = (objects.at(-1) as { key: string }).key;
    }
    const done = continuation === undefined;
    yield { ...total, position, done, ...(refusedExample === undefined ? {} : { refusedExample }) };
    if (done) return;
  }
}
