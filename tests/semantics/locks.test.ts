import { expect } from "vitest";
import { rigCtx } from "../../src/coordinator/testing/rig.ts";
import { openSession, treeOf } from "../../src/coordinator/testing/tree.ts";
import { everywhere } from "./matrix.ts";
import { codeOf } from "./setting.ts";

const ONE = { local: "primary" } as const;
const DAY_MS = 86_400_000;

async function codeAndReason(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "done",
    (error: unknown) => {
      const { code, context } = error as { code: string; context: { s3?: string } };
      return `${code} ${context.s3 ?? ""}`.trim();
    },
  );
}

const DENIED = "PermissionDenied AccessDenied";

everywhere("K1 A locked version is destroyed by nothing", async ({ startTimed }) => {
  const setting = await startTimed(ONE);
  const { away, clock, coordinator, kv, put, read } = setting;
  await coordinator.createBucket(rigCtx, { name: "b", objectLock: true });
  await coordinator.createBucket(rigCtx, { name: "plain" });
  const untilMs = clock.nowMs() + DAY_MS;
  const retained = await put("b/d/x", "retained", { labels: { lock: { retention: { mode: "compliance", untilMs } } } });
  const held = await put("b/y", "held");
  await coordinator.changeLabels(rigCtx, "b/y", { legalHold: true });
  const [one, two] = [retained.meta.versionId, held.meta.versionId];
  const remove = async (key: string, versionId: string): Promise<string> =>
    await codeAndReason(coordinator.deleteObject(rigCtx, key, { versionId, bypassGovernance: true }));
  expect([await remove("b/d/x", one), await remove("b/y", two)]).toEqual([DENIED, DENIED]);
  // Not by a rename, of it, over it, or of a directory above it.
  expect(await codeAndReason(coordinator.rename(rigCtx, { from: "b/y", to: "plain/y" }))).toBe(DENIED);
  expect(await codeAndReason(coordinator.rename(rigCtx, { from: "b/d/", to: "plain/d/" }))).toBe(DENIED);
  expect(await codeAndReason(coordinator.rename(rigCtx, { from: "b/", to: "plain-too/" }))).toBe(DENIED);
  await put("plain/z", "over it");
  await coordinator.rename(rigCtx, { from: "plain/z", to: "b/y", overwrite: true });
  // What is written or deleted over it leaves it below.
  await put("b/d/x", "newer");
  await coordinator.deleteObject(rigCtx, "b/d/x");
  expect([await remove("b/d/x", one), await remove("b/y", two)]).toEqual([DENIED, DENIED]);
  expect(await codeOf(coordinator.deleteBucket(rigCtx, "b"))).toBe("NotEmpty");
  expect(await codeOf(coordinator.deleteObject(rigCtx, "b/"))).toBe("NotEmpty");
  expect(await codeAndReason(coordinator.changeBucket(rigCtx, "b", { versioning: "suspended" }))).toBe(
    "Conflict InvalidBucketState",
  );
  // Nor by further names, wherever those are: the last one stays.
  const tree = treeOf(coordinator.files);
  await put("b/linked", "linked", { labels: { lock: { retention: { mode: "compliance", untilMs } } } });
  await tree.link("b/linked", "plain/one");
  await tree.link("b/linked", "plain/two");
  await coordinator.deleteObject(rigCtx, "b/linked");
  await put("plain/one", "another file");
  expect(await codeAndReason(coordinator.deleteObject(rigCtx, "plain/two"))).toBe(DENIED);
  expect(await codeAndReason(put("plain/two", "over it"))).toBe(DENIED);
  expect(await codeAndReason(tree.unlink("plain/two"))).toBe(DENIED);
  expect(await codeAndReason(tree.unlink("plain/two", [await openSession(kv, "mount-1")]))).toBe(DENIED);
  expect(await codeAndReason(tree.rename("plain/one", "plain/two"))).toBe(DENIED);
  expect(await read("plain/two")).toBe("linked");
  // Time and the person who put it on take the lock away.
  await away(DAY_MS + 1);
  await coordinator.changeLabels(rigCtx, "b/y", { versionId: two, legalHold: false });
  expect([await remove("b/d/x", one), await remove("b/y", two)]).toEqual(["done", "done"]);
  expect(await read("b/y")).toBe("over it");
});

everywhere(
  "K2 Retention is shortened by nobody in compliance mode, and in governance mode only by who bypasses it",
  async ({ startTimed }) => {
    const setting = await startTimed(ONE);
    const { away, clock, coordinator, put } = setting;
    await coordinator.createBucket(rigCtx, { name: "b", objectLock: true });
    const at = (days: number): number => clock.nowMs() + days * DAY_MS;
    await put("b/x", "1");
    const retain = async (
      mode: "governance" | "compliance" | null,
      days: number,
      bypassGovernance = false,
    ): Promise<string> =>
      await codeAndReason(
        coordinator.changeLabels(rigCtx, "b/x", {
          retention: mode === null ? null : { mode, untilMs: at(days) },
          bypassGovernance,
        }),
      );
    expect(await retain("governance", -1)).toBe("InvalidArgument");
    expect(await retain("governance", 2)).toBe("done");
    expect(await retain("governance", 3)).toBe("done");
    expect(await retain("governance", 2)).toBe(DENIED);
    expect(await retain(null, 0)).toBe(DENIED);
    expect(await retain("compliance", 3)).toBe(DENIED);
    expect(await retain("governance", 2, true)).toBe("done");
    expect(await retain(null, 0, true)).toBe("done");
    expect(await retain("governance", 2)).toBe("done");
    const { meta } = await coordinator.headObject(rigCtx, "b/x");
    const versionId = meta.versionId;
    expect(await codeAndReason(coordinator.deleteObject(rigCtx, "b/x", { versionId }))).toBe(DENIED);
    expect(await retain("compliance", 5, true)).toBe("done");
    expect(await retain("compliance", 6)).toBe("done");
    for (const bypass of [false, true]) {
      expect(await retain("compliance", 5, bypass)).toBe(DENIED);
      expect(await retain("governance", 9, bypass)).toBe(DENIED);
      expect(await retain(null, 0, bypass)).toBe(DENIED);
    }
    await away(7 * DAY_MS);
    expect(await retain(null, 0)).toBe("done");
    expect(await codeAndReason(coordinator.deleteObject(rigCtx, "b/x", { versionId }))).toBe("done");
  },
);

everywhere("K2 Governance lets a version go to who bypasses it", async ({ startTimed }) => {
  const { clock, coordinator, put } = await startTimed(ONE);
  await coordinator.createBucket(rigCtx, { name: "b", objectLock: true });
  const lock = { retention: { mode: "governance" as const, untilMs: clock.nowMs() + DAY_MS } };
  const { versionId } = (await put("b/x", "1", { labels: { lock } })).meta;
  expect(await codeAndReason(coordinator.deleteObject(rigCtx, "b/x", { versionId }))).toBe(DENIED);
  expect(await codeAndReason(coordinator.deleteObject(rigCtx, "b/x", { versionId, bypassGovernance: true }))).toBe(
    "done",
  );
});

everywhere("K3 Labels change without making a version, and stay with theirs", async ({ start }) => {
  const setting = await start(ONE);
  const { coordinator, put } = setting;
  await coordinator.createBucket(rigCtx, { name: "b" });
  await coordinator.changeBucket(rigCtx, "b", { versioning: "enabled" });
  const one = (await put("b/x", "1", { owner: "alice", labels: { tags: { a: "1" } } })).meta.versionId;
  const two = (await put("b/x", "2")).meta.versionId;
  const changed = await coordinator.changeLabels(rigCtx, "b/x", { tags: { b: "2" }, accessList: "private" });
  expect(changed).toMatchObject({ versionId: two, details: { labels: { tags: { b: "2" }, accessList: "private" } } });
  await coordinator.changeLabels(rigCtx, "b/x", { versionId: one, tags: { c: "3" } });
  await coordinator.changeLabels(rigCtx, "b/x", { accessList: null });
  const labelsOf = async (versionId: string): Promise<unknown> =>
    (await coordinator.headObject(rigCtx, "b/x", { versionId })).meta.details?.labels;
  expect([await labelsOf(one), await labelsOf(two)]).toEqual([{ tags: { c: "3" } }, { tags: { b: "2" } }]);
  expect((await coordinator.listVersions(rigCtx, { prefix: "b/x", limit: 10 })).entries).toHaveLength(2);
  await coordinator.changeLabels(rigCtx, "b/x", { tags: null });
  expect(await labelsOf(two)).toBeUndefined();
  const marker = await coordinator.deleteObject(rigCtx, "b/x");
  expect(await codeAndReason(coordinator.changeLabels(rigCtx, "b/x", { tags: {} }))).toBe("NotFound");
  expect(
    await codeAndReason(coordinator.changeLabels(rigCtx, "b/x", { versionId: marker.versionId as string, tags: {} })),
  ).toBe("MethodNotAllowed");
  expect(
    await codeAndReason(coordinator.changeLabels(rigCtx, "b/x", { versionId: "01ARZ3NDEKTSV4RRFFQ69G5FAV", tags: {} })),
  ).toBe("NotFound NoSuchVersion");
  expect(await codeAndReason(coordinator.changeLabels(rigCtx, "b/x", { versionId: one, legalHold: true }))).toBe(
    "InvalidArgument InvalidRequest",
  );
  const lock = { legalHold: true };
  expect(await codeAndReason(put("b/x", "3", { labels: { lock } }))).toBe("InvalidArgument InvalidRequest");
});

everywhere("K4 What is written into a bucket with a default retention is retained", async ({ startTimed }) => {
  const { away, clock, coordinator, put } = await startTimed(ONE);
  await coordinator.createBucket(rigCtx, { name: "b", objectLock: true });
  await coordinator.changeBucket(rigCtx, "b", { defaultRetention: { mode: "compliance", days: 2 } });
  const { meta } = await put("b/x", "1");
  expect(meta.details?.labels?.lock?.retention).toEqual({ mode: "compliance", untilMs: clock.nowMs() + 2 * DAY_MS });
  const own = { mode: "governance" as const, untilMs: clock.nowMs() + DAY_MS };
  const asked = await put("b/y", "1", { labels: { lock: { retention: own } } });
  expect(asked.meta.details?.labels?.lock?.retention).toEqual(own);
  const { versionId } = meta;
  expect(await codeAndReason(coordinator.deleteObject(rigCtx, "b/x", { versionId, bypassGovernance: true }))).toBe(
    DENIED,
  );
  await away(2 * DAY_MS + 1);
  expect(await codeAndReason(coordinator.deleteObject(rigCtx, "b/x", { versionId }))).toBe("done");
});
