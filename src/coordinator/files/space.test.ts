import { mkdtemp, rm, statfs } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { GfsError } from "../../core/errors.ts";
import { ROOT_INODE } from "../../core/ids.ts";
import { createMemoryStore, openFileStore, type Store } from "../../stores/index.ts";
import { rigCtx, startRig } from "../testing/rig.ts";
import { treeOf } from "../testing/tree.ts";

const telling = (freeBytes: number, totalBytes = 1_000): Store =>
  Object.assign(createMemoryStore(), { space: async () => await Promise.resolve({ totalBytes, freeBytes }) });

it("what is left is the least of what a quota leaves and of what the sites have that must take it", async () => {
  const rig = await startRig({
    sites: [
      { name: "one", role: "primary", store: telling(500) },
      { name: "two", role: "primary", store: telling(300) },
      { name: "small", role: "burst", store: telling(1) },
      { name: "silent", role: "primary" },
    ],
  });
  onTestFinished(rig.stop);
  const { coordinator, put } = rig;
  const tree = treeOf(coordinator.files);
  await put("d/a", "12345");
  const space = async (at: string) => await coordinator.files.statfs(rigCtx, (await tree.stat(at)).inode);
  expect(await coordinator.files.statfs(rigCtx, ROOT_INODE)).toEqual({
    used: { bytes: 5, inodes: 2, olderBytes: 0 },
    leftBytes: 300,
    sites: [
      { site: "one", role: "primary", required: true, totalBytes: 1_000, freeBytes: 500 },
      { site: "two", role: "primary", required: true, totalBytes: 1_000, freeBytes: 300 },
      { site: "small", role: "burst", required: false, totalBytes: 1_000, freeBytes: 1 },
      { site: "silent", role: "primary", required: true },
    ],
  });
  await coordinator.setQuota(rigCtx, "d", { maxBytes: 100, maxInodes: 9 });
  expect(await space("d/a")).toMatchObject({
    maxBytes: 100,
    leftBytes: 95,
    leftInodes: 8,
    used: { bytes: 5, inodes: 1 },
  });
  await coordinator.setQuota(rigCtx, "d", { maxBytes: 2 });
  expect(await space("d")).toMatchObject({ leftBytes: 0 });
  await coordinator.setQuota(rigCtx, "d", { maxBytes: 10_000 });
  expect(await space("d")).toMatchObject({ leftBytes: 300 });
});

it("a site that cannot tell says why, and nobody knows a limit where none tells", async () => {
  const failing = Object.assign(createMemoryStore(), {
    space: async () => await Promise.reject(new GfsError("Unavailable", "The disk is away.")),
  });
  const rig = await startRig({ sites: [{ name: "one", role: "primary", store: failing }] });
  onTestFinished(rig.stop);
  expect(await rig.coordinator.files.statfs(rigCtx, ROOT_INODE)).toEqual({
    used: { bytes: 0, inodes: 0, olderBytes: 0 },
    sites: [{ site: "one", role: "primary", required: true, error: "The disk is away." }],
  });
});

it("a file site tells what its disk has", async () => {
  const root = await mkdtemp(path.join(os.tmpdir(), "globalfs-space-"));
  onTestFinished(async () => await rm(root, { recursive: true }));
  const store = await openFileStore({ root });
  const { blocks, bsize } = await statfs(root);
  expect(await store.space?.(rigCtx)).toMatchObject({
    totalBytes: blocks * bsize,
    freeBytes: expect.any(Number) as number,
  });
  await store.close();
});
