import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { backgroundCtx } from "../../core/context.ts";
import { GfsError } from "../../core/errors.ts";
import type { FilePath } from "../../core/ids.ts";
import type { Program } from "../../kv/index.ts";
import { type Copy, findTombstone, removeFile, rename } from "../../namespace/index.ts";
import { nextTestId, nextTestInode } from "../../namespace/testing/model.ts";
import { putBytes } from "../../stores/testing/scripted-store.ts";
import { MoverRig } from "../testing/rig.ts";
import type { JobProgress } from "../types.ts";

const ctx = backgroundCtx();
let rig: MoverRig;
beforeEach(async () => {
  rig = await new MoverRig(["local"]).start();
});
afterEach(async () => await rig.mover.stop());

const relocation = async (): Promise<JobProgress | undefined> => await rig.job({ kind: "publish" });

/** A renamed file whose object waits to get its path. */
async function renamed(from = "old", to = "new"): Promise<void> {
  await rig.put(from, "bytes", { to: [] });
  await rig.mover.pauseAll(true);
  await rig.rename(from, to);
}

describe("an object whose file leaves the path that it was to get", () => {
  it("takes along what it was to replace under the path that it leaves, whichever of the two jobs comes first", async () => {
    for (const [name, priority] of [
      ["a", 0],
      ["b", 30],
    ] as const) {
      await rig.put(`${name}/x`, "before", { to: [] });
      await rig.mover.pauseAll(true);
      const written = await rig.put(`${name}/x`, "after", { to: [] });
      const { key } = (await rig.copy(`${name}/x`, "local")) as Copy;
      await rig.kv.transact((tx) =>
        rename(tx, {
          from: name as FilePath,
          to: `${name}2` as FilePath,
          directory: true,
          overwrite: false,
          nowMs: rig.clock.nowMs(),
          nextInode: () => {
            throw new Error("No directory is missing.");
          },
        }),
      );
      await rig.order("publish", written, "local", { path: `${name}2/x` as FilePath, key, priority });
      await rig.mover.pauseAll(false);
      await rig.idle();
      expect([await rig.bodyAt("local", `${name}/x`), await rig.bodyAt("local", `${name}2/x`)]).toEqual([
        undefined,
        "after",
      ]);
    }
    const { objects } = await rig.store("local").list(ctx, { limit: 10 });
    expect(objects.map(({ key }) => key)).toEqual(["a2/x", "b2/x"]);
  });

  it("takes that along also when no other job follows it there", async () => {
    await rig.put("a/x", "before", { to: [] });
    await rig.mover.pauseAll(true);
    await rig.put("a/x", "after", { to: [] });
    const order = { directory: true, overwrite: false, nowMs: rig.clock.nowMs(), nextInode: nextTestInode };
    await rig.kv.transact((tx) => rename(tx, { ...order, from: "a" as FilePath, to: "b" as FilePath }));
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect([await rig.bodyAt("local", "a/x"), (await rig.copy("b/x", "local"))?.home]).toEqual([undefined, undefined]);
  });

  it("spares what another tool has put where it was to come, when its file is renamed once more", async () => {
    await renamed();
    rig.store("local").script.before = ({ operation, key }) => {
      if (operation === "head" && key === "new") throw new GfsError("Unavailable", "The site is away.");
    };
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect(await rig.copy("new", "local")).toMatchObject({ key: "old", home: "new" });
    rig.store("local").script = {};
    await putBytes(rig.store("local"), "new", "theirs");
    await rig.clock.advance(1);
    await rig.rename("new", "newest");
    await rig.clock.advance(60_000);
    await rig.idle();
    expect([await rig.bodyAt("local", "new"), await rig.bodyAt("local", "newest")]).toEqual(["theirs", "bytes"]);
  });

  it("spares what another tool has put there also when it has no bytes yet", async () => {
    const written = await rig.put("old", "bytes", { to: [] });
    await rig.mover.pauseAll(true);
    await rig.rename("old", "new");
    await rig.setCopy({ ...written, path: "new" as FilePath }, "local", { state: "pending", etag: undefined });
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect(await rig.copy("new", "local")).toMatchObject({ state: "pending", home: "new" });
    await putBytes(rig.store("local"), "new", "theirs");
    await rig.clock.advance(1);
    await rig.rename("new", "newest");
    await rig.idle();
    expect(await rig.bodyAt("local", "new")).toBe("theirs");
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

  it.each(["newest", undefined])("is not claimed when that happens just before: it is called %s then", async (name) => {
    await renamed();
    const { kv } = rig;
    let once = true;
    const transact: typeof kv.transact = async (program, options) => {
      if (once && (await relocation())?.state === "running") {
        once = false;
        const order = { directory: false, overwrite: true, nowMs: rig.clock.nowMs(), nextInode: nextTestInode };
        const gone = { expect: { kind: "any" as const }, nowMs: 1, tombstoneVersionId: nextTestId() };
        await kv.transact(function* (tx): Program<void> {
          if (name === undefined) yield* removeFile(tx, { path: "new" as FilePath, ...gone });
          else yield* rename(tx, { ...order, from: "new" as FilePath, to: name as FilePath });
        });
      }
      return await kv.transact(program, options);
    };
    await rig.mover.stop();
    Object.assign(rig.deps, { kv: { ...kv, transact } });
    await rig.restart();
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect(once).toBe(false);
    expect(await relocation()).toMatchObject({ state: "done", attempts: 2 });
    // It was nobody's fault.
    expect((await relocation())?.failures).toBeUndefined();
    expect(await rig.bodyAt("local", "new")).toBeUndefined();
  });

  it("is not what another file is to replace that took the path during the copy", async () => {
    await renamed();
    rig.store("local").script.after = async ({ operation }) => {
      if (operation !== "copy") return;
      rig.store("local").script = {};
      // As a directory above the two is renamed, and another one takes its name.
      await rig.kv.transact(function* (tx) {
        const order = { directory: false, overwrite: true, nowMs: rig.clock.nowMs(), nextInode: nextTestInode };
        yield* rename(tx, { ...order, from: "new" as FilePath, to: "newest" as FilePath });
        yield* rename(tx, { ...order, from: "other" as FilePath, to: "new" as FilePath });
      });
      const other = await rig.copy("new", "local");
      await rig.setCopy({ ...written, path: "new" as FilePath }, "local", { ...other, home: "new" });
    };
    const written = await rig.put("other", "of the other", { to: [] });
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect(await rig.copy("newest", "local")).toEqual(
      expect.not.objectContaining({ replaces: expect.anything() as unknown }),
    );
    expect((await rig.copy("new", "local"))?.home).toBe("new");
  });

  it("keeps what is known of its path when an older order for it finds that it lies elsewhere by now", async () => {
    await rig.put("x", "before", { to: [] });
    await rig.mover.pauseAll(true);
    const written = await rig.put("x", "after", { to: [] });
    const before = await rig.copy("x", "local");
    await rig.mover.pause((await relocation())?.id as never);
    const { id } = await rig.order("publish", written, "local", { key: ".globalfs/landed/older", priority: 0 });
    await rig.mover.cancel((await relocation())?.id as never);
    await rig.mover.pauseAll(false);
    await rig.idle();
    expect(await rig.mover.get(id)).toMatchObject({ state: "done" });
    expect([before?.home, await rig.copy("x", "local")]).toEqual(["x", before]);
    expect(await rig.bodyAt("local", "x")).toBe("before");
  });
});
