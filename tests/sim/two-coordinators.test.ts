import { expect, it } from "vitest";
import { assembleCoordinator, type Coordinator } from "../../src/coordinator/index.ts";
import { assemblyFor, bodyAt, chunksOf, readAll, rigCtx, settleJobs } from "../../src/coordinator/testing/rig.ts";
import { type Random, seededRandom } from "../../src/core/ports/random.ts";
import type { SiteName } from "../../src/core/ids.ts";
import { isGfsError } from "../../src/core/errors.ts";
import { createMemoryKv } from "../../src/kv/index.ts";
import { checkCatalog } from "../../src/namespace/index.ts";
import { createMemoryStore, type Site, type Store } from "../../src/stores/index.ts";
import { delegateStaged, delegateStore } from "../../src/stores/layers/delegate.ts";

/**
 * Two coordinators over one catalog and the same sites, without a lock that they share. Whatever is done through both at the same time, the catalog's
 * transaction decides: what was acknowledged last is there, whole and everywhere, and nothing else is.
 */

const SEEDS = process.env["GLOBALFS_LONG"] === undefined ? 12 : 200;
const ROUNDS = 25;
const KEYS = ["d/x", "d/y", "e/x"];

const below = (chance: Random, limit: number): number => Math.floor(chance.fraction() * limit);

/** Each call of a site waits for a while, so that the two meet at every step. */
function slowed(store: Store, chance: Random): Store {
  const pause = async (): Promise<void> => {
    for (let turns = below(chance, 6); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
  };
  return delegateStore(store, {
    async head(...args) {
      await pause();
      return await store.head(...args);
    },
    async delete(...args) {
      await pause();
      await store.delete(...args);
    },
    async copy(...args) {
      await pause();
      return await store.copy(...args);
    },
    async stage(...args) {
      const staged = await store.stage(...args);
      return delegateStaged(staged, {
        async commit(...options) {
          await pause();
          const info = await staged.commit(...options);
          await pause();
          return info;
        },
      });
    },
  });
}

async function startTwo(chance: Random) {
  const kv = createMemoryKv();
  const stores = { one: slowed(createMemoryStore(), chance), cloud: slowed(createMemoryStore(), chance) };
  const sites = (): Site[] =>
    (["one", "cloud"] as const).map((name) => ({
      name: name as SiteName,
      role: name === "one" ? "primary" : "burst",
      store: stores[name],
      foreign: "merge",
      label: `memory://${name}`,
    }));
  const coordinators: Coordinator[] = [];
  for (const identity of ["first", "second"]) {
    const { coordinator } = assembleCoordinator(assemblyFor(kv, { identity }), sites());
    await coordinator.start(new AbortController().signal);
    coordinators.push(coordinator);
  }
  return { kv, stores, coordinators };
}

async function contentOf(coordinator: Coordinator, key: string): Promise<string | undefined> {
  try {
    return (await readAll(coordinator, key)).toString();
  } catch (error) {
    if (isGfsError(error, "NotFound")) return undefined;
    throw error;
  }
}

it.each(Array.from({ length: SEEDS }, (_, index) => index + 1))(
  "two coordinators lose, mix and undo nothing that was acknowledged (seed %i)",
  { timeout: 120_000 },
  async (seed) => {
    const chance = seededRandom(seed);
    const { kv, stores, coordinators } = await startTwo(chance);
    try {
      const files = new Map<string, string>();
      let written = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const key = KEYS[below(chance, KEYS.length)] as string;
        /** What the key may hold afterwards: what each of those that succeeded leaves, or what it held. */
        const possible = new Set<string | undefined>();
        const before = files.get(key);
        const act = async (coordinator: Coordinator): Promise<void> => {
          const body = `body ${(written += 1)} of ${key}`;
          const choice = below(chance, 10);
          try {
            if (choice < 6) {
              await coordinator.putObject(rigCtx, { key, body: chunksOf(Buffer.from(body)) });
              possible.add(body);
            } else if (choice < 8) {
              await coordinator.deleteObject(rigCtx, key);
              possible.add(undefined);
            } else {
              const read = await contentOf(coordinator, key);
              expect(read ?? `of ${key}`).toContain(`of ${key}`);
            }
          } catch (error) {
            // What is refused in the middle of the others has happened or has not, and says so.
            if (!isGfsError(error, "Conflict", "Unavailable")) throw error;
            possible.add(choice < 6 ? body : undefined);
            possible.add(before);
          }
        };
        const count = 1 + below(chance, 3);
        await Promise.all(
          Array.from({ length: count }, async (_, index) => {
            await act(coordinators[(index + round) % 2] as Coordinator);
          }),
        );
        if (possible.size === 0) possible.add(before);
        const [one, other] = await Promise.all(coordinators.map(async (each) => await contentOf(each, key)));
        expect(one).toBe(other);
        expect([...possible]).toContain(one);
        if (one === undefined) files.delete(key);
        else files.set(key, one);
        if (below(chance, 4) === 0) await settleJobs(coordinators[0] as Coordinator);
      }
      await settleJobs(coordinators[0] as Coordinator);
      for (const [name, store] of Object.entries(stores)) {
        const keysAt = async (): Promise<string[]> =>
          (await store.list(rigCtx, { limit: 100 })).objects.map(({ key }) => key);
        // A key where something landed goes behind the job that has published it.
        await expect.poll(keysAt, { message: name }).toEqual([...files.keys()].toSorted());
        for (const [key, body] of files) expect([name, key, await bodyAt(store, key)]).toEqual([name, key, body]);
      }
      expect((await checkCatalog(kv)).faults).toEqual([]);
    } finally {
      for (const coordinator of coordinators) await coordinator.stop();
    }
  },
);
