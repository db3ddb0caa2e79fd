import { ulid } from "ulidx";
import { backgroundCtx } from "../../core/context.ts";
import { isGfsError } from "../../core/errors.ts";
import type { SiteName } from "../../core/ids.ts";
import { type Clock, systemClock } from "../../core/ports/clock.ts";
import { silentLogger } from "../../core/ports/log.ts";
import { noMetrics } from "../../core/ports/metrics.ts";
import { seededRandom } from "../../core/ports/random.ts";
import { createMemoryKv, type Kv } from "../../kv/index.ts";
import type { Rule } from "../../placement/index.ts";
import { createSecretBox } from "../../security/index.ts";
import { createMemoryStore, type ForeignPolicy, type Site, type SiteRole, type Store } from "../../stores/index.ts";
import { type Assembled, type Assembly, assembleCoordinator } from "../assemble.ts";
import type { Coordinator } from "../coordinator.ts";
import type { PutRequest, PutResult } from "../service/service.ts";

/** A whole coordinator over memory, with the parts that tests want to reach at hand. */
export interface Rig {
  readonly coordinator: Coordinator;
  readonly kv: Kv;
  readonly stores: Readonly<Record<string, Store>>;
  put(key: string, body: string | Uint8Array, options?: Partial<PutRequest>): Promise<PutResult>;
  read(key: string): Promise<string>;
  /** Resolves once no job is left that could run. */
  settled(): Promise<void>;
  stop(): Promise<void>;
}

export interface RigSite {
  readonly name: string;
  readonly role: SiteRole;
  readonly store?: Store;
  readonly foreign?: ForeignPolicy;
  readonly listingStandsMs?: number;
  readonly circuit?: NonNullable<Site["circuit"]>;
}

export interface RigOptions {
  readonly sites?: readonly RigSite[];
  readonly rules?: readonly Rule[];
  readonly kv?: Kv;
  readonly clock?: Clock;
  readonly overrides?: Partial<Assembly>;
}

export const rigCtx = backgroundCtx({ requestId: "test" });

export const TWO_SITES: readonly RigSite[] = [
  { name: "local", role: "primary" },
  { name: "cloud", role: "burst" },
];

let lastMs = 0;
let serial = 0;

/** Sorts in the order of the calls, also within a millisecond. */
export function nextTestUlid(): string {
  const nowMs = Math.max(Date.now(), lastMs);
  serial = nowMs === lastMs ? serial + 1 : 0;
  lastMs = nowMs;
  return `${ulid(nowMs).slice(0, 10)}${serial.toString(32).toUpperCase().padStart(16, "0").replaceAll("I", "W").replaceAll("L", "X").replaceAll("O", "Y").replaceAll("U", "Z")}`;
}

export function assemblyFor(kv: Kv, overrides: Partial<Assembly> = {}): Assembly {
  return {
    kv,
    clock: systemClock,
    random: seededRandom(1),
    secrets: createSecretBox(new Uint8Array(32).fill(7), seededRandom(2)),
    log: silentLogger,
    metrics: noMetrics,
    nextId: nextTestUlid,
    rules: [],
    health: { intervalMs: 30_000, timeoutMs: 5_000 },
    cache: { maxBytes: 32 * 1024 ** 2, ttlMs: 0 },
    mover: {
      maxConcurrentTransfers: 8,
      transferChunkBytes: 256 * 1024,
      maxQueuedJobs: 10_000,
      verify: "metadata",
      bandwidth: [],
    },
    settings: {
      version: "0.0.0-test",
      clusterName: "test",
      maxObjectBytes: 1024 ** 3,
      tombstoneRetentionMs: 60_000,
      stagingRetentionMs: 86_400_000,
      uploadRetentionMs: 7 * 86_400_000,
      housekeepingIntervalMs: 3_600_000,
    },
    identity: "test",
    leaseMs: 60_000,
    isShared: true,
    openSite: () => Promise.reject(new Error("This rig opens no sites at run time.")),
    assertCatalogSpace: () => undefined,
    ...overrides,
  };
}

export async function startRig(options: RigOptions = {}): Promise<Rig> {
  const kv = options.kv ?? createMemoryKv();
  const stores: Record<string, Store> = {};
  const sites = (options.sites ?? TWO_SITES).map((site): Site => {
    const store = site.store ?? createMemoryStore();
    stores[site.name] = store;
    return {
      name: site.name as SiteName,
      role: site.role,
      store,
      foreign: site.foreign ?? "merge",
      ...(site.listingStandsMs === undefined ? {} : { listingStandsMs: site.listingStandsMs }),
      label: `memory://${site.name}`,
      ...(site.circuit === undefined ? {} : { circuit: site.circuit }),
    };
  });
  const { coordinator }: Assembled = assembleCoordinator(
    assemblyFor(kv, {
      ...(options.clock === undefined ? {} : { clock: options.clock }),
      ...(options.rules === undefined ? {} : { rules: options.rules }),
      ...options.overrides,
    }),
    sites,
  );
  await coordinator.start(new AbortController().signal);
  return {
    coordinator,
    kv,
    stores,
    put: async (key, body, more = {}) =>
      await coordinator.putObject(rigCtx, { key, body: chunksOf(Buffer.from(body as Uint8Array)), ...more }),
    read: async (key) => (await readAll(coordinator, key)).toString(),
    settled: async () => await settleJobs(coordinator),
    stop: async () => await coordinator.stop(),
  };
}

export async function* chunksOf(bytes: Uint8Array, sizeBytes = 64 * 1024): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.byteLength; offset += sizeBytes) yield bytes.subarray(offset, offset + sizeBytes);
}

/** Until no job is left that could run. */
export async function settleJobs(coordinator: Coordinator): Promise<void> {
  for (let look = 0; look < 2_000; look++) {
    const { jobs } = await coordinator.listJobs(rigCtx, { limit: 1_000 });
    if (jobs.every((job) => job.state !== "running" && (job.state !== "waiting" || job.notBeforeMs > 0))) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const left = (await coordinator.listJobs(rigCtx, { limit: 1_000 })).jobs.filter(({ state }) => state !== "done");
  throw new Error(
    `Jobs did not settle in time: ${left.map(({ kind, site, key, state, reason }) => `${kind} ${key} at ${site} is ${state}: ${reason ?? ""}`).join("; ")}`,
  );
}

/** As a gateway does: a file that changes while it is opened is looked up again. */
export async function readAll(
  coordinator: Coordinator,
  key: string,
  range?: Parameters<Awaited<ReturnType<Coordinator["readObject"]>>["open"]>[0],
): Promise<Buffer> {
  for (let attempt = 1; ; attempt++) {
    try {
      const read = await coordinator.readObject(rigCtx, key);
      const opened = await read.open(range);
      const chunks: Buffer[] = [];
      for await (const chunk of opened.stream) chunks.push(Buffer.from(chunk));
      return Buffer.concat(chunks);
    } catch (error) {
      if (!isGfsError(error, "Conflict") || attempt === 3) throw error;
    }
  }
}

/** An object put at a site by another tool. */
export async function putForeign(store: Store, key: string, body: string | Uint8Array): Promise<void> {
  const staged = await store.stage(rigCtx, key);
  await staged.write(Buffer.from(body as Uint8Array));
  await staged.seal();
  await staged.commit(rigCtx);
}

export async function bodyAt(store: Store, key: string): Promise<string | undefined> {
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of (await store.get(rigCtx, key)).stream) chunks.push(Buffer.from(chunk));
    return Buffer.concat(chunks).toString();
  } catch {
    return undefined;
  }
}
