import type { SiteRole } from "../../stores/index.ts";
import type { Kit } from "../kit.ts";
import type { HealthReport, Info } from "../service/service.ts";
import { readBackupState } from "../../meta/index.ts";
import { allSetAsideBytes } from "../foreign/set-aside-space.ts";

export async function info(kit: Kit, startedAtMs: number): Promise<Info> {
  const sites = kit.sites.list();
  const sitesByRole: Partial<Record<SiteRole, number>> = {};
  let healthy = 0;
  for (const site of sites) {
    sitesByRole[site.role] = (sitesByRole[site.role] ?? 0) + 1;
    if ((await kit.health.healthOf(site)).healthy) healthy += 1;
  }
  const lastCheckedAtMs = kit.health.lastCheckedAtMs;
  const jobsPaused = await kit.mover.findPause();
  return {
    version: kit.settings.version,
    clusterName: kit.settings.clusterName,
    access: kit.settings.open === true ? "open" : "keys",
    uptimeSeconds: (kit.clock.monotonicMs() - startedAtMs) / 1_000,
    isLeader: kit.leadership.isLeader,
    sites: sites.length,
    sitesByRole,
    replicationQueueDepth: await kit.mover.depth(),
    ...(jobsPaused === undefined ? {} : { jobsPaused }),
    setAsideBytes: await kit.kv.view((tx) =>
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
    engine: kit.kv.engine,
    entries: (await kit.kv.stats()).entries,
    ...(kit.settings.backup === undefined ? {} : { backup: await backupInfo(kit) }),
  };
}

async function backupInfo({ kv }: Kit): Promise<NonNullable<Info["backup"]>> {
  const { last, failure } = await kv.view(readBackupState);
  const sites = last?.sites.filter(({ error }) => error === undefined).map(({ site }) => site) ?? [];
  return {
    ...(last === undefined ? {} : { last: { atMs: last.atMs, key: last.key, sizeBytes: last.sizeBytes, sites } }),
    ...(failure === undefined ? {} : { failure }),
  };
}

/** Healthy when there is a primary and every one is well; other roles may be away. */
export async function health(kit: Kit): Promise<HealthReport> {
  const problems: { site: string; error: string }[] = [];
  const primaries = kit.sites.list().filter(({ role }) => role === "primary");
  if (primaries.length === 0) problems.push(NO_PRIMARY);
  for (const site of primaries) {
    const state = await kit.health.healthOf(site);
    if (!state.healthy) problems.push({ site: site.name, error: state.error ?? "not healthy" });
  }
  return { healthy: problems.length === 0, problems };
}

const NO_PRIMARY = {
  site: "primary",
  error: "there is no primary site, so that nothing can be written; `globalfs site add` adds one",
};
