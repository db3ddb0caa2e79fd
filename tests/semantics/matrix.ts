import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { flakyStore, type FlakyStore } from "../../src/coordinator/testing/flaky-store.ts";
import { type Rig, startRig } from "../../src/coordinator/testing/rig.ts";
import { systemClock } from "../../src/core/ports/clock.ts";
import { noMetrics } from "../../src/core/ports/metrics.ts";
import { seededRandom } from "../../src/core/ports/random.ts";
import { openFileStore, stackLayers } from "../../src/stores/index.ts";
import { NO_CACHE } from "./setting.ts";

/** What operators choose between. A guarantee holds however they choose. */
export interface Configuration {
  readonly cache: boolean;
  readonly primaries: 1 | 3;
  readonly breaker: boolean;
}

const ALL: readonly Configuration[] = [true, false].flatMap((cache) =>
  ([1, 3] as const).flatMap((primaries) => [true, false].map((breaker) => ({ cache, primaries, breaker }))),
);
/** Each pair of choices is among them. */
const PAIRWISE: readonly Configuration[] = [
  { cache: true, primaries: 1, breaker: false },
  { cache: true, primaries: 3, breaker: true },
  { cache: false, primaries: 1, breaker: true },
  { cache: false, primaries: 3, breaker: false },
];

export const CONFIGURATIONS: readonly (readonly [name: string, Configuration])[] = (
  process.env["GLOBALFS_LONG"] === undefined ? PAIRWISE : ALL
).map((each) => [
  `cache ${each.cache ? "on" : "off"}, ${each.primaries} ${each.primaries === 1 ? "primary" : "primaries"}, breaker ${each.breaker ? "on" : "off"}`,
  each,
]);

export interface Configured extends Rig {
  /** `local`, then `second` and `third` where there are three primaries, and the backup `archive`. */
  readonly sites: Readonly<Record<string, FlakyStore>>;
  readonly primaries: readonly string[];
  /** Where an object lies on the disk. */
  pathAt(site: string, key: string): string;
}

/** A coordinator over file sites, with the layers that a daemon puts on. */
export async function startConfigured({ cache, primaries, breaker }: Configuration): Promise<Configured> {
  const directory = mkdtempSync(join(tmpdir(), "globalfs-matrix-"));
  const names = ["local", "second", "third"].slice(0, primaries);
  const sites: Record<string, FlakyStore> = {};
  for (const name of [...names, "archive"])
    sites[name] = flakyStore(await openFileStore({ root: join(directory, name) }));
  const rig = await startRig({
    sites: Object.entries(sites).map(([name, flaky]) => ({
      name,
      role: name === "archive" ? ("backup" as const) : ("primary" as const),
      ...stackLayers(
        flaky,
        {
          site: name,
          verifyMaxBytes: 64 * 1024 ** 2,
          ...(breaker
            ? {
                breaker: { threshold: 5, cooldownMs: 30_000 },
                retry: { maxAttempts: 3, initialDelayMs: 1, maxDelayMs: 2, multiplier: 2 },
              }
            : {}),
        },
        { clock: systemClock, random: seededRandom(1), metrics: noMetrics },
      ),
    })),
    overrides: cache ? { cache: { maxBytes: 64 * 1024 ** 2, ttlMs: 0 } } : NO_CACHE,
  });
  onTestFinished(async () => {
    await rig.stop();
    rmSync(directory, { recursive: true, force: true });
  });
  return { ...rig, sites, primaries: names, pathAt: (site, key) => join(directory, site, key) };
}

/** Five bytes turn over in a file, and nothing else about it tells. */
export function rot(path: string, offset: number): void {
  const times = `${path}.times`;
  execFileSync("touch", ["-r", path, times]);
  const file = openSync(path, "r+");
  const bytes = Buffer.alloc(5);
  readSync(file, bytes, 0, 5, offset);
  writeSync(
    file,
    bytes.map((byte) => byte ^ 1),
    0,
    5,
    offset,
  );
  closeSync(file);
  execFileSync("touch", ["-r", times, path]);
  rmSync(times);
}
