import { GfsError } from "../../../src/core/errors.ts";
import { silentLogger } from "../../../src/core/ports/log.ts";
import { noMetrics } from "../../../src/core/ports/metrics.ts";
import { type Random, seededRandom } from "../../../src/core/ports/random.ts";
import type { Kv, KvLease, WatchBatch } from "../../../src/kv/index.ts";
import { coherentKv, createSessions, type Sessions } from "../../../src/sessions/index.ts";
import type { Time } from "./time.ts";

/** A coordinator: the room of sessions over a catalog that is far away, and that may die between any two of its steps. */

export const TTL_MS = 3_000;
const LEASE_MS = 2_000;
const RECALL_MS = 600;
const SLOWEST_MS = 12;

export interface NodeOptions {
  readonly time: Time;
  readonly kv: Kv;
  readonly seed: number;
  readonly name: string;
  readonly rate: number;
  readonly isShared: boolean;
}

export class Node {
  readonly kv: Kv;
  /** For changes that others are to know of when they are answered. */
  readonly coherent: Kv;
  /** For changes that nobody may see before all have let go of what was. */
  readonly strict: Kv;
  readonly sessions: Sessions;
  readonly #random: Random;
  readonly #time: Time;
  isDead = false;

  constructor({ time, kv, seed, name, rate, isShared }: NodeOptions) {
    this.#time = time;
    this.#random = seededRandom(seed);
    this.kv = this.#far(kv);
    this.sessions = createSessions({
      kv: this.kv,
      clock: time.clock({ rate, isDead: () => this.isDead }),
      random: seededRandom(seed + 1),
      log: silentLogger,
      metrics: noMetrics,
      config: {
        identity: name,
        ttlMs: TTL_MS,
        leaseMs: LEASE_MS,
        recallMs: RECALL_MS,
        isShared,
        maxSessions: 100,
        maxCovered: 1_000,
        maxLocks: 100,
      },
    });
    this.coherent = coherentKv(this.kv, this.sessions);
    this.strict = coherentKv(this.kv, this.sessions, { isStrictPossible: true, modeOf: async () => "strict" });
  }

  async #step(): Promise<void> {
    await this.#time.sleep(this.#random.fraction() * SLOWEST_MS);
    if (this.isDead) await new Promise(() => undefined);
  }

  /** Each way to the catalog and back takes its time. */
  #far(kv: Kv): Kv {
    const step = async (): Promise<void> => await this.#step();
    return {
      engine: kv.engine,
      view: async (program) => {
        await step();
        const seen = await kv.view(program);
        await step();
        return seen;
      },
      transact: async (program, options) => {
        await step();
        const done = await kv.transact(program, options);
        await step();
        return done;
      },
      flush: async () => await kv.flush(),
      snapshot: async () => await kv.snapshot(),
      revision: async () => await kv.revision(),
      watch: (range, options) => this.#watch(kv.watch(range, options)),
      lease: async (ttlMs) => {
        await step();
        const lease = await kv.lease(ttlMs);
        const far: KvLease = {
          id: lease.id,
          epoch: lease.epoch,
          lost: lease.lost,
          keepAlive: async () => {
            await step();
            await lease.keepAlive();
            await step();
          },
          release: async () => {
            await step();
            await lease.release();
          },
        };
        return far;
      },
      stats: async () => await kv.stats(),
      close: async () => undefined,
    };
  }

  async *#watch(batches: AsyncIterable<WatchBatch>): AsyncGenerator<WatchBatch> {
    for await (const batch of batches) {
      await this.#step();
      yield batch;
    }
  }

  /** What it answers, when it is there to. */
  async ask<T>(work: () => Promise<T> | T): Promise<T> {
    await this.#time.sleep(this.#random.fraction() * SLOWEST_MS);
    if (this.isDead) throw new GfsError("Unavailable", "Nobody answers.");
    return await Promise.race([work(), this.#death()]);
  }

  #deaths: (() => void)[] = [];

  async #death(): Promise<never> {
    return await new Promise<never>((_, reject) =>
      this.#deaths.push(() => reject(new GfsError("Unavailable", "The connection was cut."))),
    );
  }

  die(): void {
    this.isDead = true;
    for (const each of this.#deaths.splice(0)) each();
  }
}
