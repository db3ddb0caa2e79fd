import type { Clock } from "../core/ports/clock.ts";
import type { Logger } from "../core/ports/log.ts";
import { encodeKey, type Kv, type KvLease } from "../kv/index.ts";

/**
 * One coordinator at a time does the background work. The seat is an ephemeral key: whoever writes it first leads until its
 * lease ends. A leader that cannot renew stops leading before anybody else can begin.
 */
export interface Leadership {
  readonly isLeader: boolean;
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface LeadershipDeps {
  readonly kv: Kv;
  readonly clock: Clock;
  readonly log: Logger;
  readonly identity: string;
  readonly leaseMs: number;
  readonly onGained: () => Promise<void>;
  readonly onLost: () => Promise<void>;
}

const SEAT = encodeKey("coordinator-leader");

export function createLeadership(deps: LeadershipDeps): Leadership {
  const { kv, clock, log, identity, leaseMs } = deps;
  const stopping = new AbortController();
  let lease: KvLease | undefined;
  let loop: Promise<void> | undefined;

  const tryToLead = async (): Promise<void> => {
    const candidate = await kv.lease(leaseMs);
    const won = await kv.transact(function* (tx) {
      if ((yield* tx.get(SEAT)) !== undefined) return false;
      tx.put(SEAT, Buffer.from(identity), { lease: candidate.id });
      return true;
    });
    if (!won) {
      await candidate.release();
      return;
    }
    lease = candidate;
    log.info("leadership_gained", { identity });
    await deps.onGained();
  };

  const giveUp = async (reason: string): Promise<void> => {
    lease = undefined;
    log.warn("leadership_lost", { identity, reason });
    await deps.onLost();
  };

  const turn = async (): Promise<void> => {
    if (lease === undefined) {
      await tryToLead();
      return;
    }
    if (lease.lost.aborted) {
      await giveUp("the lease ended");
      return;
    }
    await lease.keepAlive();
  };

  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        await clock.sleep(leaseMs / 3, stopping.signal);
        await turn();
      } catch (error) {
        if (stopping.signal.aborted) return;
        log.warn("leadership_turn_failed", { error: String(error) });
        if (lease?.lost.aborted) await giveUp("the lease could not be renewed");
      }
    }
  };

  return {
    get isLeader() {
      return lease !== undefined && !lease.lost.aborted;
    },
    async start() {
      await turn();
      loop = run();
    },
    async stop() {
      stopping.abort();
      await loop;
      const held = lease;
      lease = undefined;
      if (held !== undefined) await held.release();
    },
  };
}
