import { monotonicFactory } from "ulidx";
import { chunksOf, readAll, type Rig, rigCtx, startRig } from "../../../src/coordinator/testing/rig.ts";
import type { Assembly } from "../../../src/coordinator/index.ts";
import type { Clock } from "../../../src/core/ports/clock.ts";
import { createFakeClock } from "../../../src/core/testing/fake-clock.ts";
import { GfsError } from "../../../src/core/errors.ts";
import { createMemoryKv, encodeKey, type Kv, prefixRange } from "../../../src/kv/index.ts";
import type { Job } from "../../../src/mover/index.ts";
import { catalogFaults } from "../../support/catalog-faults.ts";
import { createMemoryStore, type SiteRole, type Stacked, type Store } from "../../../src/stores/index.ts";
import { aroundCalls, CALLS, delegateStore, TRANSFERS } from "../../../src/stores/layers/delegate.ts";
import { Life, mortalClock, type MortalKv, mortalKv, mortalStore, type Stop } from "./life.ts";

export type Files = ReadonlyMap<string, string>;

export interface WorldOptions {
  readonly sites: Readonly<Record<string, SiteRole>>;
  /** Objects larger than this are replicated in parts. */
  readonly transferChunkBytes?: number;
  /** What lies between the process and a site. */
  readonly wrap?: (site: string, store: Store, clock: Clock) => Stacked;
}

const HOUSEKEEPING_MS = 30_000;
const MOST_TURNS = 60;

/** A catalog, sites and time that outlast the processes that work on them, one after the other. */
export class World {
  readonly clock = createFakeClock();
  readonly stores: ReadonlyMap<string, Store>;
  /** Sites that nobody reaches just now. */
  readonly away = new Set<string>();
  readonly #options: WorldOptions;
  readonly #nextUlid = monotonicFactory();
  readonly #kv: Kv = createMemoryKv({ clock: this.clock });
  #life: Life = new Life();
  #rig: Rig | undefined;
  #mortal: MortalKv | undefined;

  constructor(options: WorldOptions) {
    this.#options = options;
    const names = Object.keys(options.sites);
    this.stores = new Map(names.map((name) => [name, createMemoryStore({}, { clock: this.clock })]));
  }

  /** To look at what no process shows. */
  get catalog(): Kv {
    return this.#kv;
  }

  get life(): Life {
    return this.#life;
  }

  get rig(): Rig {
    if (this.#rig === undefined) throw new Error("No process runs.");
    return this.#rig;
  }

  /** A new process takes up what the one before has left. */
  async start(stop?: Stop): Promise<void> {
    this.#life.end();
    await this.#mortal?.openAnew();
    await this.clock.advance(1_000);
    const life = new Life(stop);
    this.#life = life;
    this.#mortal = mortalKv(life, this.#kv);
    this.#rig = await startRig({
      kv: this.#mortal.kv,
      clock: mortalClock(life, this.clock),
      sites: [...this.stores].map(([name, driver]) => {
        const reachable = this.#reachable(name, driver);
        const { store, circuit } = this.#options.wrap?.(name, reachable, this.clock) ?? { store: reachable };
        return {
          name,
          role: this.#options.sites[name] as SiteRole,
          store: mortalStore(life, name, store),
          ...(circuit === undefined ? {} : { circuit }),
        };
      }),
      overrides: this.#overrides(),
    });
  }

  #overrides(): Partial<Assembly> {
    return {
      // Ids tell the time, so they go by the same clock.
      nextId: () => this.#nextUlid(Math.floor(this.clock.nowMs())),
      // Every read goes to a site.
      cache: { maxBytes: 1, ttlMs: 0 },
      mover: {
        maxConcurrentTransfers: 4,
        transferChunkBytes: this.#options.transferChunkBytes ?? 1_000_000,
        maxQueuedJobs: 1_000,
        verify: "metadata",
        bandwidth: [],
      },
      settings: {
        version: "0.0.0-test",
        clusterName: "test",
        maxObjectBytes: 1024 ** 2,
        tombstoneRetentionMs: 60_000,
        stagingRetentionMs: 20_000,
        // What lost against another is of no use here, and is gone before the end.
        setAsideRetentionMs: 1_000,
        uploadRetentionMs: 7 * 86_400_000,
        housekeepingIntervalMs: HOUSEKEEPING_MS,
      },
    };
  }

  #reachable(name: string, store: Store): Store {
    const guard = async <T>(call: () => Promise<T>): Promise<T> => {
      if (this.away.has(name)) throw new GfsError("Unavailable", `Site ${name} is away.`);
      return await call();
    };
    return delegateStore(store, {
      check: (ctx) => guard(() => store.check(ctx)),
      ...aroundCalls(store, [...CALLS, ...TRANSFERS], (_operation, args, call) => guard(() => call(args))),
      get: (ctx, key, options) => guard(() => store.get(ctx, key, options)),
      stage: (ctx, key, options) => guard(() => store.stage(ctx, key, options)),
    });
  }

  /** Time passes until no job is left that could run, or the process is dead. */
  async settle(): Promise<void> {
    let quiet = 0;
    for (let turn = 0; turn < MOST_TURNS && quiet < 2; turn++) {
      await this.clock.advance(HOUSEKEEPING_MS + 1_000);
      if (this.life.isDead) return;
      const busy = (await this.openJobs()).some(({ state }) => state !== "failed");
      quiet = busy ? 0 : quiet + 1;
    }
  }

  /** Time passes while it goes on. */
  async during<T>(work: Promise<T>): Promise<T> {
    let ended = false;
    const end = (): void => {
      ended = true;
    };
    work.then(end, end);
    // oxlint-disable-next-line eslint/no-unmodified-loop-condition -- It ends while this waits.
    for (let turn = 0; turn < 1_000 && !ended; turn++) await this.clock.advance(1_000);
    return await work;
  }

  async openJobs(): Promise<readonly Job[]> {
    const { jobs } = await this.rig.coordinator.listJobs(rigCtx, { limit: 1_000 });
    return jobs.filter(({ state }) => state !== "done" && state !== "canceled");
  }

  async put(key: string, body: string): Promise<void> {
    await this.rig.coordinator.putObject(rigCtx, { key, body: chunksOf(Buffer.from(body), 400) });
  }

  /** What a user sees, each object read to its end. */
  async files(): Promise<Files> {
    const listed = await this.rig.coordinator.listObjects(rigCtx, { limit: 1_000 });
    if (this.away.size === 0 && listed.failedSites.length > 0) throw new Error("A site could not be listed.");
    const files = new Map<string, string>();
    for (const { key } of listed.objects) files.set(key, (await readAll(this.rig.coordinator, key)).toString());
    return files;
  }

  /** One sentence for everything that is not as it should be when all is quiet and these are the files. */
  async faults(files: Files): Promise<string[]> {
    const faults = await catalogFaults(this.#kv);
    const emptied = await this.#kv.view((tx) => tx.range({ ...prefixRange(encodeKey("de")), limit: 10 }));
    if (emptied.length > 0) faults.push("Directories that may be there for nothing were never looked at.");
    for (const job of await this.openJobs()) {
      // It stumbled over a write that had been lost, before anybody read it; where the copies lie now is looked at below.
      if (job.kind === "publish" && job.state === "failed") continue;
      faults.push(`A ${job.kind} job for ${job.path} at ${job.site} is ${job.state}: ${job.reason ?? "no reason"}`);
    }
    for (const key of files.keys()) faults.push(...(await this.#faultsOfCopies(key)));
    const { uploads } = await this.rig.coordinator.listUploads(rigCtx, { prefix: "", limit: 10 });
    for (const [site, store] of this.stores) {
      await store.sweep(rigCtx, -1);
      const { objects } = await store.list(rigCtx, { limit: 1_000 });
      const found = new Set(objects.map(({ key }) => key));
      for (const key of files.keys()) if (!found.has(key)) faults.push(`Site ${site} lacks ${key}.`);
      for (const key of found) {
        // An interrupted completion has made it, and may be asked for again.
        if (uploads.some(({ uploadId }) => key.startsWith(`.globalfs/landed/${uploadId}-`))) continue;
        const body = files.get(key);
        if (body === undefined) faults.push(`Site ${site} has ${key}, which nobody owns.`);
        else if ((await bytesAt(store, key)) !== body) faults.push(`Site ${site} has other bytes of ${key}.`);
      }
    }
    return faults;
  }

  async #faultsOfCopies(key: string): Promise<string[]> {
    const { copies } = await this.rig.coordinator.explain(rigCtx, key);
    const found = copies.map((copy) => `${copy.site} ${copy.state} as ${copy.key}`).toSorted();
    const wanted = [...this.stores.keys()].map((site) => `${site} present as ${key}`).toSorted();
    return found.join() === wanted.join() ? [] : [`The catalog says of ${key}: ${found.join(", ") || "no copies"}.`];
  }
}

async function bytesAt(store: Store, key: string): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of (await store.get(rigCtx, key)).stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString();
}
