import { access, copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { createFakeClock } from "../../core/testing/fake-clock.ts";
import type { Kv, Program } from "../kv.ts";
import { encodeKey, prefixRange } from "../tuple.ts";
import { makeLmdbCatalog } from "./lmdb-fresh.ts";
import { openLmdbKv } from "./lmdb.ts";
import { openLmdbReader } from "./lmdb-reader.ts";

const SPACE = encodeKey("row");
let directory: string;
beforeEach(async () => {
  const place = await mkdtemp(join(tmpdir(), "globalfs-fresh-"));
  onTestFinished(async () => await rm(place, { recursive: true, force: true }));
  directory = join(place, "above", "catalog");
});

async function put(kv: Kv, ...names: readonly string[]): Promise<void> {
  await kv.transact(function* (tx): Program<void> {
    for (const name of names) tx.put(encodeKey("row", name), Buffer.from(name));
  });
}

async function names(kv: Kv): Promise<string[]> {
  const rows = await kv.view((tx) => tx.range({ ...prefixRange(SPACE), limit: 100 }));
  return rows.map(({ value }) => Buffer.from(value).toString());
}

async function opened<T>(look: (kv: Kv) => Promise<T>): Promise<T> {
  const kv = await openLmdbKv({ path: directory });
  try {
    return await look(kv);
  } finally {
    await kv.close();
  }
}

describe("a catalog that is made anew", () => {
  it("has what it was filled with, for its user alone, and its revisions go on from those that were asked for", async () => {
    let first = 0;
    const filled = await makeLmdbCatalog({
      directory,
      leastRevision: 1_000,
      async fill(kv) {
        await put(kv, "a");
        first = await kv.revision();
        return { upTo: 5_000 };
      },
      revisionOf: ({ upTo }) => upTo,
    });
    expect([filled, first]).toEqual([{ upTo: 5_000 }, 1_001]);
    expect((await stat(directory)).mode & 0o077).toBe(0);
    expect((await readdir(directory)).filter((name) => name.includes("unfinished"))).toEqual([]);
    expect(await opened(async (kv) => [await names(kv), await kv.revision()])).toEqual([["a"], 5_000]);
  });

  it("is none when it could not be filled, and another attempt goes on with what is there, or begins anew", async () => {
    const attempt = async (name: string, resume: boolean, fails: boolean): Promise<string[]> =>
      await makeLmdbCatalog({
        directory,
        resume,
        async fill(kv) {
          const found = await names(kv);
          await put(kv, name);
          if (fails) throw new Error("The backup cannot be read.");
          return found;
        },
      });
    await expect(attempt("a", true, true)).rejects.toThrow("cannot be read");
    await expect(access(join(directory, "catalog.lmdb"))).rejects.toThrow("ENOENT");
    await expect(attempt("b", true, true)).rejects.toThrow("cannot be read");
    expect(await attempt("c", true, false)).toEqual(["a", "b"]);
    expect(await opened(names)).toEqual(["a", "b", "c"]);
    directory = join(directory, "other");
    await expect(attempt("a", false, true)).rejects.toThrow("cannot be read");
    expect(await attempt("b", false, false)).toEqual([]);
    expect(await opened(names)).toEqual(["b"]);
  });

  it("never takes the place of one that is there", async () => {
    await makeLmdbCatalog({ directory, fill: async (kv) => await put(kv, "a") });
    let hasFilled = false;
    const again = { directory, fill: async () => void (hasFilled = true) };
    await expect(makeLmdbCatalog(again)).rejects.toMatchObject({ code: "AlreadyExists" });
    expect([hasFilled, await opened(names)]).toEqual([false, ["a"]]);
  });

  it("is made by one process at a time", async () => {
    await makeLmdbCatalog({
      directory,
      async fill() {
        const second = makeLmdbCatalog({ directory, fill: async () => undefined });
        await expect(second).rejects.toMatchObject({ code: "ConfigInvalid" });
      },
    });
  });
});

/** What a machine finds that lost its power a moment after the last flush. */
async function crashed(): Promise<{ readonly path: string; readonly revision: number }> {
  const deps = { clock: createFakeClock(), bootId: "one" };
  const kv = await openLmdbKv({ path: directory }, deps);
  await put(kv, "a");
  await kv.flush();
  kv.transactSync?.(function* (tx): Program<void> {
    yield* tx.get(SPACE);
    tx.put(encodeKey("row", "undurable"), Buffer.from("undurable"));
  });
  const path = `${directory}-after`;
  await mkdir(path);
  await copyFile(join(directory, "catalog.lmdb"), join(path, "catalog.lmdb"));
  const revision = await kv.revision();
  await kv.close();
  return { path, revision };
}

describe("a catalog of a machine that has started anew", () => {
  it("has what was durable, and gives no revision twice", async () => {
    const { path, revision } = await crashed();
    const kv = await openLmdbKv({ path }, { clock: createFakeClock(), bootId: "two" });
    expect([await names(kv), (await kv.revision()) - revision >= 1_000]).toEqual([["a"], true]);
    const next = await kv.revision();
    await kv.close();
    // Once only.
    const again = await openLmdbKv({ path }, { clock: createFakeClock(), bootId: "three" });
    expect(await again.revision()).toBe(next);
    await again.close();
  });

  it("has all that could be seen when only the process ended", async () => {
    const { path, revision } = await crashed();
    const kv = await openLmdbKv({ path }, { clock: createFakeClock(), bootId: "one" });
    expect([await names(kv), await kv.revision()]).toEqual([["a", "undurable"], revision]);
    await kv.close();
  });

  it("is not read before the process that owns it has looked after it", async () => {
    const { path } = await crashed();
    await expect(openLmdbReader(path)).rejects.toMatchObject({
      code: "Unavailable",
      message: expect.stringContaining("start the coordinator first") as string,
    });
    await (await openLmdbKv({ path })).close();
    const kv = await openLmdbReader(path);
    expect(await names(kv)).toEqual(["a"]);
    await kv.close();
  });
});

it.each([
  ["another program's", Buffer.alloc(16_384, "not a catalog ")],
  ["full of zeros", Buffer.alloc(16_384)],
  ["cut short", Buffer.from("x")],
])("a file in a catalog's place that is %s is told of, left as it is, and let go of", async (_what, bytes) => {
  await mkdir(directory, { recursive: true });
  const file = join(directory, "catalog.lmdb");
  await writeFile(file, bytes);
  for (let attempt = 0; attempt < 2; attempt++) {
    await expect(openLmdbKv({ path: directory })).rejects.toMatchObject({
      code: "ConfigInvalid",
      message: expect.stringContaining(`The catalog at ${directory} cannot be opened`) as string,
    });
  }
  await expect(openLmdbReader(directory)).rejects.toMatchObject({ code: "Unavailable" });
  expect((await readFile(file)).equals(bytes)).toBe(true);
});

it("an empty file is no catalog to whoever reads, and becomes one for whoever writes", async () => {
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, "catalog.lmdb"), "");
  await expect(openLmdbReader(directory)).rejects.toMatchObject({ code: "Unavailable" });
  expect(await opened(names)).toEqual([]);
});

it("a catalog that is only read writes nothing, and answers nothing once it is closed", async () => {
  await makeLmdbCatalog({ directory, fill: async (kv) => await put(kv, "a") });
  const kv = await openLmdbReader(directory);
  const snapshot = await kv.snapshot();
  expect(await snapshot.view((tx) => tx.get(encodeKey("row", "a")))).toEqual(Buffer.from("a"));
  await snapshot.close();
  const readOnly = { code: "ReadOnly" };
  await expect(kv.flush()).rejects.toMatchObject(readOnly);
  await expect(put(kv, "b")).rejects.toMatchObject(readOnly);
  await expect(kv.lease(1)).rejects.toMatchObject(readOnly);
  expect(() => kv.watch(prefixRange(SPACE), { signal: new AbortController().signal })).toThrow("only reads");
  await kv.close();
  await kv.close();
  const closed = { code: "Unavailable" };
  await expect(kv.snapshot()).rejects.toMatchObject(closed);
  await expect(kv.stats()).rejects.toMatchObject(closed);
  await expect(kv.revision()).rejects.toMatchObject(closed);
  await expect(names(kv)).rejects.toMatchObject(closed);
});
