import { expect, it } from "vitest";
import { seededRandom } from "../core/ports/random.ts";
import { chaosLayer, type Store } from "../stores/index.ts";
import { bytesAt } from "../stores/testing/scripted-store.ts";
import { backgroundCtx } from "../core/context.ts";
import { MoverRig } from "./testing/rig.ts";

const SEEDS =
  process.env["GLOBALFS_LONG"] === undefined
    ? [1, 2, 3, 4, 5, 6]
    : Array.from({ length: 200 }, (_, index) => index + 1);
const STEPS = 120;

/**
 * Random writes, deletes, renames, restarts and time over sites that fail before and after the effect. In the end the faults stop, and
 * then every file has its bytes at every site, and no site holds an object of a file that is gone.
 */
it.each(SEEDS)("brings every site to what the catalog says, whatever fails on the way (seed %i)", async (seed) => {
  const random = seededRandom(seed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random.fraction() * from.length)] as T;
  let calm = false;
  const names = ["local", "cloud", "tape"];
  // Faults hit the mover alone: what the coordinator does when its own site fails is tested there.
  const wrap = (store: Store): Store => {
    const chance = seededRandom(seed + 1_000);
    return chaosLayer({
      random: { ...chance, fraction: () => (calm ? 1 : chance.fraction()) },
      errorBefore: 0.15,
      errorAfter: 0.15,
      truncatedRead: 0.1,
      corruptRead: 0.05,
    })(store);
  };
  const rig = await new MoverRig(
    names,
    { transferChunkBytes: 300, maxQueuedJobs: 12, maxConcurrentTransfers: 4 },
    wrap,
  ).start();
  const model = new Map<string, string>();
  const paths = ["a", "b", "dir/c", "dir/d", "dir/sub/e"];
  const calmly = async <T>(work: () => Promise<T>): Promise<T> => {
    calm = true;
    try {
      return await work();
    } finally {
      calm = false;
    }
  };
  for (let step = 0; step < STEPS; step++) {
    const path = pick(paths);
    const action = random.fraction();
    if (action < 0.45) {
      const body = `${step} `.repeat(pick([1, 20, 400]));
      await calmly(async () => await rig.put(path, body));
      model.set(path, body);
    } else if (action < 0.6) {
      await calmly(async () => await rig.remove(path));
      model.delete(path);
    } else if (action < 0.75) {
      const to = pick(paths);
      const body = model.get(path);
      if (body === undefined || to === path) continue;
      await calmly(async () => await rig.rename(path, to));
      model.delete(path);
      model.set(to, body);
    } else if (action < 0.8) await rig.restart();
    else await rig.clock.advance(pick([1, 100, 3_000]));
  }
  calm = true;
  for (let turn = 0; turn < 40; turn++) {
    await rig.clock.advance(60_000);
    for (const job of await rig.jobs())
      if (job.state === "failed" && job.kind !== "publish") await rig.mover.resume(job.id);
    await rig.idle();
    if ((await rig.mover.depth()) === 0) break;
  }
  expect((await rig.jobs()).filter(({ state }) => state === "waiting")).toEqual([]);
  const keys = new Map(names.map((name) => [name, new Set<string>()]));
  for (const [path, body] of model) {
    for (const [site, owned] of keys) {
      const copy = await rig.copy(path, site);
      expect(copy, `${path} at ${site}`).toMatchObject({ state: "present" });
      owned.add(copy?.key as string);
      expect((await bytesAt(rig.store(site), copy?.key as string))?.toString(), `${path} at ${site}`).toBe(body);
    }
  }
  for (const [site, owned] of keys) {
    const { objects } = await rig.store(site).list(backgroundCtx(), { limit: 1_000 });
    expect(
      objects.map(({ key }) => key).filter((key) => !owned.has(key)),
      `left at ${site}`,
    ).toEqual([]);
  }
  await rig.mover.stop();
});
