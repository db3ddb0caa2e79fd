import { afterEach, describe, expect, it } from "vitest";
import { GfsError } from "../core/errors.ts";
import type { FilePath, Inode, JobId, SiteName, VersionId } from "../core/ids.ts";
import { straysUntilMs } from "../namespace/index.ts";
import type { MoverConfig } from "./context.ts";
import { enqueueJob, settleJob } from "./jobs.ts";
import { createMover } from "./mover.ts";
import { gate, MoverRig } from "./testing/rig.ts";
import type { JobSpec } from "./types.ts";

let rig: MoverRig;
afterEach(async () => await rig.mover.stop());

async function start(config: Partial<MoverConfig> = {}): Promise<void> {
  rig = await new MoverRig(["local", "cloud"], config).start();
}

const spec = (path: string): JobSpec => ({
  kind: "verify",
  path: path as FilePath,
  inode: 99 as Inode,
  versionId: "v" as VersionId,
  site: "cloud" as SiteName,
  key: path,
  sizeBytes: 5,
  priority: 10,
});

async function enqueue(count: number): Promise<JobId[]> {
  const ids = Array.from({ length: count }, () => rig.nextJobId());
  const nowMs = rig.clock.nowMs();
  for (const [index, id] of ids.entries())
    await rig.kv.transact((tx) => enqueueJob(tx, spec(`f${index}`), { id, nowMs }));
  rig.mover.wake();
  return ids;
}

describe("jobs that have ended", () => {
  it("are kept for a week to be looked at, and a thousand of them, with what ended since it was looked at", async () => {
    await start();
    await rig.mover.stop();
    const [old] = (await enqueue(1)) as [JobId];
    await rig.kv.transact((tx) => settleJob(tx, old, { state: "done", nowMs: rig.clock.nowMs() - 8 * 86_400_000 }));
    await rig.restart();
    const [oldest] = (await enqueue(400)) as [JobId];
    await rig.idle();
    expect((await rig.mover.get(old)).state).toBe("done");
    await enqueue(400);
    await rig.idle();
    await rig.clock.advance(10_000);
    await expect(rig.mover.get(old)).rejects.toMatchObject({ code: "NotFound" });
    expect((await rig.mover.count()).done).toBe(800);
    await enqueue(700);
    await rig.idle();
    await rig.clock.advance(10_000);
    const { done } = await rig.mover.count();
    expect(done).toBeGreaterThanOrEqual(1_000);
    expect(done).toBeLessThan(1_500);
    await expect(rig.mover.get(oldest)).rejects.toMatchObject({ code: "NotFound" });
  });
});

describe("a catalog that fails", () => {
  it("is asked again after half a second, and no job is lost", async () => {
    rig = new MoverRig(["local", "cloud"]);
    const { kv } = rig;
    let asked = 0;
    let broken = false;
    Object.assign(rig.deps, {
      kv: {
        ...kv,
        view: async (program: Parameters<typeof kv.view>[0]) => {
          if (broken) {
            asked += 1;
            throw new GfsError("Unavailable", "The catalog is out of reach.");
          }
          return await kv.view(program);
        },
      },
    });
    rig.mover = createMover(rig.deps, rig.config);
    await rig.start();
    await rig.clock.advance(10);
    broken = true;
    await rig.put("file", "bytes");
    await rig.clock.advance(0);
    asked = 0;
    await rig.clock.advance(5_000);
    expect(asked).toBe(10);
    broken = false;
    await rig.clock.advance(500);
    await rig.idle();
    expect(await rig.copy("file", "cloud")).toMatchObject({ state: "present" });
  });

  it("does not take what was done for undone: a job whose end could not be written is tried again, not before half a second", async () => {
    rig = new MoverRig(["local", "cloud"]);
    const { kv } = rig;
    let broken = false;
    Object.assign(rig.deps, {
      kv: {
        ...kv,
        transact: async (program: Parameters<typeof kv.transact>[0]) => {
          if (broken) throw new GfsError("NoSpace", "The disk of the catalog is full.");
          return await kv.transact(program);
        },
      },
    });
    rig.mover = createMover(rig.deps, rig.config);
    await rig.start();
    rig.store("cloud").script.before = ({ operation }) => void (broken = operation === "head");
    await rig.put("file", "bytes");
    await rig.until(() => broken);
    await rig.clock.advance(400);
    expect(rig.store("cloud").count("commit")).toBe(1);
    rig.store("cloud").script = {};
    broken = false;
    await rig.clock.advance(100);
    await rig.idle();
    expect([(await rig.copy("file", "cloud"))?.state, rig.store("cloud").count("commit")]).toEqual(["present", 2]);
  });
});

describe("all jobs, paused by another process", () => {
  it("are not begun any more by this one", async () => {
    await start({ maxConcurrentTransfers: 1 });
    const { passed, open } = gate();
    let held = 0;
    rig.store("cloud").script.before = async ({ operation }) => {
      if (operation !== "stage") return;
      held += 1;
      await passed;
    };
    for (let file = 0; file < 5; file++) await rig.put(`file${file}`, "bytes");
    await rig.until(() => held === 1);
    const other = createMover(rig.deps, rig.config);
    await other.pauseAll(true, { by: "alice" });
    open();
    await rig.idle().catch(() => undefined);
    expect([held, (await rig.mover.findPause())?.by]).toEqual([1, "alice"]);
    await other.pauseAll(false);
    await rig.clock.advance(5_000);
    await rig.idle();
    expect(held).toBe(5);
  });
});

it("all jobs stay paused since when and by whom they were first, whoever pauses them once more", async () => {
  await start();
  const sinceMs = rig.clock.nowMs();
  await rig.mover.pauseAll(true, { by: "alice", reason: "the link is being mended" });
  await rig.clock.advance(1_000);
  await rig.mover.pauseAll(true, { by: "bob" });
  expect(await rig.mover.findPause()).toEqual({ sinceMs, by: "alice", reason: "the link is being mended" });
  await rig.mover.pauseAll(false);
  await rig.mover.pauseAll(true, { by: "bob" });
  expect(await rig.mover.findPause()).toEqual({ sinceMs: sinceMs + 1_000, by: "bob" });
});

describe("a job that is canceled", () => {
  it("leaves a copy alone that it was not about to bring", async () => {
    await start();
    const written = await rig.put("file", "bytes", { to: [] });
    await rig.setCopy(written, "local", { state: "stale" });
    await rig.mover.pauseAll(true);
    const { id } = await rig.order("verify", written, "local");
    expect((await rig.mover.cancel(id)).state).toBe("canceled");
    expect(await rig.copy("file", "local")).toMatchObject({ state: "stale" });
  });

  it("says at the copy that it will not come, once", async () => {
    await start();
    await rig.mover.pauseAll(true);
    const written = await rig.put("file", "bytes");
    const id = (await rig.job({ kind: "replicate" }))?.id as JobId;
    await rig.mover.cancel(id);
    expect(await rig.copy("file", "cloud")).toMatchObject({ state: "failed", reason: "Its job was canceled." });
    expect(rig.store("cloud").count("abortMultipart")).toBe(0);
    // Another job brings it meanwhile: to cancel the first one again is no news.
    await rig.setCopy(written, "cloud", { state: "pending", reason: undefined });
    await rig.mover.cancel(id);
    expect(await rig.copy("file", "cloud")).toMatchObject({ state: "pending" });
  });

  it.each([["its site was removed"], ["its version is gone"]])("can be canceled also when %s", async (what) => {
    await start({ transferChunkBytes: 100 });
    let sent = 0;
    rig.store("cloud").script.before = ({ operation }) => {
      if (operation === "uploadPart" && ++sent > 2) throw new GfsError("Unavailable", "The site is away.");
    };
    await rig.put("large", "x".repeat(950));
    await rig.idle();
    await rig.mover.pauseAll(true);
    const job = await rig.job({ kind: "replicate" });
    expect(job?.upload).toBeDefined();
    if (what === "its version is gone") await rig.remove("large");
    else rig.sites.delete("cloud");
    expect((await rig.mover.cancel(job?.id as JobId)).state).toBe("canceled");
    expect(rig.store("cloud").count("abortMultipart")).toBe(what === "its version is gone" ? 1 : 0);
  });

  it.each([
    ["remove", true],
    ["verify", false],
  ] as const)("of a %s leaves something that a sweep is to look for: %s", async (kind, suspected) => {
    await start();
    const written = await rig.put("file", "bytes", { to: [] });
    await rig.mover.pauseAll(true);
    const { id } = await rig.order(kind, written, "local");
    await rig.mover.cancel(id);
    expect((await rig.kv.view(straysUntilMs)) !== undefined).toBe(suspected);
  });

  it("is canceled although its site does not take its upload away", async () => {
    await start({ transferChunkBytes: 100 });
    rig.store("cloud").script.before = ({ operation }) => {
      if (operation === "uploadPart" || operation === "abortMultipart")
        throw new GfsError("Unavailable", "The site is away.");
    };
    await rig.put("large", "x".repeat(950));
    await rig.idle();
    const job = await rig.job({ kind: "replicate" });
    expect((await rig.mover.cancel(job?.id as JobId)).state).toBe("canceled");
    expect(rig.store("cloud").count("abortMultipart")).toBe(1);
  });
});
