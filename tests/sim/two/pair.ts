import { monotonicFactory } from "ulidx";
import type { Coordinator } from "../../../src/coordinator/index.ts";
import { bodyAt, chunksOf, readAll, type Rig, rigCtx, startRig } from "../../../src/coordinator/testing/rig.ts";
import { isGfsError } from "../../../src/core/errors.ts";
import { type Random, seededRandom } from "../../../src/core/ports/random.ts";
import { createFakeClock } from "../../../src/core/testing/fake-clock.ts";
import { createMemoryKv } from "../../../src/kv/index.ts";
import { checkCatalog } from "../../../src/namespace/index.ts";
import type { Rule } from "../../../src/placement/index.ts";
import { createMemoryStore, type SiteRole, type Store } from "../../../src/stores/index.ts";
import { delegateStaged, delegateStore } from "../../../src/stores/layers/delegate.ts";
import { Life, mortalClock, type MortalKv, mortalKv, mortalStore } from "../crash/life.ts";

export const below = (chance: Random, limit: number): number => Math.floor(chance.fraction() * limit);

const MOST_TURNS = 6;
const SITES = { one: "primary", cloud: "burst" } as const satisfies Record<string, SiteRole>;
type SiteOf = keyof typeof SITES;
const HOUSEKEEPING_MS = 30_000;

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Each call of a site takes a while on its way there and back, so that the two meet at every step. What is on its way arrives, whoever dies. */
function slowed(store: Store, chance: Random): Store {
  const around = async <T>(call: () => Promise<T>): Promise<T> => {
    await turns(below(chance, MOST_TURNS));
    try {
      return await call();
    } finally {
      await turns(below(chance, MOST_TURNS));
    }
  };
  return delegateStore(store, {
    head: (...args) => around(() => store.head(...args)),
    delete: (...args) => around(() => store.delete(...args)),
    copy: (...args) => around(() => store.copy(...args)),
    completeMultipart: (...args) => around(() => store.completeMultipart(...args)),
    async stage(...args) {
      const staged = await store.stage(...args);
      return delegateStaged(staged, { commit: (...options) => around(() => staged.commit(...options)) });
    },
  });
}

interface Node {
  readonly life: Life;
  readonly kv: MortalKv;
  readonly rig: Rig;
}

export interface PairOptions {
  readonly rules?: readonly Rule[];
  /** Of chance: after so many steps at most each of them dies; absent: never. */
  readonly dieWithin?: number;
}

export type Answer =
  | { readonly kind: "done" }
  | { readonly kind: "refused"; readonly error: unknown }
  | { readonly kind: "none" };

/** Two coordinators over one catalog and the same sites, without a lock that they share; either may die between any two of its steps. */
export class Pair {
  readonly clock = createFakeClock();
  readonly kv = createMemoryKv({ clock: this.clock });
  readonly stores: Readonly<Record<SiteOf, Store>>;
  readonly #chance: Random;
  readonly #options: PairOptions;
  readonly #nextUlid = monotonicFactory();
  readonly #nodes: Node[] = [];
  deaths = 0;

  constructor(seed: number, options: PairOptions = {}) {
    // Not that of the operations, so that these are the same ones whatever the order of steps.
    const chance = seededRandom(seed + 1_000_000);
    this.#chance = chance;
    this.#options = options;
    const open = (): Store => slowed(createMemoryStore({}, { clock: this.clock }), chance);
    this.stores = { one: open(), cloud: open() };
  }

  async start(): Promise<this> {
    for (const index of [0, 1]) await this.#startNode(index);
    return this;
  }

  async #startNode(index: number): Promise<void> {
    const { dieWithin } = this.#options;
    const step = dieWithin === undefined ? Number.POSITIVE_INFINITY : 1 + below(this.#chance, dieWithin);
    const life = new Life({ step, moment: this.#chance.fraction() < 0.5 ? "before" : "after" });
    const kv = mortalKv(life, this.kv);
    const rig = await startRig({
      kv: kv.kv,
      clock: mortalClock(life, this.clock),
      sites: Object.entries(SITES).map(([name, role]) => ({
        name,
        role,
        store: mortalStore(life, name, this.stores[name as SiteOf]),
      })),
      rules: this.#options.rules ?? [],
      overrides: {
        identity: `node-${index}`,
        nextId: () => this.#nextUlid(Math.floor(this.clock.nowMs())),
        cache: { maxBytes: 1, ttlMs: 0 },
        settings: {
          version: "0.0.0-test",
          clusterName: "test",
          maxObjectBytes: 1024 ** 2,
          tombstoneRetentionMs: 60_000,
          stagingRetentionMs: 20_000,
          setAsideRetentionMs: 1_000,
          uploadRetentionMs: 7 * 86_400_000,
          housekeepingIntervalMs: HOUSEKEEPING_MS,
        },
      },
    });
    life.startCounting();
    this.#nodes[index] = { life, kv, rig };
  }

  coordinator(index: number): Coordinator {
    return (this.#nodes[index] as Node).rig.coordinator;
  }

  /** Resolves with what its caller hears: nothing, when the process dies. */
  async answer(index: number, work: (coordinator: Coordinator) => Promise<unknown>): Promise<Answer> {
    const { life, rig } = this.#nodes[index] as Node;
    let answer: Answer | undefined;
    work(rig.coordinator).then(
      () => (answer = { kind: "done" }),
      (error: unknown) => (answer = { kind: "refused", error }),
    );
    for (let turn = 0; !life.isDead; turn++) {
      if (answer !== undefined) return answer;
      if (turn > 5_000) throw new Error("It does not end.");
      await turns(1);
    }
    return { kind: "none" };
  }

  /** What died is followed by a new process, once the leases of the old one have ended. */
  async revive(): Promise<boolean> {
    let revived = false;
    for (const [index, { life, kv }] of [...this.#nodes].entries()) {
      if (!life.isDead) continue;
      this.deaths += 1;
      revived = true;
      // What it had sent arrives before it is taken for dead.
      await turns(4 * MOST_TURNS);
      await kv.forgetLeases();
      await this.#startNode(index);
    }
    return revived;
  }

  /** Time passes until nothing is left to be done. */
  async settle(): Promise<void> {
    let quiet = 0;
    for (let turn = 0; turn < 60 && quiet < 4; turn++) {
      await this.clock.advance(HOUSEKEEPING_MS + 1_000);
      await turns(40 * MOST_TURNS);
      if (await this.revive()) {
        quiet = 0;
        continue;
      }
      const { jobs } = await this.coordinator(0).listJobs(rigCtx, { limit: 1_000 });
      const busy = jobs.some(({ state }) => state === "waiting" || state === "running");
      quiet = busy ? 0 : quiet + 1;
    }
  }

  async contentOf(index: number, key: string): Promise<string | undefined> {
    try {
      return (await readAll(this.coordinator(index), key)).toString();
    } catch (error) {
      if (isGfsError(error, "NotFound")) return undefined;
      throw error;
    }
  }

  /** One sentence for everything that is not as it should be when all is quiet and these are the files. */
  async faults(files: ReadonlyMap<string, string>): Promise<string[]> {
    const faults = [...(await checkCatalog(this.kv)).faults];
    const { jobs } = await this.coordinator(0).listJobs(rigCtx, { limit: 1_000 });
    for (const { kind, key, site, state, reason } of jobs)
      if (state === "waiting" || state === "failed") faults.push(`${kind} of ${key} at ${site} is ${state}: ${reason}`);
    const { uploads } = await this.coordinator(0).listUploads(rigCtx, { prefix: "", limit: 100 });
    for (const [name, store] of Object.entries(this.stores)) {
      const { objects } = await store.list(rigCtx, { limit: 1_000 });
      for (const { key } of objects) {
        if (uploads.some(({ uploadId }) => key.startsWith(`.globalfs/landed/${uploadId}-`))) continue;
        if (!files.has(key)) faults.push(`Site ${name} has ${key}, which nobody owns.`);
      }
      for (const [key, body] of files) {
        const there = await bodyAt(store, key);
        if (there !== body) faults.push(`Site ${name} has ${there ?? "nothing"} as ${key}, which is ${body}.`);
      }
    }
    return faults;
  }

  async stop(): Promise<void> {
    for (const { life, rig } of this.#nodes) if (!life.isDead) await rig.stop();
  }
}

/** Small bodies in one chunk. */
export const bodyOf = (text: string): ReturnType<typeof chunksOf> => chunksOf(Buffer.from(text));
