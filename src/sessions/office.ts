import type { Clock } from "../core/ports/clock.ts";
import type { Logger } from "../core/ports/log.ts";
import type { Counter, Histogram, Metrics } from "../core/ports/metrics.ts";
import type { Random } from "../core/ports/random.ts";
import type { Kv } from "../kv/index.ts";

/** What the work of this room is done with. */

export interface SessionsConfig {
  /** Names this process, for people. */
  readonly identity: string;
  /** A session that is not heard of for so long is over. */
  readonly ttlMs: number;
  /** The same of a coordinator. */
  readonly leaseMs: number;
  /** Who holds a write lease that somebody else wants has so long to write what he has. */
  readonly recallMs: number;
  /** Other coordinators may work on the same catalog: what sessions cover is told to them in rows. */
  readonly isShared: boolean;
  readonly maxSessions: number;
  /** Inodes that one session may cover. */
  readonly maxCovered: number;
  /** Locks that one session may hold: owners of some on a file. */
  readonly maxLocks: number;
}

export interface SessionsDeps {
  readonly kv: Kv;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly config: SessionsConfig;
}

export interface Instruments {
  readonly grants: Counter;
  readonly invalidations: Counter;
  readonly cutOffs: Counter;
  readonly waits: Histogram;
}

export interface Office extends SessionsDeps {
  readonly instruments: Instruments;
}

export function createOffice(deps: SessionsDeps): Office {
  const { metrics } = deps;
  return {
    ...deps,
    instruments: {
      grants: metrics.counter({
        name: "globalfs_lease_grants_total",
        help: "Leases that sessions got: `read` for what they cover, `write` for a file, `lock` for flock and byte ranges.",
        labels: ["type"],
      }),
      invalidations: metrics.counter({
        name: "globalfs_lease_invalidations_total",
        help: "Times that a session was told that something which it covers has changed.",
      }),
      cutOffs: metrics.counter({
        name: "globalfs_session_cut_offs_total",
        help: "Times that a session lagged so far behind that it has to read everything again.",
      }),
      waits: metrics.histogram({
        name: "globalfs_commit_wait_seconds",
        help: "How long changes waited for sessions that had read what was changed.",
        buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 30],
      }),
    },
  };
}
