import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { FilePath, Inode, JobId, SiteName, VersionId } from "../core/ids.ts";
import { prefixRange } from "../kv/index.ts";
import type { FileVersion } from "../namespace/index.ts";
import { decodeUnqueued, placeOfUnqueuedKey, unqueuedSpace } from "./job-rows.ts";
import { markUnqueued } from "./jobs.ts";
import { MoverRig, type Written } from "./testing/rig.ts";
import { carryUnqueued, hasUnqueued, takeUnqueued } from "./unqueued.ts";

let rig: MoverRig;
beforeEach(async () => {
  rig = await new MoverRig(["local", "cloud", "tape"]).start();
  await rig.mover.stop();
});
afterEach(async () => await rig.mover.stop());

const mark = (written: Written, site: string, more: { readonly versionId?: string } = {}): Promise<void> =>
  rig.kv.transact((tx) =>
    markUnqueued(tx, {
      path: written.path,
      inode: written.inode,
      versionId: (more.versionId ?? written.version.id) as VersionId,
      site: site as SiteName,
    }),
  );
const take = (room: number): Promise<{ readonly taken: number; readonly more: boolean }> =>
  rig.kv.transact((tx) => takeUnqueued(tx, { nowMs: 5_000, room, nextJobId: () => rig.nextJobId() }));
const isLeft = (): Promise<boolean> => rig.kv.view(hasUnqueued);

/** A file whose copies nobody is about to bring. */
async function written(path: string): Promise<Written> {
  const file = await rig.put(path, "bytes");
  for (const job of await rig.jobs()) await rig.mover.cancel(job.id).catch(() => undefined);
  for (const site of ["cloud", "tape"]) await rig.setCopy(file, site, { state: "pending", reason: undefined });
  return file;
}

const waiting = async (): Promise<string[]> =>
  (await rig.jobs()).filter(({ state }) => state === "waiting").map(({ path, site }) => `${path} ${site}`);

describe("copies that found the queue full", () => {
  it("get the jobs that they would have had", async () => {
    const file = await written("dir/file");
    await mark(file, "cloud");
    await take(10);
    const [job] = (await rig.jobs()).filter(({ state }) => state === "waiting");
    expect(job).toMatchObject({
      kind: "replicate",
      path: "dir/file",
      inode: file.inode,
      versionId: file.version.id,
      site: "cloud",
      key: "dir/file",
      sizeBytes: 5,
      priority: 10,
      createdMs: 5_000,
    });
    expect(await isLeft()).toBe(false);
  });

  it("come as many as there is room for", async () => {
    const files: Written[] = [];
    for (let index = 0; index < 12; index++) files.push(await written(`file${String(index).padStart(2, "0")}`));
    for (const file of files) await mark(file, "cloud");
    await take(10);
    expect((await waiting()).length).toBe(10);
    expect(await take(12)).toEqual({ taken: 2, more: false });
    expect([(await waiting()).length, await isLeft()]).toEqual([12, false]);
  });

  it("are forgotten when they are no longer on their way, or of another version", async () => {
    const [there, newer, gone, elsewhere] = [
      await written("there"),
      await written("newer"),
      await written("gone"),
      await written("elsewhere"),
    ];
    await rig.setCopy(there, "cloud", { state: "present" });
    await mark(there, "cloud");
    await mark(newer, "cloud", { versionId: "older" });
    await mark(gone, "cloud");
    await rig.remove("gone");
    await mark(elsewhere, "nowhere");
    const before = await waiting();
    await take(100);
    expect([await waiting(), await isLeft()]).toEqual([before, false]);
  });
});

describe("a version that goes into another inode", () => {
  const version = (id: string, states: Readonly<Record<string, string>>): FileVersion =>
    ({
      id: id as VersionId,
      copies: Object.entries(states).map(([site, state]) => ({ site, key: "file", state, changedMs: 0 })),
    }) as unknown as FileVersion;
  const [from, to] = [501 as Inode, 502 as Inode];
  const rows = async (): Promise<string[]> => {
    const found: string[] = [];
    for (const { key, value } of await rig.kv.view((tx) => tx.range({ ...prefixRange(unqueuedSpace), limit: 100 }))) {
      const { inode, site } = placeOfUnqueuedKey(key);
      found.push(`${inode} ${site} ${decodeUnqueued(value).versionId}`);
    }
    return found;
  };
  const remember = (site: string, versionId: string): Promise<void> =>
    rig.kv.transact((tx) =>
      markUnqueued(tx, {
        path: "file" as FilePath,
        inode: from,
        versionId: versionId as VersionId,
        site: site as SiteName,
      }),
    );

  it("takes along what is remembered of its copies that are on their way, and nothing of another version", async () => {
    await remember("cloud", "v1");
    await remember("tape", "v2");
    await remember("disk", "v1");
    const kept = version("v1", { local: "pending", disk: "present", tape: "pending", cloud: "pending" });
    await rig.kv.transact((tx) => carryUnqueued(tx, { version: kept, from, to }));
    expect(await rows()).toEqual(["501 disk v1", "501 tape v2", "502 cloud v1"]);
  });
});

it("jobs of what was remembered are numbered in the order in which they were made", async () => {
  const ids: JobId[] = [];
  const file = await written("file");
  for (const site of ["cloud", "tape"]) await mark(file, site);
  await rig.kv.transact((tx) =>
    takeUnqueued(tx, {
      nowMs: 1,
      room: 10,
      nextJobId: () => {
        ids.push(rig.nextJobId());
        return ids.at(-1) as JobId;
      },
    }),
  );
  expect((await rig.jobs()).filter(({ state }) => state === "waiting").map(({ id }) => id)).toEqual(ids);
});
