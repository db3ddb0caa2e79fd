import { beforeEach, describe, expect, it } from "vitest";
import type { VersionId } from "../core/ids.ts";
import { isLocked, settleVersion } from "./index.ts";
import { TestCatalog } from "./testing/catalog.ts";
import { testVersion } from "./testing/model.ts";
import type { FileVersion, Retention, VersionDetails, VersionLock } from "./types.ts";

const NOW = 10_000;
const DAY_MS = 86_400_000;
const held = (lock: VersionLock, more: VersionDetails = {}): FileVersion => ({
  ...testVersion("a"),
  details: { ...more, labels: { lock } },
});
const governed: Retention = { mode: "governance", untilMs: NOW + 1 };
const bound: Retention = { mode: "compliance", untilMs: NOW + 1 };

describe("a version is locked", () => {
  const locked = (version: FileVersion, more: { nowMs?: number; bypassGovernance?: boolean } = {}): boolean =>
    isLocked(version, { path: "a", nowMs: NOW, ...more });

  it("while it is held, whatever else holds", () => {
    expect(locked(testVersion("a"))).toBe(false);
    expect(locked(held({ legalHold: true }), { bypassGovernance: true })).toBe(true);
    expect(locked(held({ legalHold: false }))).toBe(false);
  });

  it("until the moment that it is retained to, and for those who bypass governance not", () => {
    for (const retention of [governed, bound]) {
      expect(locked(held({ retention }))).toBe(true);
      expect(locked(held({ retention }), { nowMs: NOW + 1 })).toBe(false);
      expect(locked(held({ retention }), { nowMs: NOW + 2 })).toBe(false);
    }
    expect(locked(held({ retention: governed }), { bypassGovernance: true })).toBe(false);
    expect(locked(held({ retention: bound }), { bypassGovernance: true })).toBe(true);
  });
});

describe("a version that enters a bucket", () => {
  const off = { versioning: "off" as const, objectLock: false };
  const enabled = { versioning: "enabled" as const, objectLock: false };
  const locking = { versioning: "enabled" as const, objectLock: true };
  const retaining = { ...locking, defaultRetention: { mode: "governance" as const, days: 2 } };
  const until: Retention = { mode: "governance", untilMs: NOW + 2 * DAY_MS };

  it("is one with an id where versions are kept, and nowhere else", () => {
    const bare = testVersion("a");
    expect(settleVersion(bare, off, NOW)).toBe(bare);
    expect(settleVersion(bare, { ...off, versioning: "suspended" }, NOW)).toBe(bare);
    const versioned = { ...bare, details: { versioned: true } };
    expect(settleVersion(bare, enabled, NOW)).toEqual(versioned);
    expect(settleVersion(versioned, enabled, NOW)).toBe(versioned);
    expect(settleVersion(versioned, off, NOW)).toEqual(bare);
    const owned = { ...bare, details: { owner: "o", labels: { tags: { a: "b" } } } };
    expect(settleVersion({ ...owned, details: { ...owned.details, versioned: true } }, off, NOW)).toEqual(owned);
    expect(settleVersion(owned, enabled, NOW)).toEqual({ ...owned, details: { ...owned.details, versioned: true } });
  });

  it("is retained as the bucket has it by default, unless it says how long itself", () => {
    const bare = testVersion("a");
    expect(settleVersion(bare, retaining, NOW).details).toEqual({
      versioned: true,
      labels: { lock: { retention: until } },
    });
    const settled = settleVersion(held({ legalHold: true }, { versioned: true }), retaining, NOW);
    expect(settled.details?.labels?.lock).toEqual({ legalHold: true, retention: until });
    const own = held({ retention: bound }, { versioned: true });
    expect(settleVersion(own, retaining, NOW)).toBe(own);
    const tagged = { ...bare, details: { labels: { tags: { a: "b" } } } };
    expect(settleVersion(tagged, retaining, NOW).details?.labels).toEqual({
      tags: { a: "b" },
      lock: { retention: until },
    });
  });

  it("cannot be locked where the bucket has no locks", () => {
    for (const lock of [{ retention: governed }, { legalHold: true }])
      expect(() => settleVersion(held(lock), enabled, NOW)).toThrow(
        expect.objectContaining({ code: "InvalidArgument", context: { s3: "InvalidRequest" } }),
      );
    expect(settleVersion(held({ legalHold: false }), enabled, NOW).details?.versioned).toBe(true);
    expect(settleVersion(held({ retention: governed }), locking, NOW).details?.labels?.lock).toEqual({
      retention: governed,
    });
  });
});

describe("labels of a version", () => {
  let catalog: TestCatalog;
  beforeEach(async () => {
    catalog = await TestCatalog.open();
    await catalog.writeBucket("b", { objectLock: true });
    await catalog.writeBucket("free");
  });
  const labelsOf = async (path: string): Promise<unknown> => (await catalog.file(path))?.version?.details?.labels;

  it("are replaced where they are given, taken away with null, and stay otherwise", async () => {
    await catalog.putApart("b/x");
    const whole = { tags: { a: "b" }, accessList: "l", lock: { legalHold: true, retention: bound } };
    await catalog.label("b/x", { tags: { a: "b" }, accessList: "l", legalHold: true, retention: bound });
    expect(await labelsOf("b/x")).toEqual(whole);
    await catalog.label("b/x", {});
    expect(await labelsOf("b/x")).toEqual(whole);
    await catalog.label("b/x", { tags: { c: "d" } });
    expect(await labelsOf("b/x")).toEqual({ ...whole, tags: { c: "d" } });
    await catalog.label("b/x", { tags: null, accessList: null });
    expect(await labelsOf("b/x")).toEqual({ lock: whole.lock });
    await catalog.label("b/x", { legalHold: false });
    expect(await labelsOf("b/x")).toEqual({ lock: { legalHold: false, retention: bound } });
  });

  it("that are all taken away leave the version as it was", async () => {
    const before = (await catalog.putApart("plain/x")).file;
    await catalog.label("plain/x", { tags: { a: "b" } });
    await catalog.label("plain/x", { tags: null });
    expect((await catalog.file("plain/x"))?.version).toEqual(before.version);
    const versioned = (await catalog.putApart("free/x")).file;
    await catalog.label("free/x", { accessList: "l" });
    await catalog.label("free/x", { accessList: null });
    expect((await catalog.file("free/x"))?.version).toEqual(versioned.version);
  });

  it("are of the current version, or of the one that is named", async () => {
    const older = (await catalog.putApart("b/x")).file.version as FileVersion;
    const current = (await catalog.putApart("b/x")).file.version as FileVersion;
    expect((await catalog.label("b/x", { versionId: older.id, tags: { a: "old" } }))?.version?.id).toBe(older.id);
    expect((await catalog.label("b/x", { versionId: current.id, tags: { a: "new" } }))?.version?.id).toBe(current.id);
    expect(await labelsOf("b/x")).toEqual({ tags: { a: "new" } });
    expect(await catalog.label("b/x", { versionId: "none", tags: {} })).toBeUndefined();
    expect(await catalog.label("b/none", { tags: {} })).toBeUndefined();
    await catalog.deleteKey("b/x", { tombstoneVersionId: "marker" as VersionId });
    await expect(catalog.label("b/x", { versionId: "marker", tags: {} })).rejects.toMatchObject({
      code: "MethodNotAllowed",
      context: { deleteMarker: true, versionId: "marker" },
    });
    expect((await catalog.check()).faults).toEqual([]);
  });

  it("lock nothing in a bucket without locks, and taking a retention away there changes nothing", async () => {
    await catalog.putApart("free/x");
    for (const change of [{ legalHold: true }, { legalHold: false }, { retention: bound }])
      await expect(catalog.label("free/x", change)).rejects.toMatchObject({ code: "InvalidArgument" });
    await catalog.label("free/x", { retention: null, tags: { a: "b" } });
    expect(await labelsOf("free/x")).toEqual({ tags: { a: "b" } });
  });

  const retained = async (path: string, retention: Retention): Promise<void> => {
    await catalog.putApart(path);
    await catalog.label(path, { retention });
  };
  const later = (mode: Retention["mode"], byMs: number): Retention => ({ mode, untilMs: NOW + byMs });

  it("retain until a moment in the future only", async () => {
    await catalog.putApart("b/x");
    for (const untilMs of [6_999, 7_000])
      await expect(catalog.label("b/x", { retention: { mode: "governance", untilMs } })).rejects.toMatchObject({
        code: "InvalidArgument",
      });
    await catalog.label("b/x", { retention: { mode: "governance", untilMs: 7_001 } });
    expect(await labelsOf("b/x")).toEqual({ lock: { retention: { mode: "governance", untilMs: 7_001 } } });
  });

  it("in governance mode are made longer by anybody, and else only with the bypass", async () => {
    await retained("b/x", later("governance", 5));
    await catalog.label("b/x", { retention: later("governance", 5) });
    await catalog.label("b/x", { retention: later("governance", 6) });
    for (const retention of [later("governance", 5), later("compliance", 9), null]) {
      await expect(catalog.label("b/x", { retention })).rejects.toMatchObject({
        code: "PermissionDenied",
        context: { s3: "AccessDenied" },
      });
      await catalog.label("b/x", { retention, bypassGovernance: true });
      if (retention?.mode === "compliance") break;
    }
    expect(await labelsOf("b/x")).toEqual({ lock: { retention: later("compliance", 9) } });
    await retained("b/y", later("governance", 5));
    await catalog.label("b/y", { retention: null, bypassGovernance: true });
    expect(await labelsOf("b/y")).toBeUndefined();
  });

  it("in compliance mode are made longer and nothing else, by whomever", async () => {
    await retained("b/x", later("compliance", 5));
    for (const retention of [later("compliance", 4), later("governance", 9), null])
      await expect(catalog.label("b/x", { retention, bypassGovernance: true })).rejects.toMatchObject({
        code: "PermissionDenied",
      });
    await catalog.label("b/x", { retention: later("compliance", 6) });
    expect(await labelsOf("b/x")).toEqual({ lock: { retention: later("compliance", 6) } });
  });

  it("may be anything once the retention is over", async () => {
    await retained("b/x", later("compliance", 5));
    const nowMs = NOW + 5;
    await catalog.label("b/x", { nowMs, retention: { mode: "governance", untilMs: nowMs + 1 } });
    await catalog.label("b/x", { nowMs: nowMs + 1, retention: null });
    expect(await labelsOf("b/x")).toBeUndefined();
  });

  it("keep a locked version from being removed, overwritten where none are kept, and renamed", async () => {
    const { file } = await catalog.putApart("b/x");
    await catalog.label("b/x", { legalHold: true });
    const versionId = file.version?.id as string;
    const denied = { code: "PermissionDenied" };
    await expect(catalog.removeVersion("b/x", versionId)).rejects.toMatchObject(denied);
    await expect(catalog.move("b/x", "b/y")).rejects.toMatchObject(denied);
    await catalog.putApart("b/x");
    await expect(catalog.removeVersion("b/x", versionId)).rejects.toMatchObject(denied);
    await catalog.label("b/x", { versionId, legalHold: false });
    expect((await catalog.removeVersion("b/x", versionId))?.file?.version?.id).toBe(versionId);
    expect((await catalog.check()).faults).toEqual([]);
  });

  it("let a governed version go with the bypass", async () => {
    const { file } = await catalog.putApart("b/x");
    const versionId = file.version?.id as string;
    await catalog.label("b/x", { retention: { mode: "governance", untilMs: 99_000 } });
    await expect(catalog.removeVersion("b/x", versionId)).rejects.toMatchObject({ code: "PermissionDenied" });
    expect(await catalog.removeVersion("b/x", versionId, { bypassGovernance: true })).toBeDefined();
    expect(await catalog.file("b/x")).toBeUndefined();
  });
});
