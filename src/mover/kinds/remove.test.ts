import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { GfsError } from "../../core/errors.ts";
import type { FilePath, Inode, SiteName, VersionId } from "../../core/ids.ts";
import { putBytes } from "../../stores/testing/scripted-store.ts";
import { MoverRig } from "../testing/rig.ts";
import type { JobProgress, JobSpec } from "../types.ts";

let rig: MoverRig;
beforeEach(async () => {
  rig = await new MoverRig(["local"]).start();
});
afterEach(async () => await rig.mover.stop());

async function removed(spec: Partial<JobSpec> & { readonly key: string }): Promise<JobProgress> {
  const { id } = await rig.mover.enqueue({
    kind: "remove",
    path: spec.key as FilePath,
    inode: 99 as Inode,
    versionId: "v1" as VersionId,
    site: "local" as SiteName,
    sizeBytes: 0,
    priority: 1,
    ...spec,
  });
  await rig.idle();
  return await rig.mover.get(id);
}

describe("an object that no file owns", () => {
  it("is nobody's business at a site that was removed", async () => {
    rig.sites.delete("local");
    const job = await removed({ key: "file" });
    expect(job).toMatchObject({ state: "done", reason: "Site local is not registered any more." });
  });

  it("goes when it has the content that was to go", async () => {
    const { etag } = await putBytes(rig.store("local"), "file", "ours");
    expect((await removed({ key: "file", etag })).reason).toBeUndefined();
    expect(await rig.bodyAt("local", "file")).toBeUndefined();
  });

  it("goes when it has that content still, also when an earlier attempt failed", async () => {
    const { etag } = await putBytes(rig.store("local"), "file", "ours");
    rig.store("local").script.before = ({ operation }) => {
      if (operation === "delete") throw new GfsError("Unavailable", "The site is away.");
    };
    expect((await removed({ key: "file", etag })).state).toBe("waiting");
    rig.store("local").script = {};
    await rig.clock.advance(1_000);
    await rig.idle();
    expect(await rig.bodyAt("local", "file")).toBeUndefined();
  });

  it("goes when it is of the version that was to go, also when its content is another than was known", async () => {
    await putBytes(rig.store("local"), "file", "of a write that was never answered", { "globalfs-version": "v1" });
    await removed({ key: "file", etag: "of the one that was" });
    expect(await rig.bodyAt("local", "file")).toBeUndefined();
  });

  it("stays when another version was written there", async () => {
    await putBytes(rig.store("local"), "file", "newer", { "globalfs-version": "v2" });
    const job = await removed({ key: "file", etag: "of the one that was" });
    expect([await rig.bodyAt("local", "file"), job.reason]).toEqual([
      "newer",
      "Nothing of what was deleted is left there.",
    ]);
  });

  it("stays while the writer of another version may yet make it the file's, and goes when it is what was to go", async () => {
    for (const versionId of ["v1", "v2"]) rig.inFlight.add(versionId);
    const { etag } = await putBytes(rig.store("local"), "file", "of another", { "globalfs-version": "v2" });
    rig.store("local").script.before = ({ operation }) => {
      rig.store("local").script = {};
      if (operation === "delete") throw new GfsError("PreconditionFailed", "It is another by now.");
    };
    const job = await removed({ key: "file", etag });
    expect([await rig.bodyAt("local", "file"), job.reason]).toEqual([
      "of another",
      "Nothing of what was deleted is left there.",
    ]);
    await putBytes(rig.store("local"), "file", "its own", { "globalfs-version": "v1" });
    await removed({ key: "file", etag });
    expect(await rig.bodyAt("local", "file")).toBeUndefined();
  });

  it("goes from GlobalFS's own corner whatever it is, where its content was never known", async () => {
    await putBytes(rig.store("local"), ".globalfs/displaced/x", "rubbish");
    await removed({ key: ".globalfs/displaced/x" });
    expect(await rig.bodyAt("local", ".globalfs/displaced/x")).toBeUndefined();
    await putBytes(rig.store("local"), "globalfs/x", "a user's");
    await removed({ key: "globalfs/x" });
    expect(await rig.bodyAt("local", "globalfs/x")).toBe("a user's");
  });

  it("is spared when it becomes another between the look and the removal", async () => {
    const own = { "globalfs-version": "v1" };
    await putBytes(rig.store("local"), "file", "ours", own);
    rig.store("local").script.before = async ({ operation }) => {
      if (operation !== "delete") return;
      rig.store("local").script = {};
      await putBytes(rig.store("local"), "file", "theirs");
    };
    const job = await removed({ key: "file" });
    expect([await rig.bodyAt("local", "file"), job.state, job.reason]).toEqual([
      "theirs",
      "done",
      "Another object lies under the key by now.",
    ]);
  });

  it("is there no more, and that is no failure", async () => {
    expect(await removed({ key: "file" })).toMatchObject({
      state: "done",
      reason: "Nothing of what was deleted is left there.",
    });
  });

  it("is asked for again when the site does not say what it has", async () => {
    await putBytes(rig.store("local"), "file", "ours", { "globalfs-version": "v1" });
    rig.store("local").script.before = ({ operation }) => {
      if (operation === "head") throw new GfsError("Unavailable", "The site is away.");
    };
    expect(await removed({ key: "file" })).toMatchObject({ state: "waiting", reason: "The site is away." });
    rig.store("local").script = {};
    await rig.clock.advance(5_000);
    await rig.idle();
    expect(await rig.bodyAt("local", "file")).toBeUndefined();
  });
});
