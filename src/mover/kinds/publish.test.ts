import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { backgroundCtx } from "../../core/context.ts";
import { GfsError } from "../../core/errors.ts";
import type { FilePath, SiteName } from "../../core/ids.ts";
import { settle } from "../../core/testing/fake-clock.ts";
import { commitVersion, type Copy, findTombstone } from "../../namespace/index.ts";
import { nextTestId, nextTestInode, testCommit, testVersion } from "../../namespace/testing/model.ts";
import { bytesAt, putBytes } from "../../stores/testing/scripted-store.ts";
import type { Site } from "../../stores/index.ts";
import { MoverRig } from "../testing/rig.ts";
import type { JobProgress } from "../types.ts";

const ctx = backgroundCtx();
let rig: MoverRig;
beforeEach(async () => {
  rig = await new MoverRig(["local"]).start();
});
afterEach(async () => await rig.mover.stop());

const relocation = async (): Promise<JobProgress | undefined> => await rig.job({ kind: "publish" });

function changeSite(change: Partial<Site>): void {
  rig.sites.set("local", { ...(rig.sites.get("local") as Site), ...change });
}

/** A renamed file whose object waits to get its path. */
async function renamed(from = "old", to = "new"): Promise<void> {
  await rig.put(from, "bytes", { to: [] });
  await rig.mover.pauseAll(true);
  await rig.rename(from, to);
}

describe("an object that is to get its file's path", () => {
  it("is none of a site's that was removed", async () => {
    await renamed();
    rig.sites.delete("local");
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect(await relocation()).toMatchObject({ state: "done", reason: "Site local is not registered any more." });
  });

  it("keeps its key at a site that cannot copy, and the job says so", async () => {
    await renamed();
    const { store } = rig.sites.get("local") as Site;
    changeSite({ store: { ...store, capabilities: { ...store.capabilities, serverSideCopy: false } } });
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect(await relocation()).toMatchObject({
      state: "failed",
      reason: "Site local cannot copy objects by itself; the object keeps its key.",
    });
    expect([await rig.bodyAt("local", "old"), (await rig.copy("new", "local"))?.key]).toEqual(["bytes", "old"]);
  });

  it.each(["stale", "failed"] as const)(
    "is left alone while its copy is %s, and published once that is mended",
    async (state) => {
      const written = await rig.put("old", "bytes", { to: [] });
      await rig.mover.pauseAll(true);
      await rig.rename("old", "new");
      const file = { ...written, path: "new" as FilePath };
      await rig.setCopy(file, "local", { state });
      await rig.mover.pauseAll(false);
      await rig.idle();
      expect(await relocation()).toMatchObject({ state: "done" });
      expect([await rig.bodyAt("local", "old"), await rig.bodyAt("local", "new")]).toEqual(["bytes", undefined]);
      expect(await rig.copy("new", "local")).toMatchObject({ state, key: "old", home: "new" });
      await rig.order("repair", file, "local", { key: "old" });
      await rig.idle();
      expect([await rig.bodyAt("local", "old"), await rig.bodyAt("local", "new")]).toEqual([undefined, "bytes"]);
    },
  );

  it("does not wait for bytes that are on their way to it: they are published when they have come", async () => {
    rig.sites.set("cloud", { ...(new MoverRig(["cloud"]).sites.get("cloud") as Site) });
    rig.config = { ...rig.config, maxQueuedJobs: 1 };
    await rig.restart();
    await rig.mover.pauseAll(true);
    await rig.put("full", "of work");
    await rig.put("old", "bytes");
    expect(await rig.job({ path: "old" as FilePath })).toBeUndefined();
    await rig.rename("old", "new");
    await rig.mover.pauseAll(false);
    await rig.clock.advance(10_000);
    await rig.idle();
    const { store } = rig.sites.get("cloud") as Site;
    expect([await bytesAt(store, "old"), (await bytesAt(store, "new"))?.toString()]).toEqual([undefined, "bytes"]);
    expect((await rig.jobs()).filter(({ state }) => state !== "done")).toEqual([]);
  });

  it("goes behind the job that brings the bytes, which would wait for it, while it waits for its path", async () => {
    const written = await rig.put("x", "of x", { to: [] });
    await rig.mover.pauseAll(true);
    await rig.rename("x", "z");
    await rig.put("x", "newer", { to: [] });
    // The object of the file that was called x keeps that key until its bytes are there, which a job of the path is to bring.
    const z = { ...written, path: "z" as FilePath };
    await rig.setCopy(z, "local", { state: "pending" });
    await rig.order("repair", z, "local", { path: "x" as FilePath, key: "x" });
    await rig.mover.pauseAll(false);
    await rig.clock.advance(120_000);
    await rig.idle();
    expect([await rig.bodyAt("local", "x"), await rig.bodyAt("local", "z")]).toEqual(["newer", "of x"]);
    expect((await rig.jobs()).filter(({ state }) => state !== "done")).toEqual([]);
  });

  it("fails over another tool's object, and does so again when it is resumed", async () => {
    await renamed();
    await rig.clock.advance(1_000);
    await putBytes(rig.store("local"), "new", "theirs");
    await rig.clock.advance(1_000);
    await rig.mover.pauseAll(false);
    await rig.idle();
    for (let time = 0; time < 2; time++) {
      expect(await relocation()).toMatchObject({ state: "failed" });
      expect(await rig.copy("new", "local")).toEqual(
        expect.not.objectContaining({ home: expect.anything() as unknown }),
      );
      expect(await rig.kv.view((tx) => findTombstone(tx, "new" as FilePath))).toBeUndefined();
      await rig.mover.resume((await relocation())?.id as never);
      await rig.idle();
      expect([await rig.bodyAt("local", "old"), await rig.bodyAt("local", "new")]).toEqual(["bytes", "theirs"]);
    }
  });

  it.each(["stale", "failed"] as const)(
    "is published after all when it was %s where it landed, and mended",
    async (state) => {
      await rig.put("x", "before", { to: [] });
      await rig.mover.pauseAll(true);
      const written = await rig.put("x", "after", { to: [] });
      const key = (await rig.copy("x", "local"))?.key as string;
      await rig.setCopy(written, "local", { state });
      await rig.mover.pauseAll(false);
      await rig.idle();
      expect([await rig.bodyAt("local", "x"), (await rig.copy("x", "local"))?.key]).toEqual(["before", key]);
      await rig.order("repair", written, "local", { key });
      await rig.idle();
      expect([await rig.bodyAt("local", "x"), await rig.bodyAt("local", key)]).toEqual(["after", undefined]);
    },
  );

  it.each([true, false])(
    "goes with its file when it was under its path already, and nobody knew, at a site that keeps metadata (%s)",
    async (userMetadata) => {
      const { store } = rig.sites.get("local") as Site;
      changeSite({ store: { ...store, capabilities: { ...store.capabilities, userMetadata } } });
      await rig.put("x", "before", { to: [] });
      await rig.mover.pauseAll(true);
      await rig.put("x", "after", { to: [] });
      const { key, etag } = (await rig.copy("x", "local")) as Copy;
      await store.copy(ctx, key, "x", userMetadata ? {} : { metadata: {} });
      expect((await store.head(ctx, "x")).etag).toBe(etag);
      await rig.remove("x");
      await rig.mover.pauseAll(false);
      await rig.idle();
      expect((await store.list(ctx, { limit: 10 })).objects).toEqual([]);
    },
  );

  it.each([
    ["version", "an older write's, and goes", "new"],
    ["path", "another tool's, and stays", "old"],
  ])("is not taken for arrived where the same bytes under its path say another %s: it is %s", async (name, _, key) => {
    const { version } = await rig.put("old", "bytes", { to: [] });
    await rig.mover.pauseAll(true);
    await rig.rename("old", "new");
    const own = { "globalfs-version": version.id, "globalfs-path": "new" };
    const { etag } = await putBytes(rig.store("local"), "new", "bytes", { ...own, [`globalfs-${name}`]: "0" });
    expect(etag).toBe((await rig.copy("new", "local"))?.etag);
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect((await rig.copy("new", "local"))?.key).toBe(key);
    expect((await rig.store("local").head(ctx, "new")).metadata).toEqual(
      key === "new" ? own : { ...own, "globalfs-path": "0" },
    );
  });

  it("is published after all when a look finds that it was right", async () => {
    await rig.put("x", "before", { to: [] });
    await rig.mover.pauseAll(true);
    const written = await rig.put("x", "after", { to: [] });
    await rig.setCopy(written, "local", { state: "stale" });
    await rig.mover.pauseAll(false);
    await rig.idle();
    await rig.order("verify", written, "local");
    await rig.idle();
    expect([await rig.bodyAt("local", "x"), await rig.copy("x", "local")]).toEqual([
      "after",
      expect.objectContaining({ key: "x", state: "present" }),
    ]);
  });

  it("is published by the job that is there, when a look finds that it was right before that has run", async () => {
    await rig.put("x", "before", { to: [] });
    await rig.mover.pauseAll(true);
    const written = await rig.put("x", "after", { to: [] });
    await rig.setCopy(written, "local", { state: "stale" });
    const { id } = (await relocation()) as JobProgress;
    await rig.mover.pause(id);
    await rig.order("verify", written, "local", { path: "elsewhere" as FilePath });
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect(await rig.copy("x", "local")).toMatchObject({ state: "present", home: "x" });
    expect((await rig.jobs()).filter(({ kind }) => kind === "publish").map((job) => job.id)).toEqual([id]);
  });

  it("goes over what a write left that came to nothing, and waits before it does so over a newer one", async () => {
    const written = await rig.put("old", "bytes", { to: [] });
    const own = (version: string) => ({ "globalfs-version": version, "globalfs-path": "new" });
    const older = `0${written.version.id.slice(1)}`.replace(/.$/, "0");
    await rig.mover.pauseAll(true);
    await rig.rename("old", "new");
    await putBytes(rig.store("local"), "new", "older", own(older));
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect(await rig.bodyAt("local", "new")).toBe("bytes");
    await rig.mover.pauseAll(true);
    await rig.rename("new", "newer");
    await putBytes(rig.store("local"), "newer", "under way", { ...own(nextTestId()), "globalfs-path": "newer" });
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect(await rig.job({ path: "newer" as FilePath, kind: "publish" })).toMatchObject({
      state: "waiting",
      reason: expect.stringContaining("A newer object that GlobalFS wrote lies under newer") as string,
    });
    expect(await rig.bodyAt("local", "newer")).toBe("under way");
    await rig.clock.advance(60_000);
    await rig.idle();
    expect([await rig.bodyAt("local", "newer"), await rig.bodyAt("local", "new")]).toEqual(["bytes", undefined]);
    // Four looks, and then it goes over that.
    expect((await rig.job({ path: "newer" as FilePath, kind: "publish" }))?.attempts).toBe(5);
  });

  it.each([
    ["its writer lives", "under way"],
    ["its writer lives, and it lies there for too long to come into the catalog", "bytes"],
    ["its writer lives, and it was the file's before, and is to be removed", "bytes"],
  ])("waits for whoever is about to write its path, as far as that may be: %s", async (what, body) => {
    const { inode } = await rig.put("old", "bytes", { to: [] });
    await rig.mover.pauseAll(true);
    await rig.rename("old", "new");
    const versionId = nextTestId();
    rig.inFlight.add(versionId);
    const own = { "globalfs-version": versionId, "globalfs-path": "new" };
    if (what.includes("too long")) {
      await putBytes(rig.store("local"), "new", "under way", own);
      await rig.clock.advance(20 * 60_000 + 1);
    } else {
      await rig.clock.advance(20 * 60_000);
      await putBytes(rig.store("local"), "new", "under way", own);
      await rig.clock.advance(20 * 60_000);
    }
    const base = { inode, sizeBytes: 0, priority: 30, versionId, site: "local" as SiteName, path: "new" as FilePath };
    if (what.includes("removed")) await rig.mover.enqueue({ ...base, kind: "remove", key: "new" });
    // Of another version, and of another kind: these say nothing of it.
    await rig.mover.enqueue({ ...base, kind: "remove", key: "new", versionId: nextTestId() });
    await rig.mover.enqueue({ ...base, kind: "remove", key: "new", site: "cloud" as SiteName });
    await rig.mover.enqueue({ ...base, kind: "verify", key: "new" });
    await rig.mover.pauseAll(false);
    await rig.until(async () => (await relocation())?.attempts === 1);
    if (body !== "bytes") {
      expect(await relocation()).toMatchObject({ state: "waiting", reason: "Somebody is about to write new." });
      expect(await rig.bodyAt("local", "new")).toBe("under way");
      rig.inFlight.delete(versionId);
    }
    await rig.clock.advance(120_000);
    await rig.idle();
    expect(await rig.bodyAt("local", "new")).toBe("bytes");
  });

  it("waits ever longer for whoever writes its path: from two seconds to half a minute", async () => {
    await renamed();
    const versionId = nextTestId();
    rig.inFlight.add(versionId);
    await putBytes(rig.store("local"), "new", "under way", { "globalfs-version": versionId });
    await rig.mover.pauseAll(false);
    const waits: number[] = [];
    for (let attempts = 1; attempts <= 6; attempts++) {
      await rig.until(async () => (await relocation())?.attempts === attempts);
      const waitMs = ((await relocation())?.notBeforeMs ?? 0) - rig.clock.nowMs();
      waits.push(waitMs);
      await rig.clock.advance(waitMs);
    }
    expect(waits).toEqual([2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  });

  it.each([
    ["small, whoever could come in between is kept out", 64 * 1024 ** 2, { conditionalCopies: false }, "both"],
    [
      "small, at a site that forgets conditions of uploads in parts",
      5,
      { conditionalCopies: false, conditionalWrites: false, conditionalCopyBytes: 5 },
      "both",
    ],
    [
      "too large for that",
      5,
      { conditionalCopies: false, conditionalWrites: false, conditionalCopyBytes: 4 },
      "locked",
    ],
    ["large, the site holds that nobody came in between", 64 * 1024 ** 2 + 1, { conditionalCopies: false }, "asked"],
    ["large, and the site cannot hold that", 2 ** 40, { conditionalCopies: false, conditionalWrites: false }, "locked"],
    ["of any size, where the site can hold that without moving bytes", 2 ** 40, {}, "both"],
  ])("goes over nothing that came in between: %s", async (_what, sizeBytes, can, how) => {
    const written = await rig.put("old", "bytes", { to: [] });
    await rig.mover.pauseAll(true);
    await rig.rename("old", "new");
    await rig.mover.cancel((await relocation())?.id as never);
    const { store } = rig.sites.get("local") as Site;
    const asked: unknown[] = [];
    let locked = true;
    changeSite({
      store: {
        ...store,
        capabilities: { ...store.capabilities, ...can },
        copy: async (copyCtx, from, to, options) => {
          asked.push(options?.ifNoneMatch);
          let entered = false;
          const other = rig.locks.run("new", async () => void (entered = true));
          await settle();
          locked = !entered;
          void other;
          return await store.copy(copyCtx, from, to, options);
        },
      },
    });
    await rig.order("publish", written, "local", { path: "new" as FilePath, key: "old", sizeBytes });
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect([asked, locked]).toEqual([[how === "locked" ? undefined : "*"], how !== "asked"]);
    expect(await rig.bodyAt("local", "new")).toBe("bytes");
  });

  it("that went over what was published meanwhile, where no condition could keep it off, is looked into", async () => {
    rig.sites.set("cloud", { ...(new MoverRig(["cloud"]).sites.get("cloud") as Site) });
    await rig.put("x", "first", { to: [] });
    await rig.mover.pauseAll(true);
    await rig.put("x", "held up", { to: [] });
    const { store } = rig.sites.get("local") as Site;
    let newest = "";
    const successor = async (): Promise<void> => {
      const id = nextTestId();
      newest = id;
      const copies: Copy[] = [];
      for (const site of ["local", "cloud"] as SiteName[]) {
        const { etag } = await putBytes((rig.sites.get(site) as Site).store, "x", "newer", { "globalfs-version": id });
        copies.push({ site, key: "x", state: "present", etag, changedMs: 1 });
      }
      const version = { ...testVersion("x", { id }), sizeBytes: 5, etag: copies[0]?.etag as string, copies };
      await rig.kv.transact((tx) => commitVersion(tx, testCommit("x", nextTestInode, version)));
    };
    let isHeldUp = true;
    changeSite({
      store: {
        ...store,
        capabilities: { ...store.capabilities, conditionalCopies: false, conditionalWrites: false },
        copy: async (copyCtx, from, to, options) => {
          if (isHeldUp) await successor();
          isHeldUp = false;
          return await store.copy(copyCtx, from, to, options);
        },
      },
    });
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect(isHeldUp).toBe(false);
    // Whoever looks finds an older version of ours where the newer one was, which is damage.
    const { versionId } = (await rig.job({ kind: "verify" })) as JobProgress;
    expect(versionId).toBe(newest);
    expect(rig.settled).toEqual(["x local"]);
  });

  it("goes over another tool's object where the catalog alone counts", async () => {
    await renamed();
    await rig.clock.advance(1_000);
    await putBytes(rig.store("local"), "new", "theirs");
    changeSite({ foreign: "ignore" });
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect([await rig.bodyAt("local", "old"), await rig.bodyAt("local", "new")]).toEqual([undefined, "bytes"]);
  });

  it("is tried once an attempt where it is known what it replaces, while its site is away", async () => {
    await rig.put("x", "before", { to: [] });
    await rig.mover.pauseAll(true);
    await rig.put("x", "after", { to: [] });
    rig.store("local").script.before = ({ operation }) => {
      if (operation === "copy") throw new GfsError("Unavailable", "The site is away.");
    };
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect(await relocation()).toMatchObject({ state: "waiting", reason: "The site is away." });
    expect([rig.store("local").count("copy"), rig.store("local").count("head")]).toEqual([1, 0]);
  });

  it("waits for a site that does not say what lies under its new key", async () => {
    await renamed();
    rig.store("local").script.before = ({ operation }) => {
      if (operation === "head") throw new GfsError("Unavailable", "The site is away.");
    };
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect([await relocation(), rig.store("local").count("copy")]).toEqual([
      expect.objectContaining({ state: "waiting", reason: "The site is away." }),
      0,
    ]);
    rig.store("local").script = {};
    await rig.clock.advance(5_000);
    await rig.idle();
    expect(await rig.bodyAt("local", "new")).toBe("bytes");
  });

  it("carries what its file is called now, so that a catalog can be made again from the site", async () => {
    await renamed();
    await rig.mover.pauseAll(false);
    await rig.idle();
    const { metadata, etag } = await rig.store("local").head(ctx, "new");
    expect(metadata).toMatchObject({ "globalfs-path": "new" });
    expect(await rig.copy("new", "local")).toMatchObject({ etag });
  });
});
