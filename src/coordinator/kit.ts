import type { BlockCache } from "../cache/index.ts";
import type { KeyedLock } from "../core/async/keyed-lock.ts";
import type { JobId, SiteName, VersionId } from "../core/ids.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Logger } from "../core/ports/log.ts";
import type { Counter, Gauge } from "../core/ports/metrics.ts";
import type { Random } from "../core/ports/random.ts";
import type { Kv } from "../kv/index.ts";
import type { Mover } from "../mover/index.ts";
import type { InodeAllocator, KnownDirectories } from "../namespace/index.ts";
import type { HealthMonitor, Router, SiteRegistry } from "../placement/index.ts";
import type { SecretBox } from "../security/index.ts";
import type { Sessions } from "../sessions/index.ts";
import type { Site } from "../stores/index.ts";
import type { Leadership } from "./leader/leadership.ts";
import type { AddSite } from "./service/service.ts";
import type { CopyCheck } from "./service/readers.ts";
import type { Coverage } from "./foreign/coverage.ts";
import type { Suspects } from "./copies/suspects.ts";
import type { Writer } from "./copies/writer.ts";

export interface OpenSiteOptions {
  readonly signal: AbortSignal;
  /** It was added before, so that it may be away now; else it is put where it is on purpose. */
  readonly isRestored: boolean;
}

/** What every operation of the coordinator works with. Made once by the composition root. */
export interface Kit {
  /** What touches the tree is answered when those who had read that know of it. */
  readonly kv: Kv;
  readonly sessions: Sessions;
  readonly sites: SiteRegistry;
  readonly router: Router;
  readonly health: HealthMonitor;
  readonly mover: Mover;
  /** Absent when the configuration has no cache. */
  readonly cache?: BlockCache;
  readonly suspects: Suspects;
  readonly coverage: Coverage;
  /** Objects at sites that were others than was written, by what they were found to be. */
  readonly disagreements: Counter;
  /** What is kept at each site of objects that lost against another of their path. */
  readonly setAsideBytes: Gauge;
  /** Attempts to back the catalog up to the sites, by how they ended. */
  readonly backupsTotal: Counter;
  /** When a site took the newest backup, in seconds since 1970. */
  readonly lastBackup: Gauge;
  /** In a process that only reads the catalog: another one is to check a copy. */
  readonly passOnCheck?: (check: CopyCheck) => void;
  /** The same: another one is to ask a site whether it is well. */
  readonly passOnDoubt?: (site: SiteName) => void;
  readonly inodes: InodeAllocator;
  /** Where writes and deletes have lately been. */
  readonly directories: KnownDirectories;
  readonly leadership: Leadership;
  /** Held, by object key, from the last look at the catalog to its commit. Shared with the mover. */
  readonly locks: KeyedLock;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Seals what the catalog must not tell: the secrets of access keys. */
  readonly secrets: SecretBox;
  /** This process among those that write to the sites. */
  readonly writer: Writer;
  /** Says by its tag whose it is. */
  readonly nextVersionId: () => VersionId;
  /** Of an upload in parts, which any process may complete. */
  readonly nextUploadId: () => VersionId;
  readonly nextJobId: () => JobId;
  /** Builds the driver with its layers and probes it; throws a sentence when the site cannot be used. */
  readonly openSite: (request: AddSite, options: OpenSiteOptions) => Promise<Site>;
  /** Throws `NoSpace` while the disk under the catalog is nearly full, so that no write lands at a site without its record. */
  readonly assertCatalogSpace: () => void;
  readonly settings: Settings;
}

/** What programs may use: they run inside a transaction, perhaps again, touch no clock and reach no site. */
export type ProgramKit = Pick<Kit, "nextJobId" | "router" | "settings" | "sites" | "writer">;

export interface BackupSettings {
  readonly everyMs: number;
  /** So many stay at each site. */
  readonly keep: number;
  /** Names of sites; empty: the primaries. */
  readonly sites: readonly string[];
}

export interface Settings {
  readonly version: string;
  readonly clusterName: string;
  /** Nobody needs a key. */
  readonly open?: boolean;
  readonly maxObjectBytes: number;
  /** A copy's record of a delete is kept this long at least. */
  readonly tombstoneRetentionMs: number;
  /** What a crashed write left at a site is removed after this long. */
  readonly stagingRetentionMs: number;
  /** An upload in parts that nobody completes is given up after this long. */
  readonly uploadRetentionMs: number;
  readonly housekeepingIntervalMs: number;
  /** What lost against another object of its path is kept this long; absent: 30 days. */
  readonly setAsideRetentionMs?: number;
  /** Of that at each site; the oldest go first. Absent: 10 GiB. */
  readonly maxSetAsideBytes?: number;
  /** Absent: the catalog is not backed up. */
  readonly backup?: BackupSettings;
  /** What the rules of a bucket's lifecycle call a day; absent: a day. */
  readonly lifecycleDayMs?: number;
}
