import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../src/core/ports/clock.ts";
import { createMemoryKv, type Kv, makeLmdbCatalog, openLmdbReader } from "../../src/kv/index.ts";
import { dumpCatalog, loadCatalog, uncompressed } from "../../src/meta/index.ts";
import { assemblyFor, rigCtx, startRig } from "../../src/coordinator/testing/rig.ts";
import { startTimed } from "../../src/coordinator/testing/timed-rig.ts";
import { catalogFaults } from "../support/catalog-faults.ts";

async function* piecesOf(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.byteLength; at += 4_096) yield bytes.subarray(at, at + 4_096);
}

async function dumpOf(kv: Kv): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of dumpCatalog(kv, { clock: systemClock })) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function freshDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "gfs-catalog-"));
  onTestFinished(async () => await rm(directory, { recursive: true }));
  return directory;
}

const load = async (directory: string, bytes: Buffer): Promise<unknown> =>
  await makeLmdbCatalog({
    directory,
    fill: async (kv) => await loadCatalog(kv, piecesOf(bytes)),
    revisionOf: ({ revision }) => revision,
  });

test("M1 A dump is the catalog of one moment, while writes go on", async () => {
  const rig = await startRig();
  for (let index = 0; index < 30; index++) await rig.put(`a/${index}`, String(index));
  await rig.settled();
  const before = await dumpOf(rig.kv);
  const pieces: Buffer[] = [];
  let writes = 0;
  for await (const piece of dumpCatalog(rig.kv, { clock: systemClock })) {
    pieces.push(piece);
    await rig.put(`b/${writes++}`, "later");
  }
  expect(writes).toBeGreaterThan(1);
  expect(Buffer.concat(pieces).equals(before)).toBe(true);
  await rig.stop();
});

test("M2 A dump that breaks off or was changed is never taken in, and a load makes a whole catalog or none", async () => {
  const rig = await startRig();
  for (let index = 0; index < 30; index++) await rig.put(`a/${index}`, String(index));
  await rig.settled();
  const bytes = await dumpOf(rig.kv);
  await rig.stop();
  const directory = await freshDirectory();
  const changed = Buffer.from(bytes);
  changed[bytes.indexOf('"name":"7"') + 9] = 0x38;
  for (const wrong of [bytes.subarray(0, bytes.byteLength / 2), bytes.subarray(0, -1), changed])
    await expect(load(directory, wrong)).rejects.toMatchObject({ code: "DataCorrupt" });
  expect(await readdir(directory)).not.toContain("catalog.lmdb");
  await load(directory, bytes);
  await expect(load(directory, bytes)).rejects.toMatchObject({ code: "AlreadyExists" });
  const kv = await openLmdbReader(directory);
  try {
    expect(await catalogFaults(kv)).toEqual([]);
    expect((await dumpOf(kv)).equals(bytes)).toBe(true);
  } finally {
    await kv.close();
  }
});

test("M3 Backups go to the sites on a schedule, each is a whole dump, and one that fails is told and takes none away", async () => {
  const { settings } = assemblyFor(createMemoryKv());
  const backup = { everyMs: 3_600_000, keep: 3, sites: [] };
  const rig = await startTimed({ local: "primary" }, { overrides: { settings: { ...settings, backup } } });
  const state = async () => (await rig.coordinator.info(rigCtx)).backup;
  const until = async (isSo: () => Promise<boolean>): Promise<void> => {
    for (let turn = 0; turn < 1_000 && !(await isSo()); turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(await isSo()).toBe(true);
  };
  await rig.put("a", "1");
  await rig.clock.advance(600_000);
  await until(async () => (await state())?.last !== undefined);
  const key = (await state())?.last?.key as string;
  const pieces: Uint8Array[] = [];
  for await (const piece of uncompressed((await rig.sites.local.get(rigCtx, key)).stream)) pieces.push(piece);
  const directory = await freshDirectory();
  await load(directory, Buffer.concat(pieces));
  const kv = await openLmdbReader(directory);
  expect(await catalogFaults(kv)).toEqual([]);
  await kv.close();
  rig.sites.local.failing.add("stage");
  await rig.clock.advance(3_600_000);
  await until(async () => (await state())?.failure !== undefined);
  expect((await rig.sites.local.head(rigCtx, key)).sizeBytes).toBe((await state())?.last?.sizeBytes);
  rig.sites.local.failing.delete("stage");
  await rig.clock.advance(300_000);
  await until(async () => (await state())?.failure === undefined);
  expect((await state())?.last?.key).not.toBe(key);
});
