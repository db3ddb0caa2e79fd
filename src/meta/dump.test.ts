import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Inode, SiteName, VersionId } from "../core/ids.ts";
import { systemClock } from "../core/ports/clock.ts";
import { createFakeClock } from "../core/testing/fake-clock.ts";
import {
  BUDGET,
  createMemoryKv,
  encodeKey,
  type Kv,
  type KvEntry,
  makeLmdbCatalog,
  openLmdbReader,
  type Program,
  tail,
} from "../kv/index.ts";
import { checkJobs, enqueueJob } from "../mover/index.ts";
import { makeSymlink, posix, suspectStrays } from "../namespace/index.ts";
import { at, TestCatalog } from "../namespace/testing/catalog.ts";
import { checkMeta } from "./check.ts";
import { dumpCatalog } from "./dump.ts";
import { loadCatalog } from "./load.ts";

let catalog: TestCatalog;

const put = async (kv: Kv, rows: readonly (readonly [Uint8Array, Uint8Array])[]): Promise<void> =>
  await kv.transact(function* (tx): Program<void> {
    for (const [key, value] of rows) tx.put(key, value);
  });
const dumpOf = async (kv: Kv): Promise<Buffer> => {
  const pieces: Buffer[] = [];
  for await (const piece of dumpCatalog(kv, { clock: systemClock })) pieces.push(piece);
  return Buffer.concat(pieces);
};
async function* inPieces(bytes: Buffer, sizeBytes = 1_000): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.byteLength; at += sizeBytes) yield bytes.subarray(at, at + sizeBytes);
}
const loaded = async (bytes: Buffer): Promise<Kv> => {
  const kv = createMemoryKv();
  await loadCatalog(kv, inPieces(bytes));
  return kv;
};
const rowsOf = async (kv: Kv): Promise<string[]> => {
  const rows = await kv.view((tx) => tx.range({ start: Buffer.from([0]), end: Buffer.from([0xff]), limit: 10_000 }));
  return rows.map(
    ({ key, value }: KvEntry) => `${Buffer.from(key).toString("hex")} ${Buffer.from(value).toString("hex")}`,
  );
};

/** Of everything something. */
beforeEach(async () => {
  catalog = await TestCatalog.open();
  const { kv, nextInode } = catalog;
  await catalog.writeBucket("b", {}, { policy: '{"a":"ü"}' });
  await catalog.putApart("b/x");
  await catalog.putApart("b/x");
  await catalog.label("b/x", { tags: { k: "t", ü: "" } });
  await catalog.putApart("b/d/gone");
  await catalog.deleteKey("b/d/gone");
  await catalog.put("d/e/ü.txt");
  await catalog.remove("d/e/ü.txt");
  await catalog.put("d/y");
  const made = { target: "to/ü", uid: 5, gid: 6, nowMs: 3, nextInode };
  await catalog.run((tx) => makeSymlink(tx, { ...made, path: at("link") }));
  const inode = (await catalog.file("d/y"))?.inode as Inode;
  const parent = (await catalog.directory("d"))?.inode as Inode;
  await catalog.run((tx) =>
    posix.setxattr(tx, { inode, name: "user.a", value: Buffer.from([0, 255, 7]), now: { ms: 4, ns: 5 } }),
  );
  await catalog.run((tx) => posix.link(tx, { inode, parent, name: "\udcff\udc80", now: { ms: -4, ns: 999_999 } }));
  const job = { kind: "remove", path: at("d/y"), inode, versionId: "v" as VersionId, key: "d/y" } as const;
  const where = { site: "local" as SiteName, sizeBytes: 1, priority: 10 };
  await kv.transact((tx) => enqueueJob(tx, { ...job, ...where }, { id: "01JOB" as never, nowMs: 1 }));
  await kv.transact(function* (tx): Program<void> {
    suspectStrays(tx, 1_780_000_000_000);
  });
  await put(kv, [
    [encodeKey("coordinator-leader"), Buffer.from("host:1")],
    [encodeKey("coordinator-site", "s"), Buffer.from('{"name": "s"}')],
    [encodeKey("k", tail("GFSK")), Buffer.from('{"user":"u","sealed":"x"}')],
    [encodeKey("t", tail("odd")), Buffer.from([1, 2, 3])],
    [encodeKey("d", 7), Buffer.from([1])],
    [encodeKey("later", 9), Buffer.from("what a later release keeps")],
    [Buffer.from("keyless"), Buffer.from([0])],
  ]);
});

describe("a dump", () => {
  it("holds every row but those of running processes, and gives each of them back", async () => {
    const kv = await loaded(await dumpOf(catalog.kv));
    await catalog.write([[encodeKey("coordinator-leader"), undefined]]);
    expect(await rowsOf(kv)).toEqual(await rowsOf(catalog.kv));
  });

  it("can be read by people", async () => {
    const lines = (await dumpOf(catalog.kv)).toString().trimEnd().split("\n");
    expect(JSON.parse(lines[0] as string)).toMatchObject({ globalfs: "catalog dump", format: 1 });
    expect(lines).toContainEqual(
      expect.stringMatching(/^\{"s":"d","k":\[\d+,"y"\],"v":\{"inode":\d+,"kind":"file"\}\}$/),
    );
    expect(lines).toContainEqual(expect.stringMatching(/"\\udcff\\udc80"/));
    expect(lines).toContain('{"s":"n","k":["strays"],"v":1780000000000}');
    expect(lines).toContain('{"s":"k","k":["GFSK"],"v":{"user":"u","sealed":"x"}}');
    expect(lines.at(-1)).toMatch(/^\{"end":true,"rows":\d+,"spaces":\{.*\},"sha256":"[0-9a-f]{64}"\}$/);
  });

  it("is the catalog of one moment, whatever is written meanwhile", async () => {
    const before = await dumpOf(catalog.kv);
    const pieces: Buffer[] = [];
    for await (const piece of dumpCatalog(catalog.kv, { clock: systemClock })) {
      pieces.push(piece);
      await catalog.putApart(`new/${pieces.length}`);
    }
    expect(Buffer.concat(pieces).equals(before)).toBe(true);
  });

  it("that breaks off anywhere is not taken for a whole one", async () => {
    const whole = await dumpOf(catalog.kv);
    const ends = [0, 1, whole.indexOf(0x0a), whole.indexOf(0x0a) + 1, whole.byteLength - 1, whole.byteLength - 90];
    for (let end = 100; end < whole.byteLength; end += 997) ends.push(end, whole.indexOf(0x0a, end) + 1);
    for (const end of ends.filter((each) => each < whole.byteLength))
      await expect(loaded(whole.subarray(0, end))).rejects.toMatchObject({ code: "DataCorrupt" });
  });

  it("in which anything is changed, missing or too much is refused", async () => {
    const whole = await dumpOf(catalog.kv);
    const lines = whole.toString().trimEnd().split("\n");
    const from = (changed: readonly string[]): Buffer => Buffer.from(`${changed.join("\n")}\n`);
    await expect(loaded(from(lines.toSpliced(5, 1)))).rejects.toThrow("SHA-256");
    await expect(loaded(from(lines.toSpliced(5, 0, lines[5] as string)))).rejects.toThrow("SHA-256");
    await expect(loaded(from([...lines, lines[5] as string]))).rejects.toThrow("behind its end");
    await expect(loaded(from(lines.slice(1)))).rejects.toThrow("first line");
    await expect(loaded(from(["[]", ...lines]))).rejects.toThrow("first line");
    await expect(
      loaded(from([(lines[0] as string).replace('"format":1', '"format":2'), ...lines.slice(1)])),
    ).rejects.toThrow("format 2, and this release reads format 1");
    const last = lines.at(-1) as string;
    await expect(loaded(from([...lines.slice(0, -1), last.replace(/"rows":\d+/, '"rows":3')]))).rejects.toThrow(
      "counts 3 rows",
    );
  });

  it("of any rows gives the same rows again", async () => {
    const bytes = fc.uint8Array({ maxLength: 40 });
    const space = fc.constantFrom("i", "ic", "d", "o", "t", "v", "vp", "b", "n", "u", "j", "jf", "bd", "zz", "");
    const row = fc.tuple(space, bytes, bytes);
    await fc.assert(
      fc.asyncProperty(fc.array(row, { maxLength: 30 }), async (rows) => {
        const kv = createMemoryKv();
        await put(
          kv,
          rows.map(([name, key, value]) => [
            Buffer.concat([Buffer.from(name), Buffer.from([name === "" ? 1 : 0]), key]),
            value,
          ]),
        );
        expect(await rowsOf(await loaded(await dumpOf(kv)))).toEqual(await rowsOf(kv));
      }),
      { numRuns: 200 },
    );
  });

  it("that takes too long is given up, as the catalog grows meanwhile", async () => {
    const clock = createFakeClock();
    const rows = Array.from({ length: 300 }, (_, index) => [encodeKey("jr", index, "x"), Buffer.alloc(0)] as const);
    for (let from = 0; from < rows.length; from += BUDGET.writes)
      await put(catalog.kv, rows.slice(from, from + BUDGET.writes));
    const dump = dumpCatalog(catalog.kv, { clock, mostMs: 60_000 });
    await dump.next();
    await dump.next();
    await clock.advance(60_001);
    await expect(dump.next()).rejects.toMatchObject({ code: "Timeout" });
  });
});

describe("a catalog that is loaded", () => {
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "gfs-load-"));
  });
  afterEach(async () => await rm(directory, { recursive: true, force: true }));

  const load = async (bytes: Buffer): Promise<unknown> =>
    await makeLmdbCatalog({
      directory,
      fill: async (kv) => await loadCatalog(kv, inPieces(bytes)),
      revisionOf: ({ revision }) => revision,
    });

  it("gives the same dump again, and goes on from its revision", async () => {
    await catalog.write([
      [encodeKey("t", tail("odd")), undefined],
      [encodeKey("d", 7), undefined],
      [encodeKey("later", 9), undefined],
      [Buffer.from("keyless"), undefined],
      [encodeKey("n", "inodes"), Buffer.from([0xff, 0xff, 0x7f])],
    ]);
    const bytes = await dumpOf(catalog.kv);
    await load(bytes);
    const kv = await openLmdbReader(directory);
    try {
      expect((await dumpOf(kv)).equals(bytes)).toBe(true);
      const report = await checkMeta(kv, { checkJobs, checkSetAside: async () => undefined });
      expect(report.findings).toEqual([]);
    } finally {
      await kv.close();
    }
    await expect(load(bytes)).rejects.toMatchObject({ code: "AlreadyExists" });
  });

  it("is not there when the dump was not whole, and another attempt makes it", async () => {
    const bytes = await dumpOf(catalog.kv);
    await expect(load(bytes.subarray(0, -9))).rejects.toMatchObject({ code: "DataCorrupt" });
    expect(await readdir(directory)).not.toContain("catalog.lmdb");
    await load(bytes);
    expect((await readdir(directory)).toSorted()).toEqual(["catalog.lmdb", "lock"]);
  });
});
