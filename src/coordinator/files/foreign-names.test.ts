import { describe, expect, it, onTestFinished } from "vitest";
import { checkCatalog } from "../../namespace/index.ts";
import { createMemoryStore } from "../../stores/index.ts";
import { flakyStore, type FlakyStore } from "../testing/flaky-store.ts";
import { putForeign, type Rig, rigCtx, startRig } from "../testing/rig.ts";
import { errnoOf, type Tree, treeOf } from "../testing/tree.ts";

interface Setting extends Rig {
  readonly tree: Tree;
  readonly local: FlakyStore;
  readonly cloud: FlakyStore;
}

async function start(listingStandsMs?: number): Promise<Setting> {
  const [local, cloud] = [flakyStore(createMemoryStore()), flakyStore(createMemoryStore())];
  const stands = listingStandsMs === undefined ? {} : { listingStandsMs };
  const rig = await startRig({
    sites: [
      { name: "cloud", role: "burst", store: cloud, ...stands },
      { name: "local", role: "primary", store: local, ...stands },
    ],
  });
  onTestFinished(async () => {
    expect((await checkCatalog(rig.kv)).faults).toEqual([]);
    await rig.stop();
  });
  return { ...rig, tree: treeOf(rig.coordinator.files), local, cloud };
}

describe("what only sites have in a directory", () => {
  it("shows when it is read, with what lies deeper as directories, and the best site has it", async () => {
    const { tree, put, read, local, cloud } = await start();
    await put("d/ours", "ours");
    for (const key of ["d/1", "d/s/t/2", "other/3"]) await putForeign(cloud, key, `cloud ${key}`);
    await putForeign(local, "d/1", "local d/1");
    expect(await tree.names("")).toEqual(["d", "other"]);
    expect(await tree.names("d")).toEqual(["1", "ours", "s"]);
    expect(await tree.names("d/s")).toEqual(["t"]);
    expect(await tree.names("d/s/t")).toEqual(["2"]);
    expect([await read("d/1"), await read("d/s/t/2")]).toEqual(["local d/1", "cloud d/s/t/2"]);
  });

  it("is neither skipped nor given twice, in pages of any size, whatever is put there between them", async () => {
    const { coordinator, tree, put, local, cloud } = await start();
    const names = Array.from({ length: 23 }, (_, index) => String.fromCodePoint(97 + index));
    for (const [index, name] of names.entries()) {
      if (index % 3 === 0) await put(`d/${name}`, name);
      else if (index % 3 === 1) await putForeign(local, `d/${name}`, name);
      else await putForeign(cloud, `d/${name}/below`, name);
    }
    const { inode } = await tree.stat("d");
    for (const limit of [1, 2, 5, 1_000]) {
      const seen: string[] = [];
      let cookie: string | undefined;
      for (let isLast = false; !isLast;) {
        const page = await coordinator.files.readdir(rigCtx, {
          inode,
          limit,
          ...(cookie === undefined ? {} : { cookie }),
        });
        seen.push(...page.entries.map(({ name }) => name));
        cookie = page.entries.at(-1)?.cookie ?? cookie;
        isLast = page.isLast;
        await putForeign(local, `d/zz${limit}`, "late");
      }
      expect(seen.filter((name) => !name.startsWith("zz"))).toEqual(names);
      expect(new Set(seen).size).toBe(seen.length);
    }
  });

  it("keeps what was deleted hidden, and shows what a renamed directory has left elsewhere", async () => {
    const { coordinator, tree, put, local } = await start();
    await put("d/ours", "ours");
    for (const key of ["d/1", "d/2", "d/s/3"]) await putForeign(local, key, key);
    await coordinator.deleteObject(rigCtx, "d/1");
    await tree.rename("d", "e");
    expect(await tree.names("")).toEqual(["e"]);
    expect(await tree.names("e")).toEqual(["2", "ours", "s"]);
    expect(await tree.names("e/s")).toEqual(["3"]);
  });

  it("is found by its name, also a directory, and is in the way of a removal", async () => {
    const { tree, put, local } = await start();
    await putForeign(local, "a/b/c", "x");
    expect((await tree.stat("a/b")).kind).toBe("directory");
    await put("d/ours", "ours");
    await tree.unlink("d/ours");
    await tree.mkdir("e");
    await putForeign(local, "e/late", "x");
    expect(await errnoOf(tree.rmdir("e"))).toBe("ENOTEMPTY");
    await tree.mkdir("f");
    expect(await errnoOf(tree.rename("f", "e"))).toBe("ENOTEMPTY");
  });

  it("is missing while a site is silent, which is said; and what is to be empty is not believed then", async () => {
    const { coordinator, tree, put, local, cloud } = await start();
    await put("d/ours", "ours");
    await tree.mkdir("e");
    await putForeign(cloud, "d/1", "x");
    cloud.failing.add("list");
    const { inode } = await tree.stat("d");
    const page = await coordinator.files.readdir(rigCtx, { inode, limit: 10 });
    expect(page).toMatchObject({ isLast: true, failedSites: [{ site: "cloud" }] });
    expect(page.entries.map(({ name }) => name)).toEqual(["ours"]);
    local.failing.add("list");
    await expect(tree.rmdir("e")).rejects.toMatchObject({ code: "Unavailable" });
  });

  it("costs no request while a listing of it stands, nor do names that it lacks", async () => {
    const { tree, local, cloud } = await start(60_000);
    await putForeign(local, "d/1", "x");
    expect(await tree.names("d")).toEqual(["1"]);
    expect(await tree.names("")).toEqual(["d"]);
    for (const site of [local, cloud]) site.failing.add("*");
    expect(await tree.names("d")).toEqual(["1"]);
    await expect(tree.stat("d/absent")).rejects.toThrow("There is no d/absent");
  });
});
