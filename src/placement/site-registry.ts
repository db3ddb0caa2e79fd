import { GfsError } from "../core/errors.ts";
import type { SiteName } from "../core/ids.ts";
import type { Site, SiteDirectory } from "../stores/index.ts";

/** The sites of this process, in the order they were configured; more may come and go at run time. */
export interface SiteRegistry extends SiteDirectory {
  add(site: Site): void;
  /** Nobody finds it any more once this was called; resolves when its store is closed. */
  remove(name: SiteName): Promise<void>;
  /** Closes every store. */
  close(): Promise<void>;
}

const SITE_NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

export function checkSiteName(name: string): asserts name is SiteName {
  if (SITE_NAME.test(name)) return;
  throw new GfsError(
    "InvalidArgument",
    `"${name.slice(0, 80)}" cannot name a site; use 1 to 63 lower-case letters, digits and dashes, without a dash at the ends.`,
  );
}

export function createSiteRegistry(initial: readonly Site[] = []): SiteRegistry {
  let sites: readonly Site[] = [];
  const registry: SiteRegistry = {
    find: (name) => sites.find((site) => site.name === name),
    list: () => sites,
    add(site) {
      checkSiteName(site.name);
      if (registry.find(site.name) !== undefined) {
        throw new GfsError(
          "AlreadyExists",
          `There is a site ${site.name} already; choose another name or remove it first.`,
        );
      }
      sites = [...sites, site];
    },
    async remove(name) {
      const site = registry.find(name);
      if (site === undefined) throw new GfsError("NotFound", `There is no site ${name}.`);
      sites = sites.filter((each) => each !== site);
      await site.store.close();
    },
    async close() {
      const all = sites;
      sites = [];
      await Promise.allSettled(all.map(async (site) => await site.store.close()));
    },
  };
  for (const site of initial) registry.add(site);
  return registry;
}
