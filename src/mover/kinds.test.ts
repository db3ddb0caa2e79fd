import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { backgroundCtx } from "../core/context.ts";
import { GfsError } from "../core/errors.ts";
import type { FilePath, SiteName } from "../core/ids.ts";
import { putBytes } from "../stores/testing/scripted-store.ts";
import { MoverRig } from "./testing/rig.ts";

const ctx = backgroundCtx();
let rig: MoverRig;
beforeEach(async () => {
  rig = await new MoverRig(["local", "cloud"]).start();
});
afterEach(async () => await rig.mover.stop());

/** Other bytes under the key, while the site goes on to call them what they were: as a disk does that rots. */
async function rot(site: string, key: string, body: string): Promise<void> {
  const { stream } = await rig.store(site).get(ctx, key);
  for await (const chunk of stream) chunk.set(Buffer.from(body));
}

describe("removing an object", () => {
  it("spares what another tool has put under the key since", async () => {
    await rig.put("file", "ours", { to: [] });
    await rig.mover.pauseAll(true);
    await rig.remove("file");
    await putBytes(rig.store("local"), "file", "theirs");
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect(await rig.bodyAt("local", "file")).toBe("theirs");
    expect(await rig.job({ kind: "remove" })).toMatchObject({ state: "done" });
  });

  it("spares a key that a file uses again", async () => {
    await rig.put("file", "old", { to: [] });
    await rig.mover.pauseAll(true);
    await rig.remove("file");
    await rig.put("file", "old", { to: [] });
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect(await rig.bodyAt("local", "file")).toBe("old");
  });

  it("of unknown content takes only what the tombstone covers", async () => {
    await rig.put("file", "bytes", { to: [] });
    await rig.put("other", "bytes", { to: [] });
    await rig.mover.pauseAll(true);
    await rig.remove("file");
    await rig.remove("other");
    await rig.mover.pauseAll(false);
    await rig.idle();
    await rig.clock.advance(10);
    await putBytes(rig.store("cloud"), "file", "a late copy of ours", {
      "globalfs-version": "01TEST00000000000000000000",
    });
    await putBytes(rig.store("cloud"), "other", "newer, and not ours");
    const base = {
      kind: "remove" as const,
      inode: 1 as never,
      versionId: "v" as never,
      site: "cloud" as SiteName,
      sizeBytes: 0,
      priority: 1,
    };
    for (const path of ["file", "other"]) await rig.mover.enqueue({ ...base, path: path as FilePath, key: path });
    await rig.idle();
    expect([await rig.bodyAt("cloud", "file"), await rig.bodyAt("cloud", "other")]).toEqual([
      undefined,
      "newer, and not ours",
    ]);
  });

  it("is tried until it works: what nobody removes would come back", async () => {
    await rig.put("file", "bytes", { to: [] });
    rig.store("local").script.before = ({ operation }) => {
      if (operation === "delete") throw new GfsError("PermissionDenied", "The key may not delete.");
    };
    await rig.remove("file");
    await rig.clock.advance(3_600_000);
    expect(await rig.job({ kind: "remove" })).toMatchObject({ state: "waiting", reason: "The key may not delete." });
    rig.store("local").script = {};
    await rig.clock.advance(60_000);
    await rig.idle();
    expect(await rig.bodyAt("local", "file")).toBeUndefined();
  });
});

describe("relocating an object", () => {
  it("gives it the file's new path at every site, and leaves nothing under the old one", async () => {
    await rig.put("old", "bytes");
    await rig.idle();
    await rig.rename("old", "new");
    await rig.idle();
    for (const site of ["local", "cloud"]) {
      expect([await rig.bodyAt(site, "old"), await rig.bodyAt(site, "new")]).toEqual([undefined, "bytes"]);
      expect(await rig.copy("new", site)).toMatchObject({ key: "new", state: "present" });
    }
  });

  it("waits while the new key still holds another file's object, and ends also when two files changed names", async () => {
    await rig.put("a", "of a");
    await rig.put("b", "of b");
    await rig.idle();
    await rig.mover.pauseAll(true);
    await rig.rename("a", "aside");
    await rig.rename("b", "a");
    await rig.rename("aside", "b");
    await rig.mover.pauseAll(false);
    await rig.idle();
    for (let turn = 0; turn < 5; turn++) {
      await rig.clock.advance(60_000);
      await rig.idle();
    }
    // Each in its place: one of the two stepped aside for the other.
    for (const site of ["local", "cloud"]) {
      expect([await rig.bodyAt(site, "a"), await rig.bodyAt(site, "b")]).toEqual(["of b", "of a"]);
      expect((await rig.store(site).list(ctx, { limit: 10 })).objects.map(({ key }) => key)).toEqual(["a", "b"]);
    }
    expect((await rig.jobs()).filter(({ state }) => state === "failed")).toEqual([]);
  });

  it("also happens to an object that was still on its way when its file was renamed", async () => {
    rig.store("cloud").script.before = () => {
      throw new GfsError("Unavailable", "The site is away.");
    };
    await rig.put("old", "bytes");
    await rig.idle();
    await rig.rename("old", "new");
    await rig.clock.advance(600_000);
    rig.store("cloud").script = {};
    await rig.clock.advance(120_000);
    await rig.idle();
    expect([await rig.bodyAt("cloud", "old"), await rig.bodyAt("cloud", "new")]).toEqual([undefined, "bytes"]);
  });

  it("spares another tool's object under the new path", async () => {
    await rig.put("old", "ours", { to: [] });
    await rig.clock.advance(1_000);
    await putBytes(rig.store("local"), "new", "theirs");
    await rig.mover.pauseAll(true);
    await rig.rename("old", "new");
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect([await rig.bodyAt("local", "old"), await rig.bodyAt("local", "new")]).toEqual(["ours", "theirs"]);
    expect(await rig.job({ kind: "publish" })).toMatchObject({
      state: "failed",
      reason: expect.stringContaining("Another tool's object") as string,
    });
  });

  it("bears losing the answer to its copy, and a delete that comes in between", async () => {
    await rig.put("old", "bytes", { to: [] });
    let losses = 1;
    rig.store("local").script.after = ({ operation }) => {
      if (operation === "copy" && losses-- > 0) throw new GfsError("Unavailable", "The answer was lost.");
    };
    await rig.rename("old", "new");
    await rig.idle();
    await rig.clock.advance(5_000);
    await rig.idle();
    expect([await rig.bodyAt("local", "old"), await rig.bodyAt("local", "new")]).toEqual([undefined, "bytes"]);
    losses = 1;
    await rig.rename("new", "newest");
    await rig.idle();
    await rig.remove("newest");
    await rig.clock.advance(60_000);
    await rig.idle();
    for (const key of ["old", "new", "newest"]) expect(await rig.bodyAt("local", key), key).toBeUndefined();
  });

  it("never loses the object to a removal of the same content that was ordered before", async () => {
    await rig.put("a", "bytes", { to: [] });
    await rig.rename("a", "b");
    await rig.idle();
    expect(await rig.bodyAt("local", "b")).toBe("bytes");
    // There and back again: a removal of the object under `b` comes just when the way back has brought it there once more.
    const { script } = rig.store("local");
    const old = await rig.copy("b", "local");
    await rig.rename("b", "c");
    await rig.idle();
    script.after = async ({ operation }) => {
      if (operation !== "copy") return;
      delete script.after;
      const base = { kind: "remove" as const, inode: 1 as never, versionId: "v" as never, sizeBytes: 0, priority: 0 };
      await rig.mover.enqueue({
        ...base,
        path: "elsewhere" as FilePath,
        site: "local" as SiteName,
        key: "b",
        etag: old?.etag as string,
      });
    };
    await rig.rename("c", "b");
    await rig.idle();
    await rig.clock.advance(10_000);
    await rig.idle();
    expect(await rig.bodyAt("local", "b")).toBe("bytes");
  });

  it("has nothing to do, and waits for nobody, when the object is where it belongs", async () => {
    const written = await rig.put("file", "bytes", { to: [] });
    await rig.order("publish", written, "local");
    await rig.idle();
    expect(await rig.job({ kind: "publish" })).toMatchObject({ state: "done" });
  });
});

describe("verifying a copy", () => {
  it("leaves a good one alone", async () => {
    const written = await rig.put("file", "bytes");
    await rig.idle();
    await rig.order("verify", written, "cloud");
    await rig.idle();
    expect(await rig.job({ kind: "verify" })).toMatchObject({ state: "done", bytesDone: 5 });
    expect(await rig.copy("file", "cloud")).toMatchObject({ state: "present" });
    expect(await rig.job({ kind: "repair" })).toBeUndefined();
  });

  it("finds rotten bytes under the old etag, takes them out of use and brings good ones", async () => {
    const written = await rig.put("file", "bytes");
    await rig.idle();
    await rot("cloud", "file", "byteX");
    await rig.mover.pauseAll(true);
    await rig.order("verify", written, "cloud");
    await rig.mover.pauseAll(false);
    await rig.until(async () => (await rig.job({ kind: "repair" })) !== undefined);
    await rig.idle();
    expect(await rig.job({ kind: "verify" })).toMatchObject({
      state: "done",
      reason: "The site holds other bytes than were written.",
    });
    expect(await rig.job({ kind: "repair" })).toMatchObject({ state: "done" });
    expect(await rig.bodyAt("cloud", "file")).toBe("bytes");
    expect(await rig.copy("file", "cloud")).toMatchObject({ state: "present" });
  });

  it("brings back an object that is gone", async () => {
    const written = await rig.put("file", "bytes");
    await rig.idle();
    await rig.store("cloud").delete(ctx, "file");
    await rig.order("verify", written, "cloud");
    await rig.idle();
    expect((await rig.job({ kind: "verify" }))?.reason).toBe("The object is gone from the site.");
    expect(await rig.bodyAt("cloud", "file")).toBe("bytes");
    expect(await rig.copy("file", "cloud")).toMatchObject({ state: "present" });
  });

  it("believes a site that calls its own bytes corrupt", async () => {
    const written = await rig.put("file", "bytes");
    await rig.idle();
    rig.store("cloud").script.before = ({ operation }) => {
      if (operation !== "get") return;
      rig.store("cloud").script = {};
      throw new GfsError("DataCorrupt", "The site gave other bytes than its checksum says.");
    };
    await rig.order("verify", written, "cloud");
    await rig.idle();
    expect(await rig.job({ kind: "repair" })).toMatchObject({ state: "done" });
  });

  it("has an object looked into that is not the one that was written, and orders nothing over it", async () => {
    const written = await rig.put("file", "bytes");
    await rig.idle();
    await putBytes(rig.store("cloud"), "file", "other");
    await rig.order("verify", written, "cloud");
    await rig.idle();
    expect([rig.settled, await rig.bodyAt("cloud", "file")]).toEqual([["file cloud"], "other"]);
    expect(await rig.job({ kind: "repair" })).toBeUndefined();
  });

  it("takes a copy into use again that is right by now", async () => {
    const written = await rig.put("file", "bytes", { to: [] });
    const before = await rig.copy("file", "local");
    await rig.setCopy(written, "local", { state: "failed", reason: "It was rotten." });
    await rig.order("verify", written, "local");
    await rig.idle();
    const after = await rig.copy("file", "local");
    expect([after?.state, after?.etag, after?.reason]).toEqual(["present", before?.etag, undefined]);
  });

  it("does not take a copy for lost that is still on its way", async () => {
    rig.store("cloud").script.before = ({ operation }) => {
      if (operation === "stage") throw new GfsError("Unavailable", "The site is away.");
    };
    const written = await rig.put("file", "bytes");
    await rig.idle();
    await rig.order("verify", written, "cloud");
    rig.store("cloud").script = {};
    await rig.clock.advance(60_000);
    await rig.idle();
    expect([await rig.bodyAt("cloud", "file"), (await rig.copy("file", "cloud"))?.state]).toEqual(["bytes", "present"]);
    expect(await rig.job({ kind: "repair" })).toBeUndefined();
  });

  it("says when no good copy is left to repair from", async () => {
    const written = await rig.put("file", "bytes", { to: [] });
    await rig.store("local").delete(ctx, "file");
    await rig.order("verify", written, "local");
    await rig.idle();
    expect(await rig.job({ kind: "repair" })).toMatchObject({
      state: "failed",
      reason: "No other site holds the bytes.",
    });
    expect(await rig.copy("file", "local")).toMatchObject({
      state: "failed",
      reason: "No other site holds the bytes.",
    });
  });
});

describe("repairing a copy", () => {
  it("finds it intact and does no work, or puts the committed version over what lies there", async () => {
    const written = await rig.put("file", "bytes");
    await rig.idle();
    await rig.order("repair", written, "cloud");
    await rig.idle();
    expect(rig.store("cloud").count("commit")).toBe(1);
    await putBytes(rig.store("cloud"), "file", "of a write that failed half-way", { "globalfs-version": "another" });
    await rig.order("repair", written, "cloud");
    await rig.idle();
    expect(await rig.bodyAt("cloud", "file")).toBe("bytes");
    expect(await rig.copy("file", "cloud")).toMatchObject({
      state: "present",
      etag: (await rig.store("cloud").head(ctx, "file")).etag,
    });
  });

  it("is moot when the file has another version by now", async () => {
    const old = await rig.put("file", "old");
    await rig.put("file", "new");
    await rig.idle();
    await rig.order("repair", old, "cloud");
    await rig.idle();
    expect(await rig.bodyAt("cloud", "file")).toBe("new");
  });

  it("brings a stale copy back even where its etag looks right", async () => {
    const written = await rig.put("file", "bytes");
    await rig.idle();
    await rot("cloud", "file", "byteX");
    await rig.setCopy(written, "cloud", { state: "stale" });
    await rig.order("repair", written, "cloud");
    await rig.idle();
    expect([await rig.bodyAt("cloud", "file"), rig.store("cloud").count("commit")]).toEqual(["bytes", 2]);
    expect(await rig.copy("file", "cloud")).toMatchObject({ state: "present" });
  });

  it("finds that a stale copy has the right bytes, and moves none", async () => {
    const written = await rig.put("file", "bytes");
    await rig.idle();
    await putBytes(rig.store("cloud"), "file", "bytes");
    const { etag } = await rig.store("cloud").head(ctx, "file");
    await rig.setCopy(written, "cloud", { state: "stale" });
    const commits = rig.store("cloud").count("commit");
    await rig.order("repair", written, "cloud");
    await rig.idle();
    expect(rig.store("cloud").count("commit")).toBe(commits);
    expect(await rig.copy("file", "cloud")).toMatchObject({ state: "present", etag });
  });

  it("goes over what it was ordered against, and over nothing that another tool has put there since", async () => {
    const written = await rig.put("file", "bytes");
    await rig.idle();
    await putBytes(rig.store("cloud"), "file", "damaged");
    const { etag } = await rig.store("cloud").head(ctx, "file");
    await rig.setCopy(written, "cloud", { state: "stale" });
    await putBytes(rig.store("cloud"), "file", "news of another tool");
    await rig.order("repair", written, "cloud", { etag });
    await rig.idle();
    expect([await rig.bodyAt("cloud", "file"), rig.settled]).toEqual(["news of another tool", ["file cloud"]]);
    const now = await rig.store("cloud").head(ctx, "file");
    await rig.order("repair", written, "cloud", { etag: now.etag });
    await rig.idle();
    expect([await rig.bodyAt("cloud", "file"), rig.settled]).toEqual(["bytes", ["file cloud"]]);
  });
});
