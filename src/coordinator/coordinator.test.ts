import { createHash } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import { checkCatalog } from "../namespace/index.ts";
import { createMemoryStore } from "../stores/index.ts";
import { flakyStore } from "./testing/flaky-store.ts";
import { bodyAt, chunksOf, putForeign, readAll, type Rig, rigCtx, startRig, type RigOptions } from "./testing/rig.ts";

let rig: Rig;
const start = async (options?: RigOptions): Promise<Rig> => (rig = await startRig(options));
afterEach(async () => {
  expect((await checkCatalog(rig.kv)).faults).toEqual([]);
  await rig.stop();
});

describe("objects through the coordinator", () => {
  it("are written to the primary, read back, and replicated", async () => {
    const { coordinator, put, read, settled, stores } = await start();
    const result = await put("a/b.txt", "hello", { contentType: "text/plain", metadata: { k: "v" } });
    expect(result).toMatchObject({ created: true, pendingSites: [] });
    expect(result.meta).toMatchObject({ sizeBytes: 5, contentType: "text/plain", metadata: { k: "v" } });
    expect(await read("a/b.txt")).toBe("hello");
    expect(await bodyAt(stores["local"] as never, "a/b.txt")).toBe("hello");
    await settled();
    expect(await bodyAt(stores["cloud"] as never, "a/b.txt")).toBe("hello");
    const explained = await coordinator.explain(rigCtx, "a/b.txt");
    expect(explained.copies.map(({ site, state }) => [site, state])).toEqual([
      ["local", "present"],
      ["cloud", "present"],
    ]);
    expect(explained.notes).toEqual([]);
    expect((await put("a/b.txt", "second")).created).toBe(false);
    await settled();
    expect(await bodyAt(stores["cloud"] as never, "a/b.txt")).toBe("second");
  });

  it("come in ranges, and from the cache the second time", async () => {
    const { coordinator, put } = await start();
    const body = createHash("sha512").update("x").digest().toString("hex").repeat(20_000);
    await put("large", body);
    for (const range of [undefined, { start: 5, end: 6 }, { start: 1_000_000, end: 2_100_000 }, { suffix: 10 }]) {
      const bytes = await readAll(coordinator, "large", range);
      const whole = Buffer.from(body);
      const expected =
        range === undefined ? whole : "suffix" in range ? whole.subarray(-10) : whole.subarray(range.start, range.end);
      expect(bytes.equals(expected)).toBe(true);
    }
    const read = await coordinator.readObject(rigCtx, "large");
    expect((await read.open({ start: 0, end: 10 })).source).toBe("cache");
    await expect(read.open({ start: body.length })).rejects.toMatchObject({ code: "RangeNotSatisfiable" });
  });

  it("are deleted everywhere, and deleting twice succeeds", async () => {
    const { coordinator, put, settled, stores } = await start();
    await put("x", "1");
    await settled();
    const { pendingSites } = await coordinator.deleteObject(rigCtx, "x");
    expect(pendingSites).toEqual(["cloud"]);
    expect(await bodyAt(stores["local"] as never, "x")).toBeUndefined();
    await settled();
    expect(await bodyAt(stores["cloud"] as never, "x")).toBeUndefined();
    await expect(coordinator.headObject(rigCtx, "x")).rejects.toMatchObject({ code: "NotFound" });
    await coordinator.deleteObject(rigCtx, "x");
  });

  it("with bad keys are refused before anything happens", async () => {
    const { coordinator, put, kv } = await start();
    // The leader's first turn writes down which sites there are.
    for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
    const before = await kv.revision();
    for (const key of ["", "/x", "a//b", "../x", "a\0b", ".globalfs/x", "x".repeat(1_025)]) {
      await expect(put(key, "x")).rejects.toMatchObject({ meaning: { http: 400 } });
      await expect(coordinator.deleteObject(rigCtx, key)).rejects.toMatchObject({ meaning: { http: 400 } });
    }
    expect(await kv.revision()).toBe(before);
  });

  it("list merged with what other tools put there", async () => {
    const { coordinator, put, stores } = await start();
    await put("d/own", "1");
    await putForeign(stores["cloud"] as never, "d/foreign", "22");
    await putForeign(stores["local"] as never, "other/x", "333");
    const all = await coordinator.listObjects(rigCtx, { limit: 100 });
    expect(all.objects.map(({ key, sizeBytes }) => [key, sizeBytes])).toEqual([
      ["d/foreign", 2],
      ["d/own", 1],
      ["other/x", 3],
    ]);
    const top = await coordinator.listObjects(rigCtx, { limit: 100, delimiter: "/" });
    expect(top.prefixes).toEqual(["d/", "other/"]);
    const pages: string[] = [];
    let continuation: string | undefined;
    do {
      const page = await coordinator.listObjects(rigCtx, {
        limit: 1,
        ...(continuation === undefined ? {} : { continuation }),
      });
      pages.push(...page.objects.map(({ key }) => key));
      continuation = page.continuation;
    } while (continuation !== undefined);
    expect(pages).toEqual(["d/foreign", "d/own", "other/x"]);
  });

  it("are imported in bulk", async () => {
    const { coordinator, stores } = await start();
    for (let index = 0; index < 30; index++) await putForeign(stores["local"] as never, `in/${index}`, "x");
    await putForeign(stores["local"] as never, "bad//key", "x");
    let last;
    for await (const progress of coordinator.importSite(rigCtx, { site: "local" })) last = progress;
    expect(last).toMatchObject({ scanned: 31, adopted: 30, refused: 1, refusedExample: "bad//key", done: true });
    expect(await coordinator.usage(rigCtx, "in/")).toMatchObject({ objects: 30, bytes: 30 });
  });
});

describe("conditions", () => {
  it("let exactly one of many writers win", async () => {
    const { put, read } = await start();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, (_, index) => put("x", `writer ${index}`, { conditions: { ifNoneMatch: ["*"] } })),
    );
    const winners = outcomes.flatMap((outcome, index) => (outcome.status === "fulfilled" ? [index] : []));
    expect(winners).toHaveLength(1);
    expect(await read("x")).toBe(`writer ${winners[0]}`);
    const { meta } = await put("x", "next");
    const second = await Promise.allSettled(
      Array.from({ length: 5 }, (_, index) => put("x", `again ${index}`, { conditions: { ifMatch: [meta.etag] } })),
    );
    expect(second.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });
});

describe("a site that fails", () => {
  it("fails the write and leaves the old version everywhere", async () => {
    const local = flakyStore(createMemoryStore());
    const second = flakyStore(createMemoryStore());
    const { put, read, settled } = await start({
      sites: [
        { name: "local", role: "primary", store: local },
        { name: "second", role: "primary", store: second },
      ],
    });
    await put("x", "old");
    for (const operation of ["stage", "write", "seal", "commit"]) {
      second.failing.add(operation);
      await expect(put("x", "new")).rejects.toMatchObject({ code: "Unavailable" });
      await expect(put("fresh", "new")).rejects.toMatchObject({ code: "Unavailable" });
      second.failing.clear();
      await settled();
      expect(await read("x")).toBe("old");
      await expect(read("fresh")).rejects.toMatchObject({ code: "NotFound" });
      expect([await bodyAt(local, "x"), await bodyAt(second, "x")]).toEqual(["old", "old"]);
      expect([await bodyAt(local, "fresh"), await bodyAt(second, "fresh")]).toEqual([undefined, undefined]);
    }
  });

  it("after its effect, in a commit, is put right", async () => {
    const local = flakyStore(createMemoryStore());
    const second = flakyStore(createMemoryStore());
    const { put, read, settled } = await start({
      sites: [
        { name: "local", role: "primary", store: local },
        { name: "second", role: "primary", store: second },
      ],
    });
    await put("x", "old");
    second.losingAnswers.add("commit");
    // The site can be asked what became of it: the write has happened.
    await put("x", "new");
    expect(await read("x")).toBe("new");
    // Now it cannot be asked either, and a site that did not get the bytes has the old ones.
    const third = local;
    second.failing.add("head");
    third.failing.add("commit");
    await expect(put("x", "newer")).rejects.toMatchObject({ code: "Unavailable" });
    await expect(put("fresh", "new")).rejects.toMatchObject({ code: "Unavailable" });
    second.losingAnswers.clear();
    second.failing.clear();
    third.failing.clear();
    await settled();
    expect(await read("x")).toBe("new");
    await expect
      .poll(async () => [await bodyAt(local, "x"), await bodyAt(second, "x")], { timeout: 10_000 })
      .toEqual(["new", "new"]);
    expect([await bodyAt(local, "fresh"), await bodyAt(second, "fresh")]).toEqual([undefined, undefined]);
  });

  it("in the middle of a read is followed by another, at that byte", async () => {
    const local = flakyStore(createMemoryStore());
    const { put, read, settled } = await start({
      sites: [
        { name: "local", role: "primary", store: local },
        { name: "cloud", role: "burst" },
      ],
      overrides: { cache: { maxBytes: 1, ttlMs: 0 } },
    });
    const body = "0123456789".repeat(100_000);
    await put("x", body);
    await settled();
    local.truncateAfter = 333_333;
    expect(await read("x")).toBe(body);
    local.truncateAfter = undefined;
    local.failing.add("*");
    expect(await read("x")).toBe(body);
  });

  it("that fails at the commit keeps what another tool put there meanwhile", async () => {
    const local = flakyStore(createMemoryStore());
    const { put, read, settled } = await start({ sites: [{ name: "local", role: "primary", store: local }] });
    local.beforeCommit = async () => {
      local.beforeCommit = undefined;
      await putForeign(local, "x", "theirs");
      local.failing.add("commit");
    };
    await expect(put("x", "ours")).rejects.toMatchObject({ code: "Unavailable" });
    local.failing.clear();
    await settled();
    expect(await bodyAt(local, "x")).toBe("theirs");
    expect(await read("x")).toBe("theirs");
  });

  it("makes an unknown key unknown, not absent", async () => {
    const local = flakyStore(createMemoryStore());
    const cloud = flakyStore(createMemoryStore());
    const { coordinator } = await start({
      sites: [
        { name: "local", role: "primary", store: local },
        { name: "cloud", role: "burst", store: cloud },
      ],
    });
    cloud.failing.add("*");
    await expect(coordinator.headObject(rigCtx, "x")).rejects.toMatchObject({ code: "NotFound" });
    local.failing.add("*");
    await expect(coordinator.headObject(rigCtx, "x")).rejects.toMatchObject({ code: "Unavailable" });
    const listed = await coordinator.listObjects(rigCtx, { limit: 10 });
    expect(listed.failedSites.map(({ site }) => site).sort()).toEqual(["cloud", "local"]);
  });

  it("keeps a delete done in the namespace, and a job finishes it", async () => {
    const local = flakyStore(createMemoryStore());
    const { coordinator, put, settled } = await start({ sites: [{ name: "local", role: "primary", store: local }] });
    await put("x", "1");
    local.failing.add("delete");
    await expect(coordinator.deleteObject(rigCtx, "x")).rejects.toMatchObject({ code: "Unavailable" });
    await expect(coordinator.headObject(rigCtx, "x")).rejects.toMatchObject({ code: "NotFound" });
    local.failing.clear();
    // The job's second try comes by itself.
    await expect.poll(async () => await bodyAt(local, "x"), { timeout: 10_000 }).toBeUndefined();
    await settled();
  });
});

describe("rename", () => {
  it("moves the name at once and the objects after it", async () => {
    const { coordinator, put, read, settled, stores } = await start();
    await put("a", "1");
    await settled();
    await coordinator.rename(rigCtx, { from: "a", to: "dir/b" });
    expect(await read("dir/b")).toBe("1");
    await expect(read("a")).rejects.toMatchObject({ code: "NotFound" });
    await put("a", "another");
    expect([await read("a"), await read("dir/b")]).toEqual(["another", "1"]);
    await settled();
    expect([await read("a"), await read("dir/b")]).toEqual(["another", "1"]);
    expect(await bodyAt(stores["local"] as never, "dir/b")).toBe("1");
  });

  it("of a directory reaches every file below", async () => {
    const { coordinator, put, read, settled } = await start();
    for (const name of ["1", "2", "deep/3"]) await put(`old/${name}`, name);
    await settled();
    await coordinator.rename(rigCtx, { from: "old/", to: "new/" });
    expect(await read("new/deep/3")).toBe("deep/3");
    await expect(coordinator.rename(rigCtx, { from: "old/", to: "x/" })).rejects.toMatchObject({ code: "NotFound" });
    const listed = await coordinator.listObjects(rigCtx, { limit: 10 });
    expect(listed.objects.map(({ key }) => key)).toEqual(["new/1", "new/2", "new/deep/3"]);
  });
});

describe("objects of other tools", () => {
  it("are read, renamed and deleted like any", async () => {
    const { coordinator, read, settled, stores } = await start();
    await putForeign(stores["cloud"] as never, "x", "foreign");
    expect(await read("x")).toBe("foreign");
    await coordinator.rename(rigCtx, { from: "x", to: "y" });
    await settled();
    expect(await read("y")).toBe("foreign");
    await coordinator.deleteObject(rigCtx, "y");
    await settled();
    expect(await bodyAt(stores["cloud"] as never, "y")).toBeUndefined();
    await putForeign(stores["cloud"] as never, "y", "newer");
    expect(await read("y")).toBe("newer");
  });

  it("that replace ours at the primary are the new version", async () => {
    const { read, put, settled, stores } = await start();
    await put("x", "ours");
    await settled();
    await new Promise((resolve) => setTimeout(resolve, 5));
    await putForeign(stores["local"] as never, "x", "theirs!");
    expect(await read("x").catch(async () => await read("x"))).toBe("theirs!");
    await settled();
    expect(await bodyAt(stores["cloud"] as never, "x")).toBe("theirs!");
  });

  it("are brought from no site whose own copy is only on its way", async () => {
    const { coordinator, put, settled } = await start();
    await coordinator.pauseAllJobs(rigCtx, true);
    await put("x", "bytes");
    const fromCloud = coordinator.replicate(rigCtx, { key: "x", from: "cloud", to: "local" });
    await expect(fromCloud).rejects.toMatchObject({ code: "NotFound" });
    await coordinator.pauseAllJobs(rigCtx, false);
    await settled();
    expect(await coordinator.replicate(rigCtx, { key: "x", from: "cloud", to: "local" })).toBeDefined();
  });

  it("that replace ours elsewhere are mended", async () => {
    const { coordinator, read, put, settled, stores } = await start({
      overrides: { cache: { maxBytes: 1, ttlMs: 0 } },
    });
    await put("x", "ours");
    await settled();
    await putForeign(stores["cloud"] as never, "x", "theirs!");
    expect(await read("x")).toBe("ours");
    const job = await coordinator.replicate(rigCtx, { key: "x", from: "local", to: "cloud" });
    expect(job.kind).toBe("replicate");
    await settled();
    expect(await read("x")).toBe("ours");
  });
});

describe("bodies", () => {
  it("with a wrong length or checksum change nothing", async () => {
    const { put, read } = await start();
    await put("x", "old");
    await expect(put("x", "new", { sizeBytes: 2 })).rejects.toMatchObject({ code: "IncompleteBody" });
    await expect(put("x", "new", { sizeBytes: 4 })).rejects.toMatchObject({ code: "IncompleteBody" });
    await expect(put("x", "new", { expected: { sha256Hex: "0".repeat(64) } })).rejects.toMatchObject({
      code: "ChecksumMismatch",
    });
    await expect(put("x", "new", { expected: { md5Hex: "0".repeat(32) } })).rejects.toMatchObject({
      code: "ChecksumMismatch",
    });
    const broken = (async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from("half");
      throw new Error("the client went away");
    })();
    await expect(put("x", "", { body: broken })).rejects.toThrow("the client went away");
    expect(await read("x")).toBe("old");
    await put("x", "", {
      body: chunksOf(Buffer.from("new")),
      sizeBytes: 3,
      expected: { sha256Hex: createHash("sha256").update("new").digest("hex") },
    });
    expect(await read("x")).toBe("new");
  });

  it("that find the queue full are taken, and say where they still have to go", async () => {
    const cloud = flakyStore(createMemoryStore());
    cloud.failing.add("*");
    const base = await start({
      sites: [
        { name: "local", role: "primary" },
        { name: "cloud", role: "burst", store: cloud },
      ],
      overrides: {
        settings: {
          version: "0",
          clusterName: "t",
          maxObjectBytes: 1e9,
          tombstoneRetentionMs: 1,
          stagingRetentionMs: 1e9,
          uploadRetentionMs: 7 * 86_400_000,
          housekeepingIntervalMs: 1e9,
        },
        mover: {
          maxConcurrentTransfers: 2,
          transferChunkBytes: 1e6,
          maxQueuedJobs: 2,
          verify: "metadata",
          bandwidth: [],
        },
      },
    });
    const results = [];
    for (let index = 0; index < 4; index++) results.push((await base.put(`k${index}`, "x")).pendingSites);
    expect(results).toEqual([[], [], ["cloud"], ["cloud"]]);
    cloud.failing.clear();
    for (let index = 0; index < 4; index++)
      await expect.poll(async () => await bodyAt(cloud, `k${index}`), { timeout: 10_000 }).toBe("x");
    await base.settled();
  });
});
