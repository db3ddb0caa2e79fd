import { appendFile, chmod, copyFile, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { open } from "lmdb";
import { expect, it } from "vitest";
import { createFakeClock } from "../../../src/core/testing/fake-clock.ts";
import { BUDGET, openLmdbKv, type Program, type Transaction, VISIBLE_BOUNDS } from "../../../src/kv/index.ts";
import { FORMAT } from "../../../src/kv/engines/lmdb-rows.ts";
import { mountSmallDisk } from "../../e2e/support/small-disk.ts";
import { describeDurability } from "./durability-suite.ts";
import { describeEngine, type EngineUnderTest } from "./suite.ts";

const temporary = async (): Promise<string> => await mkdtemp(path.join(os.tmpdir(), "globalfs-lmdb-"));

const engine: EngineUnderTest = {
  name: "lmdb",
  async open() {
    const directory = await temporary();
    const kv = await openLmdbKv({ path: directory });
    return {
      kv,
      async dispose() {
        await kv.close();
        await rm(directory, { recursive: true });
      },
    };
  },
};
describeEngine(engine);
describeDurability(engine);

it("finds nothing in a range that ends where it begins or before, in either direction", async () => {
  const { kv, dispose } = await engine.open();
  await kv.transact(function* (tx): Program<void> {
    for (const number of [1, 2, 3]) tx.put(Buffer.from([number]), Buffer.from("x"));
  });
  const snapshot = await kv.snapshot();
  for (const start of [2, 3])
    for (const reverse of [false, true]) {
      const query = { start: Buffer.from([start]), end: Buffer.from([2]), limit: 9, reverse };
      expect(await kv.view((tx) => tx.range(query))).toEqual([]);
      expect(await snapshot.view((tx) => tx.range(query))).toEqual([]);
    }
  await snapshot.close();
  await dispose();
});

it("keeps rows, revision and append order when it is opened again, and drops what hung on a lease", async () => {
  const directory = await temporary();
  const first = await openLmdbKv({ path: directory });
  const lease = await first.lease(60_000);
  await first.transact(function* (tx): Program<void> {
    tx.put(Buffer.from("row"), Buffer.from("1"));
    tx.put(Buffer.from("seat"), Buffer.from("1"), { lease: lease.id });
    tx.append(Buffer.from("log/"), Buffer.from("one"));
  });
  const revision = await first.revision();
  await first.close();
  const second = await openLmdbKv({ path: directory });
  expect(await second.revision()).toBeGreaterThanOrEqual(revision);
  await second.transact(function* (tx): Program<void> {
    expect(yield* tx.get(Buffer.from("row"))).toEqual(Buffer.from("1"));
    expect(yield* tx.get(Buffer.from("seat"))).toBeUndefined();
    tx.append(Buffer.from("log/"), Buffer.from("two"));
  });
  const log = await second.view((tx) => tx.range({ start: Buffer.from("log/"), end: Buffer.from("log0"), limit: 10 }));
  expect(log.map(({ value }) => Buffer.from(value).toString())).toEqual(["one", "two"]);
  await second.close();
  await rm(directory, { recursive: true });
});

it("keeps what could be seen when the process ends without a word, and makes durable by itself what has stood so for a second", async () => {
  const directory = await temporary();
  const clock = createFakeClock();
  const kv = await openLmdbKv({ path: directory }, { clock });
  const put = (name: string) =>
    function* (tx: Transaction): Program<void> {
      tx.put(Buffer.from(name), Buffer.from("1"));
    };
  kv.transactSync?.(put("one"));
  await kv.transact(put("two"), { durability: "visible" });
  expect(clock.waiting).toBe(1);
  await clock.advance(VISIBLE_BOUNDS.ms);
  expect(clock.waiting).toBe(0);
  await kv.flush();
  kv.transactSync?.(put("three"));
  expect(clock.waiting).toBe(1);
  // As the file is while the process is killed.
  const killed = await temporary();
  await copyFile(path.join(directory, "catalog.lmdb"), path.join(killed, "catalog.lmdb"));
  const revision = await kv.revision();
  await kv.close();
  expect(clock.waiting).toBe(0);
  const again = await openLmdbKv({ path: killed });
  expect(await again.view((tx) => tx.get(Buffer.from("three")))).toEqual(Buffer.from("1"));
  expect(await again.revision()).toBe(revision);
  await again.close();
  for (const each of [directory, killed]) await rm(each, { recursive: true });
});

it("refuses a directory that another process or another engine holds, and says who", async () => {
  const directory = await temporary();
  const first = await openLmdbKv({ path: directory });
  await expect(openLmdbKv({ path: directory })).rejects.toThrow(new RegExp(`process ${process.pid}`));
  await first.close();
  await (await openLmdbKv({ path: directory })).close();
  await rm(directory, { recursive: true });
});

it("is for its user alone, also when it was open to others before", async () => {
  const directory = path.join(await temporary(), "made");
  try {
    await (await openLmdbKv({ path: directory })).close();
    const files = ["catalog.lmdb", "catalog.lmdb-lock", "lock"].map((name) => path.join(directory, name));
    const modes = async (): Promise<number[]> =>
      await Promise.all([directory, ...files].map(async (each) => (await stat(each)).mode & 0o777));
    expect(await modes()).toEqual([0o700, 0o600, 0o600, 0o600]);
    await chmod(files[0] as string, 0o644);
    await (await openLmdbKv({ path: directory })).close();
    expect(await modes()).toEqual([0o700, 0o600, 0o600, 0o600]);
  } finally {
    await rm(path.dirname(directory), { recursive: true });
  }
});

it("leaves a catalog of another format alone, and lets go of it", async () => {
  const directory = await temporary();
  await (await openLmdbKv({ path: directory })).close();
  const write = async (format: number): Promise<void> => {
    const root = open({ path: path.join(directory, "catalog.lmdb"), noSubdir: true, maxDbs: 4 });
    const meta = root.openDB<Buffer, Buffer>({ name: "meta", keyEncoding: "binary", encoding: "binary" });
    await meta.put(Buffer.from("format"), Buffer.from([0, 0, 0, format]));
    await root.close();
  };
  await write(9);
  for (let attempt = 0; attempt < 2; attempt++)
    await expect(openLmdbKv({ path: directory })).rejects.toThrow(/has format 9/);
  await write(FORMAT);
  await (await openLmdbKv({ path: directory })).close();
  await rm(directory, { recursive: true });
});

it("says what to do when the directory cannot be used", async () => {
  await expect(openLmdbKv({ path: "/dev/null/catalog" })).rejects.toThrow(/data_dir/);
});

it("grows to the size that was set and no further, says so, and takes writes again after deletes", async () => {
  const directory = await temporary();
  const kv = await openLmdbKv({ path: directory, mapSizeBytes: 4 * 1024 ** 2 });
  const put = async (index: number): Promise<void> => {
    await kv.transact(function* (tx): Program<void> {
      tx.put(Buffer.from(`fill${index}`), Buffer.alloc(64 * 1024, index));
    });
  };
  let filled = 0;
  const fill = async (): Promise<void> => {
    for (; filled < 200; filled++) await put(filled);
  };
  await expect(fill()).rejects.toMatchObject({ code: "NoSpace", message: expect.stringMatching(/map_size/) as string });
  expect(filled).toBeGreaterThan(40);
  expect((await kv.stats()).sizeBytes).toBeLessThan(5 * 1024 ** 2);
  await kv.transact(function* (tx): Program<void> {
    for (let index = 0; index < filled; index++) tx.delete(Buffer.from(`fill${index}`));
  });
  await put(1);
  await kv.close();
  await rm(directory, { recursive: true });
});

it("keeps room for those who do not claim any, so that what frees space is never refused for lack of it", async () => {
  const directory = await temporary();
  const kv = await openLmdbKv({ path: directory, mapSizeBytes: 16 * 1024 ** 2 });
  const put = async (name: string, claims: boolean): Promise<void> => {
    await kv.transact(function* (tx): Program<void> {
      if (claims) tx.claimRoom();
      tx.put(Buffer.from(name), Buffer.alloc(64 * 1024, 1));
    });
  };
  const fill = async (claims: boolean): Promise<number> => {
    for (let count = 0; ; count++) {
      try {
        await put(`${claims}${count}`, claims);
      } catch (error) {
        expect(error).toMatchObject({ code: "NoSpace" });
        return count;
      }
    }
  };
  expect(await fill(true)).toBeGreaterThan(100);
  // Without a claim a sixteenth more may be put, and then no more.
  const kept = await fill(false);
  expect(kept).toBeGreaterThan(8);
  expect(kept).toBeLessThan(24);
  await expect(put("more", true)).rejects.toMatchObject({ code: "NoSpace" });
  await kv.transact(function* (tx): Program<void> {
    for (let count = 0; count < 2 * kept; count++) tx.delete(Buffer.from(`true${count}`));
    for (let count = 0; count < kept; count++) tx.delete(Buffer.from(`false${count}`));
  });
  await put("again", true);
  await kv.close();
  await rm(directory, { recursive: true });
});

it("refuses a commit for which there is no room, keeps what was there, and works on when there is room", async (test) => {
  const disk = await mountSmallDisk("tmpfs", 6);
  if (disk === undefined) return test.skip("mounting a small disk is not permitted here");
  const ballast = path.join(disk.directory, "ballast");
  await writeFile(ballast, Buffer.alloc(2 * 1024 ** 2));
  const kv = await openLmdbKv({ path: disk.directory });
  await kv.transact(function* (tx): Program<void> {
    tx.put(Buffer.from("kept"), Buffer.from("1"));
  });
  const acknowledged: number[] = [];
  const fill = async (): Promise<void> => {
    for (let index = 0; index < 64; index++) {
      await kv.transact(function* (tx): Program<void> {
        tx.put(Buffer.from(`fill${index}`), Buffer.alloc(128 * 1024, index));
      });
      acknowledged.push(index);
    }
  };
  await expect(fill()).rejects.toMatchObject({ code: "NoSpace" });
  expect(acknowledged.length).toBeGreaterThan(0);
  expect(await kv.view((tx) => tx.get(Buffer.from("kept")))).toEqual(Buffer.from("1"));
  await rm(ballast);
  await kv.transact(function* (tx): Program<void> {
    tx.put(Buffer.from("again"), Buffer.alloc(256 * 1024, 9));
  });
  await kv.close();
  const reopened = await openLmdbKv({ path: disk.directory });
  for (const index of acknowledged) {
    const found = await reopened.view((tx) => tx.get(Buffer.from(`fill${index}`)));
    expect(found !== undefined && Buffer.alloc(128 * 1024, index).equals(found)).toBe(true);
  }
  expect((await reopened.view((tx) => tx.get(Buffer.from("again"))))?.byteLength).toBe(256 * 1024);
  await reopened.close();
  await disk.dispose();
});

it("writes down what frees room on a disk that others have filled to the last block", async (test) => {
  const disk = await mountSmallDisk("tmpfs", 160);
  if (disk === undefined) return test.skip("mounting a small disk is not permitted here");
  const clock = createFakeClock();
  const kv = await openLmdbKv({ path: disk.directory }, { clock });
  const reserve = path.join(disk.directory, "catalog.reserve");
  const whole = (await stat(reserve)).size;
  for (let index = 0; index < 300; index++)
    await kv.transact(function* (tx): Program<void> {
      tx.put(Buffer.from(`row${index}`), Buffer.alloc(500));
    });
  const ballast = path.join(disk.directory, "ballast");
  const fillUp = async (): Promise<void> => {
    for (let sizeBytes = 1024 ** 2; sizeBytes >= 1;) {
      const fits = await appendFile(ballast, Buffer.alloc(sizeBytes)).then(
        () => true,
        () => false,
      );
      if (!fits) sizeBytes = Math.floor(sizeBytes / 2);
    }
  };
  await fillUp();
  const claimed = async (): Promise<void> =>
    await kv.transact(function* (tx): Program<void> {
      tx.claimRoom();
      tx.put(Buffer.from("more"), Buffer.alloc(BUDGET.valueBytes));
    });
  await expect(claimed()).rejects.toMatchObject({ code: "NoSpace" });
  expect((await stat(reserve)).size).toBe(whole);
  for (let index = 0; index < 300; index++) {
    await kv.transact(function* (tx): Program<void> {
      tx.delete(Buffer.from(`row${index}`));
      tx.put(Buffer.from(`deleted${index}`), Buffer.alloc(1_500));
    });
    if (index % 30 === 0) await fillUp();
  }
  expect((await stat(reserve)).size).toBeLessThan(whole);
  await expect(claimed()).rejects.toMatchObject({ code: "NoSpace" });
  await rm(ballast);
  await claimed();
  await clock.advance(60_001);
  await claimed();
  await expect.poll(async () => (await stat(reserve)).size).toBe(whole);
  await kv.close();
  await disk.dispose();
});
