import { expect } from "vitest";
import { bodyAt, putForeign, readAll, rigCtx } from "../../src/coordinator/testing/rig.ts";
import { createMemoryStore, type Store } from "../../src/stores/index.ts";
import { errnoOf, treeOf } from "../../src/coordinator/testing/tree.ts";
import { everywhere } from "./matrix.ts";
import { codeOf, keysOf, SETTINGS } from "./setting.ts";

const THREE = { local: "primary", archive: "backup", cloud: "burst" } as const;

everywhere("F1 An object of another tool can be read, listed, renamed and deleted", async ({ start }) => {
  const before = createMemoryStore();
  for (const key of ["old", "d/1", "d/2"]) await putForeign(before, key, `${key} from before`);
  const setting = await start(THREE, {
    openStore: async (name) => (name === "cloud" ? before : createMemoryStore()),
  });
  const { coordinator, read, settled, sites } = setting;
  await putForeign(sites.local, "new", "put while it runs");
  expect(await keysOf(setting)).toEqual(["d/1", "d/2", "new", "old"]);
  expect([await read("old"), await read("new")]).toEqual(["old from before", "put while it runs"]);
  expect((await readAll(coordinator, "d/1", { start: 4, end: 8 })).toString()).toBe("from");
  await coordinator.rename(rigCtx, { from: "new", to: "d/3" });
  await coordinator.rename(rigCtx, { from: "d/", to: "e/" });
  await coordinator.deleteObject(rigCtx, "old");
  await coordinator.deleteObject(rigCtx, "e/2");
  await settled();
  expect(await keysOf(setting)).toEqual(["e/1", "e/3"]);
  expect([await read("e/1"), await read("e/3")]).toEqual(["d/1 from before", "put while it runs"]);
  expect([await bodyAt(before, "old"), await bodyAt(before, "d/2")]).toEqual([undefined, undefined]);
  expect(await codeOf(read("d/1"))).toBe("NotFound");
});

everywhere(
  "F8 What nobody has taken in goes along with its directory, at once and for good",
  async ({ startTimed }) => {
    const setting = await startTimed(THREE);
    const { clock, coordinator, put, pass, read, sites } = setting;
    await put("d/ours", "ours");
    for (const key of ["d/1", "d/2", "d/s/3"]) await putForeign(sites.local, key, key);
    await putForeign(sites.cloud, "d/4", "d/4");
    await clock.advance(1);
    await coordinator.rename(rigCtx, { from: "d/", to: "e/" });
    await put("d/1", "new");
    await coordinator.deleteObject(rigCtx, "e/2");
    await clock.advance(1);
    await coordinator.rename(rigCtx, { from: "e/s/", to: "f/" });
    await clock.advance(1);
    await putForeign(sites.local, "d/2", "put there since");
    const check = async (): Promise<void> => {
      expect(await keysOf(setting)).toEqual(["d/1", "d/2", "e/1", "e/4", "e/ours", "f/3"]);
      expect([await read("d/1"), await read("d/2")]).toEqual(["new", "put there since"]);
      expect([await read("e/1"), await read("e/4"), await read("f/3")]).toEqual(["d/1", "d/4", "d/s/3"]);
      for (const key of ["d/4", "d/s/3", "e/2"]) expect(await codeOf(read(key))).toBe("NotFound");
    };
    await check();
    await clock.advance(3_600_000);
    await pass();
    await check();
    expect(await bodyAt(sites.local, "e/1")).toBe("d/1");
  },
);

everywhere("F9 A directory shows to a file system what sites have in it", async ({ start }) => {
  const { coordinator, put, sites } = await start(THREE);
  const tree = treeOf(coordinator.files);
  await put("d/ours", "ours");
  await tree.mkdir("e");
  for (const key of ["d/1", "d/s/2", "e/late"]) await putForeign(sites.local, key, key);
  await putForeign(sites.cloud, "only/there", "x");
  expect(await tree.names("")).toEqual(["d", "e", "only"]);
  expect(await tree.names("d")).toEqual(["1", "ours", "s"]);
  expect((await tree.stat("only")).kind).toBe("directory");
  expect(await errnoOf(tree.rmdir("e"))).toBe("ENOTEMPTY");
  sites.cloud.failing.add("list");
  const { inode } = await tree.stat("d");
  expect((await coordinator.files.readdir(rigCtx, { inode, limit: 10 })).failedSites).toMatchObject([
    { site: "cloud" },
  ]);
});

everywhere(
  "F2 An object that another tool replaced at a primary is the new version, everywhere",
  async ({ startTimed }) => {
    const { clock, coordinator, put, pass, read, sites } = await startTimed(THREE);
    await put("x", "ours");
    await pass();
    const before = (await coordinator.headObject(rigCtx, "x")).meta;
    await putForeign(sites.local, "x", "them");
    expect(await read("x")).toBe("them");
    const { meta } = await coordinator.headObject(rigCtx, "x");
    expect(meta.versionId).not.toBe(before.versionId);
    expect(meta.etag).not.toBe(before.etag);
    await pass();
    for (const site of Object.values(sites)) expect(await bodyAt(site, "x")).toBe("them");
    // And once more, by a read of a part.
    await clock.advance(1_000);
    await putForeign(sites.local, "x", "their second");
    expect((await readAll(coordinator, "x", { suffix: 6 })).toString()).toBe("second");
  },
);

everywhere(
  "F3 A copy that another tool replaced at a site of lower rank is mended, and never served",
  async ({ startTimed }) => {
    const { coordinator, later, primaries, put, pass, read, sites } = await startTimed(THREE);
    await put("x", "ours");
    await pass();
    const { meta } = await coordinator.headObject(rigCtx, "x");
    await putForeign(sites.archive, "x", "them");
    expect(await read("x")).toBe("ours");
    // It is noticed when it is read, which is when the primary does not answer.
    for (const site of primaries) sites[site].failing.add("get");
    await later();
    expect(await read("x")).toBe("ours");
    await pass();
    for (const site of primaries) sites[site].failing.clear();
    expect((await coordinator.headObject(rigCtx, "x")).meta).toEqual(meta);
    await pass();
    for (const site of Object.values(sites)) expect(await bodyAt(site, "x")).toBe("ours");
    const { copies } = await coordinator.explain(rigCtx, "x");
    expect(copies.map(({ state }) => state)).toEqual(Object.keys(sites).map(() => "present"));
  },
);

everywhere(
  "F5 What loses is kept for 30 days as a version of its path, and four of a path at most",
  async ({ startTimed }) => {
    const { away, clock, coordinator, pass, put, read, sites } = await startTimed(THREE, {
      overrides: {
        // Days are hours here.
        settings: { ...SETTINGS, setAsideRetentionMs: 30 * HOUR_MS, stagingRetentionMs: 2 * HOUR_MS },
      },
    });
    const keptOf = async (key: string): Promise<string[]> => {
      const { notes } = await coordinator.explain(rigCtx, key);
      return notes.flatMap((note) => /set aside as version ([0-9A-Z]{26})/.exec(note)?.[1] ?? []);
    };
    const bodyOf = async (versionId: string): Promise<string> => {
      const version = await coordinator.readObject(rigCtx, "x", { versionId });
      const chunks: Uint8Array[] = [];
      for await (const chunk of (await version.open()).stream) chunks.push(Buffer.from(chunk));
      return Buffer.concat(chunks).toString();
    };
    await put("x", "ours", { contentType: "text/plain", metadata: { color: "green" } });
    await pass();
    for (let round = 1; round <= 6; round++) {
      await clock.advance(1_000);
      await putForeign(sites.local, "x", `theirs ${round}`);
      expect(await read("x")).toBe(`theirs ${round}`);
      await pass();
      if (round > 1) continue;
      const [first] = await keptOf("x");
      const { meta } = await coordinator.headObject(rigCtx, "x", { versionId: first as string });
      expect([await bodyOf(first as string), meta]).toEqual([
        "ours",
        expect.objectContaining({
          contentType: "text/plain",
          metadata: { color: "green" },
          sizeBytes: 4,
          versionId: first,
        }),
      ]);
    }
    const kept = await keptOf("x");
    expect(await Promise.all(kept.map(bodyOf))).toEqual(["theirs 2", "theirs 3", "theirs 4", "theirs 5"]);
    const asideAt = async (): Promise<number> => {
      const pages = await Promise.all(
        Object.values(sites).map(
          async (site) => await site.list(rigCtx, { prefix: ".globalfs/set-aside/", limit: 100 }),
        ),
      );
      return pages.reduce((sum, { objects }) => sum + objects.length, 0);
    };
    expect(await asideAt()).toBe(4);
    // What nobody remembers is swept, what is remembered stays until its time is over.
    await putForeign(sites.local, ".globalfs/set-aside/stray", "of a process that died");
    await away(3 * HOUR_MS);
    await pass();
    expect(await asideAt()).toBe(4);
    await away(28 * HOUR_MS);
    await pass();
    expect([await keptOf("x"), await asideAt()]).toEqual([[], 0]);
    expect(await codeOf(bodyOf(kept[0] as string))).toBe("NotFound");
    expect(await read("x")).toBe("theirs 6");
  },
);

everywhere(
  "F5 At each site no more bytes are set aside than there is room for, and the oldest go first",
  async ({ startTimed }) => {
    const maxSetAsideBytes = 30_000;
    const { clock, coordinator, pass, put, read, sites } = await startTimed(THREE, {
      overrides: { settings: { ...SETTINGS, maxSetAsideBytes } },
    });
    const asideAt = async (site: Store): Promise<number> => {
      const { objects } = await site.list(rigCtx, { prefix: ".globalfs/set-aside/", limit: 100 });
      return objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    };
    const lose = async (key: string, sizeBytes: number): Promise<void> => {
      await put(key, Buffer.alloc(sizeBytes, key));
      await pass();
      await clock.advance(1_000);
      await putForeign(sites.local, key, "theirs");
      expect(await read(key)).toBe("theirs");
      await pass();
      for (const site of Object.values(sites)) expect(await asideAt(site)).toBeLessThanOrEqual(maxSetAsideBytes);
    };
    const isKept = async (key: string): Promise<boolean> =>
      (await coordinator.explain(rigCtx, key)).notes.some((note) => note.includes("set aside"));
    for (const key of ["a", "b", "c"]) await lose(key, 10_000);
    expect([await isKept("a"), await isKept("b"), await isKept("c")]).toEqual([true, true, true]);
    expect((await coordinator.info(rigCtx)).setAsideBytes).toBe(30_000);
    await lose("d", 15_000);
    expect([await isKept("a"), await isKept("b"), await isKept("c"), await isKept("d")]).toEqual([
      false,
      false,
      true,
      true,
    ]);
    expect((await coordinator.info(rigCtx)).setAsideBytes).toBe(25_000);
    // What is larger than all the room is not kept, and pushes nothing out.
    await lose("e", 30_001);
    expect([await isKept("c"), await isKept("d"), await isKept("e")]).toEqual([true, true, false]);
    // An empty one takes a block.
    await lose("f", 1);
    expect((await coordinator.info(rigCtx)).setAsideBytes).toBe(25_000 + 4_096);
  },
);

const HOUR_MS = 3_600_000;
