/**
 * How fast remembered deletes are forgotten, of which many come due at once, by a leader over a catalog on this disk.
 *
 *   npm run bench -- tombstones [COUNT]
 */
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { assemblyFor, startRig } from "../src/coordinator/testing/rig.ts";
import type { FilePath, VersionId } from "../src/core/ids.ts";
import { BUDGET, openLmdbKv } from "../src/kv/index.ts";
import { entombKey, oldTombstones } from "../src/namespace/index.ts";
import { createMemoryStore } from "../src/stores/index.ts";

const COUNT = Number(process.argv[2] ?? 1_000_000);
const SIDE_BY_SIDE = 16;
const LOOK_EVERY_MS = 100;

const directory = await mkdtemp(path.join(os.tmpdir(), "globalfs-bench-"));
const kv = await openLmdbKv({ path: directory });
const aCommit = Math.floor(BUDGET.writes / 2);
let deletedMs = 0;

async function bury(from: number): Promise<void> {
  await kv.transact(function* (tx) {
    for (let index = from; index < Math.min(COUNT, from + aCommit); index++) {
      const versionId = `0${String(index).padStart(25, "0")}` as VersionId;
      const file = `bucket/some/where/object-${index}` as FilePath;
      yield* entombKey(tx, { path: file, deletedMs, versionId, etags: ["0123456789abcdef0123456789abcdef-1"] });
    }
  });
}

try {
  const sites = [{ name: "disk", role: "primary" as const, store: createMemoryStore() }];
  // A first leader writes down which sites there are, so that the second has nothing to ask them for.
  await (await startRig({ kv, sites })).stop();
  deletedMs = Date.now() + 1;
  for (let from = 0; from < COUNT; from += SIDE_BY_SIDE * aCommit)
    await Promise.all(Array.from({ length: SIDE_BY_SIDE }, async (_, index) => await bury(from + index * aCommit)));
  const settings = { ...assemblyFor(kv).settings, tombstoneRetentionMs: 1 };
  const rig = await startRig({ kv, sites, overrides: { settings } });
  const startedMs = performance.now();
  for (;;) {
    const left = await kv.view((tx) => oldTombstones(tx, { untilMs: Date.now(), limit: 1 }));
    if (left.length === 0) break;
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  const seconds = (performance.now() - startedMs) / 1_000;
  console.log(
    `${COUNT} remembered deletes forgotten in ${seconds.toFixed(1)} s: ${Math.round(COUNT / seconds)} a second`,
  );
  await rig.stop();
} finally {
  await kv.close();
  await rm(directory, { recursive: true, force: true });
}
