import { forEachBounded } from "../../core/async/for-each.ts";
import type { Ctx } from "../../core/context.ts";
import { isGfsError } from "../../core/errors.ts";
import { BUDGET, type Kv, type Program } from "../../kv/index.ts";
import { findOwner } from "../../namespace/index.ts";
import type { ObjectInfo, Site } from "../../stores/index.ts";
import { encodeObject, foundKey, objectKey, placeOf, stateKey, writtenId } from "./found-rows.ts";

export interface Looked {
  objects: number;
  /** Keys that no path can name. */
  refused: number;
}

interface SiteState {
  readonly after: string;
  readonly done: boolean;
}

const OBJECTS_A_PAGE = 1_000;
const ROWS_A_COMMIT = Math.floor(BUDGET.writes / 2) - 1;
const COMMITS_AT_ONCE = 8;
const HEADS_AT_ONCE = 16;

/** Writes down all that a site holds. Goes on where an earlier attempt was interrupted. */
export async function lookAtSite(
  ctx: Ctx,
  kv: Kv,
  site: Site,
  { looked, onObjects }: { readonly looked: Looked; readonly onObjects?: (count: number) => void },
): Promise<void> {
  let state = await kv.view(function* (tx): Program<SiteState> {
    const row = yield* tx.get(stateKey(site.name));
    return row === undefined ? { after: "", done: false } : (JSON.parse(Buffer.from(row).toString()) as SiteState);
  });
  let continuation: string | undefined;
  while (!state.done) {
    const page = await site.store.list(ctx, {
      limit: OBJECTS_A_PAGE,
      ...(continuation === undefined ? (state.after === "" ? {} : { after: state.after }) : { continuation }),
    });
    const objects = await withMetadata(ctx, site, page.objects);
    await forEachBounded(slicesOf(objects), COMMITS_AT_ONCE, async (some) => {
      await kv.transact(function* (tx): Program<void> {
        for (const info of some) {
          const place = placeOf(site.name, info);
          if (place === undefined || place === "refused") continue;
          tx.put(objectKey(site.name, info.key), encodeObject(info));
          if (!isForeign(site, info) || (yield* findOwner(tx, site.name, info.key)) !== undefined)
            tx.put(foundKey(place), Buffer.alloc(0));
        }
      });
    });
    looked.objects += objects.length;
    looked.refused += objects.filter((info) => placeOf(site.name, info) === "refused").length;
    onObjects?.(objects.length);
    ({ continuation } = page);
    state = { after: page.objects.at(-1)?.key ?? state.after, done: continuation === undefined };
    const next = state;
    await kv.transact(function* (tx): Program<void> {
      tx.put(stateKey(site.name), Buffer.from(JSON.stringify(next)));
    });
  }
}

/** What other tools wrote to a site that says to ignore it is in the catalog only where a backup has it. */
function isForeign({ foreign, store }: Site, info: ObjectInfo): boolean {
  return foreign === "ignore" && store.capabilities.userMetadata && writtenId(info) === undefined;
}

function* slicesOf(objects: readonly ObjectInfo[]): Generator<readonly ObjectInfo[]> {
  for (let from = 0; from < objects.length; from += ROWS_A_COMMIT) yield objects.slice(from, from + ROWS_A_COMMIT);
}

/** A listing may leave the metadata out. */
async function withMetadata(ctx: Ctx, site: Site, listed: readonly ObjectInfo[]): Promise<ObjectInfo[]> {
  const objects = [...listed];
  if (!site.store.capabilities.userMetadata) return objects;
  const gone = new Set<number>();
  await forEachBounded(listed, HEADS_AT_ONCE, async (info, index) => {
    if (Object.keys(info.metadata).length > 0 || info.key.endsWith("/")) return;
    try {
      objects[index] = await site.store.head(ctx, info.key);
    } catch (error) {
      if (!isGfsError(error, "NotFound")) throw error;
      gone.add(index);
    }
  });
  return objects.filter((_, index) => !gone.has(index));
}
