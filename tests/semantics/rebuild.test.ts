import { monotonicFactory } from "ulidx";
import { expect, onTestFinished, test } from "vitest";
import { assemblyFor, chunksOf, rigCtx, type Rig, startRig } from "../../src/coordinator/testing/rig.ts";
import { treeOf as fileTreeOf } from "../../src/coordinator/testing/tree.ts";
import { backgroundCtx } from "../../src/core/context.ts";
import type { SiteName, VersionId } from "../../src/core/ids.ts";
import { systemClock } from "../../src/core/ports/clock.ts";
import { createMemoryKv, type Kv } from "../../src/kv/index.ts";
import { backUp, findBackup, rebuild, type RebuildReport } from "../../src/meta/index.ts";
import { createInodeAllocator, historyAfter, writeBucket } from "../../src/namespace/index.ts";
import { createMemoryStore, type Site, type Store } from "../../src/stores/index.ts";
import { catalogFaults } from "../support/catalog-faults.ts";
import { treeOf } from "../support/tree-of.ts";

const FILES = 1_000;
const ROLES = { local: "primary", second: "primary", cloud: "burst" } as const;
const ctx = backgroundCtx();
const nextUlid = monotonicFactory();

function sitesOf(stores: Readonly<Record<string, Store>>, foreign: Site["foreign"]): Site[] {
  return Object.entries(stores).map(([name, store]) => ({
    name: name as SiteName,
    role: ROLES[name as keyof typeof ROLES],
    store,
    foreign,
    label: name,
  }));
}

const deps = (kv: Kv, stores: Readonly<Record<string, Store>>, foreign: Site["foreign"] = "merge") => ({
  kv,
  clock: systemClock,
  cluster: "test",
  sites: sitesOf(stores, foreign),
  versionIdAt: (atMs: number): VersionId => nextUlid(atMs) as VersionId,
});

async function rebuilt(
  stores: Readonly<Record<string, Store>>,
  fromSites: boolean,
  foreign: Site["foreign"] = "merge",
): Promise<{ readonly kv: Kv; readonly report: RebuildReport }> {
  const kv = createMemoryKv();
  const given = deps(kv, stores, foreign);
  const report = await rebuild(ctx, given, fromSites ? {} : { backup: await findBackup(ctx, given) });
  return { kv, report };
}

/** What a site holds, byte for byte as far as it says. */
async function holdings(stores: Readonly<Record<string, Store>>): Promise<string[]> {
  const all: string[] = [];
  for (const [name, store] of Object.entries(stores)) {
    let continuation: string | undefined;
    do {
      const page = await store.list(ctx, { limit: 1_000, ...(continuation === undefined ? {} : { continuation }) });
      for (const info of page.objects) all.push(`${name} ${JSON.stringify(info)}`);
      ({ continuation } = page);
    } while (continuation !== undefined);
  }
  return all;
}

async function started(): Promise<Rig> {
  const sites = Object.entries(ROLES).map(([name, role]) => ({ name, role }));
  const rules = [
    {
      name: "all",
      keyPattern: "**",
      operations: ["write"] as const,
      targetRoles: ["primary", "burst"] as const,
      priority: 1,
    },
  ];
  const rig = await startRig({ sites, rules, overrides: { assertCatalogSpace: () => undefined } });
  onTestFinished(async () => await rig.stop());
  return rig;
}

async function fill(rig: Rig): Promise<void> {
  for (let index = 0; index < FILES; index++) {
    const key = `d${index % 7}/ü ${index % 31}/file-${index}.bin`;
    const more = index % 5 === 0 ? { contentType: "text/plain", metadata: { colour: "blue", ü: "é" } } : {};
    await rig.put(key, `content of ${index}`, more);
  }
  await rig.settled();
}

const isTree = async (kv: Kv, expected: Record<string, unknown>): Promise<void> => {
  expect(await treeOf(kv)).toEqual(expected);
  const faults = await catalogFaults(kv);
  expect(faults.filter((each) => !each.startsWith("The change feed has come to"))).toEqual([]);
};

test(`M4 A catalog that is lost is made again from the sites alone: ${FILES} files with all that is said of them`, async () => {
  const rig = await started();
  await fill(rig);
  const expected = await treeOf(rig.kv);
  expect(Object.keys(expected)).toHaveLength(FILES);
  const before = await holdings(rig.stores);
  const { kv, report } = await rebuilt(rig.stores, true);
  expect(report.taken).toEqual({ file: FILES, copy: 0, known: 0, lost: 0, directories: 0 });
  await isTree(kv, expected);
  expect(await holdings(rig.stores)).toEqual(before);
}, 180_000);

test("M4 Mode and owner come back from the sites alone as they were when the object was written, copied or published", async () => {
  const rig = await started();
  const { files } = rig.coordinator;
  const tree = fileTreeOf(files);
  const owner = { mode: 0o640, uid: 1_001, gid: 2_002 };
  await rig.put("d/by-key", "by key");
  await rig.put("d/moved", "moved");
  for (const name of ["made", "replaced"]) await tree.create(`d/${name}`);
  for (const name of ["made", "replaced", "moved"])
    await files.setattr(rigCtx, { inode: await tree.inode(`d/${name}`), ...owner });
  for (const [name, body] of [
    ["made", "content"],
    ["replaced", "first"],
    ["replaced", "second"],
  ] as const) {
    const inode = await tree.inode(`d/${name}`);
    await files.commit(rigCtx, { inode, body: chunksOf(Buffer.from(body)), expect: "any" });
    await rig.settled();
  }
  await rig.coordinator.rename(rigCtx, { from: "d/moved", to: "d/renamed" });
  await rig.settled();
  const { kv } = await rebuilt(rig.stores, true);
  const found = (await treeOf(kv)) as Record<string, typeof owner>;
  for (const name of ["made", "replaced", "renamed"]) expect(found[`d/${name}`]).toMatchObject(owner);
  expect(found["d/by-key"]).toMatchObject({ mode: 0o644, uid: 0, gid: 0 });
}, 60_000);

test("M4 A coordinator over a rebuilt catalog reads, writes and deletes what was there", async () => {
  const rig = await started();
  await rig.put("a/b", "one");
  await rig.settled();
  const { kv } = await rebuilt(rig.stores, true);
  const again = await startRig({ kv, sites: sitesOf(rig.stores, "merge") });
  expect(await again.read("a/b")).toBe("one");
  await again.put("a/b", "two");
  await again.coordinator.deleteObject(rigCtx, "a/b", {});
  await again.put("c", "three");
  await again.settled();
  expect(await again.read("c")).toBe("three");
  expect(await catalogFaults(kv)).toEqual([]);
  await again.stop();
});

test("M4 A backup gives back what no object tells, and the sites what came after it", async () => {
  const rig = await started();
  await rig.put("keep/a", "a");
  await rig.put("keep/overwritten", "old");
  await rig.put("keep/deleted", "gone");
  await rig.settled();
  const { settings } = assemblyFor(rig.kv);
  await backUp(
    ctx,
    { kv: rig.kv, clock: systemClock, cluster: settings.clusterName },
    { sites: sitesOf(rig.stores, "merge"), keep: 2 },
  );
  await rig.put("keep/overwritten", "new");
  await rig.put("later/b", "b");
  await rig.coordinator.deleteObject(rigCtx, "keep/deleted", {});
  await rig.settled();
  const expected = await treeOf(rig.kv);
  const { kv, report } = await rebuilt(rig.stores, false);
  expect(report).toMatchObject({ missing: { files: 1, examples: ["keep/deleted"] }, taken: { lost: 0 } });
  expect(Object.keys(await treeOf(kv))).toEqual(Object.keys(expected));
  await isTree(kv, expected);
});

const stage = async (store: Store, key: string, body: string, metadata: Record<string, string> = {}): Promise<void> => {
  const staged = await store.stage(ctx, key, { metadata });
  await staged.write(Buffer.from(body));
  await staged.seal();
  await staged.commit(ctx);
};

test("M4 Versions of a bucket that keeps them come back in their order, each by its id", async () => {
  const rig = await started();
  const settings = { createdMs: 1, versioning: "enabled" as const, objectLock: false, lifecycle: [] };
  await createInodeAllocator(rig.kv).transact((tx, nextInode) =>
    writeBucket(tx, { settings: { ...settings, name: "b" }, documents: {}, nowMs: 1, nextInode }),
  );
  for (const body of ["one", "two", "three"]) await rig.put("b/x", body);
  await rig.settled();
  const versions = async (kv: Kv): Promise<readonly unknown[]> =>
    await kv.view(function* (tx) {
      const rows = yield* historyAfter(tx, "b/x", { limit: 10 });
      return rows.map(({ versionId, versioned, createdMs }) => ({ versionId, versioned, createdMs }));
    });
  const expected = await treeOf(rig.kv);
  expect(await versions(rig.kv)).toHaveLength(2);
  const { kv } = await rebuilt(rig.stores, true);
  expect(await versions(kv)).toEqual(await versions(rig.kv));
  expect((await treeOf(kv))["b/x"]).toEqual(expected["b/x"]);
});

test("M4 What another tool put at a site that says to ignore it is there only if the backup knows it", async () => {
  const rig = await started();
  await rig.put("own", "1");
  await rig.settled();
  const local = rig.stores["local"] as Store;
  await stage(local, "adopted", "by hand");
  expect(await rig.read("adopted")).toBe("by hand");
  const { settings } = assemblyFor(rig.kv);
  const backup = { kv: rig.kv, clock: systemClock, cluster: settings.clusterName };
  await backUp(ctx, backup, { sites: sitesOf(rig.stores, "ignore"), keep: 2 });
  await stage(local, "never-seen", "by hand");
  await stage(local, "marker/", "");
  expect(Object.keys(await treeOf((await rebuilt(rig.stores, true, "ignore")).kv))).toEqual(["own"]);
  const { kv, report } = await rebuilt(rig.stores, false, "ignore");
  await isTree(kv, await treeOf(rig.kv));
  expect(report.missing).toMatchObject({ files: 0, copies: 0 });
});

test("M4 What another tool put at a site is there, and what lost its path or has none is in lost+found", async () => {
  const stores = { local: createMemoryStore(), second: createMemoryStore() };
  const id = (letter: string): string => `01HZZZZZZZZZZZZZZZZZZZZZZ${letter}`;
  const ours = (letter: string, path?: string): Record<string, string> => ({
    "globalfs-version": id(letter),
    "globalfs-mtime": "1717000000000",
    "globalfs-mode": "600",
    ...(path === undefined ? {} : { "globalfs-path": encodeURIComponent(path) }),
  });
  await stage(stores.local, "found/by-hand", "by hand");
  await stage(stores.local, "dir/marker/", "");
  await stage(stores.local, "p", "old", ours("A", "p"));
  await stage(stores.local, `.globalfs/landed/${id("B")}-p`, "newer", ours("B", "p"));
  await stage(stores.second, "p", "old", ours("A", "p"));
  await stage(stores.local, `.globalfs/landed/${id("C")}-far`, "no path", ours("C"));
  await stage(stores.second, "twin", "one of them", ours("D", "twin"));
  await stage(stores.local, "twin", "another", ours("D", "twin"));
  await stage(stores.local, ".globalfs/site", "the marker");
  await stage(stores.local, "a//b", "no path can name it");
  const before = await holdings(stores);
  const { kv, report } = await rebuilt(stores, true);
  const tree = await treeOf(kv);
  const paths = Object.keys(tree);
  expect(paths).toHaveLength(7);
  expect(paths).toEqual(
    expect.arrayContaining([
      "found/by-hand",
      "dir/marker/",
      "p",
      "twin",
      `lost+found/local/${id("A")}-p`,
      `lost+found/local/${id("C")}-far`,
    ]),
  );
  expect(tree["p"]).toMatchObject({ mode: 0o600, sizeBytes: 5, modified: { ms: 1_717_000_000_000, ns: 0 } });
  expect(tree[`lost+found/local/${id("A")}-p`]).toMatchObject({
    places: [expect.stringContaining("local p"), expect.stringContaining("second p")],
  });
  expect(report).toMatchObject({ refused: 1, taken: { directories: 1 } });
  expect((await catalogFaults(kv)).filter((each) => !each.startsWith("The change feed"))).toEqual([]);
  expect(await holdings(stores)).toEqual(before);
});

test("M4 An interrupted rebuild goes on, and a damaged backup is passed over for an older one", async () => {
  const rig = await started();
  for (let index = 0; index < 12; index++) await rig.put(`f/${index}`, String(index));
  await rig.settled();
  const order = { sites: sitesOf(rig.stores, "merge"), keep: 5 };
  const whole = await backUp(ctx, { kv: rig.kv, clock: systemClock, cluster: "test" }, order);
  const bytes: Uint8Array[] = [];
  for await (const piece of (await (rig.stores["local"] as Store).get(ctx, whole.key)).stream)
    bytes.push(Uint8Array.from(piece));
  const cut = Buffer.concat(bytes).subarray(0, -30).toString("latin1");
  for (const store of Object.values(rig.stores)) {
    const staged = await store.stage(ctx, whole.key.replace(/\/\d{4}/, "/2999"));
    await staged.write(Buffer.from(cut, "latin1"));
    await staged.seal();
    await staged.commit(ctx);
  }
  const expected = await treeOf(rig.kv);
  const kv = createMemoryKv();
  const backup = await findBackup(ctx, deps(kv, rig.stores));
  for (let steps = 3; ; steps *= 3) {
    const stop = new AbortController();
    let left = steps;
    const onItems = (): void => {
      left -= 1;
      if (left === 0) stop.abort();
    };
    const attempt = rebuild({ ...ctx, signal: stop.signal }, deps(kv, rig.stores), { backup, onItems });
    const report = await attempt.catch((error: unknown) => {
      expect(stop.signal.aborted).toBe(true);
      expect(error).toMatchObject({ code: "Canceled" });
    });
    if (report === undefined) continue;
    expect(report.backup?.key).toBe(whole.key);
    expect(steps).toBeGreaterThan(3);
    break;
  }
  await isTree(kv, expected);
});
