import type { Ctx } from "../core/context.ts";
import { GfsError } from "../core/errors.ts";
import type { SiteName } from "../core/ids.ts";
import { encodeKey, type Kv, prefixRange, type Program } from "../kv/index.ts";
import { checkSiteName } from "../placement/index.ts";
import type { Site } from "../stores/index.ts";
import type { Parts } from "./parts.ts";
import type { AddSite, RemoveSite, SiteStatus } from "./service.ts";
import { lossOf, refuseLoss } from "./site-removal.ts";

/** Sites come and go at run time. One that was added here is written down, so that it is there again after a restart. */
const SPACE = "coordinator-site";
const MAX_ADDED_SITES = 1_000;

export async function siteStatus(parts: Parts, site: Site): Promise<SiteStatus> {
  const health = await parts.health.healthOf(site);
  const circuitState = parts.router.circuitOf(site);
  const latencyMs = parts.router.latencyOf(site);
  return {
    name: site.name,
    role: site.role,
    driver: site.store.driver,
    label: site.label,
    healthy: health.healthy,
    checkedAtMs: health.checkedAtMs,
    ...(health.error === undefined ? {} : { error: health.error }),
    ...(circuitState === undefined ? {} : { circuitState }),
    ...(latencyMs === undefined ? {} : { latencyMs }),
  };
}

export async function listSites(parts: Parts): Promise<SiteStatus[]> {
  const statuses: SiteStatus[] = [];
  for (const site of parts.sites.list()) statuses.push(await siteStatus(parts, site));
  return statuses;
}

export async function addSite(parts: Parts, ctx: Ctx, request: AddSite): Promise<SiteStatus> {
  const { name } = request;
  checkSiteName(name);
  if (parts.sites.find(name) !== undefined) {
    throw new GfsError("AlreadyExists", `There is a site ${name} already; remove it first or choose another name.`);
  }
  const site = await parts.openSite(request, { signal: ctx.signal, isRestored: false });
  try {
    parts.sites.add(site);
  } catch (error) {
    await site.store.close();
    throw error;
  }
  await parts.kv.transact(function* (tx): Program<void> {
    tx.put(encodeKey(SPACE, name), Buffer.from(JSON.stringify(request)));
  });
  parts.log.info("site_added", { site: name, role: site.role, label: site.label });
  return await siteStatus(parts, site);
}

/** Refused where something would be lost, unless it is forced. */
export async function removeSite(parts: Parts, name: string, { force }: RemoveSite = {}): Promise<void> {
  const site = parts.sites.find(name as SiteName);
  if (site === undefined)
    throw new GfsError("NotFound", `There is no site ${name}; \`globalfs site list\` names them.`);
  const loss = await lossOf(parts, site);
  if (force !== true) refuseLoss(site.name, loss);
  await parts.kv.transact(function* (tx): Program<void> {
    tx.delete(encodeKey(SPACE, name));
  });
  await parts.sites.remove(name as SiteName);
  parts.log.info("site_removed", { site: name, ...loss });
}

/** Whether a site was added at run time and not removed since. */
export async function isAdded(kv: Kv, name: SiteName): Promise<boolean> {
  return await kv.view(function* (tx) {
    return (yield* tx.get(encodeKey(SPACE, name))) !== undefined;
  });
}

/** The operator says that what answers there is the site. */
export async function adoptSite(parts: Parts, name: string): Promise<SiteStatus> {
  const site = parts.sites.find(name as SiteName);
  if (site === undefined)
    throw new GfsError("NotFound", `There is no site ${name}; \`globalfs site list\` names them.`);
  await site.adopt?.();
  parts.log.info("site_adopted", { site: name, label: site.label });
  await parts.health.checkNow(site);
  return await siteStatus(parts, site);
}

/** Opens again what was added at run time. One that is away comes back by itself; one that is not allowed any more is named in the log. */
export async function restoreSites(parts: Parts, signal: AbortSignal): Promise<void> {
  const rows = await parts.kv.view((tx) => tx.range({ ...prefixRange(encodeKey(SPACE)), limit: MAX_ADDED_SITES }));
  for (const row of rows) {
    const request = JSON.parse(Buffer.from(row.value).toString()) as AddSite;
    if (parts.sites.find(request.name as SiteName) !== undefined) continue;
    try {
      parts.sites.add(await parts.openSite(request, { signal, isRestored: true }));
    } catch (error) {
      parts.log.error("site_not_restored", { site: request.name, error: String(error) });
    }
  }
}
