import { expect } from "vitest";
import type { Bucket } from "../../src/coordinator/index.ts";
import { chunksOf, rigCtx } from "../../src/coordinator/testing/rig.ts";
import { type Door, everywhere } from "./matrix.ts";
import { codeOf, keysOf, SETTINGS, type TimedSetting } from "./setting.ts";

const ONE = { local: "primary" } as const;
/** The rules' days are minutes here, save where retention has real ones. */
const DAY_MS = 60_000;

type Rules = Bucket["lifecycle"];

async function startWith({ startTimed }: Door, rules: Rules, keeps = false): Promise<TimedSetting<"local">> {
  const setting = await startTimed(ONE, {
    overrides: { settings: { ...SETTINGS, lifecycleDayMs: DAY_MS } },
  });
  await setting.coordinator.createBucket(rigCtx, { name: "b" });
  await setting.coordinator.changeBucket(rigCtx, "b", {
    lifecycle: rules,
    ...(keeps ? { versioning: "enabled" as const } : {}),
  });
  return setting;
}

/** Days pass, and the leader looks around ten times in each. */
async function days({ clock }: TimedSetting<"local">, count: number): Promise<void> {
  for (let step = 0; step < count * 20; step++) {
    await clock.advance(DAY_MS / 20);
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
  await new Promise((resolve) => setTimeout(resolve, 20));
}

async function linesOf({ coordinator }: TimedSetting<"local">): Promise<string[]> {
  const { entries } = await coordinator.listVersions(rigCtx, { prefix: "b/", afterKey: "b/", limit: 1_000 });
  return entries.map(({ key, meta, isLatest }) => `${key} ${meta?.sizeBytes ?? "marker"}${isLatest ? "*" : ""}`);
}

everywhere("E1 Objects go by age, date, prefix, tags and size", async (door) => {
  const rule = { enabled: true, filter: {} };
  const setting = await startWith(door, [
    { ...rule, id: "age", filter: { prefix: "logs/" }, expireAfterDays: 2 },
    { ...rule, id: "tag", filter: { tags: { keep: "no" } }, expireAfterDays: 1 },
    { ...rule, id: "size", filter: { prefix: "s", largerThanBytes: 2, smallerThanBytes: 5 }, expireAfterDays: 1 },
    { ...rule, id: "off", enabled: false, expireAfterDays: 1 },
    { ...rule, id: "date", filter: { prefix: "dated" }, expireAtMs: Date.UTC(2030, 0, 1) + 4 * DAY_MS },
  ]);
  const { put } = setting;
  for (const key of ["b/logs/1", "b/other", "b/dated"]) await put(key, "body");
  await put("b/tagged", "1", { labels: { tags: { keep: "no", more: "yes" } } });
  await put("b/untagged", "1", { labels: { tags: { keep: "yes" } } });
  for (const body of ["12", "123", "1234", "12345"]) await put(`b/s${body.length}`, body);
  await put("elsewhere/logs/1", "1");
  const keys = async (): Promise<string[]> => (await keysOf(setting, "b/")).filter((key) => key !== "b/");
  await days(setting, 0.9);
  expect(await keys()).toHaveLength(9);
  await days(setting, 1);
  expect(await keys()).toEqual(["b/dated", "b/logs/1", "b/other", "b/s2", "b/s5", "b/untagged"]);
  await days(setting, 1.2);
  expect(await keys()).toEqual(["b/dated", "b/other", "b/s2", "b/s5", "b/untagged"]);
  await days(setting, 2);
  expect(await keys()).toEqual(["b/other", "b/s2", "b/s5", "b/untagged"]);
  expect(await keysOf(setting, "elsewhere/")).toEqual(["elsewhere/logs/1"]);
});

everywhere("E1 Older versions go by how long ago they were replaced and how many newer ones are kept", async (door) => {
  const setting = await startWith(
    door,
    [{ id: "old", enabled: true, filter: {}, noncurrentDays: 1, noncurrentKept: 2 }],
    true,
  );
  const { put } = setting;
  for (const body of ["1", "22", "333", "4444", "55555"]) await put("b/x", body);
  expect(await linesOf(setting)).toEqual(["b/x 5*", "b/x 4", "b/x 3", "b/x 2", "b/x 1"]);
  await days(setting, 2.2);
  expect(await linesOf(setting)).toEqual(["b/x 5*", "b/x 4", "b/x 3"]);
  await put("b/x", "666666");
  await days(setting, 0.5);
  expect(await linesOf(setting)).toEqual(["b/x 6*", "b/x 5", "b/x 4"]);
});

everywhere("E1 In a bucket that keeps versions what expires is hidden, and can be read by its id", async (door) => {
  const setting = await startWith(door, [{ id: "1", enabled: true, filter: {}, expireAfterDays: 1 }], true);
  const { coordinator, put } = setting;
  const { versionId } = (await put("b/x", "1")).meta;
  await days(setting, 2.2);
  expect(await codeOf(coordinator.headObject(rigCtx, "b/x"))).toBe("NotFound");
  expect(await codeOf(coordinator.headObject(rigCtx, "b/x", { versionId }))).toBe("done");
  expect(await linesOf(setting)).toEqual(["b/x marker*", "b/x 1"]);
});

everywhere("E2 Lone delete markers go, and unfinished uploads", async (door) => {
  const setting = await startWith(
    door,
    [
      { id: "markers", enabled: true, filter: {}, removeLoneDeleteMarkers: true, noncurrentDays: 2 },
      { id: "uploads", enabled: true, filter: { prefix: "up" }, abortUploadsAfterDays: 1 },
    ],
    true,
  );
  const { coordinator, put } = setting;
  await put("b/x", "1");
  await coordinator.deleteObject(rigCtx, "b/x");
  const begin = async (key: string): Promise<{ key: string; uploadId: string }> => {
    const { uploadId } = await coordinator.createUpload(rigCtx, { key });
    return { key, uploadId };
  };
  const [upload, kept] = [await begin("b/up"), await begin("b/kept")];
  const part = { partNumber: 1, sizeBytes: 1 };
  await coordinator.putPart(rigCtx, { ...upload, ...part, body: chunksOf(Buffer.from("1")) });
  await coordinator.putPart(rigCtx, { ...kept, ...part, body: chunksOf(Buffer.from("1")) });
  await days(setting, 0.9);
  expect(await linesOf(setting)).toEqual(["b/x marker*", "b/x 1"]);
  await days(setting, 2.5);
  expect(await linesOf(setting)).toEqual([]);
  expect(await codeOf(coordinator.findUpload(rigCtx, upload))).toBe("NotFound");
  expect(await codeOf(coordinator.findUpload(rigCtx, kept))).toBe("done");
});

everywhere("E3 The walk leaves what is locked, and takes more objects than one stretch holds", async (door) => {
  const setting = await startWith(door, [{ id: "1", enabled: true, filter: {}, noncurrentDays: 1 }], true);
  const { clock, coordinator, put } = setting;
  await coordinator.changeBucket(rigCtx, "b", { objectLock: true });
  const retention = { mode: "governance" as const, untilMs: clock.nowMs() + 86_400_000 };
  await put("b/locked", "1", { labels: { lock: { retention } } });
  await put("b/locked", "22");
  for (let turn = 0; turn < 1_200; turn++) await put(`b/k${turn % 400}`, "x".repeat(turn % 3));
  await days(setting, 2.5);
  const { entries } = await coordinator.listVersions(rigCtx, { prefix: "b/k", limit: 1_000 });
  expect(entries).toHaveLength(400);
  expect(entries.every(({ isLatest }) => isLatest)).toBe(true);
  expect((await linesOf(setting)).filter((line) => line.startsWith("b/locked"))).toEqual(["b/locked 2*", "b/locked 1"]);
});
