import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { rigCtx, startRig } from "../../src/coordinator/testing/rig.ts";
import { createMemoryKv, type Kv, openLmdbKv } from "../../src/kv/index.ts";
import { catalogFaults } from "../support/catalog-faults.ts";

const CLIENTS = 256;
const ROUNDS = 2;

async function meetNoError(kv: Kv): Promise<void> {
  const rig = await startRig({ kv });
  onTestFinished(async () => await rig.stop());
  const client = async (name: number): Promise<void> => {
    for (let round = 0; round < ROUNDS; round++) {
      await rig.put(`own/${name}/${round}/a/b/x`, "own");
      // Each level is made by whoever comes first.
      await rig.put(`shared/${round}/${name % 8}/c/d/${name}`, "shared");
    }
  };
  const outcomes = await Promise.allSettled(Array.from({ length: CLIENTS }, async (_, name) => await client(name)));
  expect(outcomes.filter(({ status }) => status === "rejected")).toEqual([]);
  for (const prefix of ["own/", "shared/"])
    expect((await rig.coordinator.usage(rigCtx, prefix)).objects).toBe(CLIENTS * ROUNDS);
  expect(await catalogFaults(kv)).toEqual([]);
}

test("W12 256 clients that make directories at once, their own and the same, meet no error over a catalog in memory", async () => {
  await meetNoError(createMemoryKv());
}, 60_000);

test("W12 The same over a catalog on a disk", async () => {
  const directory = await mkdtemp(join(tmpdir(), "gfs-clients-"));
  const kv = await openLmdbKv({ path: directory });
  onTestFinished(async () => {
    await kv.close();
    await rm(directory, { recursive: true });
  });
  await meetNoError(kv);
}, 60_000);
