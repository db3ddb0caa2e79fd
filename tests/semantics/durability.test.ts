import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import readline from "node:readline";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bodyAt, readAll, rigCtx, startRig } from "../../src/coordinator/testing/rig.ts";
import { seededRandom } from "../../src/core/ports/random.ts";
import { createMemoryKv, openLmdbKv } from "../../src/kv/index.ts";
import { checkCatalog } from "../../src/namespace/index.ts";
import { openFileStore } from "../../src/stores/index.ts";
import { PowerLossDisk } from "../sim/disk/power-loss-disk.ts";
import { bodyOf } from "./process/bodies.ts";
import { bundle, type Bundle } from "../programs/bundle.ts";
import { jobsIn, SETTINGS } from "./setting.ts";

let writer: Bundle;
beforeAll(async () => {
  writer = await bundle(join(import.meta.dirname, "process/writer.ts"));
});
afterAll(async () => await writer.remove());

/** By key: the names of the bodies that may be seen. */
type Possible = Map<string, string[]>;

const MIN_ACKNOWLEDGED = 10;

/** Runs until it is killed; what was acknowledged is the only possibility, until something else is begun. */
async function writeUntilKilled(directory: string, round: number, forMs: number, possible: Possible): Promise<number> {
  const child = spawn(process.execPath, [writer.path, directory, String(round)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = readline.createInterface({ input: child.stdout });
  const ended = Promise.all([once(child, "exit"), once(lines, "close")]);
  let acknowledged = 0;
  const underWay = new Promise<void>((resolve, reject) => {
    child.once("exit", () => reject(new Error("The writer ended by itself.")));
    lines.on("line", (line) => {
      if (line === "open") return;
      const [word, key, ...name] = line.split(" ") as [string, string, ...string[]];
      if (word === "begin") possible.set(key, [...(possible.get(key) ?? ["absent"]), name.join(" ")]);
      else {
        acknowledged += 1;
        possible.set(key, [name.join(" ")]);
        if (acknowledged === MIN_ACKNOWLEDGED) resolve();
      }
    });
  });
  await underWay;
  // The moment of the kill is the test.
  await new Promise((resolve) => setTimeout(resolve, forMs));
  child.kill("SIGKILL");
  await ended;
  return acknowledged;
}

async function reopen(directory: string) {
  const kv = await openLmdbKv({ path: join(directory, "catalog") });
  const cloud = await openFileStore({ root: join(directory, "cloud") });
  const rig = await startRig({
    kv,
    sites: [
      { name: "local", role: "primary", store: await openFileStore({ root: join(directory, "local") }) },
      { name: "cloud", role: "burst", store: cloud },
    ],
  });
  const close = async (): Promise<void> => {
    await rig.stop();
    await kv.close();
  };
  return { ...rig, cloud, close };
}

function namesSeen(bytes: Buffer | undefined, possible: readonly string[]): string {
  if (bytes === undefined) return "absent";
  return possible.find((name) => name !== "absent" && bodyOf(name).equals(bytes)) ?? "other bytes";
}

test("W1 An acknowledged PUT survives kill -9", { timeout: 60_000 }, async () => {
  const directory = join(writer.directory, "w1");
  await mkdir(directory);
  const random = seededRandom(Date.now() % 2 ** 31);
  const possible: Possible = new Map();
  let acknowledged = 0;
  for (let round = 0; round < 3; round++) {
    acknowledged += await writeUntilKilled(directory, round, random.fraction() * 150, possible);
    const { coordinator, kv, close } = await reopen(directory);
    await coordinator.pauseAllJobs(rigCtx, true);
    for (const [key, names] of possible) {
      const seen = namesSeen(await readAll(coordinator, key).catch(() => undefined), names);
      expect(names, key).toContain(seen);
      // What has been seen once stays.
      possible.set(key, [seen]);
    }
    expect((await checkCatalog(kv)).faults).toEqual([]);
    await close();
  }
  expect(acknowledged).toBeGreaterThanOrEqual(3 * MIN_ACKNOWLEDGED);
});

test("W1 An acknowledged PUT survives the loss of power", async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const random = seededRandom(seed);
    const disk = new PowerLossDisk({ random });
    const open = async () => await openFileStore({ root: "/site" }, { disk });
    const kv = createMemoryKv();
    // The disk has a time of its own, long ago.
    const overrides = { settings: { ...SETTINGS, stagingRetentionMs: 1e15 } };
    const rig = await startRig({ kv, overrides, sites: [{ name: "local", role: "primary", store: await open() }] });
    const bodies = new Map<string, string>();
    for (let step = 0; step < 8; step++) {
      const key = `d${step % 2}/${step % 3}`;
      const body = `${step};`.repeat(1 + Math.floor(random.fraction() * 5_000));
      await rig.put(key, body);
      bodies.set(key, body);
    }
    disk.crash(random);
    await rig.stop();
    const again = await startRig({ kv, overrides, sites: [{ name: "local", role: "primary", store: await open() }] });
    for (const [key, body] of bodies) expect(await again.read(key)).toBe(body);
    await again.stop();
  }
});

test("J1 A job is durable from the moment of the answer that caused it", { timeout: 60_000 }, async () => {
  const directory = join(writer.directory, "j1");
  await mkdir(directory);
  const possible: Possible = new Map();
  await writeUntilKilled(directory, 0, 50, possible);
  const answered = [...possible].filter(([, names]) => names.length === 1 && names[0] !== "absent");
  expect(answered.length).toBeGreaterThan(5);
  const again = await reopen(directory);
  const jobs = [
    ...(await jobsIn(again, "waiting")),
    ...(await jobsIn(again, "running")),
    ...(await jobsIn(again, "done")),
  ];
  const covered = new Set(
    jobs.filter(({ kind, site }) => kind === "replicate" && site === "cloud").map(({ path }) => path as string),
  );
  expect(answered.filter(([key]) => !covered.has(key))).toEqual([]);
  for (const [key, [name]] of answered)
    await expect
      .poll(async () => await bodyAt(again.cloud, key), { timeout: 20_000 })
      .toBe(bodyOf(name as string).toString());
  await again.close();
});
