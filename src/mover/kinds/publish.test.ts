import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { backgroundCtx } from "../../core/context.ts";
import { GfsError } from "../../core/errors.ts";
import type { FilePath } from "../../core/ids.ts";
import { findTombstone, rename } from "../../namespace/index.ts";
import { putBytes } from "../../stores/testing/scripted-store.ts";
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

  it.each(["stale", "failed"] as const)("is left alone while its copy is %s", async (state) => {
    const written = await rig.put("old", "bytes", { to: [] });
    await rig.mover.pauseAll(true);
    await rig.rename("old", "new");
    await rig.setCopy({ ...written, path: "new" as FilePath }, "local", { state });
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect(await relocation()).toMatchObject({ state: "done" });
    expect([await rig.bodyAt("local", "old"), await rig.bodyAt("local", "new")]).toEqual(["bytes", undefined]);
  });

  it("waits for the bytes that are on their way to it", async () => {
    const written = await rig.put("old", "bytes", { to: [] });
    await rig.mover.pauseAll(true);
    await rig.rename("old", "new");
    await rig.setCopy({ ...written, path: "new" as FilePath }, "local", { state: "pending" });
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect(await relocation()).toMatchObject({ state: "waiting", reason: "The bytes are still on their way." });
    const waits: number[] = [];
    for (let look = 0; look < 7; look++) {
      const job = (await relocation()) as JobProgress;
      waits.push(job.notBeforeMs - rig.clock.nowMs());
      await rig.clock.advance(waits.at(-1) as number);
      await rig.idle();
    }
    expect(waits).toEqual([2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    await rig.setCopy({ ...written, path: "new" as FilePath }, "local", { state: "present" });
    await rig.clock.advance(30_000);
    await rig.idle();
    expect(await rig.bodyAt("local", "new")).toBe("bytes");
  });

  it("is found by the stray copy of an attempt that was moot by the time it was tried again", async () => {
    const written = await rig.put("old", "bytes", { to: [] });
    await rig.mover.pauseAll(true);
    await rig.rename("old", "new");
    // The copy was made, the answer was lost, and the file went on to another name.
    const own = { "globalfs-version": written.version.id, "globalfs-path": "new" };
    await putBytes(rig.store("local"), "new", "bytes", own);
    await putBytes(rig.store("local"), `.globalfs/landed/${written.version.id}-aside`, "bytes", own);
    await rig.rename("new", "newest");
    await rig.mover.pauseAll(false);
    await rig.idle();
    const { objects } = await rig.store("local").list(ctx, { limit: 10 });
    expect(objects.map(({ key }) => key)).toEqual(["newest"]);
  });

  it("leaves what others have put where such a stray copy would lie", async () => {
    await renamed();
    await putBytes(rig.store("local"), "new", "theirs");
    await rig.rename("new", "newest");
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect([await rig.bodyAt("local", "new"), await rig.bodyAt("local", "newest")]).toEqual(["theirs", "bytes"]);
  });

  it("belongs elsewhere when its file was renamed during the copy, and what was copied goes again", async () => {
    await renamed();
    let covered = false;
    rig.store("local").script = {
      async after({ operation }) {
        if (operation !== "copy") return;
        // As a directory above it is renamed: that takes no lock of the files below it.
        await rig.kv.transact((tx) =>
          rename(tx, {
            from: "new" as FilePath,
            to: "newest" as FilePath,
            directory: false,
            overwrite: true,
            nowMs: rig.clock.nowMs(),
            nextInode: () => {
              throw new Error("No directory is missing.");
            },
          }),
        );
      },
      async before({ operation, key }) {
        if (operation !== "delete" || key !== "new") return;
        const tombstone = await rig.kv.view((tx) => findTombstone(tx, "new" as FilePath));
        const { objects } = await rig.store("local").list(ctx, { prefix: "new", limit: 1 });
        covered = tombstone?.etags.includes(objects[0]?.etag as string) === true;
      },
    };
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect([await rig.bodyAt("local", "new"), await rig.bodyAt("local", "old")]).toEqual([undefined, "bytes"]);
    expect(await rig.copy("newest", "local")).toMatchObject({ key: "old", state: "present" });
    // Until it was removed, nobody could take it for a new file.
    expect(covered).toBe(true);
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
