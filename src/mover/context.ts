import type { KeyedLock } from "../core/async/keyed-lock.ts";
import type { Ctx } from "../core/context.ts";
import type { FilePath, Inode, JobId } from "../core/ids.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Logger } from "../core/ports/log.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import type { Random } from "../core/ports/random.ts";
import type { Kv, Program, Reader } from "../kv/index.ts";
import type { FileRecord, FileVersion } from "../namespace/index.ts";
import type { Site, SiteDirectory, WriteAttributes } from "../stores/index.ts";

export interface MoverDeps {
  readonly kv: Kv;
  readonly sites: SiteDirectory;
  /** Sites to read a path from, best first. */
  readonly rankSources: (path: string) => readonly Site[];
  /** What is written beside the bytes, so that a catalog can be made again from the sites. */
  readonly describeWrite: (
    path: FilePath,
    version: FileVersion,
    file: Pick<FileRecord, "mode" | "uid" | "gid">,
  ) => WriteAttributes;
  /** The site holds another object under the copy's key than was written there: whether it is damage or news is decided, and written down. */
  readonly settle: (ctx: Ctx, found: FoundOther) => Promise<void>;
  readonly writer: WriterView;
  /** By object key; shared with whoever writes objects. Held for the last look and the commit, not for the transfer. */
  readonly locks: KeyedLock;
  readonly nextJobId: () => JobId;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** What has landed at a site for longer than this and is not in the catalog does not come there any more. */
export const LANDING_MS = 600_000;

/** This process among those that write to the sites (`namespace/writers.ts`). */
export interface WriterView {
  readonly tag: string;
  /** Whether the writer of an object that has no owner may yet make a version of it: nobody touches it until then. */
  isInFlight(tx: Reader, object: { readonly key: string; readonly versionId: string }): Program<boolean>;
}

export interface FoundOther {
  readonly path: FilePath;
  readonly inode: Inode;
  readonly site: Site;
}

export interface MoverConfig {
  readonly maxConcurrentTransfers: number;
  readonly transferChunkBytes: number;
  readonly maxQueuedJobs: number;
  /** `metadata`: the target's own word for what it stored. `read`: every byte is read back. */
  readonly verify: "metadata" | "read";
  readonly bandwidth: readonly BandwidthLimit[];
}

/** `*` is any site. */
export interface BandwidthLimit {
  readonly from: string;
  readonly to: string;
  readonly bytesPerSecond: number;
}
