import type { AddSite } from "../../coordinator/index.ts";
import type { SiteName } from "../../core/ids.ts";
import type { EndpointGuard } from "../../security/index.ts";
import type { Site } from "../../stores/index.ts";
import type { Config } from "../config/index.ts";
import { openSite, type SiteDeps } from "./open-site.ts";
import { labelOf } from "./open-store.ts";
import { storeOfUri } from "./site-uri.ts";

/** All at once: the slowest site decides how long a start takes, not their sum. */
export async function openSites(config: Config, deps: SiteDeps, signal: AbortSignal): Promise<Site[]> {
  const outcomes = await Promise.allSettled(
    config.sites.map(
      async (site) => await openSite(site, deps, { mustAnswer: false, moves: false, adopts: false, signal }),
    ),
  );
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  const opened = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
  if (failed === undefined) return opened;
  await Promise.allSettled(opened.map(async (site) => await site.store.close()));
  throw failed.reason;
}

export async function openAddedSite(
  request: AddSite,
  deps: SiteDeps,
  guard: EndpointGuard,
  { signal, isRestored }: { readonly signal: AbortSignal; readonly isRestored: boolean },
): Promise<Site> {
  // The operator's own file names the place: taking a site out and back in needs no other leave.
  const configured = deps.config.sites.find(
    ({ name, store }) => name === request.name && labelOf(store) === request.uri,
  );
  const options = {
    mustAnswer: !isRestored,
    moves: !isRestored,
    adopts: !isRestored && request.adopt === true,
    signal,
  };
  if (configured !== undefined)
    return await openSite(
      { ...configured, role: request.role, foreign: request.foreign ?? configured.foreign },
      deps,
      options,
    );
  const store = await storeOfUri(request.uri, guard);
  const { name, role, foreign = "merge" } = request;
  return await openSite({ name: name as SiteName, role, store, foreign }, deps, options);
}
