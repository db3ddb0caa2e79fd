/**
 * Renames of a directory of many files through the service, over a catalog on this disk and a file site whose own objects count (`foreign: merge`): with all of them
 * in the catalog, and with as many more that another tool has put there. Beside them what the disk itself takes to rename a directory.
 *
 *   npm run bench -- renames [COUNT]
 */
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { rigCtx, startRig } from "../src/coordinator/testing/rig.ts";
import { openLmdbKv } from "../src/kv/index.ts";
import { openFileStore } from "../src/stores/index.ts";

const COUNT = Number(process.argv[2] ?? 100_000);
const IN_DIRECTORY = 1_000;
/** Few enough that none has to wait for the walks behind those before it. */
const ROUNDS = 5;

const directory = await mkdtemp(path.join(os.tmpdir(), "globalfs-bench-"));
const root = path.join(directory, "site");
const kv = await openLmdbKv({ path: path.join(directory, "catalog") });

async function fill(name: string): Promise<void> {
  for (let from = 0; from < COUNT; from += IN_DIRECTORY) {
    const below = path.join(root, "0", name, String(from / IN_DIRECTORY));
    await mkdir(below, { recursive: true });
    await Promise.all(
      Array.from(
        { length: Math.min(IN_DIRECTORY, COUNT - from) },
        async (_, index) => await writeFile(path.join(below, String(from + index)), "x"),
      ),
    );
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

const median = (times: readonly number[]): number => [...times].sort((a, b) => a - b)[times.length >> 1] as number;

try {
  await mkdir(path.join(root, "0"), { recursive: true });
  const rig = await startRig({
    kv,
    sites: [{ name: "disk", role: "primary", store: await openFileStore({ root: path.join(root, "0") }) }],
  });
  const { coordinator } = rig;
  await fill("a");
  for await (const page of coordinator.importSite(rigCtx, { site: "disk" }))
    if (page.done) console.log(`${page.adopted} files are in the catalog`);
  await coordinator.pauseAllJobs(rigCtx, true);
  const there: number[] = [];
  const back: number[] = [];
  const measure = async (what: string): Promise<void> => {
    there.length = back.length = 0;
    for (let round = 0; round < ROUNDS; round++) {
      there.push(await timed(async () => await coordinator.rename(rigCtx, { from: "a/", to: "b/" })));
      back.push(await timed(async () => await coordinator.rename(rigCtx, { from: "b/", to: "a/" })));
    }
    const all = [...there, ...back];
    console.log(
      `${what}: ${median(all).toFixed(2)} ms, the first ${(there[0] as number).toFixed(2)} ms, at most ${Math.max(...all).toFixed(2)} ms`,
    );
  };
  await measure("with all in the catalog");
  await fill("a/more");
  await measure("with as many that nobody has taken in");
  const onDisk: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const names = [path.join(root, "one"), path.join(root, "other")] as const;
    if (round === 0) await mkdir(names[0]);
    onDisk.push(await timed(async () => await rename(names[round % 2] as string, names[(round + 1) % 2] as string)));
  }
  console.log(`a rename on the disk itself, not flushed: ${median(onDisk).toFixed(2)} ms`);
  await rig.stop();
} finally {
  await kv.close();
  await rm(directory, { recursive: true, force: true });
}
