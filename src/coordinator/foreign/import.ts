import type { Ctx } from "../../core/context.ts";
import { GfsError } from "../../core/errors.ts";
import type { SiteName } from "../../core/ids.ts";
import { adoptForeign } from "../../namespace/index.ts";
import type { Site } from "../../stores/index.ts";
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
    for (let objects = page.objects; objects.length > 0;) {
      kit.assertCatalogSpace();
      const some = objects;
      const nowMs = kit.clock.nowMs();
      const outcome = await kit.inodes.transact((tx, nextInode) =>
        adoptForeign(tx, {
          site: site.name,
          objects: some,
          nowMs,
          nextInode,
          nextVersionId: kit.nextVersionId,
          isInFlight: (reader, object) => kit.writer.isInFlight(reader, object),
          ...(request.onlyMoved === undefined ? {} : { onlyMoved: request.onlyMoved }),
        }),
      );
      total.scanned += outcome.seen;
      total.adopted += outcome.adopted;
      total.skipped += outcome.skipped;
      total.refused += outcome.refused.length;
      refusedExample ??= outcome.refused[0];
      position = (some[outcome.seen - 1] as { key: string }).key;
      objects = some.slice(outcome.seen);
    }
    const done = continuation === undefined;
    yield { ...total, position, done, ...(refusedExample === undefined ? {} : { refusedExample }) };
    if (done) return;
  }
}
