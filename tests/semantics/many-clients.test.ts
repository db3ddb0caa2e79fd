import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { type Kv, openLmdbKv, createMemoryKv } from "../../src/kv/index.ts";
import { catalogFaults } from "../support/catalog-faults.ts";
import { rigCtx, startRig } from "../../src/coordinator/testing/rig.ts";

const CLIENTS = 256;
const ROUNDS = 2;

async function lmdb(): Promise<Kv> {
  const directory = await mkdtemp(join(tmpdir(), "gfs-clients-"));
  const kv = await openLmdbKv({ path: directory });
  onTestFinished(async () => {
    await kv.close();
    await rm(directory, { recursive: true });
  });
  return kv;
}

it.each([
  ["in memory", async () => createMemoryKv()],
  ["on a disk", lmdb],
])(
  `W12 ${CLIENTS} clients that make directories of their own, and some together, meet no error, %s`,
  async (_, open) => {
    const kv = await open();
    const rig = await startRig({ kv });
    onTestFinished(async () => await rig.stop());
    const client = async (name: number): Promise<void> => {
      for (let round = 0; round < ROUNDS; round++) {
        await rig.put(`own/${name}/${round}/a/b/x`, "own");
        // Each level is made by whoever comes first.
        await rig.put(`shared/${round}/${name % 8}/c/d/${name}`, "shared");
      }
    };
    const outcomes = await Promise.allSettled(Array.from({ length: CLIENTS }, async (__, name) => await client(name)));
    expect(outcomes.filter(({ status }) => status === "rejected")).toEqual([]);
    for (const prefix of ["own/", "shared/"]) {
      const { objects } = await rig.coordinator.usage(rigCtx, prefix);
      expect(objects).toBe(CLIENTS * ROUNDS);
    }
    expect(await catalogFaults(kv)).toEqual([]);
  },
);
