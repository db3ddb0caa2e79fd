import type { Ctx } from "../../core/context.ts";
import { GfsError } from "../../core/errors.ts";
import type { SiteName } from "../../core/ids.ts";
import { encodeKey, type Kv, prefixRange, type Program } from "../../kv/index.ts";
import { checkSiteName } from "../../placement/index.ts";
import type { Site } from "../../stores/index.ts";
import { firstImportOf, forgetFirstImport } from "../foreign/first-import.ts";
import type { Kit } from "../kit.ts";
import type { AddSite, RemoveSite, SiteStatus } from "../service/service.ts";
import { lossOf, refuseLoss } from "./site-removal.ts";

/** Sites come and go at run time. One that was added here is written down, so that it is there again after a restart. */
const SPACE = "coordinator-site";
const MAX_ADDED_SITES = 1_000;

export async function siteStatus(kit: Kit, site: Site): Promise<SiteStatus> {
  const health = await kit.health.healthOf(site);
  const circuitState = kit.router.circuitOf(site);
  const latencyMs = kit.router.latencyOf(site);
  const imported = await firstImportOf(kit, site);
  return {
    name: site.name,
    role: site.role,
    driver: site.store.driver,
    label: site.label,
    healthy: health.healthy,
    checkedAtMs: health.checkedAtMs,
    foreign: site.foreign,
    ...(imported === undefined ? {} : { imported }),
    ...(health.error === undefined ? {} : { error: health.error }),
    ...(circuitState === undefined ? {} : { circuitState }),
    ...(latencyMs === undefined ? {} : { latencyMs }),
  };
}

export async function listSites(kit: Kit): Promise<SiteStatus[]> {
  const statuses: SiteStatus[] = [];
  for (const site of kit.sites.list()) statuses.push(await siteStatus(kit, site));
  return statuses;
}

export async function addSite(kit: Kit, ctx: Ctx, request: AddSite): Promise<SiteStatus> {
  const { name } = request;
  checkSiteName(name);
  if (kit.sites.find(name) !== undefined) {
    throw new GfsError("AlreadyExists", `There is a site ${name} already; remove it first or choose another name.`);
  }
  const site = await kit.openSite(request, { signal: ctx.signal, isRestored: false });
  try {
    kit.sites.add(site);
  } catch (error) {
    await site.store.close();
    throw error;
  }
  await kit.kv.transact(function* (tx): Program<void> {
    tx.put(encodeKey(SPACE, name), Buffer.from(JSON.stringify(request)));
  });
  kit.log.info("site_added", { site: name, role: site.role, label: site.label });
  return await siteStatus(kit, site);
}

/** Refused where something would be lost, unless it is forced. */
export async function removeSite(kit: Kit, name: string, { force }: RemoveSite = {}): Promise<void> {
  const site = kit.sites.find(name as SiteName);
  if (site === undefined)
    throw new GfsError("NotFound", `There is no site ${name}; \`globalfs site list\` names them.`);
  const loss = await lossOf(kit, site);
  if (force !== true) refuseLoss(site.name, loss);
  await kit.kv.transact(function* (tx): Program<void> {
    tx.delete(encodeKey(SPACE, name));
  });
  await forgetFirstImport(kit, site.name);
  await kit.sites.remove(name as SiteName);
  kit.log.info("site_removed", { site: name, ...loss });
}

/** Whether a site was added at run time and not removed since. */
export async function isAdded(kv: Kv, name: SiteName): Promise<boolean> {
  return await kv.view(function* (tx) {
    return (yield* tx.get(encodeKey(SPACE, name))) !== undefined;
  });
}

/** The operator says that what answers there is the site. */
export async function adoptSite(kit: Kit, name: string): Promise<SiteStatus> {
  const site = kit.sites.find(name as SiteName);
  if (site === undefined)
    throw new GfsError("NotFound", `There is no site ${name}; \`globalfs site list\` names them.`);
  await site.adopt?.();
  kit.log.info("site_adopted", { site: name, label: site.label });
  await kit.health.checkNow(site);
  return await siteStatus(kit, site);
}

/** Opens again what was added at run time. One that is away comes back by itself; one that is not allowed any more is named in the log. */
export async function restoreSites(kit: Kit, signal: AbortSignal): Promise<void> {
  const rows = await kit.kv.view((tx) => tx.range({ ...prefixRange(encodeKey(SPACE)), limit: MAX_ADDED_SITES }));
  for (const row of rows) {
    const request = JSON.parse(Buffer.from(row.value).toString()) as AddSite;
    if (kit.sites.find(request.name as SiteName) !== undefined) continue;
    try {
      kit.sites.add(await kit.openSite(request, { signal, isRestored: true }));
    } catch (error) {
      kit.log.error("site_not_restored", { site: request.name, error: String(error) });
    }
  }
}
