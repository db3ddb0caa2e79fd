import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monotonicFactory } from "ulidx";
import { expect, onTestFinished } from "vitest";
import type { Settings } from "../../src/coordinator/index.ts";
import { flakyStore, type FlakyStore } from "../../src/coordinator/testing/flaky-store.ts";
import { type Rig, rigCtx, type RigOptions, startRig } from "../../src/coordinator/testing/rig.ts";
import { createFakeClock, type FakeClock } from "../../src/core/testing/fake-clock.ts";
import { systemClock } from "../../src/core/ports/clock.ts";
import { createMemoryKv } from "../../src/kv/index.ts";
import type { Job } from "../../src/mover/index.ts";
import { catalogFaults } from "../support/catalog-faults.ts";
import {
  createMemoryStore,
  type GetOptions,
  openFileStore,
  type SiteRole,
  type Store,
} from "../../src/stores/index.ts";
import { AWHILE_MS, cacheOf, type Configuration, layered, PLAIN, withPrimaries } from "./configuration.ts";

/** What the tests of the guarantees stand on: a whole coordinator whose sites can be made to fail, looked at from outside. */

export const SETTINGS: Settings = {
  version: "0.0.0-test",
  clusterName: "test",
  maxObjectBytes: 1024 ** 3,
  tombstoneRetentionMs: 60_000,
  stagingRetentionMs: 86_400_000,
  uploadRetentionMs: 7 * 86_400_000,
  housekeepingIntervalMs: 3_600_000,
};

/** The sites of a setting, and the options of a rig over them. */
export interface Prepared<Name extends string> {
  readonly options: RigOptions;
  /** Below the layers, those that the configuration adds included. */
  readonly sites: Readonly<Record<Name, FlakyStore>>;
  readonly primaries: readonly Name[];
  /** A while later: the cache has forgotten what it had, and breakers that are open let a probe through. */
  later(): Promise<void>;
}

export interface Setting<Name extends string> extends Rig, Omit<Prepared<Name>, "options"> {}

export interface SettingOptions<Name extends string> extends RigOptions {
  readonly configuration?: Configuration;
  readonly openStore?: (name: NoInfer<Name>) => Promise<Store>;
}

export async function prepare<Name extends string>(
  roles: Readonly<Record<Name, SiteRole>>,
  { openStore, configuration = PLAIN, ...rest }: SettingOptions<Name> = {},
): Promise<Prepared<Name>> {
  let skippedMs = 0;
  const clock = rest.clock ?? { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + skippedMs };
  const named = withPrimaries(roles, configuration);
  const sites = {} as Record<Name, FlakyStore>;
  for (const [name] of named)
    sites[name] = flakyStore(openStore === undefined ? createMemoryStore() : await openStore(name));
  return {
    options: {
      ...rest,
      clock,
      sites: named.map(([name, role]) => ({ name, role, ...layered(name, sites[name], configuration, clock) })),
      overrides: { cache: cacheOf(configuration), ...rest.overrides },
    },
    sites,
    primaries: named.flatMap(([name, role]) => (role === "primary" ? [name] : [])),
    later: async () => void (skippedMs += AWHILE_MS + 1),
  };
}

export async function start<Name extends string>(
  roles: Readonly<Record<Name, SiteRole>>,
  settingOptions: SettingOptions<Name> = {},
): Promise<Setting<Name>> {
  const { options, ...prepared } = await prepare(roles, settingOptions);
  const rig = await startRig(options);
  onTestFinished(async () => {
    expect(await catalogFaults(rig.kv)).toEqual([]);
    await rig.stop();
  });
  return { ...rig, ...prepared };
}

export interface TimedSetting<Name extends string> extends Setting<Name> {
  readonly clock: FakeClock;
  /** The process is not there for so long; days go by at once. */
  away(durationMs: number): Promise<void>;
  /** Time passes until no job is left that could run. */
  pass(): Promise<void>;
}

/** The same, in a time that only the test moves. */
export async function startTimed<Name extends string>(
  roles: Readonly<Record<Name, SiteRole>>,
  options: SettingOptions<Name> = {},
): Promise<TimedSetting<Name>> {
  const clock = createFakeClock();
  const kv = createMemoryKv({ clock });
  const openStore = async (): Promise<Store> => createMemoryStore({}, { clock });
  const nextUlid = monotonicFactory();
  const nextId = (): string => nextUlid(Math.floor(clock.nowMs()));
  const overrides = { nextId, ...options.overrides };
  const setting = await start(roles, { kv, clock, openStore, ...options, overrides });
  return {
    ...setting,
    clock,
    later: async () => await clock.advance(AWHILE_MS + 1),
    async away(durationMs) {
      await setting.coordinator.stop();
      await clock.advance(durationMs);
      await setting.coordinator.start(new AbortController().signal);
      await clock.advance(1);
    },
    async pass() {
      for (let turn = 0; turn < 60; turn++) {
        await clock.advance(61_000);
        if ((await jobsIn(setting, "waiting")).length + (await jobsIn(setting, "running")).length === 0) return;
      }
    },
  };
}

export async function jobsIn({ coordinator }: Rig, state: Job["state"]): Promise<readonly Job[]> {
  return (await coordinator.listJobs(rigCtx, { limit: 1_000 })).jobs.filter((job) => job.state === state);
}

export async function tempDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "globalfs-semantics-"));
  onTestFinished(async () => await rm(directory, { recursive: true, force: true }));
  return directory;
}

export async function fileStores(): Promise<(name: string) => Promise<Store>> {
  const directory = await tempDirectory();
  return async (name) => await openFileStore({ root: join(directory, name) });
}

export interface Fetch {
  readonly site: string;
  readonly key: string;
  readonly options: GetOptions | undefined;
}

/** Every fetch from the sites from here on, in order. */
export function recordFetches(sites: Readonly<Record<string, Store>>): Fetch[] {
  const fetches: Fetch[] = [];
  for (const [site, store] of Object.entries(sites)) {
    const get = store.get.bind(store);
    store.get = async (ctx, key, options) => {
      fetches.push({ site, key, options });
      return await get(ctx, key, options);
    };
  }
  return fetches;
}

export async function keysOf({ coordinator }: Rig, prefix = ""): Promise<string[]> {
  return (await coordinator.listObjects(rigCtx, { prefix, limit: 1_000 })).objects.map(({ key }) => key);
}

/** The code of the error, or `done`. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "done",
    (error: unknown) => (error as { code: string }).code,
  );
}

/** Opens when told to. */
export class Gate {
  #open: () => void = () => undefined;
  #arrived: () => void = () => undefined;
  readonly opened = new Promise<void>((resolve) => {
    this.#open = resolve;
  });
  /** Somebody waits at the gate. */
  readonly reached = new Promise<void>((resolve) => {
    this.#arrived = resolve;
  });

  readonly pass = async (): Promise<void> => {
    this.#arrived();
    await this.opened;
  };

  open(): void {
    this.#open();
  }
}
