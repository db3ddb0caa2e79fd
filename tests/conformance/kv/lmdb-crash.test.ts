import { type ChildProcess, spawn } from "node:child_process";
import path from "node:path";
import readline from "node:readline";
import { afterAll, beforeAll, expect, it } from "vitest";
import { seededRandom } from "../../../src/core/ports/random.ts";
import { decodeKey, type Kv, openLmdbKv, prefixRange } from "../../../src/kv/index.ts";
import { bundle, type Bundle } from "../../programs/bundle.ts";
import { COUNT, LOG, ROW_SPACE, ROWS, valueOf } from "./crash-rows.ts";

const LONG = process.env["GLOBALFS_LONG"] === "1";
const KILLS = LONG ? 200 : 15;

let program: Bundle;
let catalog: string;

beforeAll(async () => {
  program = await bundle(path.join(import.meta.dirname, "crash-writer.ts"));
  catalog = path.join(program.directory, "catalog");
});
afterAll(async () => await program.remove());

interface Writer {
  readonly process: ChildProcess;
  readonly acknowledged: number[];
  readonly opened: Promise<void>;
  readonly ended: Promise<void>;
}

function startWriter(first: number): Writer {
  const child = spawn(process.execPath, [program.path, catalog, String(first)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const acknowledged: number[] = [];
  const lines = readline.createInterface({ input: child.stdout });
  const opened = new Promise<void>((resolve, reject) => {
    lines.on("line", (line) => {
      if (line === "open") resolve();
      else acknowledged.push(Number(line));
    });
    child.once("exit", () => reject(new Error("The writer ended before it had opened the catalog.")));
  });
  const ended = Promise.all([
    new Promise<void>((resolve) => child.once("exit", () => resolve())),
    new Promise<void>((resolve) => lines.once("close", () => resolve())),
  ]).then(() => undefined);
  return { process: child, acknowledged, opened, ended };
}

/** How many rows each numbered transaction left; throws when one holds another value than was written. */
async function readTransactions(kv: Kv): Promise<Map<number, number>> {
  const rows = new Map<number, number>();
  let { start, end } = prefixRange(ROW_SPACE);
  for (;;) {
    const page = await kv.view((tx) => tx.range({ start, end, limit: 1_000 }));
    for (const { key, value } of page) {
      const [number, index] = decodeKey(key, ["number", "number"]) as [number, number];
      if (!valueOf(number, index).equals(value)) throw new Error(`Row ${index} of transaction ${number} is torn.`);
      rows.set(number, (rows.get(number) ?? 0) + 1);
    }
    const last = page.at(-1);
    if (last === undefined) return rows;
    start = Buffer.concat([last.key, Buffer.alloc(1)]);
  }
}

async function countLog(kv: Kv): Promise<number> {
  let count = 0;
  let { start, end } = prefixRange(LOG);
  for (;;) {
    const page = await kv.view((tx) => tx.range({ start, end, limit: 10_000 }));
    const last = page.at(-1);
    if (last === undefined) return count;
    count += page.length;
    start = Buffer.concat([last.key, Buffer.alloc(1)]);
  }
}

it(
  `loses no acknowledged transaction and keeps none by half, killed ${KILLS} times`,
  { timeout: LONG ? 1_200_000 : 60_000 },
  async () => {
    const seed = Date.now() % 2 ** 31;
    const random = seededRandom(seed);
    const acknowledged = new Set<number>();
    let next = 1;
    for (let kill = 0; kill < KILLS; kill++) {
      const writer = startWriter(next);
      await writer.opened;
      // The moment of the kill is the test: it comes while commits are on their way.
      await new Promise((resolve) => setTimeout(resolve, random.fraction() * 60));
      writer.process.kill("SIGKILL");
      await writer.ended;
      for (const number of writer.acknowledged) acknowledged.add(number);

      const kv = await openLmdbKv({ path: catalog });
      const rows = await readTransactions(kv);
      const lost = [...acknowledged].filter((number) => rows.get(number) !== ROWS);
      const halves = [...rows].filter(([, count]) => count !== ROWS);
      expect({ seed, kill, lost, halves }).toEqual({ seed, kill, lost: [], halves: [] });
      const count = await kv.view((tx) => tx.get(COUNT));
      expect(count === undefined ? 0 : Buffer.from(count).readDoubleBE()).toBe(rows.size);
      expect(await countLog(kv)).toBe(rows.size);
      await kv.close();
      next = Math.max(next, ...rows.keys()) + 1;
    }
    expect(acknowledged.size).toBeGreaterThan(KILLS);
  },
);

it("refuses a catalog that another process holds, names that process, and opens it once the other was killed", async () => {
  const holder = startWriter(1_000_000_000);
  await holder.opened;
  await expect(openLmdbKv({ path: catalog })).rejects.toMatchObject({
    code: "ConfigInvalid",
    message: `Another coordinator (process ${holder.process.pid}) uses ${catalog}; stop it or choose another coordinator.data_dir.`,
  });
  holder.process.kill("SIGKILL");
  await holder.ended;
  await (await openLmdbKv({ path: catalog })).close();
});
