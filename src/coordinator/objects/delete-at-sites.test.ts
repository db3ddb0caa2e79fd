import { describe, expect, it } from "vitest";
import type { FlakyStore } from "../testing/flaky-store.ts";
import { bodyAt, putForeign, rigCtx } from "../testing/rig.ts";
import { startTimed } from "../testing/timed-rig.ts";

const TWO = { local: "primary", cloud: "burst" } as const;

async function putAs(store: FlakyStore, key: string, body: string, version: string): Promise<void> {
  const staged = await store.stage(rigCtx, key, { metadata: { "globalfs-version": version } });
  await staged.write(Buffer.from(body));
  await staged.seal();
  await staged.commit(rigCtx);
}

describe("a delete at a primary", () => {
  it("takes along what a write of GlobalFS left there that was never answered", async () => {
    const rig = await startTimed(TWO);
    await rig.put("x", "ours");
    await rig.pass();
    await putAs(rig.sites.local, "x", "of a write that was never answered", "00000000000000000000000000");
    await rig.coordinator.deleteObject(rigCtx, "x");
    expect(await bodyAt(rig.sites.local, "x")).toBeUndefined();
  });

  it("leaves what another tool has put there, which then is a new object", async () => {
    const rig = await startTimed(TWO);
    await rig.put("x", "ours");
    await rig.pass();
    await rig.clock.advance(1_000);
    rig.sites.local.beforeCommit = undefined;
    const remove = rig.sites.local.delete;
    rig.sites.local.delete = async (...args) => {
      rig.sites.local.delete = remove;
      await putForeign(rig.sites.local, "x", "theirs");
      return await remove(...args);
    };
    await rig.clock.advance(1);
    await rig.coordinator.deleteObject(rigCtx, "x");
    expect(await bodyAt(rig.sites.local, "x")).toBe("theirs");
  });

  it.each(["head", "delete"] as const)(
    "says so when the site does not answer to the %s, and a job goes on",
    async (operation) => {
      const rig = await startTimed(TWO);
      await rig.put("x", "ours");
      await rig.pass();
      await putAs(rig.sites.local, "x", "of a write that was never answered", "00000000000000000000000000");
      rig.sites.local.failing.add(operation);
      await expect(rig.coordinator.deleteObject(rigCtx, "x")).rejects.toMatchObject({
        code: "Unavailable",
        message: expect.stringContaining("primary site local still holds its bytes") as string,
      });
      rig.sites.local.failing.clear();
      await rig.pass();
      expect(await bodyAt(rig.sites.local, "x")).toBeUndefined();
    },
  );

  it("finds nothing there any more, and that is no failure", async () => {
    const rig = await startTimed(TWO);
    await rig.put("x", "ours");
    await rig.pass();
    await rig.sites.local.delete(rigCtx, "x");
    expect(await rig.coordinator.deleteObject(rigCtx, "x")).toMatchObject({ deleted: true, pendingSites: ["cloud"] });
  });

  it("of a version holds its conditions", async () => {
    const rig = await startTimed(TWO);
    await rig.coordinator.createBucket(rigCtx, { name: "b" });
    await rig.coordinator.changeBucket(rigCtx, "b", { versioning: "enabled" });
    const { meta } = await rig.put("b/x", "ours");
    const remove = async (ifMatch: string): Promise<unknown> =>
      await rig.coordinator.deleteObject(rigCtx, "b/x", {
        versionId: meta.versionId,
        conditions: { ifMatch: [ifMatch] },
      });
    await expect(remove("another")).rejects.toMatchObject({ code: "PreconditionFailed" });
    expect(await remove(meta.etag)).toMatchObject({ deleted: true, versionId: meta.versionId });
    await expect(remove(meta.etag)).rejects.toMatchObject({ code: "PreconditionFailed" });
  });
});

describe("deleting many keys", () => {
  it("deletes each by itself when they cannot be deleted together", async () => {
    const rig = await startTimed(TWO);
    for (const key of ["a", "b", "c"]) await rig.put(key, key);
    const { transact } = rig.kv;
    let failures = 1;
    Object.assign(rig.kv, {
      transact: async (...args: Parameters<typeof transact>) => {
        if (failures-- > 0) throw new Error("The commit failed.");
        return await transact(...args);
      },
    });
    const outcomes = await rig.coordinator.deleteObjects(rigCtx, [{ key: "a" }, { key: "b" }, { key: "c" }]);
    Object.assign(rig.kv, { transact });
    expect(outcomes.map((outcome) => "result" in outcome && outcome.result.deleted)).toEqual([true, true, true]);
    for (const site of ["a", "b", "c"]) await expect(rig.read(site)).rejects.toMatchObject({ code: "NotFound" });
  });

  it("makes a version first of what only a site has, where versions are kept", async () => {
    const rig = await startTimed(TWO);
    await rig.coordinator.createBucket(rigCtx, { name: "b" });
    await rig.coordinator.changeBucket(rigCtx, "b", { versioning: "enabled" });
    await putForeign(rig.sites.local, "b/theirs", "theirs");
    const [outcome] = await rig.coordinator.deleteObjects(rigCtx, [{ key: "b/theirs" }]);
    expect(outcome).toMatchObject({ result: { deleteMarker: true } });
    const read = await rig.coordinator.readObject(rigCtx, "b/theirs", { versionId: "null" });
    expect(read.meta.sizeBytes).toBe(6);
  });
});
