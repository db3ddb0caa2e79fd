import { createLoop } from "../core/async/loop.ts";
import { forEachBounded } from "../core/async/for-each.ts";
import { backgroundCtx } from "../core/context.ts";
import { GfsError, toGfsError } from "../core/errors.ts";
import type { SiteName } from "../core/ids.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Logger } from "../core/ports/log.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import type { Site, SiteDirectory } from "../stores/index.ts";
import type { SiteHealth } from "./types.ts";

/** Asks every site now and then whether it is well, and remembers the answers. */
export interface HealthMonitor {
  start(): void;
  stop(): Promise<void>;
  /** The remembered answer; when there is none yet, asks. */
  healthOf(site: Site): Promise<SiteHealth>;
  /** Without asking. */
  lastOf(site: SiteName): SiteHealth | undefined;
  checkNow(site: Site): Promise<SiteHealth>;
  /** A read has found the site away: until an answer is remembered others are read first. False when that is nothing new. */
  doubt(site: Site): boolean;
  /** Told of every answer, those that are known first, and with nothing of a site that was removed; the returned function ends it. */
  watch(listener: HealthListener): () => void;
  /** What another process found. */
  learn(site: SiteName, health: SiteHealth): void;
  readonly lastCheckedAtMs: number | undefined;
}

export type HealthListener = (site: SiteName, health: SiteHealth | undefined) => void;

export interface HealthDeps {
  readonly sites: SiteDirectory;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

export interface HealthConfig {
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

const PARALLEL_CHECKS = 8;

export function createHealthMonitor({ sites, clock, log, metrics }: HealthDeps, config: HealthConfig): HealthMonitor {
  // By the site itself: another one may come under the name of one that was removed.
  const known = new Map<Site, SiteHealth>();
  const asking = new Map<Site, Promise<SiteHealth>>();
  const gauge = metrics.gauge({
    name: "globalfs_site_healthy",
    help: "1 when the last health check of the site passed.",
    labels: ["site"],
    combine: "smallest",
  });
  const listeners = new Set<HealthListener>();
  let lastCheckedAtMs: number | undefined;

  const ask = async (site: Site): Promise<SiteHealth> => {
    const error = await outcomeOf(site);
    const health: SiteHealth =
      error === undefined
        ? { healthy: true, checkedAtMs: clock.nowMs() }
        : { healthy: false, error: error.message, checkedAtMs: clock.nowMs() };
    remember(site, health);
    return health;
  };

  const remember = (site: Site, health: SiteHealth): void => {
    const before = known.get(site);
    if (before?.healthy !== health.healthy && (before !== undefined || !health.healthy)) {
      if (health.healthy) log.info("site_recovered", { site: site.name });
      else log.warn("site_unhealthy", { site: site.name, error: health.error });
    }
    lastCheckedAtMs = health.checkedAtMs;
    if (sites.find(site.name) !== site) return;
    known.set(site, health);
    gauge.set(health.healthy ? 1 : 0, { site: site.name });
    for (const listener of listeners) listener(site.name, health);
  };

  /** The site's own timeouts are for its users' requests; a check that hangs is an answer, too. */
  const outcomeOf = async (site: Site): Promise<GfsError | undefined> => {
    const controller = new AbortController();
    let cancel: (() => void) | undefined;
    const tooLong = new Promise<GfsError>((resolve) => {
      cancel = clock.timer(config.timeoutMs, () => {
        resolve(new GfsError("Timeout", `The health check took longer than ${config.timeoutMs} ms.`));
        controller.abort();
      });
    });
    const ctx = backgroundCtx({ signal: controller.signal, requestId: "health", log });
    const checking = site.store.check(ctx).then(
      () => undefined,
      (error: unknown) => toGfsError(error),
    );
    try {
      return await Promise.race([checking, tooLong]);
    } finally {
      cancel?.();
    }
  };

  /** One question a site at a time, however many ask. */
  const checkNow = async (site: Site): Promise<SiteHealth> => {
    const running = asking.get(site);
    if (running !== undefined) return await running;
    const work = ask(site).finally(() => asking.delete(site));
    asking.set(site, work);
    return await work;
  };

  const round = async (): Promise<void> => {
    const asked = [...sites.list()];
    for (const site of known.keys()) {
      if (asked.includes(site)) continue;
      known.delete(site);
      if (sites.find(site.name) !== undefined) continue;
      gauge.remove({ site: site.name });
      for (const listener of listeners) listener(site.name, undefined);
    }
    await forEachBounded(asked, PARALLEL_CHECKS, async (site) => void (await checkNow(site)));
  };

  const loop = createLoop({
    clock,
    async turn() {
      await round();
      return config.intervalMs;
    },
    onFailure(error) {
      log.warn("health_round_failed", { error: toGfsError(error).message });
      return config.intervalMs;
    },
  });

  return {
    start: () => loop.start(),
    stop: async () => await loop.stop(),
    healthOf: async (site) => known.get(site) ?? (await checkNow(site)),
    lastOf(name) {
      const site = sites.find(name);
      return site === undefined ? undefined : known.get(site);
    },
    checkNow,
    doubt(site) {
      const last = known.get(site);
      if (last === undefined) return true;
      if (!last.healthy || last.doubted === true) return false;
      remember(site, { ...last, doubted: true });
      return true;
    },
    watch(listener) {
      for (const [site, health] of known) listener(site.name, health);
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    learn(name, health) {
      const site = sites.find(name);
      if (site !== undefined) remember(site, health);
    },
    get lastCheckedAtMs() {
      return lastCheckedAtMs;
    },
  };
}
