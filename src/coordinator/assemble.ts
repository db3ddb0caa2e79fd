import { createBlockCache, type BlockCacheConfig } from "../cache/index.ts";
import { KeyedLock } from "../core/async/keyed-lock.ts";
import type { JobId, VersionId } from "../core/ids.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Logger } from "../core/ports/log.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import type { Random } from "../core/ports/random.ts";
import type { Kv } from "../kv/index.ts";
import { createMover, type MoverConfig } from "../mover/index.ts";
import { createInodeAllocator, KnownDirectories, NO_WRITER, withTag } from "../namespace/index.ts";
import {
  createHealthMonitor,
  createLatencyTracker,
  createRouter,
  createSiteRegistry,
  type HealthConfig,
  type LatencyTracker,
  type Rule,
  type SiteRegistry,
} from "../placement/index.ts";
import type { SecretBox } from "../security/index.ts";
import { coherentKv, createSessions } from "../sessions/index.ts";
import type { Site } from "../stores/index.ts";
import { type Coordinator, createCoordinator } from "./coordinator.ts";
import { describeWrite } from "./objects/object-meta.ts";
import { modeOf } from "./consistency.ts";
import type { OpenSiteOptions, Kit, Settings } from "./kit.ts";
import type { AddSite } from "./service/service.ts";
import { createSuspects } from "./copies/suspects.ts";
import { createCoverage } from "./foreign/coverage.ts";
import { createWriter } from "./copies/writer.ts";

/** Puts the rooms below together. Which engine and which drivers they are is the caller's business. */
export interface Assembly {
  readonly kv: Kv;
  readonly clock: Clock;
  readonly random: Random;
  readonly secrets: SecretBox;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Ids that sort in the order they were made. */
  readonly nextId: () => string;
  readonly rules: readonly Rule[];
  readonly health: HealthConfig;
  readonly cache?: BlockCacheConfig;
  readonly mover: MoverConfig;
  readonly settings: Settings;
  readonly identity: string;
  readonly leaseMs: number;
  /** Other processes may write to the same catalog. */
  readonly isShared: boolean;
  readonly latency?: LatencyTracker;
  readonly openSite: (request: AddSite, options: OpenSiteOptions) => Promise<Site>;
  readonly assertCatalogSpace: () => void;
  readonly passOnCheck?: Kit["passOnCheck"];
  readonly passOnDoubt?: Kit["passOnDoubt"];
}

export interface Assembled {
  readonly coordinator: Coordinator;
  readonly sites: SiteRegistry;
}

export function assembleCoordinator(assembly: Assembly, initialSites: readonly Site[]): Assembled {
  const { kv, clock, random, log, metrics, nextId, settings } = assembly;
  const sites = createSiteRegistry(initialSites);
  const latency = assembly.latency ?? createLatencyTracker();
  const health = createHealthMonitor({ sites, clock, log, metrics }, assembly.health);
  const router = createRouter({ sites, latency, health }, assembly.rules);
  const locks = new KeyedLock();
  const nextJobId = (): JobId => nextId() as JobId;
  const { identity, leaseMs } = assembly;
  const writer = createWriter({ kv, clock, random, log, identity, leaseMs });
  const nextVersionId = (): VersionId => writer.stamp(nextId()) as VersionId;
  const nextUploadId = (): VersionId => withTag(nextId(), NO_WRITER) as VersionId;
  const mover = createMover(
    {
      kv,
      sites,
      rankSources: (path) => [...router.routeRead(path).sites, ...others(router.routeRead(path).sites, sites.list())],
      describeWrite,
      settle: async (ctx, found) => await coordinator.settle(ctx, found),
      writer,
      locks,
      nextJobId,
      clock,
      random,
      log,
      metrics,
    },
    assembly.mover,
  );
  const sessions = createSessions({
    kv,
    clock,
    random,
    log,
    metrics,
    config: { ...SESSIONS, identity, leaseMs, isShared: assembly.isShared },
  });
  // Who changes the tree waits for sessions that have read it. The mover moves copies, of which nobody reads.
  const coherent = coherentKv(kv, sessions, {
    isStrictPossible: assembly.rules.some(({ consistency }) => consistency === "strict"),
    modeOf: async (touches) => await modeOf({ kv, router }, touches),
  });
  const coordinator: Coordinator = createCoordinator({
    kv: coherent,
    sessions,
    sites,
    router,
    health,
    mover,
    inodes: createInodeAllocator(coherent),
    directories: new KnownDirectories(),
    locks,
    clock,
    random,
    log,
    secrets: assembly.secrets,
    metrics,
    writer,
    nextVersionId,
    nextUploadId,
    nextJobId,
    openSite: assembly.openSite,
    assertCatalogSpace: assembly.assertCatalogSpace,
    settings,
    identity,
    leaseMs,
    suspects: createSuspects(clock),
    coverage: createCoverage({
      clock,
      answers: metrics.counter({
        name: "globalfs_foreign_lookups_total",
        help: "Names that the catalog does not know, by what told whether the site has them: a listing that stands, or the site.",
        labels: ["site", "from"],
      }),
    }),
    disagreements: metrics.counter({
      name: "globalfs_site_disagreements_total",
      help: "Objects at sites that were others than was written: same bytes, news of another tool, or damage.",
      labels: ["site", "found"],
    }),
    setAsideBytes: metrics.gauge({
      name: "globalfs_set_aside_bytes",
      help: "Bytes kept of objects that lost against another of their path; `limits.max_set_aside_bytes` bounds them.",
      labels: ["site"],
    }),
    backupsTotal: metrics.counter({
      name: "globalfs_backups_total",
      help: "Attempts to back the catalog up to the sites: whole, partial where a site did not take it, or failed.",
      labels: ["outcome"],
    }),
    lastBackup: metrics.gauge({
      name: "globalfs_last_backup_timestamp_seconds",
      help: "When a site took the newest backup of the catalog, in seconds since 1970.",
      combine: "largest",
    }),
    ...(assembly.passOnCheck === undefined ? {} : { passOnCheck: assembly.passOnCheck }),
    ...(assembly.passOnDoubt === undefined ? {} : { passOnDoubt: assembly.passOnDoubt }),
    ...(assembly.cache === undefined ? {} : { cache: createBlockCache(assembly.cache, { clock, metrics }) }),
  });
  return { coordinator, sites };
}

const SESSIONS = {
  ttlMs: 30_000,
  recallMs: 10_000,
  maxSessions: 20_000,
  maxCovered: 1_000_000,
  maxLocks: 10_000,
} as const;

/** A rule about reads says where users read; a copy may come from anywhere that has the bytes. */
function others(routed: readonly Site[], all: readonly Site[]): readonly Site[] {
  return all.filter((site) => !routed.includes(site) && site.circuit?.() !== "open");
}
