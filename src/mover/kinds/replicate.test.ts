import { afterEach, describe, expect, it } from "vitest";
import { backgroundCtx } from "../../core/context.ts";
import { GfsError } from "../../core/errors.ts";
import type { FilePath, SiteName } from "../../core/ids.ts";
import type { MoverConfig } from "../context.ts";
import { putBytes, type StoreCall } from "../../stores/testing/scripted-store.ts";
import type { Site } from "../../stores/index.ts";
import { delegateStaged } from "../../stores/layers/delegate.ts";
import { MoverRig } from "../testing/rig.ts";
import type { JobProgress } from "../types.ts";

const ctx = backgroundCtx();
let rig: MoverRig;
afterEach(async () => await rig.mover.stop());

async function start(names: readonly string[] = ["local", "cloud"], config: Partial<MoverConfig> = {}): Promise<void> {
  rig = await new MoverRig(names, config).start();
}

function away(...operations: readonly string[]): (call: StoreCall) => void {
  return ({ operation }) => {
    if (operations.includes(operation)) throw new GfsError("Unavailable", "The site is away.");
  };
}

describe("what a copy is brought for", () => {
  it("is nothing when the copy is there already", async () => {
    await start();
    const written = await rig.put("file", "bytes");
    await rig.idle();
    const { id } = await rig.order("replicate", written, "cloud");
    await rig.idle();
    expect(await rig.mover.get(id)).toMatchObject({ state: "done", reason: "The copy was there already." });
    expect(rig.store("cloud").count("stage")).toBe(1);
  });

  it("is a copy that is known to be wrong, and not one that lies under another key by now", async () => {
    await start();
    const written = await rig.put("file", "bytes");
    await rig.idle();
    await rig.setCopy(written, "cloud", { state: "stale" });
    await rig.order("replicate", written, "cloud");
    await rig.idle();
    expect(await rig.copy("file", "cloud")).toMatchObject({ state: "present" });
    await rig.setCopy(written, "cloud", { key: "elsewhere", state: "stale" });
    const { id } = await rig.order("replicate", written, "cloud");
    await rig.idle();
    expect(await rig.mover.get(id)).toMatchObject({ state: "done", reason: "The copy lies under another key by now." });
    expect(await rig.copy("file", "cloud")).toMatchObject({ state: "stale", key: "elsewhere" });
    expect(rig.store("cloud").count("commit")).toBe(2);
  });

  it("is recorded nowhere when it got another key while it was brought, and goes again", async () => {
    await start();
    await rig.mover.pauseAll(true);
    const written = await rig.put("file", "bytes");
    rig.store("cloud").script.before = async ({ operation }) => {
      if (operation === "commit") await rig.setCopy(written, "cloud", { key: "elsewhere" });
    };
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect(await rig.copy("file", "cloud")).toMatchObject({ state: "pending", key: "elsewhere" });
    expect(await rig.bodyAt("cloud", "file")).toBeUndefined();
  });

  it("waits while its key belongs to another file's object, before any byte is moved", async () => {
    await start();
    await rig.put("old", "of the file that had the name");
    await rig.idle();
    await rig.mover.pauseAll(true);
    await rig.rename("old", "new");
    const written = await rig.put("old", "bytes", { to: [] });
    const { id } = await rig.order("replicate", written, "cloud");
    const relocation = await rig.job({ kind: "publish", site: "cloud" as SiteName });
    await rig.mover.pause(relocation?.id as never);
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect(await rig.mover.get(id)).toMatchObject({
      state: "waiting",
      reason: "At cloud the key old still belongs to another file.",
      notBeforeMs: rig.clock.nowMs() + 5_000,
    });
    expect([rig.store("cloud").count("stage"), await rig.bodyAt("cloud", "old")]).toEqual([
      1,
      "of the file that had the name",
    ]);
    await rig.mover.resume(relocation?.id as never);
    await rig.idle();
    await rig.clock.advance(5_000);
    await rig.idle();
    expect([await rig.bodyAt("cloud", "old"), await rig.bodyAt("cloud", "new")]).toEqual([
      "bytes",
      "of the file that had the name",
    ]);
  });

  it("waits also when another file gets its key while the bytes are on their way, and throws them away", async () => {
    await start();
    await rig.mover.pauseAll(true);
    const written = await rig.put("file", "bytes");
    const other = await rig.put("other", "of the other", { to: [] });
    const { id } = (await rig.job({ path: "file" as FilePath })) as JobProgress;
    const cloud = rig.store("cloud");
    cloud.script.before = async ({ operation }) => {
      if (operation !== "seal") return;
      await rig.setCopy(written, "cloud", { key: "elsewhere" });
      await rig.setCopy(other, "cloud", { site: "cloud" as SiteName, key: "file", state: "present", changedMs: 1 });
    };
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect(await rig.mover.get(id)).toMatchObject({
      state: "waiting",
      reason: "At cloud the key file still belongs to another file.",
    });
    expect([cloud.count("commit"), cloud.count("abort")]).toEqual([0, 1]);
  });
});

describe("a repair", () => {
  it("brings an object back that is gone from its site", async () => {
    await start();
    const written = await rig.put("file", "bytes");
    await rig.idle();
    await rig.store("cloud").delete(ctx, "file");
    await rig.order("repair", written, "cloud");
    await rig.idle();
    expect(await rig.bodyAt("cloud", "file")).toBe("bytes");
  });

  it.each(["present", "stale"] as const)(
    "waits for a site that does not say what it has of a copy that is %s",
    async (state) => {
      await start();
      const written = await rig.put("file", "bytes");
      await rig.idle();
      await rig.setCopy(written, "cloud", { state });
      rig.store("cloud").script.before = away("head");
      const { id } = await rig.order("repair", written, "cloud");
      await rig.idle();
      expect(await rig.mover.get(id)).toMatchObject({ state: "waiting", reason: "The site is away." });
      expect(rig.store("cloud").count("stage")).toBe(1);
    },
  );

  it.each(["NotFound", "PreconditionFailed", "DataCorrupt"] as const)(
    "goes over an object that cannot be read back for %s",
    async (code) => {
      await start();
      const written = await rig.put("file", "bytes");
      await rig.idle();
      await rig.setCopy(written, "cloud", { state: "stale" });
      rig.store("cloud").script.before = ({ operation }) => {
        if (operation !== "get") return;
        throw new GfsError(code, "Not this one.");
      };
      await rig.order("repair", written, "cloud");
      await rig.idle();
      expect(rig.store("cloud").count("commit")).toBe(2);
      expect(await rig.copy("file", "cloud")).toMatchObject({ state: "present" });
    },
  );

  it.each([true, false])(
    "goes over what it has looked at, as far as its site can hold that nothing else came in between: %s",
    async (conditionalWrites) => {
      await start();
      const written = await rig.put("file", "bytes");
      await rig.idle();
      const site = rig.sites.get("cloud") as Site;
      const { store } = site;
      const asked: unknown[] = [];
      rig.sites.set("cloud", {
        ...site,
        store: {
          ...store,
          capabilities: { ...store.capabilities, conditionalWrites },
          async stage(stageCtx, key, options) {
            const staged = await store.stage(stageCtx, key, options);
            return delegateStaged(staged, {
              commit: async (commitCtx, conditions) => {
                asked.push(conditions);
                return await staged.commit(commitCtx, conditions);
              },
            });
          },
        },
      });
      const { etag } = await putBytes(rig.store("cloud"), "file", "wrong", { "globalfs-version": "another" });
      await rig.order("repair", written, "cloud");
      await rig.idle();
      await rig.store("cloud").delete(ctx, "file");
      await rig.order("repair", written, "cloud");
      await rig.idle();
      expect(asked).toEqual(conditionalWrites ? [{ ifMatch: etag }, { ifNoneMatch: "*" }] : [{}, {}]);
      expect(await rig.bodyAt("cloud", "file")).toBe("bytes");
    },
  );

  it("waits when it cannot be told what lies there", async () => {
    await start();
    const written = await rig.put("file", "bytes");
    await rig.idle();
    await rig.setCopy(written, "cloud", { state: "stale" });
    rig.store("cloud").script.before = away("get");
    await rig.order("repair", written, "cloud");
    await rig.idle();
    expect(await rig.job({ kind: "repair" })).toMatchObject({ state: "waiting", reason: "The site is away." });
    expect(rig.store("cloud").count("commit")).toBe(1);
  });

  it("reads nothing back that has another size than the version", async () => {
    await start();
    const written = await rig.put("file", "bytes");
    await rig.idle();
    await putBytes(rig.store("cloud"), "file", "more bytes", { "globalfs-version": "another" });
    await rig.setCopy(written, "cloud", { state: "stale" });
    await rig.order("repair", written, "cloud");
    await rig.idle();
    expect([rig.store("cloud").count("get"), await rig.bodyAt("cloud", "file")]).toEqual([0, "bytes"]);
  });

  it("goes over what a write of GlobalFS left there, also when it was ordered against something else", async () => {
    await start();
    const written = await rig.put("file", "bytes");
    await rig.idle();
    await putBytes(rig.store("cloud"), "file", "of a write that failed", { "globalfs-version": "another" });
    await rig.setCopy(written, "cloud", { state: "stale" });
    await rig.order("repair", written, "cloud", { etag: "of what was found" });
    await rig.idle();
    expect([await rig.bodyAt("cloud", "file"), rig.settled]).toEqual(["bytes", []]);
  });

  it("spares what another tool has put where an object was gone when it was ordered", async () => {
    await start();
    const written = await rig.put("file", "bytes");
    await rig.idle();
    await rig.setCopy(written, "cloud", { state: "stale", etag: undefined });
    await putBytes(rig.store("cloud"), "file", "theirs");
    await rig.order("repair", written, "cloud");
    await rig.idle();
    expect([await rig.bodyAt("cloud", "file"), rig.settled]).toEqual(["theirs", ["file cloud"]]);
  });

  it("spares what another tool puts there while the bytes are on their way", async () => {
    await start();
    const written = await rig.put("file", "bytes");
    await rig.idle();
    await rig.store("cloud").delete(ctx, "file");
    await rig.setCopy(written, "cloud", { state: "stale", etag: undefined });
    rig.store("cloud").script.before = async ({ operation }) => {
      if (operation !== "seal") return;
      rig.store("cloud").script = {};
      await putBytes(rig.store("cloud"), "file", "theirs");
    };
    await rig.order("repair", written, "cloud");
    await rig.idle();
    await rig.clock.advance(2_000);
    await rig.idle();
    expect([await rig.bodyAt("cloud", "file"), rig.settled]).toEqual(["theirs", ["file cloud"]]);
  });
});

describe("where a copy is read from", () => {
  it("is the site that a person names, before the one that is best", async () => {
    await start(["one", "two", "three", "target"]);
    const written = await rig.put("file", "bytes", { at: ["one", "two", "three"], to: [] });
    await rig.order("replicate", written, "target", { from: "three" as SiteName });
    await rig.idle();
    expect(["one", "two", "three"].map((site) => rig.store(site).count("get"))).toEqual([0, 0, 1]);
  });

  it("is the best of the others when the one that was named cannot give it", async () => {
    await start(["one", "two", "three", "target"]);
    rig.ranking = ["two", "one", "three", "target"];
    const written = await rig.put("file", "bytes", { at: ["one", "two", "three"], to: [] });
    rig.store("three").script.before = away("get");
    await rig.order("replicate", written, "target", { from: "three" as SiteName });
    await rig.idle();
    expect(["one", "two", "three"].map((site) => rig.store(site).count("get"))).toEqual([0, 1, 1]);
    expect(await rig.bodyAt("target", "file")).toBe("bytes");
  });

  it("may be none at the moment: then it is waited for", async () => {
    await start(["local", "cloud"]);
    rig.ranking = ["cloud"];
    await rig.put("file", "bytes");
    await rig.idle();
    expect(await rig.job({ path: "file" as FilePath })).toMatchObject({
      state: "waiting",
      reason: "No site that holds the bytes can be read now.",
    });
    rig.ranking = undefined;
    await rig.clock.advance(5_000);
    await rig.idle();
    expect(await rig.bodyAt("cloud", "file")).toBe("bytes");
  });

  it("may be a site that cannot be read now, which is waited for although another has lost the bytes", async () => {
    await start(["one", "two", "target"]);
    rig.ranking = ["one", "target"];
    await rig.put("file", "bytes", { at: ["one", "two"], to: ["target"] });
    await rig.store("one").delete(ctx, "file");
    await rig.clock.advance(3_600_000);
    expect(await rig.job({ path: "file" as FilePath })).toMatchObject({
      state: "waiting",
      reason: "No site that holds the bytes can be read now.",
    });
    rig.ranking = undefined;
    await rig.clock.advance(60_000);
    await rig.idle();
    expect(await rig.bodyAt("target", "file")).toBe("bytes");
  });

  it("is no site that was removed: when that one had the bytes, there is nothing to wait for", async () => {
    await start(["one", "two", "target"]);
    await rig.put("file", "bytes", { at: ["one", "two"], to: ["target"] });
    await rig.idle();
    await rig.mover.pauseAll(true);
    await rig.put("other", "bytes", { at: ["one", "two"], to: ["target"] });
    await rig.store("one").delete(ctx, "other");
    rig.sites.delete("two");
    await rig.mover.pauseAll(false);
    await rig.clock.advance(3_600_000);
    expect(await rig.job({ path: "other" as FilePath })).toMatchObject({ state: "failed" });
  });
});

describe("what a target says of what it stored", () => {
  it("is not asked for again when the answer to the write was its word already", async () => {
    await start();
    const site = rig.sites.get("cloud");
    if (site === undefined) throw new Error("There is no such site.");
    const { store } = site;
    rig.sites.set("cloud", {
      ...site,
      store: {
        ...store,
        async stage(stageCtx, key, options) {
          const staged = await store.stage(stageCtx, key, options);
          return { ...staged, commit: async (...args) => ({ ...(await staged.commit(...args)), verified: true }) };
        },
      },
    });
    await rig.put("file", "bytes");
    await rig.idle();
    expect([(await rig.copy("file", "cloud"))?.state, rig.store("cloud").count("head")]).toEqual(["present", 0]);
  });

  it.each([
    ["another size", { sizeBytes: 6 }],
    ["another content", { etag: "another" }],
    ["another checksum", { sha256: "0".repeat(64) }],
  ])("is not believed when it is %s", async (_what, said) => {
    await start();
    const { head } = rig.store("cloud");
    rig.store("cloud").head = async (...args) => ({ ...(await head(...args)), ...said });
    await rig.put("file", "bytes");
    await rig.idle();
    expect(await rig.job({ path: "file" as FilePath })).toMatchObject({
      state: "waiting",
      reason: "Site cloud says it has another object than was sent.",
    });
    expect(await rig.copy("file", "cloud")).toMatchObject({ state: "pending" });
  });

  it("may be nothing of a checksum", async () => {
    await start();
    const { head } = rig.store("cloud");
    rig.store("cloud").head = async (...args) => {
      const { sha256: _, ...rest } = await head(...args);
      return rest;
    };
    await rig.put("file", "bytes");
    await rig.put("unproven", "bytes", { withoutChecksum: true });
    await rig.idle();
    for (const path of ["file", "unproven"]) expect(await rig.copy(path, "cloud")).toMatchObject({ state: "present" });
  });
});

describe("giving up", () => {
  it("leaves a copy that can be read as it is", async () => {
    await start();
    const written = await rig.put("file", "bytes");
    await rig.idle();
    const before = await rig.copy("file", "cloud");
    rig.store("cloud").script.before = ({ operation }) => {
      if (operation === "head") throw new GfsError("PermissionDenied", "The key may not read.");
    };
    await rig.order("repair", written, "cloud");
    await rig.clock.advance(3_600_000);
    expect(await rig.job({ kind: "repair" })).toMatchObject({ state: "failed", reason: "The key may not read." });
    expect(await rig.copy("file", "cloud")).toEqual(before);
  });
});
