import type { SiteRole } from "../stores/index.ts";
import type { Parts } from "./parts.ts";
import type { HealthReport, Info } from "./service.ts";
import { allSetAsideBytes } from "./set-aside-space.ts";

export async function info(parts: Parts, startedAtMs: number): Promise<Info> {
  const sites = parts.sites.list();
  const sitesByRole: Partial<Record<SiteRole, number>> = {};
  let healthy = 0;
  for (const site of sites) {
    sitesByRole[site.role] = (sitesByRole[site.role] ?? 0) + 1;
    if ((await parts.health.healthOf(site)).healthy) healthy += 1;
  }
  const lastCheckedAtMs = parts.health.lastCheckedAtMs;
  const jobsPaused = await parts.mover.findPause();
  return {
    version: parts.settings.version,
    clusterName: parts.settings.clusterName,
    access: parts.settings.open === true ? "open" : "keys",
    uptimeSeconds: (parts.clock.monotonicMs() - startedAtMs) / 1_000,
    isLeader: parts.leadership.isLeader,
    sites: sites.length,
    sitesByRole,
    replicationQueueDepth: await parts.mover.depth(),
    ...(jobsPaused === undefined ? {} : { jobsPaused }),
    setAsideBytes: await parts.kv.view((tx) =>
      allSetAsideBytes(
        tx,
        sites.map(({ name }) => name),
      ),
    ),
    health: {
      healthy,
      unhealthy: sites.length - healthy,
      ...(lastCheckedAtMs === undefined ? {} : { lastCheckedAtMs }),
    },
    engine: parts.kv.engine,
    entries: (await parts.kv.stats()).entries,
  };
}

/** Healthy when there is a primary and every one is well; other roles may be away. */
export async function health(parts: Parts): Promise<HealthReport> {
  const problems: { site: string; error: string }[] = [];
  const primaries = parts.sites.list().filter(({ role }) => role === "primary");
  if (primaries.length === 0) problems.push(NO_PRIMARY);
  for (const site of primaries) {
    const state = await parts.health.healthOf(site);
    if (!state.healthy) problems.push({ site: site.name, error: state.error ?? "not healthy" });
  }
  return { healthy: problems.length === 0, problems };
}

const NO_PRIMARY = {
  site: "primary",
  error: "there is no primary site, so that nothing can be written; `globalfs site add` adds one",
};
