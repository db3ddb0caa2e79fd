/**
 * A catalog that is lost: files with metadata at two primaries, the catalog dumped, loaded, checked, and made again into LMDB from the sites alone and
 * from a backup and the sites; every attribute of every file is compared with what it was.
 *
 *   npm run bench -- rebuild
 *   npm run bench -- rebuild 10000
 */
import { deepStrictEqual, equal } from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { ulid } from "ulidx";
import { checkSetAside } from "../src/coordinator/index.ts";
import { startRig } from "../src/coordinator/testing/rig.ts";
import { forEachBounded } from "../src/core/async/for-each.ts";
import { backgroundCtx } from "../src/core/context.ts";
import type { SiteName, VersionId } from "../src/core/ids.ts";
import { systemClock } from "../src/core/ports/clock.ts";
import { type Kv, makeLmdbCatalog, openLmdbReader } from "../src/kv/index.ts";
import { backUp, checkMeta, dumpCatalog, findBackup, loadCatalog, rebuild } from "../src/meta/index.ts";
import { checkJobs } from "../src/mover/index.ts";
import { createMemoryStore, type Site } from "../src/stores/index.ts";
import { treeOf } from "../tests/support/tree-of.ts";

const FILES = Number(process.argv[2] ?? 100_000);
const AT_ONCE = 64;
const directory = await mkdtemp(path.join(os.tmpdir(), "globalfs-bench-"));
const ctx = backgroundCtx();

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const startedMs = performance.now();
  const value = await work();
  const seconds = (performance.now() - startedMs) / 1_000;
  const memoryMiB = Math.round(process.memoryUsage.rss() / 1024 ** 2);
  console.log(
    `${what.padEnd(44)} ${seconds.toFixed(1).padStart(7)} s ${Math.round(FILES / seconds)
      .toString()
      .padStart(8)} files/s   ${memoryMiB} MiB`,
  );
  return value;
}

const stores = { one: createMemoryStore(), two: createMemoryStore() };
const sites = Object.entries(stores).map(([name, store]): Site => ({
  name: name as SiteName,
  role: "primary",
  store,
  foreign: "merge",
  label: name,
}));
const rig = await startRig({ sites: sites.map(({ name, role, store }) => ({ name, role, store })) });

const rebuilt = async (name: string, fromSites: boolean): Promise<Kv> => {
  const place = path.join(directory, name);
  const versionIdAt = (atMs: number): VersionId => ulid(Math.floor(atMs)) as VersionId;
  const deps = { clock: systemClock, cluster: "bench", sites, versionIdAt };
  const backup = fromSites ? undefined : await findBackup(ctx, deps);
  await makeLmdbCatalog({
    directory: place,
    leastRevision: backup?.revision ?? 0,
    fill: async (kv) => await rebuild(ctx, { kv, ...deps }, backup === undefined ? {} : { backup }),
  });
  return await openLmdbReader(place);
};

async function compare(what: string, kv: Kv, expected: Record<string, unknown>): Promise<void> {
  const found = await timed(`  reading all of it back, ${what}`, async () => await treeOf(kv));
  equal(Object.keys(found).length, Object.keys(expected).length);
  for (const key of Object.keys(expected)) deepStrictEqual(found[key], expected[key], key);
  const report = await timed("  checking it", async () => await checkMeta(kv, { checkJobs, checkSetAside }));
  // A tree that comes from the sites alone begins a history of its own.
  deepStrictEqual(report.findings, []);
  await kv.close();
}

try {
  await timed(`${FILES} PUTs to two sites, ${AT_ONCE} at once`, async () => {
    const indexes = Array.from({ length: FILES }, (_, index) => index);
    await forEachBounded(indexes, AT_ONCE, async (index) => {
      // All of it is in memory: without turns of the event loop no lease is kept alive.
      if (index % AT_ONCE === 0) await nextTurn();
      const more = index % 5 === 0 ? { contentType: "text/plain", metadata: { colour: "blue", ü: "é" } } : {};
      await rig.put(`d${index % 7}/ü ${index % 997}/file-${index}.bin`, `content of ${index}`, more);
    });
  });
  await rig.settled();
  const expected = await treeOf(rig.kv);
  equal(Object.keys(expected).length, FILES);

  await timed(
    "backup to both sites",
    async () => await backUp(ctx, { kv: rig.kv, clock: systemClock, cluster: "bench" }, { sites, keep: 2 }),
  );
  const pieces: Buffer[] = [];
  await timed("dump", async () => {
    for await (const piece of dumpCatalog(rig.kv, { clock: systemClock })) pieces.push(piece);
  });
  const loadedAt = path.join(directory, "loaded");
  await timed(
    "load into LMDB",
    async () =>
      await makeLmdbCatalog({
        directory: loadedAt,
        fill: async (kv) =>
          await loadCatalog(
            kv,
            (async function* () {
              yield* pieces;
            })(),
          ),
        revisionOf: ({ revision }) => revision,
      }),
  );
  await compare("loaded", await openLmdbReader(loadedAt), expected);
  await rig.stop();
  // The catalog is gone from here on: nothing of it is looked at.
  await compare(
    "from the sites alone",
    await timed("rebuild from the sites alone", async () => await rebuilt("alone", true)),
    expected,
  );
  await compare(
    "from backup and sites",
    await timed("rebuild from a backup and the sites", async () => await rebuilt("both", false)),
    expected,
  );
  console.log(`${FILES} files compared three times: no difference`);
} finally {
  await rm(directory, { recursive: true, force: true });
}
