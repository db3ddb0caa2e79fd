import { expect, test } from "vitest";
import type { JobId } from "../../core/ids.ts";
import { createMemoryKv } from "../../kv/index.ts";
import type { FlakyStore } from "../testing/flaky-store.ts";
import { assemblyFor, rigCtx } from "../testing/rig.ts";
import { startTimed, type TimedRig } from "../testing/timed-rig.ts";

/** After which a sweep takes what nobody owns; it runs twice as often. */
const RETENTION_MS = 600_000;
const LARGE = Buffer.alloc(6 * 256 * 1024, "large");
type Sites = "local" | "cloud";

/** Whose uploads in parts are known by their ids, as they were begun. */
function begunAt(store: FlakyStore): readonly string[] {
  const ids: string[] = [];
  const create = store.createMultipart.bind(store);
  store.createMultipart = async (...words) => {
    const upload = await create(...words);
    ids.push(upload.uploadId);
    return upload;
  };
  return ids;
}

/** A job that has brought some of its parts when the site goes away. */
async function startHalfway(): Promise<{ readonly rig: TimedRig<Sites>; readonly begun: readonly string[] }> {
  const settings = {
    ...assemblyFor(createMemoryKv()).settings,
    stagingRetentionMs: RETENTION_MS,
    housekeepingIntervalMs: RETENTION_MS / 2,
  };
  const rig = await startTimed<Sites>({ local: "primary", cloud: "burst" }, { overrides: { settings } });
  const { cloud } = rig.sites;
  const begun = begunAt(cloud);
  const send = cloud.uploadPart.bind(cloud);
  let sent = 0;
  cloud.uploadPart = async (...words) => {
    sent += 1;
    if (sent === 3) cloud.failing.add("uploadPart");
    return await send(...words);
  };
  await rig.put("x", LARGE);
  await expect.poll(() => cloud.failing.has("uploadPart")).toBe(true);
  await rig.settled();
  return { rig, begun };
}

test("The upload that a job has begun is kept for it, however long the site is away", async () => {
  const { rig, begun } = await startHalfway();
  await rig.clock.advance(3 * RETENTION_MS);
  rig.sites.cloud.failing.clear();
  await rig.pass();
  expect([begun.length, (await rig.jobsIn("done")).length]).toEqual([1, 1]);
  expect((await rig.stores.cloud?.head(rigCtx, "x"))?.sizeBytes).toBe(LARGE.byteLength);
});

test("The upload of a job that was canceled while its site was away is swept", async () => {
  const { rig, begun } = await startHalfway();
  const { cloud } = rig.sites;
  const [job] = await rig.jobsIn("waiting");
  cloud.failing.add("abortMultipart");
  await rig.coordinator.cancelJob(rigCtx, job?.id as JobId);
  cloud.failing.clear();
  const upload = { key: "x", uploadId: begun[0] ?? "" };
  expect(await cloud.listParts(rigCtx, upload)).not.toEqual([]);
  await rig.clock.advance(3 * RETENTION_MS);
  await expect
    .poll(async () => await cloud.listParts(rigCtx, upload).catch(({ code }: Error & { code: string }) => code))
    .toBe("NotFound");
});
