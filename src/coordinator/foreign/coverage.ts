import { LRUCache } from "lru-cache";
import type { Ctx } from "../../core/context.ts";
import { isGfsError } from "../../core/errors.ts";
import type { FilePath } from "../../core/ids.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { Counter } from "../../core/ports/metrics.ts";
import type { Site } from "../../stores/index.ts";

/**
 * Directories of sites that were listed just now: which names they have, so that the many names that they do not have cost no request. Only as long as the
 * site says that a listing stands, since another tool may write there.
 */
export interface Coverage {
  /** Whether the site surely has no object of this path. Asks for a listing where names of its directory are looked up again and again. */
  lacks(ctx: Ctx, site: Site, path: FilePath): Promise<boolean>;
  /** Whether all names of the directory at the site were taken into the catalog, by a listing that stands. */
  isTakenIn(site: Site, prefix: string): boolean;
  /** They were, by a listing that began then. */
  tookIn(site: Site, prefix: string, startedMs: number): void;
}

/** So many look-ups of a directory are worth a listing. */
const WORTH_A_LISTING = 3;
/** Larger directories are asked name by name. */
const MOST_NAMES = 1_000;
const MOST_NAMES_IN_ALL = 200_000;
const MOST_TAKEN_IN = 10_000;
const NAMELESS = 1;

interface Directory {
  readonly untilMs: number;
  lookups: number;
  /** Absent until it was listed, and for one with too many names. */
  names?: ReadonlySet<string>;
  listing?: Promise<void>;
}

export function createCoverage(deps: { readonly clock: Clock; readonly answers: Counter }): Coverage {
  const { clock, answers } = deps;
  const directories = new LRUCache<string, Directory>({
    maxSize: MOST_NAMES_IN_ALL,
    sizeCalculation: ({ names }) => NAMELESS + (names?.size ?? 0),
  });

  /** Until when a listing of each stands. */
  const takenIn = new LRUCache<string, number>({ max: MOST_TAKEN_IN });
  const list = async (ctx: Ctx, site: Site, prefix: string): Promise<ReadonlySet<string> | undefined> => {
    const page = await site.store.list(ctx, { prefix, delimiter: "/", limit: MOST_NAMES });
    return page.continuation === undefined ? new Set(page.objects.map(({ key }) => key)) : undefined;
  };

  const learn = async (
    ctx: Ctx,
    site: Site,
    place: { readonly key: string; readonly prefix: string },
  ): Promise<void> => {
    // What is written while the listing is made stands no longer than what was there before it.
    const untilMs = clock.monotonicMs() + (site.listingStandsMs ?? 0);
    const names = await list(ctx, site, place.prefix);
    directories.set(place.key, { untilMs, lookups: WORTH_A_LISTING, ...(names === undefined ? {} : { names }) });
  };

  const isTakenIn: Coverage["isTakenIn"] = (site, prefix) =>
    (takenIn.get(`${site.name}:${prefix}`) ?? 0) > clock.monotonicMs();
  return {
    isTakenIn,
    tookIn(site, prefix, startedMs) {
      const standsMs = site.listingStandsMs ?? 0;
      if (standsMs > 0) takenIn.set(`${site.name}:${prefix}`, startedMs + standsMs);
    },
    async lacks(ctx, site, path) {
      const standsMs = site.listingStandsMs ?? 0;
      if (standsMs === 0) return false;
      const prefix = path.slice(0, path.lastIndexOf("/") + 1);
      if (isTakenIn(site, prefix)) {
        answers.add(1, { site: site.name, from: "listing" });
        return true;
      }
      const key = `${site.name}:${prefix}`;
      let directory = directories.get(key);
      if (directory === undefined || directory.untilMs <= clock.monotonicMs()) {
        directory = { untilMs: clock.monotonicMs() + standsMs, lookups: 0 };
        directories.set(key, directory);
      }
      directory.lookups += 1;
      if (directory.lookups === WORTH_A_LISTING) {
        const asking = directory;
        directory.listing = learn(ctx, site, { key, prefix }).catch((error: unknown) => {
          // The name itself is asked for then, and tells what is wrong with the site. Whoever has left leaves the listing to others.
          if (isGfsError(error, "Canceled")) asking.lookups = 0;
        });
      }
      await directory.listing;
      const { names, untilMs } = directories.get(key) ?? directory;
      const lacks = names !== undefined && untilMs > clock.monotonicMs() && !names.has(path);
      answers.add(1, { site: site.name, from: lacks ? "listing" : "site" });
      return lacks;
    },
  };
}
