import { backgroundCtx } from "../../../core/context.ts";
import { toGfsError } from "../../../core/errors.ts";
import type { SiteName } from "../../../core/ids.ts";
import { systemClock } from "../../../core/ports/clock.ts";
import { silentLogger } from "../../../core/ports/log.ts";
import { noMetrics } from "../../../core/ports/metrics.ts";
import { systemRandom } from "../../../core/ports/random.ts";
import type { Kv } from "../../../kv/index.ts";
import type { Site } from "../../../stores/index.ts";
import type { CliContext } from "../../context.ts";
import type { Config } from "../../config/index.ts";

export interface SitesOf {
  readonly config: Config;
  /** Knows at which places the sites lie. */
  readonly kv: Kv;
  /** Sites that are not even opened: an empty mount point would be marked as one of ours. */
  readonly without?: readonly Unanswered[];
}

/** Opens the sites as the coordinator does, for the time of the work. */
export async function withSites<T>(
  { signal }: CliContext,
  { config: whole, kv, without = [] }: SitesOf,
  work: (sites: readonly Site[]) => Promise<T>,
): Promise<T> {
  const [{ openSites }, { createPlaceBook, createUploadBook }, { createLatencyTracker }] = await Promise.all([
    import("../../daemons/open-sites.ts"),
    import("../../../coordinator/index.ts"),
    import("../../../placement/index.ts"),
  ]);
  const config = { ...whole, sites: whole.sites.filter(({ name }) => !without.some((site) => site.name === name)) };
  const sites = await openSites(
    config,
    {
      config,
      clock: systemClock,
      random: systemRandom,
      log: silentLogger,
      metrics: noMetrics,
      latency: createLatencyTracker(),
      bookOf: (site) => createPlaceBook({ kv, random: systemRandom, isCurrent: async () => true }, site),
      uploadsOf: (site) => createUploadBook(kv, systemClock, site),
    },
    signal,
  );
  try {
    return await work(sites);
  } finally {
    await Promise.allSettled(sites.map(async ({ store }) => await store.close()));
  }
}

export interface Unanswered {
  readonly name: SiteName;
  readonly error: string;
}

/**
 * For a catalog that knows no places: a site is where its marker is. One without a marker has never held anything of ours, or is not mounted, and is not
 * asked anything; nothing is written there.
 */
export async function learnPlaces(context: CliContext, { config, kv }: SitesOf): Promise<readonly Unanswered[]> {
  const [{ openStore }, { readMarker }, { createPlaceBook }] = await Promise.all([
    import("../../daemons/open-store.ts"),
    import("../../../stores/index.ts"),
    import("../../../coordinator/index.ts"),
  ]);
  const unanswered: Unanswered[] = [];
  for (const { name, store: driver } of config.sites) {
    try {
      const { connectMs } = config.resilience.timeout;
      const deps = { clock: systemClock, random: systemRandom, connectTimeoutMs: connectMs, existing: true };
      const { store } = await openStore(driver, deps);
      try {
        const id = await readMarker(store, backgroundCtx({ signal: context.signal, requestId: "rebuild" }));
        const book = createPlaceBook({ kv, random: systemRandom, isCurrent: async () => true }, name);
        if (id === undefined)
          unanswered.push({
            name,
            error: "There is no marker of GlobalFS: its disk is not mounted, or it was never used.",
          });
        else await book.write({ state: "held", id });
      } finally {
        await store.close();
      }
    } catch (error) {
      unanswered.push({ name, error: toGfsError(error).message });
    }
  }
  return unanswered;
}
