/**
 * The embedded KV beside the bare lmdb library, both on the same disk and in the same run.
 *
 *   npm run bench -- kv [--rows 100000] [--rounds 5] [--seconds 1]
 */
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { type Database, open } from "lmdb";
import { seededRandom } from "../src/core/ports/random.ts";
import { encodeKey, type Key, openLmdbKv, type Program, type Reader } from "../src/kv/index.ts";
import { anonymousMiB } from "./lib/memory.ts";
import { printComparison } from "./lib/report.ts";

const { values } = parseArgs({
  options: {
    rows: { type: "string", default: "100000" },
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "1" },
  },
});
const rows = Number(values.rows);
const rounds = Number(values.rounds);
const durationMs = Number(values.seconds) * 1_000;
const VALUE = Buffer.alloc(200, 7);
const RANGE = 1_000;

const directory = await mkdtemp(path.join(os.tmpdir(), "globalfs-bench-"));
const kv = await openLmdbKv({ path: path.join(directory, "ours") });
const view = kv.viewSync as <T>(program: (tx: Reader) => Program<T>) => T;
const environment = open({ path: path.join(directory, "bare.lmdb"), noSubdir: true });
const bare = environment.openDB({ name: "rows", keyEncoding: "binary", encoding: "binary" }) as Database<
  Buffer,
  Buffer
>;
const random = seededRandom(1);
const keyAt = (index: number): Buffer => encodeKey("row", index) as Buffer;
const anyKey = (): Buffer => keyAt(Math.floor(random.fraction() * rows));

try {
  await fill();
  await compare("get of one row", "/s", async (side) => {
    const keys = Array.from({ length: 50_000 }, anyKey);
    const read = side === "ours" ? (key: Key) => view((tx) => tx.get(key)) : (key: Buffer) => bare.getBinary(key);
    return perSecond(keys.length, () => {
      for (const key of keys) if (read(key)?.byteLength !== VALUE.byteLength) throw new Error("A row is lost.");
    });
  });
  await compare(`range of ${RANGE} rows`, "/s", async (side) => {
    const starts = Array.from({ length: 200 }, () => Math.floor(random.fraction() * (rows - RANGE)));
    const read = (start: number): number => {
      const range = { start: keyAt(start), end: keyAt(start + RANGE), limit: RANGE };
      return side === "ours" ? view((tx) => tx.range(range)).length : [...bare.getRange(range)].length;
    };
    return perSecond(starts.length, () => {
      for (const start of starts) if (read(start) !== RANGE) throw new Error("A range is short.");
    });
  });
  for (const parallel of [1, 64]) {
    await compare(`durable transaction, ${parallel} at once`, "/s", async (side) => {
      return await transactions(parallel, side === "ours" ? commitOurs : commitBare);
    });
  }
  console.log(`anonymous memory with ${rows.toLocaleString("en")} rows on each side: ${anonymousMiB().toFixed(0)} MiB`);
} finally {
  await kv.close();
  await environment.close();
  await rm(directory, { recursive: true });
}

async function fill(): Promise<void> {
  for (let start = 0; start < rows; start += 10_000) {
    const end = Math.min(rows, start + 10_000);
    await kv.transact(function* (tx): Program<void> {
      for (let index = start; index < end; index++) tx.put(keyAt(index), VALUE);
    });
    await environment.transaction(() => {
      for (let index = start; index < end; index++) bare.putSync(keyAt(index), VALUE);
    });
  }
  await environment.flushed;
}

/** Each reads a row and writes it and another, as the smallest of our programs do. */
async function commitOurs(key: Buffer, other: Buffer): Promise<void> {
  await kv.transact(function* (tx): Program<void> {
    if ((yield* tx.get(key)) === undefined) throw new Error("A row is lost.");
    tx.put(key, VALUE);
    tx.put(other, VALUE);
  });
}

async function commitBare(key: Buffer, other: Buffer): Promise<void> {
  await environment.transaction(() => {
    if (bare.getBinary(key) === undefined) throw new Error("A row is lost.");
    bare.putSync(key, VALUE);
    bare.putSync(other, VALUE);
  });
  await environment.flushed;
}

async function transactions(parallel: number, commit: (key: Buffer, other: Buffer) => Promise<void>): Promise<number> {
  let committed = 0;
  const started = performance.now();
  const until = started + durationMs;
  await Promise.all(
    Array.from({ length: parallel }, async () => {
      while (performance.now() < until) {
        await commit(anyKey(), anyKey());
        committed += 1;
      }
    }),
  );
  return committed / ((performance.now() - started) / 1_000);
}

function perSecond(count: number, work: () => void): number {
  const started = performance.now();
  work();
  return count / ((performance.now() - started) / 1_000);
}

async function compare(
  what: string,
  unit: string,
  measure: (side: "ours" | "theirs") => Promise<number>,
): Promise<void> {
  const figures = { ours: [] as number[], theirs: [] as number[] };
  for (let round = 0; round <= rounds; round++) {
    const ours = await measure("ours");
    const theirs = await measure("theirs");
    // The first round warms both up.
    if (round === 0) continue;
    figures.ours.push(ours);
    figures.theirs.push(theirs);
  }
  printComparison({ what, unit, peer: "bare lmdb", ...figures });
}
