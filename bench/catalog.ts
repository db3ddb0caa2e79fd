/**
 * What a request reads of the catalog: keys and ranges, by the steps of one coordinator with a file site and a backup, paths of depth 4.
 *
 *   npm run bench -- catalog
 */
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { rigCtx, startRig } from "../src/coordinator/testing/rig.ts";
import { createMemoryKv } from "../src/kv/index.ts";
import { createMemoryStore, openFileStore } from "../src/stores/index.ts";
import { countReads } from "./lib/counting-kv.ts";

const REQUESTS = 50;
/** By then those that a request wakes have looked whether there is work for them. */
const QUIET_MS = 100;
const keyOf = (index: number): string => `bucket/some/where/object-${index}`;

const directory = await mkdtemp(path.join(os.tmpdir(), "globalfs-bench-"));
const { kv, reads } = countReads(createMemoryKv());
const rig = await startRig({
  kv,
  // As the daemon runs it: nobody else writes to an embedded catalog.
  overrides: { isShared: false },
  sites: [
    { name: "disk", role: "primary", store: await openFileStore({ root: path.join(directory, "site") }) },
    { name: "archive", role: "backup", store: createMemoryStore() },
  ],
});

async function measure(
  what: string,
  goal: number | undefined,
  request: (key: string) => Promise<unknown>,
): Promise<void> {
  await setTimeout(QUIET_MS);
  const before = { ...reads };
  for (let index = 0; index < REQUESTS; index++) await request(keyOf(index));
  await setTimeout(QUIET_MS);
  const each = (name: keyof typeof reads): number => (reads[name] - before[name]) / REQUESTS;
  const verdict =
    goal === undefined ? "" : `   goal ${goal} ${Math.round(each("distinct")) <= goal ? "met" : "MISSED"}`;
  console.log(
    `${what.padEnd(28)} ${each("distinct").toFixed(1)} keys read of ${each("gets").toFixed(1)} asked for, ` +
      `${each("ranges").toFixed(1)} ranges, ${each("runs").toFixed(1)} runs, ${each("commits").toFixed(1)} commits${verdict}`,
  );
}

try {
  await rig.put("bucket/some/where/first", "x");
  // The work of jobs is not the requests'.
  await rig.coordinator.pauseAllJobs(rigCtx, true);
  await measure("PUT of a new object", 12, async (key) => await rig.put(key, "x"));
  await measure("PUT over an object", 12, async (key) => await rig.put(key, "y"));
  await measure("GET", undefined, async (key) => await rig.read(key));
  await measure("DELETE", undefined, async (key) => await rig.coordinator.deleteObject(rigCtx, key));
} finally {
  await rig.stop();
  await rm(directory, { recursive: true, force: true });
}
