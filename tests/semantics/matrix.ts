import { execFileSync } from "node:child_process";
import { closeSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { openFileStore, type SiteRole } from "../../src/stores/index.ts";
import type { Configuration } from "./configuration.ts";
import { prepare, type Setting, start, startTimed, tempDirectory } from "./setting.ts";

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
const CHOSEN = process.env["GLOBALFS_LONG"] === undefined ? PAIRWISE : ALL;

function nameOf({ cache, primaries, breaker }: Configuration): string {
  return `cache ${cache ? "on" : "off"}, ${primaries === 1 ? "1 primary" : "3 primaries"}, breaker ${breaker ? "on" : "off"}`;
}

/** How a test comes to its setting: as without a matrix, and in the configuration that is its turn. */
export interface Door {
  readonly configuration: Configuration;
  readonly prepare: typeof prepare;
  readonly start: typeof start;
  readonly startTimed: typeof startTimed;
}

/** A test of a guarantee that what operators choose must not touch. It is written once and runs in each configuration. */
export function everywhere(title: string, work: (door: Door) => Promise<void>, timeoutMs?: number): void {
  test.each(CHOSEN.map((configuration) => [nameOf(configuration), configuration] as const))(
    `${title}: %s`,
    async (_name, configuration) =>
      await work({
        configuration,
        prepare: async (roles, options) => await prepare(roles, { configuration, ...options }),
        start: async (roles, options) => await start(roles, { configuration, ...options }),
        startTimed: async (roles, options) => await startTimed(roles, { configuration, ...options }),
      }),
    timeoutMs,
  );
}

/** File sites whose objects a test can reach on the disk. */
export interface OnDisk extends Setting<string> {
  /** Where an object lies on the disk. */
  pathAt(site: string, key: string): string;
}

export async function startOnDisk({ start }: Door, roles: Readonly<Record<string, SiteRole>>): Promise<OnDisk> {
  const directory = await tempDirectory();
  const setting = await start(roles, {
    openStore: async (name) => await openFileStore({ root: join(directory, name) }),
  });
  return { ...setting, pathAt: (site, key) => join(directory, site, key) };
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
