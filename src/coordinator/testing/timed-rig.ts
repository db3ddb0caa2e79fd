import { monotonicFactory } from "ulidx";
import { onTestFinished } from "vitest";
import { createFakeClock, type FakeClock } from "../../core/testing/fake-clock.ts";
import { createMemoryKv } from "../../kv/index.ts";
import type { Job } from "../../mover/index.ts";
import { createMemoryStore, type SiteRole } from "../../stores/index.ts";
import { flakyStore, type FlakyStore } from "./flaky-store.ts";
import { type Rig, rigCtx, type RigOptions, startRig } from "./rig.ts";

/** A coordinator over sites that can be made to fail, in a time that only the test moves; without a cache, so that sites are asked. */
export interface TimedRig<Name extends string> extends Rig {
  readonly clock: FakeClock;
  readonly sites: Readonly<Record<Name, FlakyStore>>;
  /** Time passes until no job is left that could run. */
  pass(): Promise<void>;
  jobsIn(state: Job["state"]): Promise<readonly Job[]>;
}

export async function startTimed<Name extends string>(
  roles: Readonly<Record<Name, SiteRole>>,
  options: RigOptions = {},
): Promise<TimedRig<Name>> {
  const clock = createFakeClock();
  const names = Object.keys(roles) as Name[];
  const sites = Object.fromEntries(names.map((name) => [name, flakyStore(createMemoryStore({}, { clock }))])) as Record<
    Name,
    FlakyStore
  >;
  const nextUlid = monotonicFactory();
  const rig = await startRig({
    kv: createMemoryKv({ clock }),
    clock,
    sites: names.map((name) => ({ name, role: roles[name], store: sites[name] })),
    ...options,
    overrides: {
      cache: { maxBytes: 1, ttlMs: 0 },
      nextId: () => nextUlid(Math.floor(clock.nowMs())),
      ...options.overrides,
    },
  });
  onTestFinished(async () => await rig.stop());
  const jobsIn = async (state: Job["state"]): Promise<readonly Job[]> =>
    (await rig.coordinator.listJobs(rigCtx, { state, limit: 1_000 })).jobs;
  return {
    ...rig,
    clock,
    sites,
    jobsIn,
    async pass() {
      for (let turn = 0; turn < 60; turn++) {
        await clock.advance(61_000);
        if ((await jobsIn("waiting")).length + (await jobsIn("running")).length === 0) return;
      }
    },
  };
}
