import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Random, seededRandom } from "../../../src/core/ports/random.ts";
import { createFakeClock } from "../../../src/core/testing/fake-clock.ts";
import { openLmdbKv } from "../../../src/kv/engines/lmdb.ts";
import { openLmdbReader } from "../../../src/kv/engines/lmdb-reader.ts";
import { CATALOG_FILE } from "../../../src/kv/engines/lmdb-rows.ts";
import { encodeKey, type Kv, prefixRange, type Program, type Transaction } from "../../../src/kv/index.ts";
import { PowerLossFile } from "./power-loss-catalog.ts";

const LONG = process.env["GLOBALFS_LONG"] === "1";
const LIVES = LONG ? 100 : 12;
const COMMITS_A_LIFE = 60;
const ROWS = 40;
const COUNT = encodeKey("count");
const LOG = encodeKey("log");

let parent: string;
beforeEach(async () => {
  parent = await mkdtemp(path.join(os.tmpdir(), "globalfs-power-"));
});
afterEach(async () => await rm(parent, { recursive: true }));

type Rows = ReadonlyMap<number, string>;

/** The state after each commit, by its number; what a crash undid is taken away. */
class Model {
  readonly states: Rows[] = [new Map()];

  next(random: Random): (tx: Transaction) => Program<number> {
    const number = this.states.length;
    const rows = new Map(this.states.at(-1));
    const changed = Array.from({ length: 1 + Math.floor(random.fraction() * 4) }, () => random.fraction());
    for (const each of changed) {
      const row = Math.floor(each * ROWS);
      if (random.fraction() < 0.3) rows.delete(row);
      else rows.set(row, `${number}/${row};`.repeat(random.fraction() < 0.1 ? 2_000 : 10));
    }
    const before = this.states.at(-1) as Rows;
    this.states.push(rows);
    return function* (tx) {
      const count = yield* tx.get(COUNT);
      const found = count === undefined ? 0 : Number(Buffer.from(count).toString());
      if (found !== number - 1) throw new Error(`Commit ${number} follows commit ${found}.`);
      tx.put(COUNT, Buffer.from(String(number)));
      for (const [row, value] of rows) if (before.get(row) !== value) tx.put(encodeKey("row", row), Buffer.from(value));
      for (const row of before.keys()) if (!rows.has(row)) tx.delete(encodeKey("row", row));
      tx.append(LOG, Buffer.from(String(number)));
      return number;
    };
  }
}

async function numberOf(kv: Kv): Promise<number> {
  const count = await kv.view((tx) => tx.get(COUNT));
  return count === undefined ? 0 : Number(Buffer.from(count).toString());
}

async function expectState(kv: Kv, model: Model, number: number): Promise<void> {
  const rows = await kv.view((tx) => tx.range({ ...prefixRange(encodeKey("row")), limit: 1_000 }));
  const expected = [...(model.states[number] as Rows)].sort(([one], [other]) => one - other);
  expect(rows.map(({ value }) => Buffer.from(value).toString())).toEqual(expected.map(([, value]) => value));
  const log = await kv.view((tx) => tx.range({ ...prefixRange(LOG), limit: 10_000 }));
  expect(log.map(({ value }) => Number(Buffer.from(value).toString()))).toEqual(
    Array.from({ length: number }, (_, index) => index + 1),
  );
}

it(
  `Power loss leaves all commits up to one, and every durable one, over ${LIVES} lives`,
  { timeout: LONG ? 1_200_000 : 60_000 },
  async () => {
    const seed = Number(process.env["GLOBALFS_SEED"] ?? Date.now() % 2 ** 31);
    const random = seededRandom(seed);
    const model = new Model();
    let image: Buffer | undefined;
    let durable = 0;
    let revision = -1;
    let undone = 0;
    for (let life = 0; life < LIVES; life++) {
      const directory = path.join(parent, String(life));
      await mkdir(directory);
      if (image !== undefined) await writeFile(path.join(directory, CATALOG_FILE), image);
      const kv = await openLmdbKv({ path: directory }, { clock: createFakeClock(), bootId: `boot ${life}` });
      const number = await numberOf(kv);
      const last = model.states.length - 1;
      expect({ seed, life, inOrder: number >= durable && number <= last }).toEqual({ seed, life, inOrder: true });
      await expectState(kv, model, number);
      undone += last - number;
      model.states.length = number + 1;
      // None is given twice, so that nobody takes one commit for another.
      expect(await kv.revision()).toBeGreaterThan(revision);

      const disk = new PowerLossFile(path.join(directory, CATALOG_FILE));
      await disk.watch();
      const acknowledged = (upTo: number) => () => void (durable = Math.max(durable, upTo));
      const flushing: Promise<void>[] = [];
      const commits = 1 + Math.floor(random.fraction() * COMMITS_A_LIFE);
      const durableShare = random.fraction() ** 2;
      durable = number;
      for (let commit = 0; commit < commits; commit++) {
        const program = model.next(random);
        const upTo = model.states.length - 1;
        if (random.fraction() < durableShare) flushing.push(kv.transact(program).then(acknowledged(upTo)));
        else if (random.fraction() < 0.5) kv.transactSync?.(program);
        else await kv.transact(program, { durability: "visible" });
        // Those that were asked for before have been written, in their order.
        while ((await numberOf(kv)) < upTo) await new Promise((resolve) => setImmediate(resolve));
        disk.mayKeep();
        if (random.fraction() < 0.1) flushing.push(kv.flush().then(acknowledged(upTo)));
        if (random.fraction() < 0.2) await Promise.all(flushing.splice(0));
        // The power fails at any moment of a flush, too.
        for (let turns = Math.floor(random.fraction() * 8); turns > 0; turns--)
          await new Promise((resolve) => setImmediate(resolve));
      }
      image = disk.image(random);
      const keptUpTo = durable;
      disk.stop();
      revision = await kv.revision();
      await Promise.all(flushing);
      await kv.close();
      durable = keptUpTo;
    }
    expect(undone).toBeGreaterThan(LIVES);
  },
);

it("A flush that the disk refuses is told to who waits for it, nothing is written after it, and the next start has what was durable before", async () => {
  const directory = path.join(parent, "refused");
  const deps = { clock: createFakeClock(), bootId: "boot" };
  const kv = await openLmdbKv({ path: directory }, deps);
  const put = (name: string) =>
    function* (tx: Transaction): Program<void> {
      tx.put(encodeKey(name), Buffer.from("x"));
    };
  await kv.transact(put("kept"));
  const disk = new PowerLossFile(path.join(directory, CATALOG_FILE));
  await disk.watch();
  disk.failsNext = true;
  await kv.transact(put("seen"), { durability: "visible" });
  const refused = { code: "Unavailable", message: expect.stringMatching(/could not be made durable/) as string };
  await expect(kv.transact(put("refused"))).rejects.toMatchObject(refused);
  await expect(kv.flush()).rejects.toMatchObject(refused);
  await expect(kv.transact(put("later"), { durability: "visible" })).rejects.toMatchObject(refused);
  expect(() => kv.transactSync?.(put("later"))).toThrow("could not be made durable");
  await kv.close();
  disk.stop();
  const again = await openLmdbKv({ path: directory }, deps);
  const found = await again.view((tx) => tx.getMany(["kept", "seen", "refused"].map((name) => encodeKey(name))));
  expect(found.map((value) => value !== undefined)).toEqual([true, false, false]);
  await again.close();
});

it("A catalog that power loss left half written is not read before the coordinator has mended it", async () => {
  const directory = path.join(parent, "half");
  const kv = await openLmdbKv({ path: directory }, { clock: createFakeClock(), bootId: "before" });
  const disk = new PowerLossFile(path.join(directory, CATALOG_FILE));
  const model = new Model();
  const random = seededRandom(1);
  for (let commit = 0; commit < 5; commit++) kv.transactSync?.(model.next(random));
  disk.mayKeep();
  const image = disk.image({ ...random, fraction: () => 0.999 });
  await kv.close();
  await writeFile(path.join(directory, CATALOG_FILE), image);
  await expect(openLmdbReader(directory)).rejects.toMatchObject({
    code: "Unavailable",
    message: expect.stringMatching(/start the coordinator/) as string,
  });
  const mended = await openLmdbKv({ path: directory }, { clock: createFakeClock() });
  expect(await numberOf(mended)).toBe(0);
  const reader = await openLmdbReader(directory);
  expect(await numberOf(reader)).toBe(0);
  await reader.close();
  await mended.close();
});
