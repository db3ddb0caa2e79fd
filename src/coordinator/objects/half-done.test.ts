import { describe, expect, it } from "vitest";
import { GfsError } from "../../core/errors.ts";
import { createMemoryStore, type SiteRole } from "../../stores/index.ts";
import { flakyStore, type FlakyStore } from "../testing/flaky-store.ts";
import { bodyAt, chunksOf, putForeign, rigCtx } from "../testing/rig.ts";
import { startTimed } from "../testing/timed-rig.ts";

const TWO = { one: "primary", two: "primary" } as const;

function countAborts(store: FlakyStore): () => number {
  let aborts = 0;
  const { stage } = store;
  store.stage = async (...args) => {
    const staged = await stage(...args);
    return {
      ...staged,
      async abort() {
        aborts += 1;
        await staged.abort();
      },
    };
  };
  return () => aborts;
}

/** The catalog refuses the next so many commits. */
function failCommits(kv: { transact: (...args: never[]) => Promise<unknown> }, times: number): void {
  const { transact } = kv;
  let left = times;
  Object.assign(kv, {
    transact: async (...args: never[]) => {
      if (left-- > 0) throw new GfsError("NoSpace", "The catalog is full.");
      return await transact(...args);
    },
  });
}

describe("a write that the catalog does not take", () => {
  it.each<[string, { one: SiteRole; other: SiteRole }]>([
    ["one primary", { one: "primary", other: "burst" }],
    ["every site", { one: "primary", other: "primary" }],
  ])("leaves the old version where it was, also when it went to %s", async (_where, roles) => {
    const rig = await startTimed(roles);
    await rig.put("x", "old");
    await rig.pass();
    failCommits(rig.kv, 1);
    await expect(rig.put("x", "new bytes")).rejects.toMatchObject({ code: "NoSpace" });
    for (let look = 0; look < 2; look++) {
      expect(await rig.read("x")).toBe("old");
      for (const site of [rig.sites.one, rig.sites.other]) {
        expect(await bodyAt(site, "x")).toBe("old");
        expect((await site.list(rigCtx, { limit: 10 })).objects.map(({ key }) => key)).toEqual(["x"]);
      }
      await rig.pass();
    }
  });

  it("leaves nothing where there was nothing", async () => {
    const rig = await startTimed(TWO);
    await rig.put("other", "so that there are inodes");
    await rig.pass();
    failCommits(rig.kv, 1);
    await expect(rig.put("x", "new")).rejects.toMatchObject({ code: "NoSpace" });
    expect([await bodyAt(rig.sites.one, "x"), await bodyAt(rig.sites.two, "x")]).toEqual([undefined, undefined]);
    await expect(rig.read("x")).rejects.toMatchObject({ code: "NotFound" });
  });

  it("is taken away by a job where the site does not answer at that moment", async () => {
    const rig = await startTimed(TWO);
    await rig.put("other", "so that there are inodes");
    await rig.pass();
    rig.sites.two.failing.add("delete");
    failCommits(rig.kv, 1);
    await expect(rig.put("x", "new")).rejects.toMatchObject({ code: "NoSpace" });
    expect(await bodyAt(rig.sites.two, "x")).toBe("new");
    rig.sites.two.failing.clear();
    await rig.pass();
    expect(await bodyAt(rig.sites.two, "x")).toBeUndefined();
    await expect(rig.read("x")).rejects.toMatchObject({ code: "NotFound" });
  });
});

describe("a write under a name whose file is renamed away while its bytes come in", () => {
  it("becomes a new file, and spares the object that still lies there", async () => {
    const rig = await startTimed({ one: "primary" });
    await rig.put("x", "old");
    await rig.pass();
    await rig.coordinator.pauseAllJobs(rigCtx, true);
    const body = (async function* () {
      yield Buffer.from("new");
      await rig.coordinator.rename(rigCtx, { from: "x", to: "y" });
    })();
    expect(await rig.coordinator.putObject(rigCtx, { key: "x", body })).toMatchObject({ created: true });
    expect([await rig.read("x"), await rig.read("y"), await bodyAt(rig.sites.one, "x")]).toEqual(["new", "old", "old"]);
    await rig.coordinator.pauseAllJobs(rigCtx, false);
    await rig.pass();
    expect([await rig.read("x"), await rig.read("y")]).toEqual(["new", "old"]);
    expect([await bodyAt(rig.sites.one, "x"), await bodyAt(rig.sites.one, "y")]).toEqual(["new", "old"]);
  });
});

describe("a site that fails while a body is streamed", () => {
  it.each<[string, Readonly<Record<string, SiteRole>>]>([
    ["alone", { one: "primary" }],
    ["beside another", TWO],
  ])("is named, %s, and every site gives up what it has", async (_what, roles) => {
    for (const operation of ["write", "seal"]) {
      const rig = await startTimed<string>(roles);
      const aborts = Object.values(rig.sites).map(countAborts);
      rig.sites["one"]?.failing.add(operation);
      await expect(rig.put("x", "new")).rejects.toMatchObject({
        code: "Unavailable",
        message: expect.stringContaining("one") as string,
      });
      expect(aborts.map((count) => count())).toEqual(aborts.map(() => 1));
    }
  });

  it("that cannot even begin leaves nothing open at the others", async () => {
    const rig = await startTimed(TWO);
    const aborts = countAborts(rig.sites.one);
    rig.sites.two.failing.add("stage");
    await expect(rig.put("x", "new")).rejects.toMatchObject({ message: expect.stringContaining("two") as string });
    expect(aborts()).toBe(1);
  });
});

describe("a body of bytes that are dear to hash", () => {
  it("comes through whole in many pieces, with the sums that were asked for", async () => {
    const rig = await startTimed(TWO);
    const bytes = Buffer.alloc(3_000_000, "0123456789");
    const { meta } = await rig.put("x", "", { body: chunksOf(bytes, 100_000), sizeBytes: bytes.length, md5Etag: true });
    expect([meta.sizeBytes, (await rig.read("x")) === bytes.toString()]).toEqual([bytes.length, true]);
  });
});

describe("a copy within the namespace", () => {
  it("of a marker of a directory is a marker of a directory", async () => {
    const rig = await startTimed(TWO);
    await rig.put("d/", "");
    const copied = await rig.coordinator.copyObject(rigCtx, { from: { key: "d/" }, key: "e/", owner: "alice" });
    expect(copied).toMatchObject({ created: true, meta: { key: "e/", sizeBytes: 0 } });
    await rig.put("empty", "");
    await rig.coordinator.copyObject(rigCtx, { from: { key: "empty" }, key: "f/" });
    const { objects } = await rig.coordinator.listObjects(rigCtx, { limit: 10 });
    expect(objects.map(({ key }) => key)).toEqual(["d/", "e/", "empty", "f/"]);
  });

  it("that cannot begin at a site leaves nothing open at the others", async () => {
    const rig = await startTimed({ source: "primary" });
    await rig.put("x", "bytes");
    await rig.pass();
    rig.sites.source.failing.add("copy");
    // The site cannot copy by itself, and then does not take the bytes either.
    rig.sites.source.failing.add("stage");
    await expect(rig.coordinator.copyObject(rigCtx, { from: { key: "x" }, key: "y" })).rejects.toMatchObject({
      code: "Unavailable",
      message: expect.stringContaining("source") as string,
    });
    await expect(rig.read("y")).rejects.toMatchObject({ code: "NotFound" });
  });

  it.each(["write", "seal", "commit"])("that one site does not take at the %s shows at none", async (operation) => {
    const rig = await startTimed(TWO);
    await putForeign(rig.sites.one, "x", "bytes");
    await rig.read("x");
    const aborts = [countAborts(rig.sites.one), countAborts(rig.sites.two)];
    rig.sites.two.failing.add(operation);
    await expect(rig.coordinator.copyObject(rigCtx, { from: { key: "x" }, key: "y" })).rejects.toMatchObject({
      code: "Unavailable",
      message: expect.stringContaining("two") as string,
    });
    rig.sites.two.failing.clear();
    await rig.pass();
    expect([await bodyAt(rig.sites.one, "y"), await bodyAt(rig.sites.two, "y")]).toEqual([undefined, undefined]);
    expect(aborts.some((count) => count() > 0)).toBe(true);
  });

  it("of more bytes than an object may have by now is refused", async () => {
    const settings = {
      version: "0",
      clusterName: "t",
      maxObjectBytes: 10,
      tombstoneRetentionMs: 60_000,
      stagingRetentionMs: 86_400_000,
      uploadRetentionMs: 7 * 86_400_000,
      housekeepingIntervalMs: 3_600_000,
    };
    const store = flakyStore(createMemoryStore());
    await putForeign(store, "x", "12345678901");
    const small = await startTimed(
      { one: "primary" },
      { sites: [{ name: "one", role: "primary", store }], overrides: { settings } },
    );
    await expect(small.coordinator.copyObject(rigCtx, { from: { key: "x" }, key: "y" })).rejects.toMatchObject({
      code: "TooLarge",
    });
    expect(await bodyAt(store, "y")).toBeUndefined();
  });
});

describe("the end of a bucket", () => {
  it("takes along unfinished uploads and what marks it at the sites", async () => {
    const rig = await startTimed(TWO);
    await putForeign(rig.sites.two, "b/", "");
    await rig.coordinator.createBucket(rigCtx, { name: "b" }).catch(() => undefined);
    const upload = await rig.coordinator.createUpload(rigCtx, { key: "b/x" });
    await rig.coordinator.deleteBucket(rigCtx, "b");
    expect(await rig.coordinator.findBucket(rigCtx, "b")).toBeUndefined();
    await expect(rig.coordinator.findUpload(rigCtx, { key: "b/x", uploadId: upload.uploadId })).rejects.toMatchObject({
      code: "NotFound",
    });
    expect(await bodyAt(rig.sites.two, "b/")).toBeUndefined();
  });

  it("says that it is not empty while only a delete marker is left of it", async () => {
    const rig = await startTimed(TWO);
    await rig.coordinator.createBucket(rigCtx, { name: "b" });
    await rig.coordinator.changeBucket(rigCtx, "b", { versioning: "enabled" });
    await rig.put("b/x", "1");
    await rig.coordinator.deleteObject(rigCtx, "b/x");
    await expect(rig.coordinator.deleteBucket(rigCtx, "b")).rejects.toMatchObject({
      code: "NotEmpty",
      message: "b is not empty; remove its objects, their versions and delete markers first.",
    });
  });

  it("is not held up by a site that does not give its marker up", async () => {
    const rig = await startTimed(TWO);
    await rig.coordinator.createBucket(rigCtx, { name: "b" });
    rig.sites.two.failing.add("delete");
    await rig.coordinator.deleteBucket(rigCtx, "b");
    expect(await rig.coordinator.findBucket(rigCtx, "b")).toBeUndefined();
    await rig.coordinator.createBucket(rigCtx, { name: "c" });
    rig.sites.two.failing.clear();
    rig.sites.two.delete = () => Promise.reject(new GfsError("Canceled", "The caller went away."));
    await expect(rig.coordinator.deleteBucket(rigCtx, "c")).rejects.toMatchObject({ code: "Canceled" });
  });
});

describe("a rename of a directory", () => {
  it("goes on without a site of lower rank that does not answer, and not without a primary", async () => {
    const rig = await startTimed({ one: "primary", cloud: "burst" });
    await rig.put("d/x", "1");
    await rig.pass();
    rig.sites.cloud.failing.add("list");
    await rig.coordinator.rename(rigCtx, { from: "d/", to: "e/" });
    expect(await rig.read("e/x")).toBe("1");
    rig.sites.cloud.failing.clear();
    rig.sites.one.failing.add("list");
    await expect(rig.coordinator.rename(rigCtx, { from: "e/", to: "f/" })).rejects.toMatchObject({
      code: "Unavailable",
    });
    rig.sites.one.failing.clear();
    const { list } = rig.sites.cloud;
    rig.sites.cloud.list = () => Promise.reject(new GfsError("Canceled", "The caller went away."));
    await expect(rig.coordinator.rename(rigCtx, { from: "e/", to: "f/" })).rejects.toMatchObject({ code: "Canceled" });
    rig.sites.cloud.list = list;
    expect(await rig.read("e/x")).toBe("1");
  });

  it("takes in nothing from a site of which only the catalog counts", async () => {
    const store = flakyStore(createMemoryStore());
    const rig = await startTimed(
      { one: "primary" },
      {
        sites: [
          { name: "one", role: "primary" },
          { name: "archive", role: "backup", store, foreign: "ignore" },
        ],
      },
    );
    await rig.put("d/x", "1");
    await putForeign(store, "d/theirs", "theirs");
    await rig.coordinator.rename(rigCtx, { from: "d/", to: "e/" });
    const { objects } = await rig.coordinator.listObjects(rigCtx, { limit: 10 });
    expect(objects.map(({ key }) => key)).toEqual(["e/x"]);
    expect(await bodyAt(store, "d/theirs")).toBe("theirs");
  });

  it("that is gone again before its objects were moved leaves nothing to move", async () => {
    const rig = await startTimed(TWO);
    await rig.put("d/x", "1");
    await rig.pass();
    await rig.coordinator.pauseAllJobs(rigCtx, true);
    await rig.coordinator.rename(rigCtx, { from: "d/", to: "e/" });
    await rig.coordinator.deleteObject(rigCtx, "e/x");
    await rig.coordinator.deleteBucket(rigCtx, "e").catch(() => undefined);
    await rig.coordinator.pauseAllJobs(rigCtx, false);
    await rig.pass();
    for (const key of ["d/x", "e/x"]) expect(await bodyAt(rig.sites.one, key)).toBeUndefined();
  });
});
