import { createLoop } from "../../core/async/loop.ts";
import type { Clock } from "../../core/ports/clock.ts";
import type { Logger } from "../../core/ports/log.ts";
import { encodeKey, type Kv, type KvLease } from "../../kv/index.ts";

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
  let lease: KvLease | undefined;

  const tryToLead = async (): Promise<void> => {
    const candidate = await kv.lease(leaseMs);
    // The row does not outlive the process anyway.
    const won = await kv.transact(
      function* (tx) {
        if ((yield* tx.get(SEAT)) !== undefined) return false;
        tx.put(SEAT, Buffer.from(identity), { lease: candidate.id });
        return true;
      },
      { durability: "visible" },
    );
    if (!won) {
      await candidate.release();
      return;
    }
    lease = candidate;
    log.info("leadership_gained", { identity });
    try {
      await deps.onGained();
    } catch (error) {
      await giveUp("its work could not be begun");
      throw error;
    }
  };

  const isOurs = (holder: Uint8Array): boolean => Buffer.from(holder).equals(Buffer.from(identity));

  const giveUp = async (reason: string): Promise<void> => {
    const held = lease;
    lease = undefined;
    log.warn("leadership_lost", { identity, reason });
    await deps.onLost();
    await held?.release();
  };

  const turn = async (): Promise<void> => {
    if (lease?.lost.aborted === true) await giveUp("the lease ended");
    if (lease !== undefined) {
      await lease.keepAlive();
      const holder = await kv.view((tx) => tx.get(SEAT));
      if (holder !== undefined && isOurs(holder)) return;
      await giveUp(holder === undefined ? "its row is gone" : "its row is another's");
    }
    await tryToLead();
  };

  const loop = createLoop({
    clock,
    firstPauseMs: leaseMs / 3,
    async turn() {
      await turn();
      return leaseMs / 3;
    },
    async onFailure(error) {
      log.warn("leadership_turn_failed", { error: String(error) });
      try {
        if (lease?.lost.aborted) await giveUp("the lease could not be renewed");
      } catch (failure) {
        // Its row goes with the lease; the next turn looks for itself.
        log.warn("leadership_turn_failed", { error: String(failure) });
      }
      return leaseMs / 3;
    },
  });

  return {
    get isLeader() {
      return lease !== undefined && !lease.lost.aborted;
    },
    async start() {
      await turn();
      loop.start();
    },
    async stop() {
      await loop.stop();
      const held = lease;
      lease = undefined;
      if (held !== undefined) await held.release();
    },
  };
}
